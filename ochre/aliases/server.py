"""What Chroma's modules for servers hold: asynchronous clients, made from settings, and what there is not."""

from __future__ import annotations

from enum import Enum
from typing import Any, Self

from ochre.aliases.clients import named
from ochre.aliases.config import Settings
from ochre.aliases.unsupported import unsupported
from ochre.client._async.admin import AsyncAdminClient as AsyncAdminAPI
from ochre.client._async.client import AsyncClient as AsyncClientAPI
from ochre.client._async.collection import AsyncCollection
from ochre.connect.engines import ServerAddress
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT, UserIdentity
from ochre.settings import Settings as OchreSettings

__all__ = [
    "AsyncAdminAPI",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncClientAPI",
    "AsyncClientCreator",
    "AsyncCollection",
    "AsyncFastAPI",
    "AsyncServerAPI",
    "CloudClient",
    "FastAPI",
    "RustClient",
    "TokenTransportHeader",
    "UserIdentity",
]

_FOLDER = "use PersistentClient(path); any number of processes may have the folder open at once"

AsyncFastAPI = unsupported("AsyncFastAPI", "use AsyncHttpClient(host, port)")
CloudClient = unsupported("CloudClient", f"{_FOLDER}, or HttpClient(host, port) for a server of your own")
FastAPI = unsupported("FastAPI", "use HttpClient(host, port)")
RustClient = unsupported("RustClient", _FOLDER)


class AsyncClient(AsyncClientAPI):
    """An asynchronous client of a server that is made from settings, as Chroma's is."""

    _chroma_settings: Settings

    @classmethod
    async def create(
        cls, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE, settings: Settings | None = None
    ) -> Self:
        """Open a client of the server that the settings name, `localhost` by default."""
        chosen = Settings.of(settings)
        engine = ServerAddress.of(chosen).async_engine()
        try:
            own = OchreSettings(allow_reset=chosen.allow_reset)
            client = await cls.open(engine, own, *named(tenant, database))
        except BaseException:
            await engine.close()
            raise
        client._chroma_settings = chosen
        return client

    def get_settings(self) -> Any:
        """Return the settings the client was made from."""
        return self._chroma_settings


AsyncClientCreator = AsyncClient
AsyncServerAPI = AsyncClientAPI


class AsyncAdminClient(AsyncAdminAPI):
    """An asynchronous admin client of a server that is made from settings, as Chroma's is."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(ServerAddress.of(Settings.of(settings)).async_engine())


class TokenTransportHeader(Enum):
    """The header in which a token travels to a server."""

    AUTHORIZATION = "Authorization"
    X_CHROMA_TOKEN = "X-Chroma-Token"  # noqa: S105  (a header's name)
