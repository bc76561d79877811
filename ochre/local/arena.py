"""The arena: a collection's vectors in one append-only file, written once and mapped by every reader.

The file is a 64-byte header and then rows of `dimension` little-endian float32. The catalog says how many rows are
committed; bytes after those are left over from a crash, or room to grow, and the next append overwrites them. A row
never changes once it is committed.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import weakref
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ochre.errors import CorruptError
from ochre.local.folders import sync_file, sync_folder
from ochre.local.maps import mapped
from ochre.model.vectors import Matrix

MAGIC = b"OCHREVEC"
VERSION = 1
HEADER_BYTES = 64
_HEADER = struct.Struct("<8sII16s")  # magic, version, dimension, collection id; zeros up to 64 bytes

_WRITE_BYTES = 64 * 1024 * 1024
_ROOM_BYTES = 1024 * 1024
_LEAST_ROOM_BYTES = 16 * 1024
_HOLE_BYTES = 256 * 1024 * 1024


class Arena:
    """The vectors of one collection. Threads may share it; appends come one at a time, under SQLite's write lock."""

    def __init__(self, place: Path, collection: UUID, dimension: int, name: str = "") -> None:
        """Prepare to use the arena called `name` (by default: as its collection's id) of a folder or a snapshot."""
        self.name = name or str(collection)
        self.path, self._start = arena_location(place, self.name)
        self._collection = collection
        self.dimension = dimension
        self._stride = dimension * 4
        self._lock = threading.Lock()
        self._file: int | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._mapped: NDArray[np.float32] = np.empty((0, dimension), np.float32)

    def append(self, slot: int, vectors: Matrix, *, sync: bool) -> None:
        """Write `vectors` (n, d) as the rows from `slot` on; with `sync`, return once they are on the disk.

        Raises:
            CorruptError: the file lacks some of the first `slot` rows, or is another collection's.
        """
        file = self._open_for_writing(slot, sync=sync)
        start = self._start + HEADER_BYTES + slot * self._stride
        self._grow(file, start + vectors.nbytes, vectors.nbytes)
        data = np.ascontiguousarray(vectors, dtype="<f4").data.cast("B")
        for offset in range(0, len(data), _WRITE_BYTES):
            write_at(file, data[offset : offset + _WRITE_BYTES], start + offset)
        if sync:
            sync_file(file)

    def spare(self, count: int) -> bool:
        """Whether there is more room behind the first `count` rows than small appends need."""
        with contextlib.suppress(FileNotFoundError):
            return self.path.stat().st_size > self._trimmed(count)
        return False

    def trim(self, count: int) -> None:
        """Give that room back; nobody may be appending."""
        if self.spare(count):
            with contextlib.suppress(OSError):  # Windows refuses while it is mapped
                os.truncate(self.path, self._trimmed(count))

    def _trimmed(self, count: int) -> int:
        return HEADER_BYTES + count * self._stride + _ROOM_BYTES

    def rows(self, count: int) -> Matrix:
        """Return the first `count` rows, `(count, d)` float32, read-only, without reading them.

        Raises:
            CorruptError: the file is missing, too short, or another collection's.
        """
        with self._lock:
            if len(self._mapped) < count:
                self._mapped = self._map(count)
            return self._mapped[:count]

    def close(self) -> None:
        """Release the file and the mapping."""
        with self._lock:
            self._mapped = self._mapped[:0].copy()  # the map goes with the last view of it
            if self._finalizer is not None:
                self._finalizer()
            self._file = self._finalizer = None

    def _open_for_writing(self, slot: int, *, sync: bool) -> int:
        with self._lock:
            if self._file is None:
                if slot:
                    self._map(slot)  # raises for a damaged file: nothing is added to that
                else:
                    self.path.parent.mkdir(exist_ok=True)
                flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
                self._file = os.open(self.path, flags if slot else flags | os.O_CREAT, 0o666)
                self._finalizer = weakref.finalize(self, os.close, self._file)  # an arena may just be dropped
                self._finalizer.atexit = False  # a daemon thread may still be writing then
            if not slot:  # no row is committed, so whatever is there is nobody's
                write_at(self._file, memoryview(self._header()), 0)
                for folder in (self.path.parent, self.path.parent.parent) if sync else ():
                    sync_folder(folder)
            return self._file

    def _grow(self, file: int, needed: int, appended: int) -> None:
        """Give the file room for further appends, so that the map need not be renewed, and read in anew, at every one.

        For small ones it is written zeros: on journaling file systems a sync that only overwrites is an order of
        magnitude cheaper than one that must record a new size or a first write to a reserved block. It is no larger
        than what is there: thousands of small collections would fill the disk with zeros. For large ones it is a hole.
        """
        size = os.fstat(file).st_size
        if size >= needed:
            return
        if appended >= _ROOM_BYTES:
            os.truncate(file, needed + min(needed // 4, _HOLE_BYTES))
        else:
            room = min(max(64 * appended, _ROOM_BYTES // 16), _ROOM_BYTES, max(needed, _LEAST_ROOM_BYTES))
            write_at(file, memoryview(bytes(needed + room - size)), size)

    def _map(self, count: int) -> NDArray[np.float32]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._start)
                self._check(file.read(HEADER_BYTES), os.fstat(file.fileno()).st_size - self._start, count)
                view = mapped(file.fileno())
        except FileNotFoundError as error:
            raise CorruptError(
                f"{self.path} is missing: restore it from a backup; it holds the vectors of a collection"
            ) from error
        first = self._start + HEADER_BYTES
        rows = (len(view) - first) // self._stride
        array = np.frombuffer(view, dtype="<f4", count=rows * self.dimension, offset=first)
        return array.reshape(rows, self.dimension).astype(np.float32, copy=False)

    def _header(self) -> bytes:
        return _HEADER.pack(MAGIC, VERSION, self.dimension, self._collection.bytes).ljust(HEADER_BYTES, b"\0")

    def _check(self, header: bytes, size: int, count: int) -> None:
        needed = HEADER_BYTES + count * self._stride
        if size < needed:
            raise CorruptError(f"{self.path} has {size} bytes, {needed} were committed: restore it from a backup")
        if header != self._header():
            raise CorruptError(
                f"{self.path} does not begin as the vectors of its collection do: restore it from a backup"
            )


def arena_path(folder: Path, name: str | UUID) -> Path:
    """Return where a folder has the arena of that name."""
    return folder / "vectors" / f"{name}.f32"


def arena_location(place: Path, name: str) -> tuple[Path, int]:
    """Return the file that has the arena of that name, of a folder or a snapshot, and the offset at which it begins.

    In a snapshot arenas are named by how many bytes before its end they begin.
    """
    if not place.is_file():
        return arena_path(place, name), 0
    if not name.isdecimal():
        raise CorruptError(f"{place} is no snapshot, but the SQLite file of a database: open its folder")
    return place, place.stat().st_size - int(name)


def arena_bytes(dimension: int | None, rows: int) -> int:
    """Return how long an arena of so many rows is; one without rows has no file."""
    return HEADER_BYTES + rows * dimension * 4 if dimension is not None and rows else 0


def stored_dimension(path: Path) -> int | None:
    """Return the dimension that a file's header tells, None if it begins as no arena does."""
    with path.open("rb") as file:
        magic, version, dimension, owner = _HEADER.unpack(file.read(_HEADER.size))
    return dimension if (magic, version, str(UUID(bytes=owner))) == (MAGIC, VERSION, path.stem[:36]) else None


def write_at(file: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at a place of an open file."""
    while len(data):
        if hasattr(os, "pwrite"):  # leaves the file's position alone, which a forked child shares
            written = os.pwrite(file, data, offset)
        else:
            os.lseek(file, offset, os.SEEK_SET)
            written = os.write(file, data)
        data, offset = data[written:], offset + written
