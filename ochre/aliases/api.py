"""What `chromadb.api` holds: the types of clients, and everything of `chromadb.api.types`."""

from __future__ import annotations

from ochre.aliases import search, types
from ochre.aliases.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from ochre.aliases.configuration import CreateCollectionConfiguration, UpdateCollectionConfiguration
from ochre.aliases.search import *  # noqa: F403  (Chroma shows these names here too)
from ochre.aliases.server import AsyncAdminAPI, AsyncClientAPI, AsyncServerAPI, UserIdentity
from ochre.aliases.types import *  # noqa: F403
from ochre.client._sync.admin import AdminClient as AdminAPI
from ochre.client._sync.client import Client as ClientAPI

__all__ = [  # noqa: PLE0604  (names of names)
    *search.__all__,
    *types.__all__,
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "AdminAPI",
    "AsyncAdminAPI",
    "AsyncClientAPI",
    "AsyncServerAPI",
    "BaseAPI",
    "ClientAPI",
    "CreateCollectionConfiguration",
    "ServerAPI",
    "Settings",
    "UpdateCollectionConfiguration",
    "UserIdentity",
]

BaseAPI = ClientAPI
ServerAPI = ClientAPI
