"""Checking a database: every byte of the truth is read and compared with its checksum and with what else is there.

It reads as what is opened to be read does, and writes nothing: it is safe beside processes that write, and works on a
read-only medium.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import apsw
import msgspec
import numpy as np

from ochre.errors import CorruptError, NotFoundError, OchreError
from ochre.local import archive, catalog, extents, pages, schema, segments
from ochre.local.acknowledged import Acknowledged
from ochre.local.arena import Arena
from ochre.local.catalog import CollectionRow
from ochre.local.checksums import BYTES
from ochre.local.database import FILE_NAME
from ochre.local.hold import Hold
from ochre.local.readonly import ReadOnlyDatabase, ReadOnlySession, Situation
from ochre.local.salvage import DAMAGE, RECORDS, Gap, names_by_key, rows_around_damage
from ochre.local.session import Session
from ochre.local.state import StaleSnapshotError
from ochre.settings import Settings

_PATIENCE = 60.0
_INTEGRITY_LINES = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written.

    Attributes:
        kind: `file`, `page`, `catalog`, `record`, `vector`, `log` or `segment`.
        message: what is wrong with it.
        collection: the id of the collection it belongs to, None for what belongs to none.
        name: the name of that collection.
        id: the id of the damaged record, None where it is no record or its id cannot be told.
    """

    kind: str
    message: str
    collection: str | None = None
    name: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        place = f"collection {self.name!r} [{self.collection}]: " if self.collection else ""
        return f"{place}{f'record {self.id!r}: ' if self.id is not None else ''}{self.message}"


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        collections, records, vectors: how many were looked at.
        findings: the damage.
        notes: what is left over and goes away by itself.
    """

    collections: int = 0
    records: int = 0
    vectors: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether there is no damage."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {"whole": self.whole, **asdict(self)}


def check(place: Path) -> Report:
    """Check the database in a folder, or a snapshot.

    Raises:
        NotFoundError: there is no database; StorageError: the file is no snapshot; FormatVersionError: it is not one
            that this release reads.
        BusyError: vectors were being removed for a minute.
    """
    if not place.is_file() and not (place / FILE_NAME).is_file():
        raise NotFoundError(f"{place} holds no {FILE_NAME}: name the folder of a database, or a snapshot")
    while True:
        report = Report()
        try:
            with contextlib.closing(_Unchecked(place, Settings(busy_timeout=_PATIENCE))) as file:
                _Check(file, report).run()
        except StaleSnapshotError:
            continue  # somebody began to write
        except CorruptError as error:
            report.findings.append(Finding("file", error.message))
        return report


class _Unchecked(ReadOnlyDatabase):
    """A database that is opened whatever is wrong with it: that is what is to be found out."""

    def _check(self, connection: apsw.Connection) -> None:
        if self.is_snapshot:  # any file might be named
            self._check_snapshot(connection)

    def _check_all_there(self, session: Session, acknowledged: int) -> None:
        pass


class _Check:
    """One run over one database."""

    def __init__(self, file: ReadOnlyDatabase, report: Report) -> None:
        self._file = file
        self._folder = file.folder
        self._report = report
        self._session: ReadOnlySession

    def run(self) -> None:
        acknowledged = Acknowledged(self._folder).read()  # before the database, which may only be ahead
        with self._file.read() as session:
            if not schema.version(session.connection, self._folder):
                raise CorruptError(f"{FILE_NAME} is empty: restore the folder from a backup")
        self._pages()
        self._commits(acknowledged)
        for key in self._keys():
            with Hold(self._folder).copying(_PATIENCE), self._snapshot():  # vectors are not removed meanwhile
                row = self._row(key)
                if row is not None:
                    self._collection(row)
        self._orphans()

    def _find(self, kind: str, message: str, row: CollectionRow | None = None, id_: str | None = None) -> None:
        collection, name = (None, None) if row is None else (str(row.info.id), row.info.name)
        self._report.findings.append(Finding(kind, message, collection, name, id_))

    def _note(self, kind: str, message: str, row: CollectionRow | None = None) -> None:
        collection, name = (None, None) if row is None else (str(row.info.id), row.info.name)
        self._report.notes.append(Finding(kind, message, collection, name))

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self._file.read() as self._session:
            try:
                yield
            except (*DAMAGE, CorruptError, msgspec.MsgspecError, ValueError) as error:
                self._find("page", f"a part of {FILE_NAME} cannot be read ({error})")

    # -- the file -----------------------------------------------------------------------------------------------

    def _pages(self) -> None:
        with self._snapshot():
            if not pages.compares(self._session.connection):
                self._find("page", f"by the header of {FILE_NAME} its pages have no checksums")
            torn = self._file.torn(self._session)
            message = f"{FILE_NAME} ends {torn} bytes into a page"
            if torn and self._session.situation is Situation.LIVE:
                self._note("page", f"{message}, as a power cut leaves it: the rest may be in the log")
            elif torn:
                self._find("page", message)
            for (line,) in self._session.execute(f"PRAGMA integrity_check({_INTEGRITY_LINES})"):
                if line != "ok":
                    self._find("page", f"SQLite's check of {FILE_NAME}: {line}")

    def _commits(self, acknowledged: int) -> None:
        with self._snapshot():
            number = self._session.execute("SELECT number FROM commits").get
            if number is None or number < acknowledged:
                self._find(
                    "log", f"{number or 0} commits are there, {acknowledged} were acknowledged: the last ones are lost"
                )

    # -- the catalog --------------------------------------------------------------------------------------------

    def _keys(self) -> list[int]:
        gaps: list[Gap] = []
        sql = (
            "SELECT c.key, c.name, d.tenant, t.name FROM collections c LEFT JOIN databases d ON d.key=c.database "
            "LEFT JOIN tenants t ON t.name=d.tenant WHERE c.key BETWEEN ? AND ? ORDER BY c.key"
        )
        keys = []
        with self._snapshot():
            for key, name, tenant, known in rows_around_damage(self._session, sql, 0, self._last_key(), gaps):
                keys.append(key)
                if tenant is None or known is None:
                    self._find("catalog", f"collection {name!r} belongs to a database or a tenant that is not there")
        for first, last in gaps:
            self._find("catalog", f"the collections with keys {first} to {last} cannot be read")
        return keys

    def _last_key(self) -> int:
        with contextlib.suppress(*DAMAGE):
            return int(self._session.execute("SELECT coalesce(max(key), 0) FROM collections").get)
        return 1 << 16  # halving ranges of keys takes its time

    def _row(self, key: int) -> CollectionRow | None:
        try:
            return catalog.collection_by_key(self._session, key)
        except (OchreError, msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
            self._find("catalog", f"the collection with key {key} does not make sense ({error})")
            return None

    def _collection(self, row: CollectionRow) -> None:
        self._report.collections += 1
        for step in _STEPS:
            try:
                step(self, row)
            except DAMAGE as error:
                self._find("page", f"a part of {FILE_NAME} cannot be read ({error})", row)

    # -- one collection -----------------------------------------------------------------------------------------

    def records(self, row: CollectionRow) -> None:
        """Look at every record's row."""
        gaps: list[Gap] = []
        count, slots = 0, array("q")
        for record in rows_around_damage(
            self._session, RECORDS, row.first_key, row.first_key + max(row.next_ordinal, 1) - 1, gaps
        ):
            count += 1
            slots.extend([record[3]] if isinstance(record[3], int) else [])
            for message in _faults(row, record):
                self._find("record", message, row, record[2])
        self._report.records += count
        names = (
            names_by_key(self._session, row, lambda key: any(first <= key <= last for first, last in gaps))
            if gaps
            else {}
        )
        for id_ in names.values():
            self._find("record", "its row cannot be read", row, id_)
        if count + len(names) != row.records:
            self._find("record", f"{count + len(names)} records are there, the catalog counts {row.records}", row)
        for slot in _twice(slots):
            self._find("record", f"slot {slot} of the arena is named by more than one record", row)
        for key in self._strangers(row):
            self._find("record", f"the record with key {key} lies beyond those of its collection", row)

    def _strangers(self, row: CollectionRow) -> list[int]:
        beyond = (row.first_key + row.next_ordinal, row.last_key)
        found: Iterator[Any] = self._session.execute("SELECT key FROM records WHERE key BETWEEN ? AND ?", beyond)
        return [key for (key,) in found]

    def changes(self, row: CollectionRow) -> None:
        """Look at the change log: it has no gaps, and ends with the newest change, unless its entries were dropped."""
        expected = None
        sql = "SELECT sequence, first, last FROM changes WHERE collection=? ORDER BY sequence"
        found = list[tuple[Any, ...]](self._session.execute(sql, (row.key,)))
        for sequence, first, last in found:
            if sequence != (expected or sequence) or not 0 <= first <= last < row.next_ordinal:
                self._find("log", f"entry {sequence} of the change log does not follow from the one before it", row)
            expected = sequence + 1
        if found and found[-1][0] != row.info.head:
            self._find("log", f"the change log ends with change {found[-1][0]}, not {row.info.head}", row)

    def vectors(self, row: CollectionRow) -> None:
        """Compare every vector with its checksum."""
        self._count_checksums(row)
        if row.info.dimension is None or not row.next_slot:
            return
        arena = Arena(self._folder, row.info.id, row.info.dimension, row.arena)
        try:
            rows = arena.rows(row.next_slot)
            for _, bad in extents.differing(self._session, row, rows, np.arange(row.next_slot)):
                names = extents.owners(self._session, row, bad) if len(bad) else []
                for id_ in names:
                    self._find("vector", "its vector does not have the checksum it was stored with", row, id_)
                if len(names) < len(bad):
                    self._note("vector", f"{len(bad) - len(names)} vectors that no record uses are damaged", row)
            self._report.vectors += row.next_slot
        except CorruptError as error:
            self._find("file", error.message, row)
        finally:
            arena.close()

    def _count_checksums(self, row: CollectionRow) -> None:
        full, started = divmod(row.next_slot, extents.SPAN)
        sql = "SELECT count(*), coalesce(sum(length(checksums)), 0) FROM extents WHERE key BETWEEN ? AND ?"
        count, length = self._session.execute(sql, (row.first_key, row.last_key)).get
        if (count, length, len(row.tail)) != (full, full * extents.SPAN * BYTES, started * BYTES):
            self._find("vector", f"the checksums are not those of {row.next_slot} vectors", row)

    def segments(self, row: CollectionRow) -> None:
        """Compare the files made from the rest with their checksums: what is wrong with them goes away by itself."""
        for segment in segments.published(self._session, row).values():
            path = segments.path_of(self._folder, row, segment)
            try:
                archive.verify(path, segment.digest)
            except (CorruptError, OSError) as error:
                self._note("segment", f"{segment.name} cannot be used and will be built anew ({error})", row)

    # -- files without an owner ---------------------------------------------------------------------------------

    def _orphans(self) -> None:
        vectors = sorted((self._folder / "vectors").glob("*.f32"))  # first: what is made later has an owner then
        indexes = sorted((self._folder / segments.FOLDER).glob("*"))
        with self._snapshot():
            arenas = catalog.arenas(self._session)
            for path in vectors:
                if path.stem not in arenas.values():
                    self._note("file", f"{path.name} holds vectors of no collection")
            for path in indexes:
                if path.name not in map(str, arenas):
                    self._note("file", f"{path.name} holds segments of no collection")


_STEPS: tuple[Callable[[_Check, CollectionRow], None], ...] = (
    _Check.records,
    _Check.changes,
    _Check.vectors,
    _Check.segments,
)
"""What is looked at in each collection, within one snapshot."""


def _faults(row: CollectionRow, record: tuple[Any, ...]) -> Iterator[str]:
    _, collection, _, slot, metadata, _, _ = record
    if collection != row.key:
        yield f"its row says it belongs to the collection with key {collection}"
    if not isinstance(slot, int) or not 0 <= slot < row.next_slot:
        yield f"its vector is in slot {slot}, and {row.next_slot} slots are committed"
    if metadata is not None:
        try:
            msgspec.json.decode(metadata, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            yield f"its metadata is no JSON object ({error})"


def _twice(slots: array[int]) -> list[int]:
    values, counts = np.unique(np.array(slots, np.int64), return_counts=True)
    found: list[int] = values[counts > 1].tolist()
    return found
