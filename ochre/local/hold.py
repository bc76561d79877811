"""The hold on a folder's vectors: while somebody who copies or checks them has it, nobody removes any.

It is a lock on the file `ochre.hold`, shared by those who copy and exclusive for those who remove; the system releases
it at the holder's death. Windows knows exclusive locks alone: there copies and checks take turns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ochre.errors import BusyError
from ochre.local.locks import patiently, try_lock

FILE_NAME = "ochre.hold"

_REMOVING_PATIENCE = 0.1  # seconds


class Hold:
    """The hold of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the file, so that those who may not write here can hold on as well."""
        with suppress(OSError):
            os.close(self._open())

    @contextmanager
    def copying(self, patience: float) -> Iterator[None]:
        """Keep the vectors that are there now, while the block runs; without the file, and the right to make it, hope.

        Raises:
            BusyError: somebody was removing vectors for longer than `patience` seconds.
        """
        with self._locked(patience, shared=True, make=False):
            yield

    @contextmanager
    def removing(self, patience: float = _REMOVING_PATIENCE) -> Iterator[None]:
        """Remove vectors while the block runs.

        Raises:
            BusyError: they are being copied.
        """
        with self._locked(patience, shared=False, make=True):
            yield

    @contextmanager
    def _locked(self, patience: float, *, shared: bool, make: bool) -> Iterator[None]:
        file = self._open() if make else self._open_as_it_is()
        if file is None:
            yield
            return
        _open_files.add(file)
        try:
            if not patiently(lambda: try_lock(file, shared=shared), patience):
                raise BusyError(
                    f"the vectors in {self._folder} are being {'removed' if shared else 'copied or checked'} by "
                    "another client (a vacuum, a backup, a snapshot, a check): try again when it is done"
                )
            yield
        finally:
            _open_files.discard(file)
            os.close(file)

    def _open(self) -> int:
        return os.open(self._folder / FILE_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)

    def _open_as_it_is(self) -> int | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.open(self._folder / FILE_NAME, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        return None


_open_files: set[int] = set()


def _let_go() -> None:
    """In a forked child: the hold is the parent's, and would last as long as the child has the file open."""
    for file in _open_files:
        with suppress(OSError):
            os.close(file)
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
