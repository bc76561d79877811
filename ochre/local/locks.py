"""Locks on open files, which the system releases when their holder ends, however it ends."""

from __future__ import annotations

import sys
from contextlib import suppress


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
