"""One connection to SQLite, in the hands of one thread at a time.

A session that reads sees one committed state from its first statement to its last. What it caches lives as long as
SQLite's `data_version` says that nobody committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import apsw

if TYPE_CHECKING:
    from ochre.local.catalog import CollectionRow
    from ochre.local.segments import Segment

_ROWS_KEPT = 1024  # of the catalog, a few kilobytes each


class Session:
    """One connection, used by one thread at a time.

    Attributes:
        collections: rows of the catalog read through this session, valid for its current snapshot.
        segments: published segments by kind, by the key of their collection; likewise.
        wal_pages: length of the WAL after this session's last commit.
        after_commit: what to do once the present transaction is committed, before anything else; it must not fail.
    """

    def __init__(self, connection: apsw.Connection, patience: float) -> None:
        """Take over a connection, which waits `patience` seconds for other processes' locks."""
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.collections: dict[UUID, CollectionRow] = {}
        self.segments: dict[int, dict[str, Segment]] = {}
        self.wal_pages = 0
        self.after_commit: Callable[[], None] | None = None
        self._version = -1
        self._patience = _Patience(patience)
        connection.set_busy_handler(self._patience)
        connection.set_wal_hook(self._note_wal)

    @property
    def holds_snapshot(self) -> bool:
        """Whether a transaction is open, or a statement that an exception interrupted keeps its snapshot alive."""
        return bool(self.connection.txn_state("main") != apsw.SQLITE_TXN_NONE)

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wait that long for other processes' locks while the block runs."""
        usual, self._patience.seconds = self._patience.seconds, seconds
        try:
            yield
        finally:
            self._patience.seconds = usual

    def end(self, how: str) -> None:
        """End the transaction with `COMMIT` or `ROLLBACK`, if it is open: an I/O error may have ended it."""
        if self.connection.in_transaction:
            self.execute(how)

    def leave_files(self) -> None:
        """Let closing the connection neither fold the WAL into the file nor remove it."""
        self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def refresh(self) -> None:
        """Drop the caches if anybody committed since the last call. Within a transaction it also fixes the snapshot."""
        version = self.execute("PRAGMA data_version").get
        if version != self._version or len(self.collections) > _ROWS_KEPT:
            self._version = version
            self.forget()

    def forget(self) -> None:
        """Drop the caches: this session has written."""
        self.collections.clear()
        self.segments.clear()

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK


class _Patience:
    """How a connection waits for a lock: it asks again every few milliseconds.

    SQLite's own way sleeps up to a tenth of a second between tries, so that a writer which never pauses starves all
    others; and it sleeps where an interrupt does not reach it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = 0.0

    def __call__(self, tries: int) -> bool:
        now = time.monotonic()
        if not tries:
            self._until = now + self.seconds
        if now >= self._until:
            return False
        time.sleep(0.001 if tries < 50 else 0.003)
        return True
