"""What `chromadb` itself holds: the clients' constructors, and the names people import from the top."""

from __future__ import annotations

import os
from typing import Any

from ochre.aliases.api import AdminAPI, ClientAPI, Search
from ochre.aliases.clients import AdminClient as AdminClientCreator
from ochre.aliases.clients import Client as ClientCreator
from ochre.aliases.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
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
from ochre.client.collection import Collection

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "URI",
    "AdminAPI",
    "AdminClient",
    "Client",
    "ClientAPI",
    "Collection",
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "GetResult",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "PersistentClient",
    "QueryResult",
    "Search",
    "Settings",
    "SparseVector",
    "SparseVectors",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
    "__version__",
    "configure",
    "get_settings",
]

__version__ = "1.5.9"
"""The release of Chroma whose Python API this is: integrations compare it with what they need."""

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


def AdminClient(settings: Settings | None = None) -> AdminClientCreator:  # noqa: N802  (Chroma's name)
    """Manage the tenants and databases of what the settings say."""
    return AdminClientCreator(settings)
