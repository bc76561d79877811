"""Backups: a second folder that holds one committed state of the first, and is brought up to date in place.

The vectors are copied first, then SQLite's file, both from one snapshot; the transaction that SQLite makes of its copy
is the moment at which the backup becomes the new state. Until then it is the old one: its arenas have only grown behind
what they had committed. What an arena of the backup holds already is compared, and only the rest is written. Pages and
vectors are compared with their checksums on the way, so that a damaged database does not pass its damage on.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import apsw
import msgspec
import numpy as np

from ochre.errors import AlreadyExistsError, CorruptError, InvalidArgumentError, NotFoundError, StorageError
from ochre.local import acknowledged, catalog, extents, hold, pages, schema, segments
from ochre.local.arena import Arena, arena_bytes, arena_location, arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.database import FILE_NAME, Database
from ochre.local.faults import translated
from ochre.local.folders import make_folder, sync_file, sync_folder, sync_path
from ochre.local.hold import Hold
from ochre.local.session import Session
from ochre.local.state import StaleSnapshotError
from ochre.model.upkeep import CopyReport

MARKER = "ochre.backup"
"""The file that tells a backup from a database of its own, and one that is not finished from one that is."""

_PARTIAL = f"{FILE_NAME}.partial"
_CHUNK_BYTES = 4 * 1024 * 1024
_PATIENCE = 10.0  # seconds to wait for those who remove vectors, or read the backup


class _Marker(msgspec.Struct):
    """What the file `ochre.backup` holds.

    Attributes:
        states: of the database in the backup; one that is in none of them was written to since.
    """

    states: list[str]


def backup(source: Database, target: Path) -> CopyReport:
    """Make or renew the backup of a database in the folder `target`.

    Raises:
        InvalidArgumentError: the target is something else: a database of its own, a backup that was written to or that
            is of another history, a folder with other things.
        CorruptError: the database is damaged. The backup is what it was.
    """
    with translated(target), _claimed(source, target) as marker:
        return _Copy(source, target).make(marker)


def restore(source: Database, target: Path) -> CopyReport:
    """Make a database of its own, in the folder `target`, of a backup or a snapshot.

    Raises:
        AlreadyExistsError: there is one. InvalidArgumentError: there is something else.
    """
    _check_vacant(target)
    with translated(target), _claimed(source, target) as marker:
        _check_vacant(target)  # another may have been at work there until now
        report = _Copy(source, target).make(marker)
        (target / MARKER).unlink()
        sync_folder(target)
        return report


def _check_vacant(target: Path) -> None:
    if (target / FILE_NAME).exists():
        raise AlreadyExistsError(f"there is a database at {target} already: restore into a new folder")


@contextmanager
def _claimed(source: Database, target: Path) -> Iterator[_Marker]:
    """Hold on to the vectors of both folders; mark the target as a backup that is being made."""
    _check_apart(source.folder, target)
    make_folder(target)
    _read_marker(target)  # before anything is changed there
    with ExitStack() as holds:
        holds.enter_context(Hold(source.folder).copying(_PATIENCE))
        holds.enter_context(Hold(target).removing(_PATIENCE))
        marker = _read_marker(target)  # another backup to the same folder may have been at work until now
        if marker is None:
            marker = _Marker([])
            _write_marker(target, marker)
        yield marker


def _check_apart(source: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidArgumentError(f"{target} is a file: a backup is a folder; name a new one")
    one, other = source.resolve(), target.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise InvalidArgumentError(f"{target} and {source} lie one in the other: back up to a folder elsewhere")


def _read_marker(target: Path) -> _Marker | None:
    """Return what the target's marker says, None for an empty folder."""
    try:
        return msgspec.json.decode((target / MARKER).read_bytes(), type=_Marker)
    except FileNotFoundError:
        ours = {hold.FILE_NAME, f"{MARKER}.partial"}
        others = sorted(path.name for path in target.iterdir() if path.name not in ours)
        if others:
            raise InvalidArgumentError(
                f"{target} is not empty and no backup (it has {others[0]}): nothing was changed; name a new folder, or "
                "a backup to bring up to date"
            ) from None
    except msgspec.DecodeError as error:
        raise CorruptError(f"{target / MARKER} is damaged: back up to a new folder") from error
    return None


