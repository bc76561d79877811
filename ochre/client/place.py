"""Where a client works: the tenant and database that were named, or else the only ones that its key leads to."""

from __future__ import annotations

from ochre.errors import PermissionDeniedError
from ochre.model.names import parse_reference
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT, UserIdentity


def choose_place(identity: UserIdentity | None, tenant: str | None, database: str | None) -> tuple[str, str]:
    """Return a tenant and one of its databases.

    Args:
        identity: whom the server takes the client for; None without a server. One without a name has no key.
        tenant: as named; None if it was not.
        database: likewise.

    Raises:
        PermissionDeniedError: the key leads to another one than was named. InvalidArgumentError: no name.
    """
    own_tenant, own_database = None, None
    if identity is not None and identity.user_id:
        own_tenant, own_database = _only([identity.tenant]), _only(identity.databases)
    return (
        _agreed("tenant", tenant, own_tenant, DEFAULT_TENANT),
        _agreed("database", database, own_database, DEFAULT_DATABASE),
    )


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 and names[0] != "*" else None


def _agreed(what: str, named: str | None, own: str | None, default: str) -> str:
    if named is None:
        return default if own is None else own
    parse_reference(named, what)
    if own is not None and named != own:
        raise PermissionDeniedError(
            f"{what.capitalize()} {named} does not match {own} from the server, the only one that the key leads to: "
            "name that one, or none"
        )
    return named
