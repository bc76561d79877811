"""Who asks, and what they may do.

A caller shows an API key: as `Authorization: Bearer KEY`, as `x-chroma-token: KEY`, or as the password of basic
authentication. A key has a scope (read, write, admin) and may be limited to a tenant, a database or a collection.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from ochre.errors import AuthenticationError, PermissionDeniedError
from ochre.server.keys import SCOPES, KeyStore, Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: of the key.
        scope: the most they may do.
        tenant, database, collection: the only ones they may go to; None for any.
    """

    name: str
    scope: Scope
    tenant: str | None = None
    database: str | None = None
    collection: str | None = None

    def check(self, level: int, path: Mapping[str, str]) -> None:
        """Refuse an operation of a level (2 read, 3 write, 4 admin) at a path.

        Raises:
            PermissionDeniedError: the scope is too small, or the path leads elsewhere.
        """
        if level > 2 + SCOPES.index(self.scope):
            raise PermissionDeniedError(
                f"Forbidden: the key {self.name!r} has the scope {self.scope!r}; this needs {SCOPES[level - 2]!r}"
            )
        if level >= 2:
            for name, own in (("tenant", self.tenant), ("database", self.database)):
                if own is not None and path.get(name, own) != own:
                    raise PermissionDeniedError(f"Forbidden: the key {self.name!r} is limited to the {name} {own!r}")
        if level == 4 and (self.database or self.collection or (self.tenant and "tenant" not in path)):
            raise PermissionDeniedError(f"Forbidden: the key {self.name!r} is limited to a part of the server")

    def sees(self, collection: str) -> bool:
        """Tell whether they may go to a collection of that name."""
        return self.collection in {None, collection}

    def check_collection(self, collection: str) -> None:
        """Refuse a collection that is not theirs; raises `PermissionDeniedError`."""
        if not self.sees(collection):
            raise PermissionDeniedError(
                f"Forbidden: the key {self.name!r} is limited to the collection {self.collection!r}"
            )


ANYBODY = Principal("", "admin")
"""Everyone, where no key is asked for."""


class Authenticator:
    """Finds out who asks.

    Args:
        keys: the keys that open the door; None leaves it open.
        open_until_first_key: leave it open as long as no key was ever created.
    """

    def __init__(self, keys: KeyStore | None, *, open_until_first_key: bool = False) -> None:
        self._keys = keys
        self._open = open_until_first_key

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return who sent these headers.

        Raises:
            AuthenticationError: no key, or one that is not known (any more).
        """
        if self._keys is None:
            return ANYBODY
        if self._open:
            self._open = not self._keys.exists()  # once closed it stays so, whatever becomes of the keys
        if self._open:
            return ANYBODY
        secret = _secret(headers)
        if secret is None:
            raise AuthenticationError(
                "Forbidden: this server asks for an API key; send it as 'Authorization: Bearer KEY' or "
                "'x-chroma-token: KEY'"
            )
        key = self._keys.find(secret)
        if key is None:
            raise AuthenticationError("Forbidden: this server does not know the key, or it was revoked")
        return Principal(key.name, key.scope, key.tenant, key.database, key.collection)


def _secret(headers: Mapping[str, str]) -> str | None:
    token = headers.get("x-chroma-token")
    if token:
        return token.removeprefix("Bearer ").strip()
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return password or user
    return None