def _write_marker(target: Path, marker: _Marker) -> None:
    partial = target / f"{MARKER}.partial"
    partial.write_bytes(msgspec.json.encode(marker))
    sync_path(partial)
    partial.replace(target / MARKER)
    sync_folder(target)


class _Copy:
    """A copy of a database on its way into a folder."""

    def __init__(self, source: Database, target: Path) -> None:
        self._source = source
        self._target = target
        self._published: dict[str, int] = {}  # bytes of the target's arenas that must not change
        self._same: dict[str, int] = {}  # bytes of them that are known to be those of the source
        self._sound: dict[str, int] = {}  # their first rows, those that have the right checksums
        self._written = 0

    def make(self, marker: _Marker) -> CopyReport:
        """Bring the target up to date; `marker` knows the states that it may be in."""
        place = self._target / FILE_NAME
        states = [self._look_at_target(place, marker)] if place.exists() else []
        make_folder(self._target / "vectors")
        while True:
            try:
                return self._bring_up_to_date(states)
            except StaleSnapshotError:
                continue  # others began to write to what was opened to be read

    def _bring_up_to_date(self, states: list[str]) -> CopyReport:
        with self._source.read() as session:
            rows = catalog.all_collections(session)
        for row in rows:  # most of the work, without one long snapshot that would keep the log from starting over
            self._copy_arena(row)
            with suppress(NotFoundError), self._source.read() as session:
                self._compare(session, catalog.get_collection(session, row.info.id), row.next_slot)
        with self._source.read() as session:
            self._source.settle()  # a backup must not be ahead of what a power cut leaves of its source
            _check_sound(session.connection, self._source.folder)
            rows = catalog.all_collections(session)
            for row in rows:
                self._copy_arena(row)
                self._compare(session, row, row.next_slot)
            sync_folder(self._target / "vectors")
            state = fingerprint(session)
            states.append(state)
            _write_marker(self._target, _Marker(states))
            (self._target / acknowledged.FILE_NAME).unlink(missing_ok=True)  # it counts commits of another history
            size = self._copy_sqlite(session)
        _write_marker(self._target, _Marker([state]))
        self._remove_others(rows)
        self._written += size
        return CopyReport(len(rows), sum(row.records for row in rows), size + sum(map(_length, rows)), self._written)

    def _look_at_target(self, place: Path, marker: _Marker) -> str:
        """Note what the published backup consists of; return its state.

        Raises:
            InvalidArgumentError: it was written to since it was made.
        """
        session = _connect(place)
        try:
            schema.check(session.connection, self._target)
            session.execute("BEGIN")
            rows, state = catalog.all_collections(session), fingerprint(session)
            session.execute("COMMIT")
        finally:
            session.connection.close()
        if state not in marker.states:
            raise InvalidArgumentError(
                f"the backup at {self._target} was written to after it was made: nothing was changed; back up to a new "
                "folder"
            )
        self._published = {row.arena: _length(row) for row in rows}
        return state

    # -- vectors ------------------------------------------------------------------------------------------------

    def _copy_arena(self, row: CollectionRow) -> None:
        """Make the target's arena of a collection equal to the source's, as far as the row says it is committed."""
        length, name = _length(row), _name(row, self._source.folder)
        begin = self._same.get(name, 0)
        if begin >= length:
            return
        place, start = arena_location(self._source.folder, row.arena)
        path = arena_path(self._target, name)
        if not place.exists():
            raise CorruptError(f"{place} is missing: restore it from a backup; it holds vectors")
        with translated(self._target), place.open("rb") as source, _opened(path) as copy:
            first = self._write_difference(source, start, copy, range(begin, length, _CHUNK_BYTES), length)
            if first is not None:
                sync_file(copy.fileno())
                self._verify(source, start, copy, first, length)
        self._same[name] = length

    def _write_difference(
        self, source: IO[bytes], start: int, copy: IO[bytes], places: range, length: int
    ) -> int | None:
        """Write what differs; return where that began, None if nothing did."""
        first = None
        for place in places:
            count = min(_CHUNK_BYTES, length - place)
            data = _read(source, start + place, count)
            if len(data) < count:
                raise CorruptError(f"{source.name} is shorter than what was committed: restore it from a backup")
            there = _read(copy, place, count)
            if there == data:
                continue
            same = _common(there, data)
            if place + same < self._published.get(Path(copy.name).stem, 0):
                raise InvalidArgumentError(
                    f"{copy.name} of the backup differs from what it is a copy of: it is damaged, or of another "
                    "history of the database; nothing was changed: back up to a new folder"
                )
            copy.seek(place + same)
            copy.write(data[same:])
            copy.flush()
            self._written += count - same
            first = place if first is None else first
        return first

    def _verify(self, source: IO[bytes], start: int, copy: IO[bytes], first: int, length: int) -> None:
        for place in range(first, length, _CHUNK_BYTES):
            count = min(_CHUNK_BYTES, length - place)
            if _read(copy, place, count) != _read(source, start + place, count):
                raise StorageError(f"{copy.name} does not hold what was just written to it: check the disk")

    def _compare(self, session: Session, row: CollectionRow, count: int) -> None:
        """Compare the first vectors of the target's arena with their checksums."""
        name = _name(row, self._source.folder)
        first = self._sound.get(name, 0)
        if row.info.dimension is None or first >= count:
            return
        arena = Arena(self._target, row.info.id, row.info.dimension, name)
        try:
            extents.check_used(session, row, arena.rows(count), np.arange(first, count))
        finally:
            arena.close()
        self._sound[name] = count

    def _remove_others(self, rows: list[CollectionRow]) -> None:
        """Remove the arenas that the new state does not have any more, and segments that somebody made of the old."""
        shutil.rmtree(self._target / segments.FOLDER, ignore_errors=True)
        kept = {f"{_name(row, self._source.folder)}.f32" for row in rows}
        for path in (self._target / "vectors").glob("*.f32"):
            if path.name not in kept:
                with suppress(OSError):  # Windows refuses while somebody reads the backup; the next one removes it
                    path.unlink()

    # -- SQLite -------------------------------------------------------------------------------------------------

    def _copy_sqlite(self, session: Session) -> int:
        """Copy the session's snapshot, as one transaction; return its size in bytes."""
        fresh = not (self._target / FILE_NAME).exists()
        path = self._target / (_PARTIAL if fresh else FILE_NAME)
        if fresh:
            path.unlink(missing_ok=True)
        with translated(self._target):
            connection = _connect(path).connection
            try:
                if fresh:
                    pages.begin(connection)
                pages.copy(session.connection, connection)
                connection.execute("DELETE FROM segments")  # their files are not copied
                if self._source.folder.is_file():
                    connection.execute("UPDATE collections SET arena=id")
                connection.execute("PRAGMA journal_mode=WAL").get  # noqa: B018  (reading runs it)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                _check_sound(connection, self._target)
                size = int(connection.execute("PRAGMA page_count").get * connection.execute("PRAGMA page_size").get)
            finally:
                connection.close()
            if fresh:
                sync_path(path)
                path.replace(self._target / FILE_NAME)
                sync_folder(self._target)
            return size


