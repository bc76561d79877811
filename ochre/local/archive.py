"""Archives: named arrays in one immutable file, mapped by every reader; and digests, which tell a file's damage.

The file is a fixed header, a JSON header, and then the arrays in the order in which that names them, each padded with
zeros to a multiple of 64 bytes. Archives hold derived state: a damaged one is dropped, and made anew from the records.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from ochre.errors import CorruptError
from ochre.local.folders import sync_file, sync_folder
from ochre.local.maps import mapped

MAGIC = b"OCHREARC"
VERSION = 1
_FIXED = struct.Struct("<8sIIQ")  # magic, version, bytes of the JSON header, bytes of the file
_ALIGNMENT = 64
_BLOCK_BYTES = 1024 * 1024
_DTYPES = {np.dtype(name).newbyteorder("<").str for name in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")}
_DTYPES |= {"<f4", "<f8"}

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file must be to be trusted.

    Attributes:
        bytes: its length.
        checksum: XXH3 (64 bits) of all its bytes, as a signed integer: SQLite has no other.
    """

    bytes: int
    checksum: int


class _Shape(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class _Header(msgspec.Struct):
    kind: str
    meta: dict[str, Any]
    arrays: dict[str, _Shape]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Header).decode


class Archive:
    """An open archive. The map goes with the last array taken from it.

    Attributes:
        path: the file.
        meta: what was stored beside the arrays.
        arrays: read-only views of the file by name, each made when it is asked for; nothing is read before it is used.
    """

    def __init__(self, path: Path, meta: dict[str, Any], arrays: Arrays) -> None:
        self.path = path
        self.meta = meta
        self.arrays = arrays


def write(path: Path, kind: str, arrays: Arrays, meta: Mapping[str, Any], *, sync: bool) -> Digest:
    """Write an archive to `path`, which must not exist; if that fails, nothing is left there.

    Args:
        path: the new file, in a folder that exists.
        kind: what the archive is for; whoever opens it must name the same.
        arrays: bools, integers and floats (32 and 64 bits) of any shape; stored in C order, little-endian.
        meta: values that JSON can hold.
        sync: return once the file and its name are on the disk.

    Raises:
        FileExistsError: there is a file already.
    """
    stored = {name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()}
    shapes = {name: _Shape(array.dtype.str, array.shape) for name, array in stored.items()}
    assert all(shape.dtype in _DTYPES for shape in shapes.values()), "archives hold plain numbers"
    header = _encode(_Header(kind, dict(meta), shapes))
    size = _aligned(_FIXED.size + len(header)) + sum(_aligned(array.nbytes) for array in stored.values())
    hasher = xxhash.xxh3_64()
    with path.open("xb", buffering=0) as file:
        try:
            _put(file, hasher, _FIXED.pack(MAGIC, VERSION, len(header), size) + header)
            for array in stored.values():
                _put(file, hasher, array.reshape(-1).view(np.uint8).data)
            if sync:
                sync_file(file.fileno())
        except BaseException:
            file.close()  # Windows removes no open file
            path.unlink()
            raise
    if sync:
        sync_folder(path.parent)
    return Digest(size, _checksum(hasher))


def open_archive(path: Path, kind: str, digest: Digest | None) -> Archive:
    """Map an archive.

    Args:
        path: the file.
        kind: what it was written as.
        digest: what `write` returned: the whole file is read once and compared with it. None where that has been done.

    Raises:
        CorruptError: the file is missing, damaged, or no archive of this kind and version.
    """
    with _opened(path) as file:
        if digest is not None:
            _check(path, file, digest)
        size = os.fstat(file.fileno()).st_size
        if size < _FIXED.size:
            raise _damaged(path, f"has {size} bytes, fewer than any archive")
        view = mapped(file.fileno())
    start, header = _header(path, view)
    if header.kind != kind:
        raise _damaged(path, f"holds {header.kind!r}, not {kind!r}")
    return Archive(path, header.meta, _Views(view, _places(path, header, start, size)))


