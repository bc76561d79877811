"""The write-ahead log of `ochre.sqlite3`: room in it, folding it into the file, and getting it onto the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import apsw

from ochre.local.folders import sync_path
from ochre.local.session import Session

PAGES = 256
"""The length at which it is folded into the file and starts over."""

LIMIT_BYTES = 64 * 1024 * 1024
"""A longer one is cut to this when it starts over."""

HEADER_BYTES = 32
FRAME_BYTES = 4096 + 24
_LONG_PAGES = 4096
_PATIENCE = 1.0  # seconds that a writer waits for readers of a very long one


class Wal:
    """The log of one file, as its writers of this process see to it."""

    def __init__(self, path: Path) -> None:
        """Take the path of the file that it is the log of."""
        self._path = Path(f"{path}-wal")
        self._long = _LONG_PAGES

    def prepare(self) -> None:
        """Write zeros up to the size at which the log starts over, so that commits overwrite and never extend it.

        On journaling file systems that makes the sync of a commit an order of magnitude cheaper. Only a writer may:
        the caller holds SQLite's write lock. Frames beyond the committed end are ignored by design (they are left
        over whenever a log starts over); zeros carry no valid checksum. Without room, nothing is lost but speed.
        """
        with contextlib.suppress(OSError), self._path.open("r+b", buffering=0) as file:
            missing = HEADER_BYTES + PAGES * FRAME_BYTES - file.seek(0, os.SEEK_END)
            if missing > 0:
                file.write(bytes(missing))
                os.fsync(file.fileno())

    def fold(self, session: Session) -> None:
        """Copy the log into the file once it is long, as SQLite would; wait for readers once it is very long.

        Readers that overlap keep an ordinary checkpoint from starting the log over, and it would grow without bound.
        The commit has happened: whatever fails here is left to a later time.
        """
        if session.wal_pages < PAGES:
            return
        if session.wal_pages <= self._long:
            with contextlib.suppress(apsw.Error):
                session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            return
        self._long = session.wal_pages + _LONG_PAGES
        with contextlib.suppress(apsw.Error), session.waiting(_PATIENCE):
            session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            self._long = _LONG_PAGES

    def settle(self) -> None:
        """Bring the log to the disk. If there is none, all of it is in the file."""
        with contextlib.suppress(FileNotFoundError):
            sync_path(self._path)
