"""The file `ochre.commits`: how many commits were acknowledged, so that none can go missing unnoticed.

The newest commits are in SQLite's write-ahead log alone. Where that is damaged, cut or removed, SQLite takes what is
before the damage for all there ever was. So each commit is numbered in the database, and once it is on the disk its
number is written here as well, without a sync: after a crash this file may be behind the database, never ahead of it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from pathlib import Path

from ochre.local.arena import write_at

FILE_NAME = "ochre.commits"

_SLOT = struct.Struct("<QI4x")  # a commit's number and its CRC-32
_SLOTS = 8
"""Commit n goes to place n % 8: processes that are late overwrite no newer number, and a torn one costs nothing."""


class Acknowledged:
    """The file of one folder. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._file: int | None = None

    def read(self) -> int:
        """Return the number of the newest commit that is known to have been acknowledged; 0 if none is."""
        try:
            content = self.path.read_bytes()[: _SLOTS * _SLOT.size]
        except (FileNotFoundError, NotADirectoryError):  # of a snapshot, which is a file, there is none
            return 0
        whole = content[: len(content) // _SLOT.size * _SLOT.size]
        return max((number for number, crc in _SLOT.iter_unpack(whole) if crc == _crc(number)), default=0)

    def write(self, number: int) -> None:
        """Note a commit. It has happened: if this fails, no more is lost than the notice of a loss."""
        with contextlib.suppress(OSError), self._lock:
            if self._file is None:
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
                self._file = os.open(self.path, flags, 0o666)
            write_at(self._file, memoryview(_SLOT.pack(number, _crc(number))), number % _SLOTS * _SLOT.size)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _crc(number: int) -> int:
    return zlib.crc32(number.to_bytes(8, "little"))
