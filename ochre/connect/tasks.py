"""Asynchronous clients: of a folder, of a temporary database, of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from ochre.client._async.admin import AsyncAdminClient as AdminOf
from ochre.client._async.client import AsyncClient as ClientOf
from ochre.connect.engines import (
    PathLike,
    ServerAddress,
    Verify,
    is_settings,
    lasting_engine,
    local_engine,
    names_server,
    parse_settings,
)
from ochre.engine import AsyncEngine
from ochre.engine.threads import ThreadedEngine
from ochre.settings import Mode, Settings

Opened = TypeVar("Opened", bound=ClientOf | AdminOf)


class Opening(Generic[Opened]):
    """A client to be opened: `await` it, or use it in an `async with` statement, which closes the client at its end."""

    def __init__(self, start: Callable[[], Awaitable[Opened]]) -> None:
        self._start = start
        self._opened: Opened | None = None

    def __await__(self) -> Generator[Any, Any, Opened]:
        return self._start().__await__()

    async def __aenter__(self) -> Opened:
        self._opened = await self._start()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()


def AsyncClient(  # noqa: N802  (named as what it opens)
    path: PathLike | Any = None,
    settings: Any = None,
    tenant: str | None = None,
    database: str | None = None,
    *,
    mode: Mode = "w",
) -> Opening[ClientOf]:
    """Open the database at `path`, or a temporary one, for the tasks of an event loop.

    `await` what this returns, or use it in an `async with` statement. Threads do the work, so nothing holds the event
    loop up. Arguments, and errors when it is awaited, as of `Client`.
    """
    if settings is None and is_settings(path):
        path, settings = None, path

    async def start() -> ClientOf:
        if path is None and names_server(settings):
            return await _client(ServerAddress.of(settings).async_engine(), parse_settings(settings), tenant, database)
        engine, chosen = await asyncio.to_thread(local_engine, path, settings, mode)
        return await _client(ThreadedEngine(engine), chosen, tenant, database)

    return Opening(start)


def AsyncHttpClient(  # noqa: N802  (Chroma's name)
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
) -> Opening[ClientOf]:
    """Work with the database of a server, from the tasks of an event loop.

    `await` what this returns, or use it in an `async with` statement. Arguments, and errors when it is awaited, as of
    `HttpClient`.
    """

    async def start() -> ClientOf:
        chosen = parse_settings(settings)
        engine = ServerAddress(host, port, ssl, headers, settings, api_key, verify).async_engine()
        return await _client(engine, chosen, tenant, database)

    return Opening(start)


def AsyncAdminClient(  # noqa: N802  (Chroma's name)
    source: PathLike | ClientOf | Any = "./ochre", settings: Any = None, *, mode: Mode = "w"
) -> Opening[AdminOf]:
    """Manage the tenants and databases of a folder, or of the database that an asynchronous client has open.

    `await` what this returns, or use it in an `async with` statement. Arguments, and errors when it is awaited, as of
    `AdminClient`.
    """

    async def start() -> AdminOf:
        if isinstance(source, ClientOf):
            return AdminOf(source._engine, owns_engine=False)
        if names_server(source):
            return AdminOf(ServerAddress.of(source).async_engine())
        return AdminOf(ThreadedEngine(await asyncio.to_thread(lasting_engine, source, settings, mode)))

    return Opening(start)


async def _client(engine: AsyncEngine, settings: Settings, tenant: str | None, database: str | None) -> ClientOf:
    try:
        return await ClientOf.open(engine, settings, tenant, database)
    except BaseException:
        await engine.close()
        raise
