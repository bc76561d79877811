"""The asynchronous protocols: the source of the synchronous ones."""

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


class AsyncEngine(Protocol):
    """Stores collections and answers about them."""

    async def create_tenant(self, name: str) -> None:
        """Create a tenant; raises `AlreadyExistsError`."""

    async def get_tenant(self, name: str) -> str:
        """Return the tenant's name; raises `NotFoundError`."""

    async def create_database(self, name: str, tenant: str) -> Database:
        """Create a database; raises `AlreadyExistsError`, and `NotFoundError` for an unknown tenant."""

    async def get_database(self, name: str, tenant: str) -> Database:
        """Return a database; raises `NotFoundError`."""

    async def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds; raises `NotFoundError`."""

    async def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[Database]:
        """Return the databases of a tenant, sorted by name."""

    async def create_collection(self, request: CreateCollection) -> CollectionInfo:
        """Create a collection, or return the existing one if the request says so.

        Raises:
            AlreadyExistsError: the name is taken and `get_or_create` is false.
            InvalidArgumentError: the tenant or database is unknown.
        """

    async def get_collection(self, name: str, tenant: str, database: str) -> CollectionInfo:
        """Return the collection of that name."""

    async def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: in any)."""

    async def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[CollectionInfo]:
        """Return the collections of a database, sorted by name."""

    async def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""

    async def modify_collection(self, request: ModifyCollection) -> CollectionInfo:
        """Change a collection's name, metadata or settings; raises `AlreadyExistsError` for a taken name."""

    async def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""

    async def write(self, request: WriteRecords) -> None:
        """Add, update or upsert records: all of them or none.

        Raises:
            InvalidDimensionError: the vectors are not of the collection's dimension, which the first write sets.
        """

    async def delete(self, request: DeleteRecords) -> int:
        """Delete records, and erase them if the request says so; return how many there were.

        Raises:
            BusyError: with `erase`: they are deleted, but not erased yet.
        """

    async def get(self, request: GetRecords) -> RecordBatch:
        """Return records."""

    async def query(self, request: QueryRecords) -> QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector.

        Raises:
            InvalidDimensionError: the query vectors are not of the collection's dimension.
            NotFoundError: an id of `ids` is unknown and there is no filter ("Error finding id").
        """

    async def count(self, request: CountRecords) -> int:
        """Return how many records match."""

    async def scan(self, request: ScanRecords) -> ScanReply:
        """Return the next records of a walk: those that were there when it began and match when it reaches them.

        Writers go on meanwhile: each step is one snapshot; no record comes twice; one that was deleted or no longer
        matches is left out.
        """

    async def indexing(self, collection: UUID) -> IndexingStatus:
        """Return how far a collection's vector index has come."""

    async def reset(self) -> None:
        """Delete everything and recreate the default tenant and database; raises `ForbiddenError` unless allowed."""

    async def close(self) -> None:
        """Release every handle. Calls after this raise `ClosedError`; closing twice is fine."""


@runtime_checkable
class AsyncServer(Protocol):
    """What an engine may have besides when it is a server's: answers about the server itself."""

    async def heartbeat(self) -> int:
        """Return the server's time in nanoseconds since the epoch."""

    async def version(self) -> str:
        """Return the version of the server's protocol."""

    async def max_batch_size(self) -> int:
        """Return how many records a write may carry."""

    async def identity(self) -> UserIdentity:
        """Return who the server takes the caller for."""


@runtime_checkable
class AsyncFolder(Protocol):
    """What an engine may have besides when it keeps a folder: copies of it, and its upkeep."""

    async def backup(self, target: Path) -> CopyReport:
        """Make or renew the backup in the folder `target`; raises `InvalidArgumentError` if that is something else."""

    async def snapshot(self, target: Path) -> CopyReport:
        """Write all there is into a new file; raises `AlreadyExistsError`."""

    async def vacuum(self) -> VacuumReport:
        """Leave no byte of what was deleted or replaced, and give the space back; raises `BusyError`."""
