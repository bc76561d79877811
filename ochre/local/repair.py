"""Repairing a folder: a new one is written of all that can be read, with a list of what cannot.

The damaged folder is read and never written: SQLite works on a copy of its file. A vector is taken if it has its
checksum. What is written goes the way of any other write.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import apsw
import msgspec
import numpy as np

from ochre.errors import AlreadyExistsError, NotFoundError, OchreError, StorageError
from ochre.local import acknowledged, backup, catalog, extents, hold, lease, log, pages, schema
from ochre.local.acknowledged import Acknowledged
from ochre.local.arena import HEADER_BYTES, Arena, arena_path, stored_dimension
from ochre.local.catalog import CollectionRow
from ochre.local.check import check
from ochre.local.checksums import checksums
from ochre.local.database import FILE_NAME, Database
from ochre.local.faults import translated
from ochre.local.leaves import Leaves, mend
from ochre.local.salvage import DAMAGE, RECORDS, Source, names_by_key
from ochre.local.schema import MAX_ORDINAL
from ochre.local.session import Session
from ochre.model.requests import WriteRecords
from ochre.model.vectors import MAX_DIMENSION, Matrix
from ochre.settings import Settings

_BATCH = 4096
_MADE_ANEW = {"vectors", "index", acknowledged.FILE_NAME, backup.MARKER, hold.FILE_NAME, lease.FILE_NAME}
_DATABASES = ("key", "id", "tenant", "name")
_COLLECTIONS = (
    *("key", "id", "database", "name", "metadata", "configuration", "schema", "dimension"),
    *("next_ordinal", "next_slot", "records", "tail", "arena", "head"),
)


@dataclass(slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        saved: how many records the new folder holds.
        losses: what was lost, and what was saved but deserves a look: `collection` (its id), `name`, `id` (None where
            it cannot be told), `saved`, `reason`, `count` (of records), and of a lost record its `metadata`, `document`
            and `uri` if they are left.
    """

    saved: int = 0
    losses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many records were lost, and collections or commits as a whole."""
        return sum(loss["count"] for loss in self.losses if not loss["saved"])


def repair(source: Path, into: Path, *, trust_pages: bool = False) -> Repaired:
    """Write all of a damaged folder that can be read into a new one.

    Args:
        source: the damaged folder; it is not changed. No process may be writing to it.
        into: the new folder; it must not exist.
        trust_pages: take pages of `ochre.sqlite3` as they are although their checksums are wrong, as after another
            program's SQLite wrote to it. Vectors are compared with their checksums in any case.

    Raises:
        NotFoundError: `source` holds no database; AlreadyExistsError: `into` exists; FormatVersionError: a later
            release wrote `source`; StorageError: it was written to meanwhile, or `into` cannot be written.
    """
    if not (source / FILE_NAME).is_file():
        raise NotFoundError(f"{source} holds no {FILE_NAME}: name the folder of a database")
    if into.exists():
        raise AlreadyExistsError(f"{into} exists already: name a folder that does not")
    with translated(into):
        before = _state(source)
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=f"{into.name}-", ignore_cleanup_errors=True) as work:
            try:
                result = _Repair(source, into, trust_pages=trust_pages).run(Path(work))
                if _state(source) != before:
                    raise StorageError(f"{source} was written to meanwhile: stop what uses it, and repeat the repair")
            except BaseException:
                shutil.rmtree(into, ignore_errors=True)
                raise
    return result


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what changes when somebody writes to a folder."""
    paths = [folder / FILE_NAME, folder / f"{FILE_NAME}-wal", *(folder / "vectors").glob("*.f32")]
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.exists()}


def _copied(source: Path, work: Path) -> None:
    """Copy the SQLite file, mended as far as SQLite needs it to begin, with the log folded in."""
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        if (source / name).exists():
            shutil.copyfile(source / name, work / name)
    mend(work / FILE_NAME)
    with contextlib.suppress(*DAMAGE), _reading(work) as session:
        schema.check_release(session.connection, source)
        session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


@contextlib.contextmanager
def _reading(work: Path) -> Iterator[Session]:
    """Lend a session on a copy, outside any transaction."""
    connection = pages.connect(str(work / FILE_NAME), apsw.SQLITE_OPEN_READWRITE)
    try:
        yield Session(connection, 0.0)
    finally:
        connection.close(force=True)


def _copy_others(source: Path, into: Path) -> None:
    """Copy what is in the folder beside the database, such as a server's keys."""
    for path in source.iterdir():
        if path.name in _MADE_ANEW or path.name.startswith(FILE_NAME):
            continue
        if path.is_dir():
            shutil.copytree(path, into / path.name)
        else:
            shutil.copy2(path, into / path.name)


