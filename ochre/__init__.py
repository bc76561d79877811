"""Ochre: an embedding database that several processes can open at once, with Chroma's API.

    import ochre

    client = ochre.PersistentClient("my-data")
    collection = client.get_or_create_collection("notes")
    collection.add(ids=["1"], documents=["The museum opens at ten."])
    collection.query(query_texts=["when can I visit?"], n_results=1)

Names load on first use, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ochre.version import __version__

if TYPE_CHECKING:
    from ochre import errors as errors
    from ochre.aliases import install_as_chromadb
    from ochre.client._async.admin import AsyncAdminClient as AsyncAdminClientType
    from ochre.client._async.client import AsyncClient as AsyncClientType
    from ochre.client._async.collection import AsyncCollection
    from ochre.client._sync.admin import AdminClient as AdminClientType
    from ochre.client._sync.client import Client as ClientType
    from ochre.client._sync.collection import Collection
    from ochre.client.normalize import Where, WhereDocument
    from ochre.client.results import DeleteResult, ExplainedQueryResult, GetResult, QueryResult
    from ochre.connect.clients import AdminClient, Client, EphemeralClient, HttpClient, PersistentClient
    from ochre.connect.tasks import AsyncAdminClient, AsyncClient, AsyncHttpClient
    from ochre.embedding.base import EmbeddingFunction
    from ochre.embedding.default import DefaultEmbeddingFunction
    from ochre.embedding.loaders import ImageLoader
    from ochre.embedding.registry import register_embedding_function
    from ochre.errors import OchreError
    from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT
    from ochre.model.vectors import SparseVector
    from ochre.settings import Settings

_HOMES = {
    "AdminClient": "ochre.connect.clients",
    "AsyncAdminClient": "ochre.connect.tasks",
    "AsyncClient": "ochre.connect.tasks",
    "AsyncCollection": "ochre.client._async.collection",
    "AsyncHttpClient": "ochre.connect.tasks",
    "Client": "ochre.connect.clients",
    "Collection": "ochre.client._sync.collection",
    "DEFAULT_DATABASE": "ochre.model.requests",
    "DEFAULT_TENANT": "ochre.model.requests",
    "DefaultEmbeddingFunction": "ochre.embedding.default",
    "DeleteResult": "ochre.client.results",
    "EmbeddingFunction": "ochre.embedding.base",
    "EphemeralClient": "ochre.connect.clients",
    "ExplainedQueryResult": "ochre.client.results",
    "GetResult": "ochre.client.results",
    "HttpClient": "ochre.connect.clients",
    "ImageLoader": "ochre.embedding.loaders",
    "OchreError": "ochre.errors",
    "PersistentClient": "ochre.connect.clients",
    "QueryResult": "ochre.client.results",
    "Settings": "ochre.settings",
    "SparseVector": "ochre.model.vectors",
    "Where": "ochre.client.normalize",
    "WhereDocument": "ochre.client.normalize",
    "install_as_chromadb": "ochre.aliases",
    "register_embedding_function": "ochre.embedding.registry",
}
_RENAMED = {
    "AdminClientType": ("ochre.client._sync.admin", "AdminClient"),
    "AsyncAdminClientType": ("ochre.client._async.admin", "AsyncAdminClient"),
    "AsyncClientType": ("ochre.client._async.client", "AsyncClient"),
    "ClientType": ("ochre.client._sync.client", "Client"),
}

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "AdminClient",
    "AdminClientType",
    "AsyncAdminClient",
    "AsyncAdminClientType",
    "AsyncClient",
    "AsyncClientType",
    "AsyncCollection",
    "AsyncHttpClient",
    "Client",
    "ClientType",
    "Collection",
    "DefaultEmbeddingFunction",
    "DeleteResult",
    "EmbeddingFunction",
    "EphemeralClient",
    "ExplainedQueryResult",
    "GetResult",
    "HttpClient",
    "ImageLoader",
    "OchreError",
    "PersistentClient",
    "QueryResult",
    "Settings",
    "SparseVector",
    "Where",
    "WhereDocument",
    "__version__",
    "errors",
    "install_as_chromadb",
    "register_embedding_function",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("ochre.errors")
    home, own = _RENAMED.get(name) or (_HOMES.get(name), name)
    if home is None:
        raise AttributeError(f"module 'ochre' has no attribute {name!r}")
    value = getattr(import_module(home), own)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
