"""Clients: of a folder, of a temporary database, of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochre.client._sync.admin import AdminClient as Admin
from ochre.client._sync.client import Client as ClientOf
from ochre.connect.engines import (
    PathLike,
    ServerAddress,
    Verify,
    closing_on_error,
    is_settings,
    lasting_engine,
    local_engine,
    names_server,
    open_engine,
    parse_settings,
)
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT
from ochre.settings import Mode


def PersistentClient(  # noqa: N802  (Chroma's name)
    path: PathLike = "./ochre",
    settings: Any = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    mode: Mode = "w",
) -> ClientOf:
    """Open the database in a folder, creating it if it is not there.

    Any number of clients, threads and processes may have the folder open at once.

    Args:
        path: the folder; or a snapshot, which is always opened to be read.
        settings: see `Settings`; the defaults suit nearly everyone.
        tenant: a tenant that exists.
        database: one of its databases.
        mode: `w` to read and write; `r` to read only: then nothing at all is written, the folder must be there, it may
            be on a read-only medium, and others may write to it meanwhile.

    Raises:
        StorageError: the folder cannot be made or read. NotFoundError: the tenant or the database does not exist.
        ReadOnlyError, from every write: opened with `r`.
    """
    chosen = parse_settings(settings)
    engine = open_engine(path, chosen, mode)
    with closing_on_error(engine):
        return ClientOf.open(engine, chosen, tenant, database)


def EphemeralClient(  # noqa: N802  (Chroma's name)
    settings: Any = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> ClientOf:
    """Open a new, empty database in a temporary folder, which is removed when the client is closed or forgotten.

    Each call makes one of its own.
    """
    engine, chosen = local_engine(None, parse_settings(settings))
    with closing_on_error(engine):
        return ClientOf.open(engine, chosen, tenant, database)


def Client(  # noqa: N802  (Chroma's name)
    path: PathLike | None = None,
    settings: Any = None,
    tenant: str | None = None,
    database: str | None = None,
    *,
    mode: Mode = "w",
) -> ClientOf:
    """Open the database at `path`, or a temporary one if there is no path. `mode` as in `PersistentClient`.

    Settings made for Chroma are understood in either place: `is_persistent` and `persist_directory` name the folder
    then, `chroma_api_impl` and its neighbours a server; `allow_reset` means what it says, and the rest has no effect.
    """
    if settings is None and is_settings(path):
        path, settings = None, path
    if path is None and names_server(settings):
        return _of_server(ServerAddress.of(settings), tenant, database)
    engine, chosen = local_engine(path, settings, mode)
    with closing_on_error(engine):
        return ClientOf.open(engine, chosen, tenant, database)


def HttpClient(  # noqa: N802  (Chroma's name)
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    settings: Any = None,
    tenant: str | None = None,
    database: str | None = None,
    *,
    api_key: str | None = None,
    verify: Verify = None,
) -> ClientOf:
    """Work with the database of a server, which `ochre run` starts.

    Args:
        host: its name; or its URL, such as `https://example.com/search`, which says the port and the protocol itself.
        port: its port.
        ssl: whether it speaks HTTPS.
        headers: sent with every request.
        settings: see `Settings`; of those made for Chroma, `chroma_client_auth_provider` and its neighbours and
            `chroma_server_ssl_verify` count.
        tenant: a tenant that exists; by default the only one that the key leads to, or else `default_tenant`.
        database: one of its databases; by default the only one that the key leads to, or else `default_database`.
        api_key: of `ochre keys create`, if the server asks for one.
        verify: with `ssl`, the authorities to trust, as a file or a folder of certificates (by default the usual ones);
            or False to take any certificate, which protects against no one who can stand between.

    Raises:
        InvalidArgumentError: an address that is none ("Invalid URL"). UnreachableError: nobody answers there.
        AuthenticationError: the key is missing, unknown, or (a PermissionDeniedError) leads elsewhere. NotFoundError:
            the tenant or the database does not exist.
    """
    return _of_server(ServerAddress(host, port, ssl, headers, settings, api_key, verify), tenant, database)


def _of_server(address: ServerAddress, tenant: str | None, database: str | None) -> ClientOf:
    chosen = parse_settings(address.settings)
    engine = address.engine()
    with closing_on_error(engine):
        return ClientOf.open(engine, chosen, tenant, database)


def AdminClient(  # noqa: N802  (Chroma's name)
    source: PathLike | ClientOf | Any = "./ochre", settings: Any = None, *, mode: Mode = "w"
) -> Admin:
    """Manage the tenants and databases of a folder, or of the database that a client has open.

    Args:
        source: a folder; settings made for Chroma that name one, or a server; or a client, whose engine is shared then
            and stays open when this client is closed.
        settings: with a folder: see `Settings`.
        mode: with a folder: as in `PersistentClient`.

    Raises:
        InvalidArgumentError: settings without a folder: a temporary database is reached through its client only.
    """
    if isinstance(source, ClientOf):
        return Admin(source._engine, owns_engine=False)
    if names_server(source):
        return Admin(ServerAddress.of(source).engine())
    return Admin(lasting_engine(source, settings, mode))
