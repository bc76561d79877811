# Made by tools/unasync.py from ochre/client/_async/client.py: change that file, then run `make format`.
"""Client: the collections of one database, with the methods of Chroma's Python API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from ochre.client import normalize
from ochre.client._sync.collection import Collection
from ochre.client.creation import parse_new_collection
from ochre.client.functions import DEFAULT, Function, check_conflict, check_function
from ochre.client.place import choose_place
from ochre.engine import Engine, Folder, Server
from ochre.errors import UnsupportedError
from ochre.model.names import parse_collection_id, parse_reference
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT, CollectionInfo, UserIdentity
from ochre.model.upkeep import CopyReport, VacuumReport
from ochre.settings import Settings
from ochre.version import __version__

MAX_BATCH_SIZE = 2**31 - 1
"""What `get_max_batch_size` answers: a call of any size is one atomic write, so this is a number to satisfy callers."""


class Client:
    """Works with the collections of one database of one tenant.

    Close it, or use it in an `with` statement: that releases the files at once.
    """

    def __init__(self, engine: Engine, settings: Settings, tenant: str, database: str) -> None:
        """Use `open`, which looks whether the tenant and the database are there."""
        self._engine = engine
        self._server = engine if isinstance(engine, Server) else None
        self._settings = settings
        self.tenant = tenant
        self.database = database

    @classmethod
    def open(cls, engine: Engine, settings: Settings, tenant: str | None = None, database: str | None = None) -> Self:
        """Make a client of an engine; `ochre.PersistentClient` and its neighbours choose one.

        Args:
            engine: closed with the client.
            settings: what `get_settings` returns.
            tenant: where it works; None for the only one that its key leads to, or else the default one.
            database: likewise.

        Raises:
            NotFoundError: the tenant or the database does not exist. PermissionDeniedError: the key leads elsewhere.
        """
        client = cls(engine, settings, tenant or DEFAULT_TENANT, database or DEFAULT_DATABASE)
        client._enter(tenant, database)
        return client

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

    # -- the folder ---------------------------------------------------------------------------------------------

    def backup(self, path: str | PathLike[str]) -> CopyReport:
        """Make a backup of the whole database in a folder, or bring one up to date; others may write meanwhile.

        A backup holds one committed state, of all tenants and databases. It is a database folder itself: it can be
        opened, and until a backup is complete, it is the previous one.

        Args:
            path: a folder that is not there or is empty, or a backup of this database.

        Raises:
            InvalidArgumentError: the folder is something else, or a backup that was written to.
            CorruptError: the database is damaged. UnsupportedError: the client works with a server.
        """
        return self._folder("backup").backup(normalize.parse_path(path))

    def snapshot(self, path: str | PathLike[str]) -> CopyReport:
        """Write the whole database into one new file, which can be opened as it is, to be read.

        Raises:
            AlreadyExistsError: there is a file of that name. UnsupportedError: the client works with a server.
        """
        return self._folder("snapshot").snapshot(normalize.parse_path(path))

    def vacuum(self) -> VacuumReport:
        """Leave no byte of what was deleted or replaced in any file, and give the space back.

        It rewrites the texts and metadata of all collections, and the vectors of those with dead ones. Others go on
        reading; their writes wait meanwhile.

        Raises:
            BusyError: a copy is being made, or somebody reads for too long; nothing is lost, repeat the call.
            ReadOnlyError: the client was opened to read. UnsupportedError: the client works with a server.
        """
        return self._folder("vacuum").vacuum()

    def _folder(self, operation: str) -> Folder:
        if isinstance(self._engine, Folder):
            return self._engine
        raise UnsupportedError(
            f"{operation} is about a folder, and this client works with a server: run `ochre {operation}` where the "
            "folder is"
        )

    # -- about itself -------------------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Return the time in nanoseconds since the epoch: a sign of life, of the server if there is one."""
        return self._server.heartbeat() if self._server else time.time_ns()

    def get_version(self) -> str:
        """Return the package's version; of a server, that of its protocol."""
        return self._server.version() if self._server else __version__

    def get_max_batch_size(self) -> int:
        """Return how many records a call may carry: a server's limit, or more than fit into memory.

        Each call is one atomic write.
        """
        return self._server.max_batch_size() if self._server else MAX_BATCH_SIZE

    def get_settings(self) -> Settings:
        """Return the settings the client was opened with."""
        return self._settings

    def get_user_identity(self) -> UserIdentity:
        """Return who the client works as; a server says whom it takes it for."""
        return self._server.identity() if self._server else UserIdentity("", self.tenant, [self.database])

    @staticmethod
    def clear_system_cache() -> None:
        """Do nothing: clients share no state of the process that could be cleared. Chroma's have such a cache."""

    def set_tenant(self, tenant: str, database: str = DEFAULT_DATABASE) -> None:
        """Work with another tenant's database from now on; raises `NotFoundError` if one of them does not exist."""
        self._engine.get_tenant(parse_reference(tenant, "tenant"))
        self._engine.get_database(parse_reference(database, "database"), tenant)
        self.tenant, self.database = tenant, database

    def _enter(self, tenant: str | None, database: str | None) -> None:
        identity = self._server.identity() if self._server else None
        self.set_tenant(*choose_place(identity, tenant, database))

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
            schema: what may be filtered, in Chroma's JSON form `{"defaults": {...}, "keys": {...}}`, or an object with
                `serialize_to_json()`. Its vector index's settings and embedding function count as configuration; only
                one of the two may choose them.
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
        request, function = parse_new_collection(
            (self.tenant, self.database),
            name,
            schema,
            configuration,
            metadata,
            embedding_function,
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
