"""All that this process writes to a folder, one effect after the other: each can be counted, recorded or made to fail.

SQLite's writes pass through a VFS of ours, which lies below the one that makes checksums; other files' through the
functions of `os` that the engine calls. What FAISS and archives write on the way is not seen, only that it is brought
to the disk: those files can be made again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import apsw


@dataclass(frozen=True, slots=True)
class Effect:
    """What is about to happen to a file.

    Attributes:
        kind: `write`, `sync`, `truncate`, `delete`, `replace` or `folder` (its names are brought to the disk).
        path: of the file.
        offset: where a write begins; the length that a truncation leaves.
        data: what is written.
        target: what a replacement replaces.
    """

    kind: str
    path: str
    offset: int = 0
    data: bytes = b""
    target: str = ""


Policy = Callable[[Effect], int | None]
"""Called before each effect. It may raise what a bad disk raises, or return how many bytes come to be written before
the process is gone."""


class Disk:
    """The one disk of this process."""

    def __init__(self) -> None:
        self.policy: Policy = lambda effect: None
        self._folder = ""

    def watch(self, folder: Path, policy: Policy) -> None:
        """From now on ask `policy` about what happens in `folder`."""
        self._folder, self.policy = str(folder.resolve()), policy

    def rest(self) -> None:
        """Ask nobody any more."""
        self.watch(Path("/nowhere"), lambda effect: None)

    def happens(self, effect: Effect) -> int | None:
        """Ask about an effect, unless it is somewhere else."""
        return self.policy(effect) if effect.path.startswith(self._folder) else None


DISK = Disk()


def gone() -> NoReturn:
    """End this process as `kill -9` does: nothing is flushed, closed or told."""
    os._exit(KILLED)


KILLED = 9
_SYSTEM = apsw.vfs_names()[0]


def _happens_to_sqlite(effect: Effect) -> int | None:
    try:
        return DISK.happens(effect)
    except OSError as error:
        kind = apsw.FullError if error.errno == errno.ENOSPC else apsw.IOError
        raise kind(str(error)) from None


class _File(apsw.VFSFile):
    """A file of SQLite's; temporary ones have no name."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        self.path = os.fspath(name.filename()) if isinstance(name, apsw.URIFilename) else name or ""
        super().__init__(_SYSTEM, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        cut = _happens_to_sqlite(Effect("write", self.path, offset, bytes(data)))
        if cut is not None:
            super().xWrite(bytes(data)[:cut], offset)
            gone()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if _happens_to_sqlite(Effect("sync", self.path)) is not None:
            gone()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        if _happens_to_sqlite(Effect("truncate", self.path, size)) is not None:
            gone()
        super().xTruncate(size)


class _System(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("torture", _SYSTEM, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        if _happens_to_sqlite(Effect("delete", name)) is not None:
            gone()
        super().xDelete(name, sync)
        if sync and DISK.happens(Effect("folder", os.path.dirname(name))) is not None:
            gone()


def install() -> None:
    """Take the place of the system's functions; once, before any database is opened."""
    global _installed  # noqa: PLW0603  (SQLite holds no reference to it)
    _installed = _System()
    pwrite, truncate, replace, unlink = os.pwrite, os.truncate, os.replace, os.unlink

    def write(file: int, data: Any, offset: int) -> int:
        cut = DISK.happens(Effect("write", _path_of(file), offset, bytes(data)))
        if cut is not None:
            pwrite(file, bytes(data)[:cut], offset)
            gone()
        return pwrite(file, data, offset)

    def cut_off(path: Any, length: int) -> None:
        name = _path_of(path) if isinstance(path, int) else os.fspath(path)
        if DISK.happens(Effect("truncate", name, length)) is not None:
            gone()
        truncate(path, length)

    def put_in_place(source: Any, target: Any) -> None:
        if DISK.happens(Effect("replace", os.fspath(source), target=os.fspath(target))) is not None:
            gone()
        replace(source, target)

    def remove(path: Any, **options: Any) -> None:
        if DISK.happens(Effect("delete", os.fspath(path))) is not None:
            gone()
        unlink(path, **options)

    os.pwrite, os.truncate, os.replace, os.unlink = write, cut_off, put_in_place, remove  # type: ignore[assignment]
    os.fsync, os.fdatasync = _synced(os.fsync), _synced(os.fdatasync)


def _synced(sync: Callable[[int], None]) -> Callable[[int], None]:
    def synced(file: int) -> None:
        path = _path_of(file)
        if DISK.happens(Effect("folder" if os.path.isdir(path) else "sync", path)) is not None:
            gone()
        sync(file)

    return synced


def _path_of(file: int) -> str:
    return os.readlink(f"/proc/self/fd/{file}")


_installed: _System | None = None
