"""Client: the collections of one database, with the methods of Chroma's Python API."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from ochre.client import normalize
from ochre.client.collection import Collection
from ochre.client.functions import DEFAULT, Function, check_conflict, check_function, configured, preferred_space
from ochre.engine import Engine
from ochre.errors import UnsupportedError
from ochre.model.configuration import Configuration, parse_configuration
from ochre.model.names import parse_collection_id, parse_collection_name, parse_reference
from ochre.model.records import parse_collection_metadata
from ochre.model.requests import DEFAULT_DATABASE, CollectionInfo, CreateCollection
from ochre.settings import Settings
from ochre.version import __version__

MAX_BATCH_SIZE = 2**31 - 1
"""What `get_max_batch_size` answers: a call of any size is one atomic write, so this is a number to satisfy callers."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who a client works as.

    Attributes:
        user_id: empty: an embedded database knows no users.
        tenant: the tenant the client works with.
        databases: the databases the client works with.
    """

    user_id: str
    tenant: str
    databases: list[str]


class Client:
    """Works with the collections of one database of one tenant.

    Close it, or use it in a `with` statement: that releases the files at once.
    """

    def __init__(self, engine: Engine, settings: Settings, tenant: str, database: str) -> None:
        """Use `connect.PersistentClient` and its neighbours instead.

        Raises:
            NotFoundError: the tenant or the database does not exist.
        """
        self._engine = engine
        self._settings = settings
        self.tenant = tenant
        self.database = database
        self.set_tenant(tenant, database)

    # -- life cycle ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release every file handle; the folder can be deleted right after. Closing twice is fine."""
        self._engine.close()

    def reset(self) -> bool:
        """Delete every tenant, database, collection and record, and recreate the defaults.

        Raises:
            ForbiddenError: unless the client was opened with `Settings(allow_reset=True)`.
        """
        self._engine.reset()
        return True

    # -- about itself -------------------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Return the time in nanoseconds since the epoch: a sign of life."""
        return time.time_ns()

    def get_version(self) -> str:
        """Return the package's version."""
        return __version__

    def get_max_batch_size(self) -> int:
        """Return how many records a call may carry: more than fit into memory. Each call is one atomic write."""
        return MAX_BATCH_SIZE

    def get_settings(self) -> Settings:
        """Return the settings the client was opened with."""
        return self._settings

    def get_user_identity(self) -> UserIdentity:
        """Return who the client works as."""
        return UserIdentity("", self.tenant, [self.database])

    @staticmethod
    def clear_system_cache() -> None:
        """Do nothing: clients share no state of the process that could be cleared. Chroma's have such a cache."""

    def set_tenant(self, tenant: str, database: str = DEFAULT_DATABASE) -> None:
        """Work with another tenant's database from now on; raises `NotFoundError` if one of them does not exist."""
        self._engine.get_tenant(parse_reference(tenant, "tenant"))
        self._engine.get_database(parse_reference(database, "database"), tenant)
        self.tenant, self.database = tenant, database

    def set_database(self, database: str) -> None:
        """Work with another database of the tenant from now on; raises `NotFoundError`."""
        self._engine.get_database(parse_reference(database, "database"), self.tenant)
        self.database = database

    # -- collections --------------------------------------------------------------------------------------------

    def list_collections(self, limit: int | None = None, offset: int | None = None) -> list[Collection]:
        """Return the collections of the database, sorted by name."""
        count = normalize.parse_count(limit, "limit", "list_collections")
        skip = normalize.parse_count(offset, "offset", "list_collections") or 0
        infos = self._engine.list_collections(self.tenant, self.database, count, skip)
        return [Collection(self._engine, info, DEFAULT) for info in infos]

    def count_collections(self) -> int:
        """Return how many collections the database has."""
        return self._engine.count_collections(self.tenant, self.database)

    def create_collection(
        self,
        name: str,
        schema: Any = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Function = DEFAULT,
        data_loader: Any = None,
        get_or_create: bool = False,
    ) -> Collection:
        """Create a collection.

        Args:
            name: 3-512 characters from `[a-zA-Z0-9._-]`, beginning and ending with a letter or digit.
            schema: not supported yet: None.
            configuration: `{"hnsw": {"space": "cosine", ...}}`; see `model.configuration.Hnsw` for the fields.
            metadata: str, int, float and bool values. The legacy `hnsw:space` and its kin count as configuration.
            embedding_function: embeds documents and query texts; all-MiniLM-L6-v2 by default. With None nothing is
                persisted, and documents without embeddings are still embedded by the default function, as in Chroma.
            data_loader: turns uris into images or other data; it is not persisted.
            get_or_create: return the collection of that name if there is one, with the metadata it has.

        Raises:
            InvalidArgumentError: an argument breaks a rule. AlreadyExistsError: the name is taken.
        """
        return self._create(
            name, schema, configuration, metadata, embedding_function, data_loader, get_or_create=get_or_create
        )

    def _create(
        self,
        name: str,
        schema: Any,
        configuration: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        embedding_function: Function,
        data_loader: Any,
        *,
        get_or_create: bool,
        overwrite_metadata: bool = False,
    ) -> Collection:
        if schema is not None:
            raise UnsupportedError(
                "schema is not supported yet: pass configuration={'hnsw': {...}} for the index; "
                "every metadata key can be filtered as it is"
            )
        check_function(embedding_function)
        parsed_metadata = parse_collection_metadata(metadata)
        configuration = normalize.parse_configuration_argument(configuration)
        settings = configured(configuration, embedding_function)
        function = _embedding_instance(configuration, embedding_function)
        request = CreateCollection(
            self.tenant,
            self.database,
            parse_collection_name(name),
            parsed_metadata,
            _with_space(settings, parsed_metadata, function),
            get_or_create=get_or_create,
            overwrite_metadata=overwrite_metadata,
        )
        return self._opened(self._engine.create_collection(request), function, data_loader)

    def get_or_create_collection(
        self,
        name: str,
        schema: Any = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Function = DEFAULT,
        data_loader: Any = None,
        *,
        overwrite_metadata: bool = False,
    ) -> Collection:
        """Return the collection of that name, created if there is none. Arguments as in `create_collection`.

        A collection that exists keeps its metadata and its configuration, whatever is passed here, as in Chroma;
        `overwrite_metadata=True` replaces its metadata.
        """
        return self._create(
            name,
            schema,
            configuration,
            metadata,
            embedding_function,
            data_loader,
            get_or_create=True,
            overwrite_metadata=overwrite_metadata,
        )

    def get_collection(self, name: str, embedding_function: Function = DEFAULT, data_loader: Any = None) -> Collection:
        """Return the collection of that name.

        Args:
            name: its name.
            embedding_function: by default the persisted one, rebuilt when something must be embedded.
            data_loader: turns uris into images or other data.

        Raises:
            NotFoundError: there is none. InvalidArgumentError: the function's name is not the persisted one's.
        """
        check_function(embedding_function)
        info = self._engine.get_collection(parse_reference(name, "collection"), self.tenant, self.database)
        return self._opened(info, embedding_function, data_loader)

    def get_collection_by_id(
        self,
        id: UUID | str,  # noqa: A002  (Chroma's name)
        embedding_function: Function = DEFAULT,
        data_loader: Any = None,
    ) -> Collection:
        """Return the collection of that id, in this database; otherwise as `get_collection`."""
        check_function(embedding_function)
        info = self._engine.get_collection_by_id(parse_collection_id(id), self.tenant, self.database)
        return self._opened(info, embedding_function, data_loader)

    def delete_collection(self, name: str) -> None:
        """Delete the collection of that name with its records; raises `NotFoundError`."""
        self._engine.delete_collection(parse_reference(name, "collection"), self.tenant, self.database)

    def _opened(self, info: CollectionInfo, function: Function, data_loader: Any) -> Collection:
        check_conflict(info.configuration.embedding_function, function)
        return Collection(self._engine, info, function, data_loader)


def _embedding_instance(configuration: Mapping[str, Any] | None, function: Function) -> Function:
    """Return the function that embeds on the new handle: the argument, or the one inside the configuration."""
    own = (configuration or {}).get("embedding_function")
    if own is not None and not isinstance(own, Mapping) and (function is DEFAULT or function is None):
        return own
    return function


def _with_space(settings: dict[str, Any], metadata: Mapping[str, Any] | None, function: Function) -> Configuration:
    """Parse the settings; where they leave the space open, the embedding function's own counts."""
    configuration = parse_configuration(settings, metadata)
    space = preferred_space(function)
    chosen = any((settings.get(kind) or {}).get("space") is not None for kind in ("hnsw", "spann"))
    if space is not None and not chosen and "hnsw:space" not in (metadata or {}):
        kind = "spann" if settings.get("spann") is not None else "hnsw"
        return parse_configuration({**settings, kind: {**(settings.get(kind) or {}), "space": space}}, metadata)
    supported = getattr(function, "supported_spaces", None)
    if callable(supported) and configuration.space not in supported():
        warnings.warn(
            f"the embedding function is made for the spaces {supported()}, not for {configuration.space!r}",
            stacklevel=3,
        )
    return configuration