def _connect(path: Path) -> Session:
    session = Session(pages.connect(str(path)), _PATIENCE)
    session.execute("PRAGMA synchronous=FULL")
    return session


def fingerprint(session: Session) -> str:
    """Return what tells one state of a database from another."""
    rows = [
        session.execute(f"SELECT {columns} ORDER BY 1").fetchall()
        for columns in (
            "name FROM tenants",
            "id, tenant, name FROM databases",
            "id, name, metadata, configuration, schema, next_ordinal, records, head FROM collections",
        )
    ]
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def _check_sound(connection: apsw.Connection, folder: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").get
    if found != "ok":
        raise CorruptError(f"the database at {folder} is damaged ({found}): the backup was not made")


def _length(row: CollectionRow) -> int:
    return arena_bytes(row.info.dimension, row.next_slot)


def _name(row: CollectionRow, source: Path) -> str:
    """Return the name of a collection's arena in the copy: in a snapshot, arenas have no names of their own."""
    return str(row.info.id) if source.is_file() else row.arena


def _opened(path: Path) -> IO[bytes]:
    return path.open("r+b" if path.exists() else "x+b")


def _read(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are the same."""
    count = min(len(one), len(other))
    different = np.frombuffer(one, np.uint8, count) != np.frombuffer(other, np.uint8, count)
    return int(different.argmax()) if different.any() else count