class _Repair:
    """One run."""

    def __init__(self, folder: Path, into: Path, *, trust_pages: bool) -> None:
        self._folder = folder
        self._into = into
        self._trust = trust_pages
        self._result = Repaired()

    def run(self, work: Path) -> Repaired:
        _copied(self._folder, work)
        database = Database(self._into, Settings())
        try:
            with Leaves(work / FILE_NAME) as leaves, _reading(work) as session:
                source = Source(session, leaves, trust=self._trust)
                self._commits(source)
                for row in self._catalog(source, database):
                    _Collection(self._folder, source, row, database, self._result).run()
        finally:
            database.close()
        _copy_others(self._folder, self._into)
        found = check(self._into)
        if not found.whole:
            raise StorageError(
                f"what was written to {self._into} is damaged itself ({found.findings[0]}): check the disk"
            )
        return self._result

    def _commits(self, source: Source) -> None:
        newest = Acknowledged(self._folder).read()
        with contextlib.suppress(*DAMAGE):
            number = source.session.execute("SELECT number FROM commits").get or 0
            if number < newest:
                reason = f"the last {newest - number} commits are lost, with all that they changed"
                self._result.losses.append(_loss(None, reason))

    def _catalog(self, source: Source, database: Database) -> list[CollectionRow]:
        """Write tenants, databases and collections; return the collections as they were in the damaged folder."""
        databases = {row[0]: row for row in source.catalog("databases", _DATABASES)}
        collections = source.catalog("collections", _COLLECTIONS)
        for _, _, tenant, name in databases.values() if "databases" in source.doubtful else ():
            reason = f"the name of the database {name!r} of tenant {tenant!r} comes from a damaged page: look at it"
            self._result.losses.append(_loss(None, reason, saved=True))
        doubtful = "collections" in source.doubtful
        for key in {row[2] for row in collections} - databases.keys():
            databases[key] = (key, str(uuid4()), "default_tenant", f"recovered-{key}")
            self._result.losses.append(
                _loss(None, f"the name of the database with key {key}: it is recovered-{key} now")
            )
        with database.write() as session:
            names = {*source.tenants(), *(tenant for _, _, tenant, _ in databases.values())}
            session.executemany("INSERT OR IGNORE INTO tenants VALUES (?)", [(name,) for name in sorted(names)])
            session.executemany("INSERT INTO databases VALUES (?,?,?,?)", databases.values())
            catalog.ensure_defaults(session)
        rows = [row for found in collections if (row := self._create(found, database, doubtful=doubtful))]
        known = {str(row.info.id) for row in rows}
        for path in sorted((self._folder / "vectors").glob("*.f32")) if doubtful else ():
            if path.stem[:36] not in known:
                self._result.losses.append(
                    _loss(None, f"the name and the records of the collection [{path.stem[:36]}]")
                )
        return rows

    def _create(self, found: tuple[Any, ...], database: Database, *, doubtful: bool) -> CollectionRow | None:
        try:
            with database.write() as session:
                catalog.insert_collection(session, found[:7])
                row = catalog.get_collection(session, UUID(found[1]))
        except (OchreError, apsw.Error, msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
            self._result.losses.append(_loss(None, f"the collection {found[3]!r} [{found[1]}] makes no sense: {error}"))
            return None
        if doubtful:
            self._result.losses.append(
                _loss(row, "its name and settings come from a damaged page: look at them", saved=True)
            )
            found = (*found[:7], *_likely_counters(self._folder, row, found[7:]))
        return catalog.with_counters(row, *found[7:])


class _Collection:
    """The records of one collection, on their way."""

    def __init__(self, folder: Path, source: Source, row: CollectionRow, database: Database, result: Repaired) -> None:
        self._source = source
        self._row = row
        self._database = database
        self._result = result
        self._vectors = _stored_vectors(folder, row)
        self._sums = np.zeros(len(self._vectors), np.uint64)
        self._known = np.zeros(len(self._vectors), np.bool_)
        self._seen: set[int] = set()

    def run(self) -> None:
        self._read_checksums()
        row = self._row
        batch: list[tuple[Any, ...]] = []
        newest = self._source.newest(RECORDS, 7, row.first_key, row.last_key)
        self._source.unsure = False
        for record in self._source.rows(RECORDS, 7, row.first_key, row.last_key):
            if record[0] in self._seen or record[1:2] != (row.key,) or len(record) < 3:
                continue
            if newest is not None and newest[record[2]] != record[0]:
                continue  # deleted, and added again under the same id
            self._seen.add(record[0])
            reason = self._reason(record)
            if reason:
                self._lose(record, reason)
            else:
                batch.append(record)
            if len(batch) == _BATCH:
                self._write(batch)
                batch = []
        self._write(batch)
        if self._source.unsure:
            reason = (
                "the map of pages in use is damaged: some of its records may be deleted ones, or as they once were, "
                "with the vector of another"
            )
            self._result.losses.append(_loss(row, reason, saved=True, count=len(self._seen)))
        self._name_missing()

    def _read_checksums(self) -> None:
        row, span = self._row, extents.SPAN
        stored: Iterator[Any] = self._source.rows(extents.ALL, 2, row.first_key, row.last_key)
        for key, data in [*stored, (row.first_key + row.next_slot // span, row.tail)]:
            start = (key - row.first_key) * span
            own = np.frombuffer(data, "<u8", len(data) // 8)[: max(len(self._sums) - start, 0)]
            self._sums[start : start + len(own)] = own
            self._known[start : start + len(own)] = True

    def _reason(self, record: tuple[Any, ...]) -> str:
        """Say why a record cannot be saved; nothing if it can."""
        if len(record) < 7:
            return "a page that its row continues on is damaged"
        slot = record[3]
        if not isinstance(slot, int) or not 0 <= slot < len(self._vectors):
            return "its vector is missing"
        if self._known[slot] and checksums(self._vectors[slot : slot + 1])[0] != self._sums[slot]:
            return "its vector is damaged"
        return ""

    def _write(self, records: list[tuple[Any, ...]]) -> None:
        if not records:
            return
        slots = np.array([record[3] for record in records], np.int64)
        for record, known in zip(records, self._known[slots].tolist(), strict=True):
            if not known:
                self._result.losses.append(
                    _loss(self._row, "the checksum of its vector is lost: it was taken as it is", record[2], saved=True)
                )
        _, _, ids, _, metadatas, uris, documents = zip(*records, strict=True)
        decoded = [None if text is None else msgspec.json.decode(text) for text in metadatas]
        request = WriteRecords(self._row.info.id, "add", ids, self._vectors[slots], documents, decoded, uris)
        with self._database.write() as session:
            row = catalog.get_collection(session, self._row.info.id)
            log.write(session, row, request, self._arena, sync=True)
        self._result.saved += len(records)

    def _arena(self, row: CollectionRow) -> Arena:
        assert row.info.dimension is not None
        return Arena(self._database.folder, row.info.id, row.info.dimension, row.arena)

    def _lose(self, record: tuple[Any, ...], reason: str) -> None:
        survives = dict(zip(("metadata", "uri", "document"), record[4:], strict=False))
        with contextlib.suppress(msgspec.MsgspecError, TypeError):
            survives["metadata"] = msgspec.json.decode(survives["metadata"]) if survives.get("metadata") else None
        self._result.losses.append(_loss(self._row, reason, record[2]) | survives)

    def _name_missing(self) -> None:
        missing = self._row.records - len(self._seen)
        if missing <= 0:
            return
        names = names_by_key(self._source.session, self._row, lambda key: key not in self._seen)
        for record in self._source.doubtful_rows(7, self._row.first_key, self._row.last_key):
            if record[0] not in self._seen and record[1:2] == (self._row.key,) and len(record) > 2:
                self._seen.add(record[0])
                id_ = names.pop(record[0], record[2])
                reason = "its row is on a damaged page: what is told of it here may be wrong"
                self._lose((*record[:2], id_, *record[3:]), reason)
        self._result.losses += [_loss(self._row, "its row cannot be read", id_) for id_ in names.values()]
        missing = self._row.records - len(self._seen) - len(names)
        if missing > 0:
            self._result.losses.append(_loss(self._row, "rows that cannot be read, nor their ids", count=missing))


def _loss(
    row: CollectionRow | None, reason: str, id_: str | None = None, *, saved: bool = False, count: int = 1
) -> dict[str, Any]:
    collection, name = (None, None) if row is None else (str(row.info.id), row.info.name)
    return {"collection": collection, "name": name, "id": id_, "saved": saved, "reason": reason, "count": count}


def _likely_counters(folder: Path, row: CollectionRow, found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the counters of a collection whose row is doubtful: only what a wrong value of does no harm is taken."""
    dimension, _, _, records, _, arena, _ = found
    arenas = sorted((folder / "vectors").glob(f"{row.info.id}*.f32"), key=lambda path: path.stem == arena)
    path = arenas[-1] if arenas else arena_path(folder, row.arena)
    with contextlib.suppress(OSError, struct.error):
        dimension = stored_dimension(path) or dimension
    dimension = dimension if isinstance(dimension, int) and 0 < dimension <= MAX_DIMENSION else None
    records = records if isinstance(records, int) else 0
    return dimension, 0, MAX_ORDINAL // extents.SPAN * extents.SPAN, records, b"", path.stem, 0


def _stored_vectors(folder: Path, row: CollectionRow) -> Matrix:
    """Return the committed rows of an arena as far as the file has them, whatever its header says."""
    dimension = row.info.dimension
    path = arena_path(folder, row.arena)
    if not dimension or not path.exists() or path.stat().st_size < HEADER_BYTES:
        return np.empty((0, dimension or 0), np.float32)
    count = min((path.stat().st_size - HEADER_BYTES) // (dimension * 4), max(row.next_slot, 0))
    if not count:
        return np.empty((0, dimension), np.float32)
    return np.memmap(path, "<f4", "r", HEADER_BYTES, (count, dimension))
