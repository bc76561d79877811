"""Compaction: vectors without their dead, files without what was deleted, space given back.

A committed slot never changes. So what is dead goes by moving the living to a new arena; the catalog then names that
one, the change log loses its entries, which makes everybody's derived state begin anew, and the old arena is removed.
Readers that have it mapped go on with it until their snapshot is at its end. Writers go on while vectors are copied;
they wait while what they added meanwhile follows, and the records learn their new slots.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ochre.errors import NotFoundError
from ochre.local import catalog, log, segments
from ochre.local.arena import Arena, arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.faults import translated
from ochre.local.folders import remove_file
from ochre.local.hold import Hold
from ochre.local.segments import Segment
from ochre.local.session import Session
from ochre.model.upkeep import VacuumReport

_FEW_SLOTS = 4096  # dead ones, below which compaction is not worth the while
_ROWS = 65_536  # moved at a time
_RECLAIMED_PAGES = 1024
_OF_RECORDS = {"text", "checkpoint"}  # segments that hold parts of records; a graph holds only the arena's vectors


def is_mostly_dead(row: CollectionRow) -> bool:
    """Whether more than half of a collection's arena belongs to no record, so that moving the rest pays."""
    return row.next_slot - row.records > max(row.records, _FEW_SLOTS)


def compact(
    file: Database,
    collection: UUID,
    patience: float = 0.0,
    *,
    sync: bool = True,
    watch: Callable[[], None] = lambda: None,
) -> bool:
    """Move a collection's vectors to a new arena, if there are dead ones among them; return whether there were.

    Vectors that die while this runs may come along.

    Args:
        file: the folder's SQLite file.
        collection: its id.
        patience: seconds to wait for those who copy vectors, and for those who write.
        sync: whether the new arena is on the disk before the catalog names it.
        watch: called now and then, and may raise.

    Raises:
        BusyError: the vectors were being copied, or somebody wrote, for longer than `patience` seconds.
    """
    with file.read() as session:
        row = catalog.get_collection(session, collection)
    if row.next_slot == row.records:
        return False
    # Nobody else moves or removes vectors meanwhile.
    with translated(file.folder), Hold(file.folder).removing(patience):
        with file.read() as session:
            row = catalog.get_collection(session, collection)
            living = np.sort(log.slots(session, row, None)[1])
        _Move(file, row, living, sync=sync).run(patience, watch)
        file.settle()
        remove_file(arena_path(file.folder, row.arena))
    return True


class _Move:
    """The vectors of one collection on their way to a new arena."""

    def __init__(self, file: Database, row: CollectionRow, living: NDArray[np.int64], *, sync: bool) -> None:
        assert row.info.dimension is not None
        self._file = file
        self._row = row
        self._living = living
        self._sync = sync
        name = f"{row.info.id}-{secrets.token_hex(4)}"
        self._old = Arena(file.folder, row.info.id, row.info.dimension, row.arena)
        self._new = Arena(file.folder, row.info.id, row.info.dimension, name)

    def run(self, patience: float, watch: Callable[[], None]) -> None:
        named = False
        try:
            self._copy(self._row.next_slot, self._living, 0, watch)
            with self._file.write(patience) as session:
                row = catalog.get_collection(session, self._row.info.id)
                added = log.slots_from(session, row, self._row.next_slot)
                self._copy(row.next_slot, added, len(self._living))
                log.move(session, row, np.concatenate([self._living, added]), self._new.name)
                named = True  # whatever is raised from here on, the catalog may name it
        finally:
            self._old.close()
            self._new.close()
            if not named:
                remove_file(self._new.path)

    def _copy(self, count: int, slots: NDArray[np.int64], place: int, watch: Callable[[], None] = lambda: None) -> None:
        """Copy the vectors at `slots`, of the first `count`, to the new arena from `place` on."""
        vectors = self._old.rows(count)
        for first in range(0, len(slots), _ROWS):
            watch()
            last = first + _ROWS >= len(slots)
            self._new.append(place + first, vectors[slots[first : first + _ROWS]], sync=self._sync and last)


def cleanse(file: Database, collection: UUID, patience: float = 0.0, *, sync: bool = True) -> None:
    """Leave nothing of what was deleted or replaced in a collection's vectors and segments; nobody may be building any.

    Raises:
        BusyError: as `compact`.
    """
    compact(file, collection, patience, sync=sync)
    with file.read() as session:
        old, kept = _of_the_past(session, catalog.get_collection(session, collection))
    if old:
        with file.write(patience) as session:
            row = catalog.get_collection(session, collection)
            old, kept = _of_the_past(session, row)
            for segment in old:
                segments.withdraw(session, row, segment.kind)
            log.forget(session, row)
    segments.sweep(file.folder, collection, {segment.name for segment in kept})


def _of_the_past(session: Session, row: CollectionRow) -> tuple[list[Segment], list[Segment]]:
    """Return the published segments that may hold parts of what was deleted or replaced, and the others."""
    published = segments.published(session, row).values()
    old = [s for s in published if s.kind in _OF_RECORDS and s.sequence < row.info.head]
    return old, [segment for segment in published if segment not in old]


def vacuum(file: Database, patience: float, *, sync: bool = True) -> VacuumReport:
    """Cleanse all collections, then SQLite's file; nobody may be building segments.

    Raises:
        BusyError: as `compact`; or somebody read one state for too long. What was done stays done.
    """
    before = _size(file.folder)
    with file.read() as session:
        rows = catalog.all_collections(session)
    for row in rows:
        with contextlib.suppress(NotFoundError):
            cleanse(file, row.info.id, patience, sync=sync)
    file.vacuum(patience)
    return VacuumReport(before, _size(file.folder))


def trim(file: Database, row: CollectionRow) -> None:
    """Give room in a collection's arena back that a large write left for others."""
    if row.info.dimension is None:
        return
    arena = Arena(file.folder, row.info.id, row.info.dimension, row.arena)
    if arena.spare(row.next_slot):
        with file.write() as session:  # nobody appends meanwhile
            current = catalog.get_collection(session, row.info.id)
            if current.arena == row.arena:
                arena.trim(current.next_slot)


def reclaim_pages(file: Database) -> bool:
    """Give unused pages of SQLite's file back, some at a time, if more than half are; return whether they were."""
    with file.read() as session:
        if not _mostly_unused(session):
            return False
    with file.write() as session:
        if _mostly_unused(session):
            session.execute(f"PRAGMA incremental_vacuum({_RECLAIMED_PAGES})").fetchall()
        return True


def _mostly_unused(session: Session) -> bool:
    unused, pages = session.execute("PRAGMA freelist_count").get, session.execute("PRAGMA page_count").get
    return int(unused) > max(int(pages) // 2, _RECLAIMED_PAGES)


def _size(folder: Path) -> int:
    """Return how many bytes the files of a folder have; the index of SQLite's log comes and goes."""
    sizes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            sizes += path.stat().st_size if path.is_file() and not path.name.endswith("-shm") else 0
    return sizes
