"""From a path or an address to a client: the only place that picks an engine.

`engines` makes engines of what users say, `clients` makes clients of engines, `tasks` the asynchronous ones.
"""

from __future__ import annotations

from ochre.connect.clients import AdminClient, Client, EphemeralClient, HttpClient, PersistentClient
from ochre.connect.engines import ServerAddress, TemporaryEngine, check_server, names_server, open_engine
from ochre.connect.tasks import AsyncAdminClient, AsyncClient, AsyncHttpClient, Opening

__all__ = [
    "AdminClient",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncHttpClient",
    "Client",
    "EphemeralClient",
    "HttpClient",
    "Opening",
    "PersistentClient",
    "ServerAddress",
    "TemporaryEngine",
    "check_server",
    "names_server",
    "open_engine",
]
