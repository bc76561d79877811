"""What `chromadb.api` holds: the types of clients, and everything of `chromadb.api.types`."""

from __future__ import annotations

from typing import Any, NoReturn

from ochre.aliases import types
from ochre.aliases.configuration import CreateCollectionConfiguration, UpdateCollectionConfiguration
from ochre.aliases.types import *  # noqa: F403  (Chroma shows these names in both modules)
from ochre.client.admin import AdminClient as AdminAPI
from ochre.client.client import Client as ClientAPI
from ochre.client.collection import Collection
from ochre.errors import UnsupportedError

__all__ = [  # noqa: PLE0604  (names of names)
    *types.__all__,
    "AdminAPI",
    "BaseAPI",
    "ClientAPI",
    "Collection",
    "CreateCollectionConfiguration",
    "Search",
    "ServerAPI",
    "UpdateCollectionConfiguration",
]

BaseAPI = ClientAPI
ServerAPI = ClientAPI


class Search:
    """Chroma's search expressions, which Ochre does not have yet; integrations import the name unasked."""

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        """Refuse, with what to do instead."""
        raise UnsupportedError("Search is not supported yet: use collection.query(...) or collection.get(...)")
