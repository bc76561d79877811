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

from ochre.errors import BusyError, NotFoundError
from ochre.local import catalog, log
from ochre.local.arena import Arena, arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.hold import Hold
from ochre.local.session import Session
from ochre.model.upkeep import VacuumReport

_FEW_SLOTS = 4096  # dead ones, below which compaction is not worth the while
_ROWS = 65_536  # moved at a time
_RECLAIMED_PAGES = 1024


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
        remove(arena_path(file.folder, row.arena))
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


def vacuum(file: Database, patience: float, *, sync: bool = True) -> VacuumReport:
    """Compact all collections with dead vectors, then SQLite's file.

    Raises:
        BusyError: as `compact`; or somebody read one state for too long. What was done stays done.
    """
    before = _size(file.folder)
    with file.read() as session:
        rows = catalog.all_collections(session)
    for row in rows:
        with contextlib.suppress(NotFoundError):
            compact(file, row.info.id, patience, sync=sync)
    file.vacuum(patience)
    return VacuumReport(before, _size(file.folder))


def reclaim_pages(file: Database) -> bool:
    """Give unused pages of SQLite's file back, some at a time, if more than half are; return whether they were."""
    with file.write() as session:
        unused = session.execute("PRAGMA freelist_count").get
        if 2 * unused <= session.execute("PRAGMA page_count").get:
            return False
        session.execute(f"PRAGMA incremental_vacuum({_RECLAIMED_PAGES})").fetchall()
        return True


def remove(path: Path) -> None:
    """Remove an arena that the catalog does not name any more.

    Windows refuses while another process has it mapped; the next process that opens the folder removes it.
    """
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def erase(file: Database, collection: UUID, deleted: int, patience: float, *, sync: bool = True) -> None:
    """Leave no byte of what was deleted from a collection.

    Raises:
        BusyError: that did not work yet; the records are deleted all the same.
    """
    try:
        compact(file, collection, patience, sync=sync)
        file.vacuum(patience)
    except BusyError as error:
        raise BusyError(
            f"{deleted} records were deleted, but their bytes are still in the files ({error}): call `vacuum` later"
        ) from error


def _size(folder: Path) -> int:
    """Return how many bytes the files of a folder have; the index of SQLite's log comes and goes."""
    sizes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            sizes += path.stat().st_size if path.is_file() and not path.name.endswith("-shm") else 0
    return sizes
