"""The maintenance lease: a lock on a file, held by one process at a time; the system releases it at its death."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ochre.local.locks import try_lock

FILE_NAME = "maintenance.lock"

_held: set[Path] = set()  # by this process: a lock of the system's may not tell two engines of one process apart
_held_lock = threading.Lock()


class Lease:
    """The right to build and publish derived files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = (folder / FILE_NAME).resolve()
        self._file: int | None = None

    def acquire(self) -> bool:
        """Take the lease if nobody has it; return whether that worked. It never waits."""
        with _held_lock:
            if self._path in _held:
                return False
            _held.add(self._path)
        file = None
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            if not try_lock(file):
                raise BlockingIOError
        except OSError:
            if file is not None:
                os.close(file)
            with _held_lock:
                _held.discard(self._path)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the lease back; without effect if it is not held."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
            with _held_lock:
                _held.discard(self._path)

    def abandon(self) -> None:
        """In a forked child: let go of what was inherited; the parent goes on holding the lease."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)


def forget_all() -> None:
    """In a forked child: nothing is held here."""
    global _held_lock  # noqa: PLW0603  (the parent's may be held by a thread that is not here)
    _held_lock = threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_all)
