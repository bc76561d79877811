"""Archives: named NumPy arrays in one immutable file, and digests that tell whether a file is still what was written.

A file begins with eight bytes of magic, the length of a JSON header, and that header: the kind, and for each array its
name, dtype, shape and offset. Arrays follow in little-endian order, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.errors import CorruptError

MAGIC = b"OCHREARC"
_HEAD = struct.Struct("<8sQ")
_ALIGNMENT = 64
_BLOCK_BYTES = 1 << 20

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a whole file comes to: its length and its CRC-32."""

    bytes: int
    checksum: int


def digest(path: Path) -> Digest:
    """Return the digest of a file; raises OSError."""
    checksum = size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
    return Digest(size, checksum)


def verify(path: Path, expected: Digest) -> None:
    """Check that a file is what was written.

    Raises:
        CorruptError: it is not. OSError: it cannot be read.
    """
    found = digest(path)
    if found != expected:
        raise CorruptError(
            f"{path} has {found.bytes} bytes with checksum {found.checksum:08x}, written were {expected.bytes} with "
            f"{expected.checksum:08x}: it is derived data and will be built anew"
        )


def write(path: Path, kind: str, arrays: Arrays) -> None:
    """Write arrays to a new file."""
    entries, offset = [], 0
    for name, array in arrays.items():
        entries.append({"name": name, "dtype": _little(array).str, "shape": array.shape, "offset": offset})
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    header = msgspec.json.encode({"kind": kind, "arrays": entries})
    with path.open("xb") as file:
        file.write(_HEAD.pack(MAGIC, len(header)) + header)
        file.write(bytes(-file.tell() % _ALIGNMENT))
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, _little(array)).data)
            file.write(bytes(-file.tell() % _ALIGNMENT))


def read(path: Path, kind: str) -> dict[str, NDArray[Any]]:
    """Map the arrays of a file, read-only. The caller has verified it.

    Raises:
        CorruptError: it holds something else. OSError: it cannot be read.
    """
    with path.open("rb") as file:
        magic, length = _HEAD.unpack(file.read(_HEAD.size))
        if magic != MAGIC:
            raise CorruptError(f"{path} is not an archive: it is derived data and will be built anew")
        header = msgspec.json.decode(file.read(length))
        start = _HEAD.size + length
        start += -start % _ALIGNMENT
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if header["kind"] != kind:
        raise CorruptError(f"{path} holds {header['kind']}, not {kind}: it is derived data and will be built anew")
    return {
        entry["name"]: np.frombuffer(
            view, np.dtype(entry["dtype"]), int(np.prod(entry["shape"], dtype=np.int64)), start + entry["offset"]
        ).reshape(entry["shape"])
        if np.prod(entry["shape"], dtype=np.int64)
        else np.empty(entry["shape"], np.dtype(entry["dtype"]))
        for entry in header["arrays"]
    }


def _little(array: NDArray[Any]) -> np.dtype[Any]:
    return array.dtype.newbyteorder("<")
