"""What `chromadb` itself holds: the clients' constructors, and the names people import from the top."""

from __future__ import annotations

import os
from typing import Any

from ochre.aliases import search
from ochre.aliases.api import AdminAPI, ClientAPI
from ochre.aliases.clients import AdminClient as AdminClientCreator
from ochre.aliases.clients import Client as ClientCreator
from ochre.aliases.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from ochre.aliases.distribution import __version__
from ochre.aliases.search import *  # noqa: F403  (Chroma shows these names here too)
from ochre.aliases.server import (
    AsyncClientAPI,
    AsyncClientCreator,
    CloudClient,
    RustClient,
    TokenTransportHeader,
)
from ochre.aliases.types import (
    URI,
    CollectionMetadata,
    Documents,
    EmbeddingFunction,
    Embeddings,
    GetResult,
    IDs,
    Include,
    Metadata,
    Metadatas,
    QueryResult,
    SparseVector,
    SparseVectors,
    UpdateCollectionMetadata,
    UpdateMetadata,
    URIs,
    Where,
    WhereDocument,
)
from ochre.client._sync.collection import Collection

__all__ = [  # noqa: PLE0604  (names of names)
    *search.__all__,
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "URI",
    "AdminAPI",
    "AdminClient",
    "AdminClientCreator",
    "AsyncClientAPI",
    "AsyncClientCreator",
    "AsyncHttpClient",
    "Client",
    "ClientAPI",
    "ClientCreator",
    "CloudClient",
    "Collection",
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "GetResult",
    "HttpClient",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "PersistentClient",
    "QueryResult",
    "RustClient",
    "Settings",
    "SparseVector",
    "SparseVectors",
    "TokenTransportHeader",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
    "__version__",
    "configure",
    "get_settings",
]

_configured: dict[str, Any] = {}


def configure(**values: Any) -> None:
    """Set what `Client()` and `get_settings` take where they are given no settings."""
    _configured.update(values)


def get_settings() -> Settings:
    """Return the settings that `Client()` takes when it is given none."""
    return Settings(**_configured)


def Client(  # noqa: N802  (Chroma's name)
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> ClientCreator:
    """Open the folder of `persist_directory` if the settings are `is_persistent`, else the shared temporary one."""
    return ClientCreator(tenant, database, get_settings() if settings is None else settings)


def PersistentClient(  # noqa: N802  (Chroma's name)
    path: str | os.PathLike[str] = "./chroma",
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> ClientCreator:
    """Open the database in a folder, creating it if it is not there. A folder written by Chroma is not read."""
    chosen = Settings.of(settings).replaced(is_persistent=True, persist_directory=path)
    return ClientCreator(tenant, database, chosen)


def EphemeralClient(  # noqa: N802  (Chroma's name)
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> ClientCreator:
    """Open the temporary database that all such clients of the process share."""
    return ClientCreator(tenant, database, Settings.of(settings).replaced(is_persistent=False))


def HttpClient(  # noqa: N802  (Chroma's name)
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,
    headers: dict[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> ClientCreator:
    """Work with the database of a server, which `ochre run` starts; not one of Chroma's."""
    return ClientCreator(tenant, database, Settings.of(settings).of_server(host, port, ssl, headers))


async def AsyncHttpClient(  # noqa: N802  (Chroma's name)
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,
    headers: dict[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> AsyncClientCreator:
    """Work with the database of a server, from the tasks of an event loop."""
    chosen = Settings.of(settings).of_server(host, port, ssl, headers)
    return await AsyncClientCreator.create(tenant, database, chosen)


def AdminClient(settings: Settings | None = None) -> AdminClientCreator:  # noqa: N802  (Chroma's name)
    """Manage the tenants and databases of what the settings say."""
    return AdminClientCreator(settings)
