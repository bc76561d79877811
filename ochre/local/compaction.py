"""Compaction: vectors without their dead, files without what was deleted, space given back.

A committed slot never changes. So what is dead goes by moving the living to a new arena; the catalog then names that
one, the change log loses its entries, which makes everybody's derived state begin anew, and the old arena is removed.
Readers that have it mapped go on with it until their snapshot is at its end.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from uuid import UUID

import numpy as np

from ochre.errors import NotFoundError
from ochre.local import catalog, log, segments
from ochre.local.arena import Arena, arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.folders import remove_file
from ochre.local.hold import Hold
from ochre.local.session import Session
from ochre.model.upkeep import VacuumReport

_FEW_SLOTS = 4096  # dead ones, below which compaction is not worth the while
_ROWS = 65_536  # moved at a time
_RECLAIMED_PAGES = 1024
_OF_RECORDS = {"text", "checkpoint"}  # segments that hold parts of records; a graph holds only the arena's vectors


def is_mostly_dead(row: CollectionRow) -> bool:
    """Whether more than half of a collection's arena belongs to no record, so that moving the rest pays."""
    return row.next_slot - row.records > max(row.records, _FEW_SLOTS)


def compact(file: Database, collection: UUID, patience: float = 0.0, *, sync: bool = True) -> bool:
    """Move a collection's vectors to a new arena, if there are dead ones among them; return whether there were.

    Writers wait meanwhile. With `sync`, the new arena is on the disk before the catalog names it.

    Raises:
        BusyError: the vectors were being copied, or somebody wrote, for longer than `patience` seconds.
    """
    with Hold(file.folder).removing(patience):
        with file.write(patience) as session:
            row = catalog.get_collection(session, collection)
            if row.next_slot == row.records:
                return False
            name = f"{collection}-{secrets.token_hex(4)}"
            try:
                _move(file.folder, session, row, name, sync=sync)
            except BaseException:
                arena_path(file.folder, name).unlink(missing_ok=True)
                raise
        file.settle()
        remove_file(arena_path(file.folder, row.arena))
        return True


def _move(folder: Path, session: Session, row: CollectionRow, name: str, *, sync: bool) -> None:
    assert row.info.dimension is not None
    _, slots = log.slots(session, row, None)
    living = np.sort(slots)
    old = Arena(folder, row.info.id, row.info.dimension, row.arena)
    new = Arena(folder, row.info.id, row.info.dimension, name)
    try:
        vectors = old.rows(row.next_slot)
        for first in range(0, len(living), _ROWS):
            last = first + _ROWS >= len(living)
            new.append(first, vectors[living[first : first + _ROWS]], sync=sync and last)
    finally:
        old.close()
        new.close()
    log.move(session, row, living, name)


def cleanse(file: Database, collection: UUID, patience: float = 0.0, *, sync: bool = True) -> None:
    """Leave nothing of what was deleted or replaced in a collection's vectors and segments; nobody may be building any.

    Raises:
        BusyError: as `compact`.
    """
    if not compact(file, collection, patience, sync=sync):
        with file.write(patience) as session:
            row = catalog.get_collection(session, collection)
            published = segments.published(session, row)
            old = [s for s in published.values() if s.kind in _OF_RECORDS and s.sequence < row.info.head]
            for segment in old:
                segments.withdraw(session, row, segment.kind)
            if old:
                log.forget(session, row)
    with file.read() as session:
        kept = {
            segment.name
            for segment in segments.published(session, catalog.get_collection(session, collection)).values()
        }
    segments.sweep(file.folder, collection, kept)


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
