"""What Chroma's modules for servers hold: their clients, synchronous and asynchronous. None is supported yet."""

from __future__ import annotations

from enum import Enum

from ochre.aliases.unsupported import unsupported
from ochre.client.client import UserIdentity

__all__ = [
    "AsyncAdminAPI",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncClientAPI",
    "AsyncClientCreator",
    "AsyncCollection",
    "AsyncFastAPI",
    "AsyncHttpClient",
    "AsyncServerAPI",
    "CloudClient",
    "FastAPI",
    "HttpClient",
    "RustClient",
    "TokenTransportHeader",
    "UserIdentity",
]

_FOLDER = "use PersistentClient(path); any number of processes may have the folder open at once"
_THREAD = f"{_FOLDER}, and a coroutine may call it through asyncio.to_thread"

CloudClient = unsupported("CloudClient", _FOLDER)
FastAPI = unsupported("FastAPI", _FOLDER)
HttpClient = unsupported("HttpClient", _FOLDER)
RustClient = unsupported("RustClient", _FOLDER)

AsyncAdminAPI = AsyncAdminClient = unsupported("AsyncAdminClient", _THREAD)
AsyncClient = AsyncClientAPI = AsyncClientCreator = unsupported("AsyncClient", _THREAD)
AsyncCollection = unsupported("AsyncCollection", _THREAD)
AsyncFastAPI = AsyncServerAPI = unsupported("AsyncFastAPI", _THREAD)
AsyncHttpClient = unsupported("AsyncHttpClient", _THREAD)


class TokenTransportHeader(Enum):
    """The header in which a token travels to a server."""

    AUTHORIZATION = "Authorization"
    X_CHROMA_TOKEN = "X-Chroma-Token"  # noqa: S105  (a header's name)