def digest(path: Path) -> Digest:
    """Return the digest of any file.

    Raises:
        CorruptError: the file is missing.
    """
    with _opened(path) as file:
        return _digest(file)


def sealed(path: Path) -> Digest:
    """Bring a file of any format and its name to the disk, and return its digest; raises OSError."""
    with path.open("rb+") as file:
        sync_file(file.fileno())
    sync_folder(path.parent)
    return digest(path)


def verify(path: Path, digest: Digest) -> None:
    """Read a file of any format and compare it with its digest.

    Raises:
        CorruptError: the file is missing, or not what it was.
    """
    with _opened(path) as file:
        _check(path, file, digest)


class _Views(Mapping[str, NDArray[Any]]):
    """The arrays of a mapped file, each made when it is asked for."""

    def __init__(self, view: mmap.mmap, places: dict[str, tuple[_Shape, int]]) -> None:
        self._view = view
        self._places = places

    def __getitem__(self, name: str) -> NDArray[Any]:
        shape, offset = self._places[name]
        flat = np.frombuffer(self._view, shape.dtype, math.prod(shape.shape), offset)
        return flat.reshape(shape.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _header(path: Path, view: mmap.mmap) -> tuple[int, _Header]:
    """Return where the arrays begin, and the header."""
    magic, version, length, size = _FIXED.unpack(view[: _FIXED.size])
    if (magic, version) != (MAGIC, VERSION):
        raise _damaged(path, "does not begin as an archive does")
    if size != len(view):
        raise _damaged(path, f"has {len(view)} bytes, {size} were written")
    try:
        return _aligned(_FIXED.size + length), _decode(view[_FIXED.size : _FIXED.size + length])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, f"has an unreadable header ({error})") from error


def _places(path: Path, header: _Header, start: int, size: int) -> dict[str, tuple[_Shape, int]]:
    """Return each array's shape and place, which must fill the file."""
    places = {}
    for name, shape in header.arrays.items():
        if shape.dtype not in _DTYPES or min(shape.shape, default=0) < 0:
            raise _damaged(path, f"has an array of type {shape.dtype!r} and shape {shape.shape}")
        places[name] = shape, start
        start += _aligned(shape.bytes)
    if start != size:
        raise _damaged(path, f"has {size} bytes, its arrays take {start}")
    return places


def _put(file: BinaryIO, hasher: xxhash.xxh3_64, data: bytes | memoryview) -> None:
    """Write data and the zeros that pad it."""
    padding = _aligned(len(data)) - len(data)
    for part in (memoryview(data), memoryview(bytes(padding))):
        hasher.update(part)
        written = 0
        while written < len(part):
            written += file.write(part[written : written + 64 * _BLOCK_BYTES])


def _check(path: Path, file: BinaryIO, digest: Digest) -> None:
    size = os.fstat(file.fileno()).st_size
    if size != digest.bytes:
        raise _damaged(path, f"has {size} bytes, {digest.bytes} were written")
    found = _digest(file)
    if found != digest:
        raise _damaged(path, f"has the checksum {found.checksum}, {digest.checksum} was written")


def _digest(file: BinaryIO) -> Digest:
    # Read, not mapped: a disk that fails raises an error here, and would kill the process through a map.
    hasher, size = xxhash.xxh3_64(), 0
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    while count := file.readinto(buffer):  # type: ignore[attr-defined]  # every unbuffered file has it
        hasher.update(buffer[:count])
        size += count
    return Digest(size, _checksum(hasher))


def _checksum(hasher: xxhash.xxh3_64) -> int:
    return int.from_bytes(hasher.digest(), "big", signed=True)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise _damaged(path, "is missing") from error


def _damaged(path: Path, what: str) -> CorruptError:
    return CorruptError(f"{path} {what}: delete it, what it holds is made anew from the records")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
