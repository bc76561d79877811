"""What brings files and their names to the disk: a file is durable only when the folder that names it is, too."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, as far as they are missing, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file that nobody needs, if there is one.

    Windows refuses while another process has it open: whoever tidies up next removes it then.
    """
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows does that with the files themselves."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_path(path: Path) -> None:
    """Bring what was written to a file to the disk."""
    with path.open("r+b") as file:
        sync_file(file.fileno())


def sync_file(file: int) -> None:
    """Bring what was written through a descriptor to the disk, with its size but perhaps without its dates."""
    if sys.platform == "darwin":  # there a plain fsync does not reach the disk
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)
