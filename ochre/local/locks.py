"""Locks on open files, which the system releases when their holder ends, however it ends; and waiting for locks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress

_POLL = 0.005  # seconds


def try_lock(file: int, *, shared: bool = False) -> bool:
    """Lock a file, given by its descriptor, for nobody else or for those who share it; return whether that worked.

    It never waits. Windows knows no shared locks: there each is for nobody else.
    """
    with suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False


def patiently(attempt: Callable[[], bool], patience: float) -> bool:
    """Attempt what takes a lock until it works; return False when that has not happened within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not attempt():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
