# Made by tools/unasync.py from ochre/engine/_async.py: change that file, then run `make format`.
"""The synchronous protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable
from uuid import UUID

from ochre.model.requests import (
    CollectionInfo,
    CountRecords,
    CreateCollection,
    Database,
    DeleteRecords,
    GetRecords,
    IndexingStatus,
    ModifyCollection,
    QueryRecords,
    QueryReply,
    RecordBatch,
    ScanRecords,
    ScanReply,
    UserIdentity,
    WriteRecords,
)
from ochre.model.upkeep import CopyReport, VacuumReport


class Engine(Protocol):
    """Stores collections and answers about them."""

    def create_tenant(self, name: str) -> None:
        """Create a tenant; raises `AlreadyExistsError`."""

    def get_tenant(self, name: str) -> str:
        """Return the tenant's name; raises `NotFoundError`."""

    def create_database(self, name: str, tenant: str) -> Database:
        """Create a database; raises `AlreadyExistsError`, and `NotFoundError` for an unknown tenant."""

    def get_database(self, name: str, tenant: str) -> Database:
        """Return a database; raises `NotFoundError`."""

    def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds; raises `NotFoundError`."""

    def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[Database]:
        """Return the databases of a tenant, sorted by name."""

    def create_collection(self, request: CreateCollection) -> CollectionInfo:
        """Create a collection, or return the existing one if the request says so.

        Raises:
            AlreadyExistsError: the name is taken and `get_or_create` is false.
            InvalidArgumentError: the tenant or database is unknown.
        """

    def get_collection(self, name: str, tenant: str, database: str) -> CollectionInfo:
        """Return the collection of that name."""

    def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: in any)."""

    def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[CollectionInfo]:
        """Return the collections of a database, sorted by name."""

    def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""

    def modify_collection(self, request: ModifyCollection) -> CollectionInfo:
        """Change a collection's name, metadata or settings; raises `AlreadyExistsError` for a taken name."""

    def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""

    def write(self, request: WriteRecords) -> None:
        """Add, update or upsert records: all of them or none.

        Raises:
            InvalidDimensionError: the vectors are not of the collection's dimension, which the first write sets.
        """

    def delete(self, request: DeleteRecords) -> int:
        """Delete records, and erase them if the request says so; return how many there were.

        Raises:
            BusyError: with `erase`: they are deleted, but not erased yet.
        """

    def get(self, request: GetRecords) -> RecordBatch:
        """Return records."""

    def query(self, request: QueryRecords) -> QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector.

        Raises:
            InvalidDimensionError: the query vectors are not of the collection's dimension.
            NotFoundError: an id of `ids` is unknown and there is no filter ("Error finding id").
        """

    def count(self, request: CountRecords) -> int:
        """Return how many records match."""

    def scan(self, request: ScanRecords) -> ScanReply:
        """Return the next records of a walk: those that were there when it began and match when it reaches them.

        Writers go on meanwhile: each step is one snapshot; no record comes twice; one that was deleted or no longer
        matches is left out.
        """

    def indexing(self, collection: UUID) -> IndexingStatus:
        """Return how far a collection's vector index has come."""

    def reset(self) -> None:
        """Delete everything and recreate the default tenant and database; raises `ForbiddenError` unless allowed."""

    def close(self) -> None:
        """Release every handle. Calls after this raise `ClosedError`; closing twice is fine."""


@runtime_checkable
class Server(Protocol):
    """What an engine may have besides when it is a server's: answers about the server itself."""

    def heartbeat(self) -> int:
        """Return the server's time in nanoseconds since the epoch."""

    def version(self) -> str:
        """Return the version of the server's protocol."""

    def max_batch_size(self) -> int:
        """Return how many records a write may carry."""

    def identity(self) -> UserIdentity:
        """Return who the server takes the caller for."""


@runtime_checkable
class Folder(Protocol):
    """What an engine may have besides when it keeps a folder: copies of it, and its upkeep."""

    def backup(self, target: Path) -> CopyReport:
        """Make or renew the backup in the folder `target`; raises `InvalidArgumentError` if that is something else."""

    def snapshot(self, target: Path) -> CopyReport:
        """Write all there is into a new file; raises `AlreadyExistsError`."""

    def vacuum(self) -> VacuumReport:
        """Leave no byte of what was deleted or replaced, and give the space back; raises `BusyError`."""
