"""ThreadedEngine: an engine that blocks, for the tasks of an event loop."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import UUID

from ochre.engine._sync import Engine, Folder
from ochre.errors import ClosedError, UnsupportedError
from ochre.model import requests, upkeep

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""How many calls of one engine are under way at most; the next ones wait."""


class ThreadedEngine:
    """An `AsyncEngine` that does each operation of an `Engine` on a thread of its own pool.

    A task that is cancelled stops waiting at once. Its operation, if it has begun, goes on to its end, as a whole; one
    that has not begun does not happen.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ochre-engine")
        self._closed = False

    # -- tenants and databases ----------------------------------------------------------------------------------

    async def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        await self._run(self._engine.create_tenant, name)

    async def get_tenant(self, name: str) -> str:
        """Return the tenant's name."""
        return await self._run(self._engine.get_tenant, name)

    async def create_database(self, name: str, tenant: str) -> requests.Database:
        """Create a database."""
        return await self._run(self._engine.create_database, name, tenant)

    async def get_database(self, name: str, tenant: str) -> requests.Database:
        """Return a database."""
        return await self._run(self._engine.get_database, name, tenant)

    async def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds."""
        await self._run(self._engine.delete_database, name, tenant)

    async def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[requests.Database]:
        """Return the databases of a tenant, sorted by name."""
        return await self._run(self._engine.list_databases, tenant, limit, offset)

    # -- collections --------------------------------------------------------------------------------------------

    async def create_collection(self, request: requests.CreateCollection) -> requests.CollectionInfo:
        """Create a collection, or return the existing one if the request says so."""
        return await self._run(self._engine.create_collection, request)

    async def get_collection(self, name: str, tenant: str, database: str) -> requests.CollectionInfo:
        """Return the collection of that name."""
        return await self._run(self._engine.get_collection, name, tenant, database)

    async def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> requests.CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: in any)."""
        return await self._run(self._engine.get_collection_by_id, collection, tenant, database)

    async def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[requests.CollectionInfo]:
        """Return the collections of a database, sorted by name."""
        return await self._run(self._engine.list_collections, tenant, database, limit, offset)

    async def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""
        return await self._run(self._engine.count_collections, tenant, database)

    async def modify_collection(self, request: requests.ModifyCollection) -> requests.CollectionInfo:
        """Change a collection's name, metadata or settings."""
        return await self._run(self._engine.modify_collection, request)

    async def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""
        await self._run(self._engine.delete_collection, name, tenant, database)

    # -- records ------------------------------------------------------------------------------------------------

    async def write(self, request: requests.WriteRecords) -> None:
        """Add, update or upsert records: all of them or none."""
        await self._run(self._engine.write, request)

    async def delete(self, request: requests.DeleteRecords) -> int:
        """Delete records; return how many there were."""
        return await self._run(self._engine.delete, request)

    async def get(self, request: requests.GetRecords) -> requests.RecordBatch:
        """Return records."""
        return await self._run(self._engine.get, request)

    async def query(self, request: requests.QueryRecords) -> requests.QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector."""
        return await self._run(self._engine.query, request)

    async def count(self, request: requests.CountRecords) -> int:
        """Return how many records match."""
        return await self._run(self._engine.count, request)

    async def scan(self, request: requests.ScanRecords) -> requests.ScanReply:
        """Return the next records of a walk through a collection."""
        return await self._run(self._engine.scan, request)

    async def indexing(self, collection: UUID) -> requests.IndexingStatus:
        """Return how far a collection's vector index has come."""
        return await self._run(self._engine.indexing, collection)

    # -- the folder ---------------------------------------------------------------------------------------------

    async def backup(self, target: Path) -> upkeep.CopyReport:
        """Make or renew the backup in the folder `target`."""
        return await self._run(self._folder().backup, target)

    async def snapshot(self, target: Path) -> upkeep.CopyReport:
        """Write all there is into a new file."""
        return await self._run(self._folder().snapshot, target)

    async def vacuum(self) -> upkeep.VacuumReport:
        """Leave no byte of what was deleted or replaced, and give the space back."""
        return await self._run(self._folder().vacuum)

    def _folder(self) -> Folder:
        if not isinstance(self._engine, Folder):
            raise UnsupportedError("this engine keeps no folder that could be copied or vacuumed")
        return self._engine

    # -- life cycle ---------------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Delete everything and recreate the default tenant and database."""
        await self._run(self._engine.reset)

    async def close(self) -> None:
        """Wait for the operations under way, then release every handle."""
        self._closed = True
        await asyncio.to_thread(self._close)

    # -- parts --------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        self._threads.shutdown()
        self._engine.close()

    async def _run(
        self, operation: Callable[Arguments, Answer], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer:
        if self._closed:
            raise ClosedError("the client is closed: open another one")
        call = functools.partial(operation, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
