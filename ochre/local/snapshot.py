"""Snapshots: a whole database in one file, which is opened as it is, to be read.

The file is a SQLite database, and behind its last page, where SQLite does not look, the arenas. In its catalog an arena
is named by how many bytes before the end of the file it begins.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import apsw
import numpy as np

from ochre.errors import AlreadyExistsError, CorruptError, StorageError, StorageFullError
from ochre.local import catalog, extents, pages
from ochre.local.arena import Arena, arena_bytes, arena_location
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.faults import full, translated
from ochre.local.folders import make_folder, remove_file, sync_file, sync_folder
from ochre.local.hold import Hold
from ochre.local.session import Session
from ochre.local.state import StaleSnapshotError
from ochre.model.upkeep import CopyReport

_ALIGNMENT = 64  # an arena begins at a multiple of so many bytes
_CHUNK_BYTES = 4 * 1024 * 1024
_PATIENCE = 10.0  # seconds to wait for those who remove vectors


def snapshot(source: Database, target: Path) -> CopyReport:
    """Write a committed state of a database into the new file `target`.

    Raises:
        AlreadyExistsError: there is a file of that name. CorruptError: the database is damaged.
    """
    if target.exists():
        raise AlreadyExistsError(f"{target} is there already: name a new file, or remove this one")
    partial = target.with_name(f"{target.name}.partial")
    try:
        with translated(target.parent), Hold(source.folder).copying(_PATIENCE):
            make_folder(target.parent)
            report = _written(source, partial)
            partial.replace(target)
            sync_folder(target.parent)
            return report
    finally:
        remove_file(partial)


def _written(source: Database, partial: Path) -> CopyReport:
    while True:
        partial.unlink(missing_ok=True)
        try:
            source.copy_into(partial)
        except StaleSnapshotError:
            continue  # others began to write to what was opened to be read
        except StorageFullError as error:
            raise full(partial.parent) from error
        rows = _name_arenas(partial)
        with partial.open("r+b") as file:
            for row in rows:
                _append(source.folder, row, file)
            file.flush()
            _check_vectors(partial)
            sync_file(file.fileno())
            size = file.seek(0, 2)
        return CopyReport(len(rows), sum(row.records for row in rows), size, size)


def _name_arenas(partial: Path) -> list[CollectionRow]:
    """Tell the catalog where the arenas will be; return the collections as the source has them."""
    connection = pages.connect(str(partial))
    try:
        found = connection.execute("PRAGMA integrity_check(1)").get
        if found != "ok":
            raise CorruptError(f"the database is damaged ({found}): the snapshot was not made")
        rows = catalog.all_collections(Session(connection, _PATIENCE))
        distances, distance = [], 0
        for row in reversed(rows):
            distance += _padded(_length(row))
            distances.append((str(distance), row.key))
        connection.executemany("UPDATE collections SET arena=? WHERE key=?", distances)
        connection.execute("DELETE FROM segments")  # their files are not copied
    finally:
        connection.close()
    return rows


def _append(folder: Path, row: CollectionRow, file: IO[bytes]) -> None:
    """Write a collection's arena to the end of the file, and read it again."""
    length = _length(row)
    if not length:
        return
    place, start = arena_location(folder, row.arena)
    if not place.exists():
        raise CorruptError(f"{place} is missing: restore it from a backup; it holds vectors")
    begin = file.seek(0, 2)
    with place.open("rb") as source:
        for offset in range(0, length, _CHUNK_BYTES):
            count = min(_CHUNK_BYTES, length - offset)
            source.seek(start + offset)
            data = source.read(count)
            if len(data) < count:
                raise CorruptError(f"{place} is shorter than what was committed: restore it from a backup")
            file.write(data)
            file.flush()
            file.seek(begin + offset)
            if file.read(count) != data:
                raise StorageError(f"{file.name} does not hold what was just written to it: check the disk")
    file.write(bytes(_padded(length) - length))


def _check_vectors(partial: Path) -> None:
    """Compare the vectors in the file with their checksums."""
    connection = pages.connect(str(partial), apsw.SQLITE_OPEN_READONLY)
    try:
        session = Session(connection, _PATIENCE)
        for row in catalog.all_collections(session):
            if row.info.dimension is None or not row.next_slot:
                continue
            arena = Arena(partial, row.info.id, row.info.dimension, row.arena)
            try:
                extents.check_used(session, row, arena.rows(row.next_slot), np.arange(row.next_slot))
            finally:
                arena.close()
    finally:
        connection.close()


def _length(row: CollectionRow) -> int:
    return arena_bytes(row.info.dimension, row.next_slot)


def _padded(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
