"""LocalEngine: the embedded engine. It joins the parts: catalog and log for the truth, states for reading it fast."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from ochre.errors import BusyError, CorruptError, ForbiddenError, NotFoundError, OchreError, StorageError
from ochre.local import backup, catalog, compaction, log, segments, snapshot
from ochre.local.arena import Arena, arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database as SqliteFile
from ochre.local.folders import remove_file
from ochre.local.hold import Hold
from ochre.local.log import Appended
from ochre.local.maintenance import Maintenance
from ochre.local.maps import collections_at_once
from ochre.local.read import Reader
from ochre.local.readonly import ReadOnlyDatabase
from ochre.local.session import Session
from ochre.local.state import CollectionState, StaleSnapshotError
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
    WriteRecords,
)
from ochre.model.upkeep import CopyReport, VacuumReport
from ochre.settings import Mode, Settings

Answer = TypeVar("Answer")

_STALE_TRIES = 100
_WORTH_FOLLOWING = 256  # records in a write: of fewer, the next read learns as quickly
_SWEEP_PATIENCE = 0.5  # seconds that tidying up waits for its turn; the next who opens the folder tries again
_UUID = "????????-????-????-????-????????????"


class LocalEngine:
    """An `Engine` over a folder. Safe for any number of threads, and of processes with an engine each on the folder."""

    def __init__(self, folder: Path, settings: Settings, mode: Mode = "w") -> None:
        self._folder = folder
        self._settings = settings
        self._sync = settings.synchronous != "off"
        self._states: OrderedDict[UUID, CollectionState] = OrderedDict()
        self._states_lock = threading.Lock()
        self._most_states = min(settings.max_open_collections, collections_at_once())
        self._file = ReadOnlyDatabase(folder, settings) if mode == "r" else SqliteFile(folder, settings)
        self._file.on_fork = self._start_anew
        self._maintenance = self._new_maintenance()

    def _new_maintenance(self) -> Maintenance:
        background = self._settings.background_indexing and not self._file.read_only
        return Maintenance(self._folder, self._file, self._state, background=background, sync=self._sync)

    def _start_anew(self) -> None:
        """Drop the states in a forked child: a thread of the parent may have been at work on them."""
        self._maintenance.abandon()
        self._maintenance = self._new_maintenance()
        self._states = OrderedDict()
        self._states_lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, settings: Settings | None = None, mode: Mode = "w") -> LocalEngine:
        """Open the database in `folder`: to read and write (`w`), creating it if it is not there, or to read (`r`).

        Raises:
            StorageError: the folder cannot be made or read; FormatVersionError: a later release wrote it.
        """
        engine = cls(folder, settings or Settings(), mode)
        try:
            engine.prepare()
            engine._maintenance.start()
        except BaseException:
            engine.close()
            raise
        return engine

    def prepare(self) -> None:
        """Create the default tenant and database in a new folder; remove what a crash left without an owner."""
        if self._file.read_only:
            return
        with self._file.read() as session:
            fresh = session.execute("SELECT count(*) FROM tenants").get == 0
        if fresh:
            with self._file.write() as session:
                catalog.ensure_defaults(session)
        Hold(self._folder).prepare()
        with contextlib.suppress(BusyError, OSError):  # a backup holds on to them, or somebody writes: another time
            self._sweep(_SWEEP_PATIENCE)

    def _sweep(self, patience: float) -> None:
        """Remove vectors and segments without an owner, which are those of deleted collections, or left by a crash.

        Raises:
            BusyError: vectors are being copied, or somebody wrote, for longer than `patience` seconds.
        """
        found = [*(self._folder / "vectors").glob(f"{_UUID}*.f32"), *(self._folder / segments.FOLDER).glob(_UUID)]
        with self._file.read() as session:
            orphans = _without_owner(session, found)
        if not orphans:
            return
        with Hold(self._folder).removing(patience):
            # Another process may be creating its collection's file right now; under the write lock none is.
            with self._file.write(patience) as session:
                orphans = _without_owner(session, orphans)
            self._file.settle()
            for path in orphans:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else remove_file(path)

    # -- tenants and databases ----------------------------------------------------------------------------------

    def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        with self._file.write() as session:
            catalog.create_tenant(session, name)

    def get_tenant(self, name: str) -> str:
        """Return the tenant's name."""
        return self._look(lambda session: catalog.get_tenant(session, name))

    def create_database(self, name: str, tenant: str) -> Database:
        """Create a database."""
        with self._file.write() as session:
            return catalog.create_database(session, name, tenant)

    def get_database(self, name: str, tenant: str) -> Database:
        """Return a database."""
        return self._look(lambda session: catalog.get_database(session, name, tenant))

    def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds."""
        with self._file.write() as session:
            collections = catalog.delete_database(session, name, tenant)
        self._forget(collections)

    def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[Database]:
        """Return the databases of a tenant, sorted by name."""
        return self._look(lambda session: catalog.list_databases(session, tenant, limit, offset))

    # -- collections --------------------------------------------------------------------------------------------

    def create_collection(self, request: CreateCollection) -> CollectionInfo:
        """Create a collection, or return the existing one if the request says so."""
        if request.get_or_create and not request.overwrite_metadata:
            # The usual case needs no write lock.
            found = self._look(lambda s: catalog.find_collection(s, request.name, request.tenant, request.database))
            if found is not None:
                return found.info
        with self._file.write() as session:
            return catalog.create_collection(session, request).info

    def get_collection(self, name: str, tenant: str, database: str) -> CollectionInfo:
        """Return the collection of that name."""
        return self._look(lambda session: _named(session, name, tenant, database).info)

    def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: in any)."""
        info = self._look(lambda session: catalog.get_collection(session, collection)).info
        if tenant not in {None, info.tenant} or database not in {None, info.database}:
            raise NotFoundError(
                f"Collection [{collection}] does not exist in database [{database}] of tenant [{tenant}]"
            )
        return info

    def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[CollectionInfo]:
        """Return the collections of a database, sorted by name."""
        rows = self._look(lambda session: catalog.list_collections(session, tenant, database, limit, offset))
        return [row.info for row in rows]

    def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""
        return self._look(lambda session: catalog.count_collections(session, tenant, database))

    def modify_collection(self, request: ModifyCollection) -> CollectionInfo:
        """Change a collection's name, metadata or settings."""
        with self._file.write() as session:
            return catalog.modify_collection(session, request).info

    def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""
        with self._file.write() as session:
            row = _named(session, name, tenant, database)
            catalog.delete_collection(session, row)
        self._forget({row.info.id: row.arena})

    # -- records ------------------------------------------------------------------------------------------------

    def write(self, request: WriteRecords) -> None:
        """Add, update or upsert records: all of them or none."""
        with self._file.write() as session:
            row = catalog.get_collection(session, request.collection)

            def arena_of(row: CollectionRow) -> Arena:
                return self._state(session, row).vectors(row).arena

            appended = log.write(session, row, request, arena_of, sync=self._sync)
            if appended is not None and len(appended.slots) >= _WORTH_FOLLOWING:
                session.after_commit = lambda: self._follow(request.collection, appended)

    def delete(self, request: DeleteRecords) -> int:
        """Delete records, and erase them if the request says so; return how many there were."""
        with self._file.write() as session:
            row = catalog.get_collection(session, request.collection)
            ordinals = Reader(session, row, self._state(session, row)).select(request)
            log.delete(session, row, ordinals)
        if request.erase:
            self._erase(request.collection, len(ordinals))
        return len(ordinals)

    def _erase(self, collection: UUID, deleted: int) -> None:
        """Leave no byte of what was deleted from a collection."""
        patience = self._settings.busy_timeout
        try:
            with self._maintenance.resting(patience):
                compaction.cleanse(self._file, collection, patience, sync=self._sync)
                self._file.vacuum(patience)
        except StorageError as error:
            raise type(error)(
                f"{deleted} records were deleted, but their bytes are still in the files ({error}): call `vacuum` later"
            ) from error

    def get(self, request: GetRecords) -> RecordBatch:
        """Return records."""
        return self._ask(request.collection, lambda reader: reader.get(request))

    def query(self, request: QueryRecords) -> QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector."""
        return self._ask(request.collection, lambda reader: reader.query(request))

    def count(self, request: CountRecords) -> int:
        """Return how many records match."""
        if request.filter is not None:
            return self._ask(request.collection, lambda reader: reader.count(request))
        row = self._file.cached(request.collection)
        return row.records if row is not None else self._ask(request.collection, lambda reader: reader.count(request))

    def scan(self, request: ScanRecords) -> ScanReply:
        """Return the next records of a walk: those that were there when it began and match when it reaches them."""
        return self._ask(request.collection, lambda reader: reader.scan(request))

    def indexing(self, collection: UUID) -> IndexingStatus:
        """Return how far the vector index has come."""
        with self._file.read() as session:
            row = catalog.get_collection(session, collection)
            return IndexingStatus(row.next_slot, self._maintenance.pending(session, row))

    def maintain(self) -> bool:
        """Bring every index up to date now; return whether that is done, or another process is at it."""
        self._file.check_writable()
        return self._maintenance.run(quiet=True)

    # -- the folder ---------------------------------------------------------------------------------------------

    def backup(self, target: Path) -> CopyReport:
        """Make or renew the backup in the folder `target`."""
        return self._tidied(backup.backup(self._file, target))

    def snapshot(self, target: Path) -> CopyReport:
        """Write all there is into a new file."""
        return self._tidied(snapshot.snapshot(self._file, target))

    def vacuum(self) -> VacuumReport:
        """Leave no byte of what was deleted or replaced, and give the space back."""
        self._file.check_writable()
        patience = self._settings.busy_timeout
        with self._maintenance.resting(patience):
            self._sweep(patience)
            return compaction.vacuum(self._file, patience, sync=self._sync)

    def restore(self, target: Path) -> CopyReport:
        """Make a database of its own, in the folder `target`, of the backup or the snapshot that this is."""
        return backup.restore(self._file, target)

    def _tidied(self, report: CopyReport) -> CopyReport:
        """Remove what others deleted while this was being copied."""
        if not self._file.read_only:
            with contextlib.suppress(BusyError, OSError):
                self._sweep(_SWEEP_PATIENCE)
        return report

    # -- life cycle ---------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Delete everything and recreate the default tenant and database."""
        if not self._settings.allow_reset:
            raise ForbiddenError(
                "reset is off: to allow deleting everything, open the client with Settings(allow_reset=True), or start "
                "the server with --allow-reset"
            )
        with self._file.write() as session:
            collections = catalog.clear(session)
            catalog.ensure_defaults(session)
        self._forget(collections)

    def close(self) -> None:
        """Release every handle."""
        self._maintenance.stop()
        self._file.close()
        with self._states_lock:
            states = list(self._states.values())
            self._states.clear()
        for state in states:
            state.close()

    # -- parts --------------------------------------------------------------------------------------------------

    def _look(self, question: Callable[[Session], Answer]) -> Answer:
        """Ask the catalog a question, in one snapshot."""
        while True:
            try:
                with self._file.read() as session:
                    return question(session)
            except StaleSnapshotError:
                continue  # others began to write to what was opened to be read

    def _ask(self, collection: UUID, question: Callable[[Reader], Answer]) -> Answer:
        """Answer a question from one snapshot."""
        for _ in range(_STALE_TRIES):
            try:
                row = None
                with self._file.read() as session:
                    row = catalog.get_collection(session, collection)
                    answer = question(Reader(session, row, self._state(session, row)))
                self._trim()
                return answer
            except StaleSnapshotError:
                continue  # another thread is ahead; the next snapshot is at least as new as its
            except CorruptError:
                # Was it deleted while we read? Then that is the error to report. Were its vectors moved?
                self._file.check_in_place()
                current = self._look(lambda session: catalog.get_collection(session, collection))
                if row is None or current.arena == row.arena:
                    raise
        with self._states_lock:  # no snapshot can be behind for so long: the state itself is wrong
            self._states.pop(collection, None)
        return self._ask(collection, question)

    def _trim(self) -> None:
        """Let go of the least used collections' indexes, then of the last one's columns, until half the limit holds."""
        limit = self._settings.memory_limit
        if limit is None:
            return
        with self._states_lock:
            weights = {collection: state.weight for collection, state in self._states.items()}
            total = sum(weights.values())
            while total > limit // 2 and len(self._states) > 1:
                collection, _ = self._states.popitem(last=False)
                total -= weights[collection]
            last = next(iter(self._states.values()), None)
        if last is not None and total > limit // 2:
            last.shed()

    def _follow(self, collection: UUID, appended: Appended) -> None:
        """Take over what this thread has just added, so that no query has to read it first."""
        with contextlib.suppress(OchreError), self._file.read() as session:  # it is committed, whatever happens here
            row = catalog.get_collection(session, collection)
            with self._states_lock:
                state = self._states.get(collection)
            if state is not None:
                state.follow(session, row, appended)

    def _state(self, session: Session, row: CollectionRow) -> CollectionState:
        with self._states_lock:
            state = self._states.get(row.info.id)
            if state is not None:
                self._states.move_to_end(row.info.id)
                return state
            self._drop_deleted(session)
            self._maintenance.start()
            state = self._states[row.info.id] = CollectionState(self._folder, row, self._maintenance.report)
            while len(self._states) > self._most_states:
                self._states.popitem(last=False)  # its handles go with the last thread that uses it
            return state

    def _drop_deleted(self, session: Session) -> None:
        """Drop the states of collections that another process deleted: they hold the space of the vectors."""
        if self._states:
            for collection in catalog.missing(session, self._states):
                del self._states[collection]

    def _forget(self, collections: dict[UUID, str]) -> None:
        """Drop what this process keeps of deleted collections, and their arenas, which are given by their names.

        What a backup holds on to is left to the next who opens the folder.
        """
        for collection in collections:
            with self._states_lock:
                state = self._states.pop(collection, None)
            if state is not None:
                state.close()
            segments.sweep(self._folder, collection, set())
        with contextlib.suppress(BusyError, OSError), Hold(self._folder).removing():
            self._file.settle()
            for arena in collections.values():
                remove_file(arena_path(self._folder, arena))


def _without_owner(session: Session, files: list[Path]) -> list[Path]:
    """Return those of the arenas and the folders of segments that belong to no collection."""
    arenas = catalog.arenas(session)
    owned = {("vectors", arena) for arena in arenas.values()} | {(segments.FOLDER, str(id_)) for id_ in arenas}
    return [path for path in files if (path.parent.name, path.stem) not in owned]


def _named(session: Session, name: str, tenant: str, database: str) -> CollectionRow:
    row = catalog.find_collection(session, name, tenant, database)
    if row is None:
        raise NotFoundError(f"Collection [{name}] does not exist in database [{database}] of tenant [{tenant}]")
    return row
