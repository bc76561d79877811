"""Connections to `ochre.sqlite3`: one that writes, a pool of readers, snapshots, and what happens at fork and close.

A `Session` is one connection in the hands of one thread. A read session sees one committed state from its first
statement to its last. Caches of a session live as long as SQLite's `data_version` says that nobody committed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import apsw

from ochre.errors import ClosedError, StorageError
from ochre.local import schema
from ochre.local.faults import translated
from ochre.settings import Settings

if TYPE_CHECKING:
    from ochre.local.catalog import CollectionRow

FILE_NAME = "ochre.sqlite3"

_WRITER_CACHE_KIB = 32 * 1024
_READER_CACHE_KIB = 4 * 1024
_CHECKPOINT_PAGES = 256
_WAL_FRAME_BYTES = 4096 + 24
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_FORK_PATIENCE = 10.0  # seconds that a fork waits for operations under way in other threads


class Session:
    """One connection, used by one thread at a time.

    Attributes:
        collections: rows of the catalog read through this session, valid for its current snapshot.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.collections: dict[UUID, CollectionRow] = {}
        self._version = -1

    @property
    def holds_snapshot(self) -> bool:
        """Whether a transaction is open, or a statement that an exception interrupted keeps its snapshot alive."""
        return bool(self.connection.txn_state("main") != apsw.SQLITE_TXN_NONE)

    def end(self, how: str) -> None:
        """End the transaction with `COMMIT` or `ROLLBACK`, if it is open: an I/O error may have ended it."""
        if self.connection.in_transaction:
            self.execute(how)

    def refresh(self) -> None:
        """Drop the caches if anybody committed since the last call. Within a transaction it also fixes the snapshot."""
        version = self.execute("PRAGMA data_version").get
        if version != self._version:
            self._version = version
            self.collections.clear()


class Database:
    """The SQLite file of one folder, opened on first use by each process."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Open the file, creating folder and tables as needed.

        Raises:
            StorageError: the folder cannot be made or read; FormatVersionError: the file is not ours to read.
        """
        self.folder = folder
        self._settings = settings
        self._gate = threading.Condition(threading.Lock())
        self._writer_lock = threading.Lock()
        self._writer: Session | None = None
        self._readers: list[Session] = []
        self._active = 0
        self._closed = False
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._readers.append(Session(self._connect(_READER_CACHE_KIB)))
            self._identity = self._identify()
        _databases.add(self)

    # -- reading ------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Lend a session with an open read transaction: every statement sees the same committed state."""
        with translated(self.folder):
            session = self.borrow()
            try:
                session.execute("BEGIN")
                session.refresh()
                yield session
            finally:
                try:
                    session.end("COMMIT")
                finally:
                    self.give_back(session)

    def cached(self, collection: UUID) -> CollectionRow | None:
        """Return a collection's row if a session has it and nobody committed since; the cheapest of all reads."""
        with contextlib.suppress(apsw.Error):  # the caller then asks again in the ordinary way, and gets the error
            session = self.borrow()
            try:
                session.refresh()
                return session.collections.get(collection)
            finally:
                self.give_back(session)
        return None

    def borrow(self) -> Session:
        """Lend a session without a transaction; `give_back` must follow."""
        with self._gate:
            if self._closed:
                raise ClosedError(f"the client of {self.folder} is closed: open another one")
            self._active += 1
            if self._readers:
                return self._readers.pop()  # the one used last: its caches are the freshest
        try:
            self.check_in_place()
            return Session(self._connect(_READER_CACHE_KIB))
        except BaseException:
            self._leave()
            raise

    def give_back(self, session: Session) -> None:
        """Take a session back; one that still holds a snapshot is closed, since nobody else may read that."""
        held = session.holds_snapshot
        if held:
            session.connection.close(force=True)
        with self._gate:
            if not held:
                self._readers.append(session)
            self._active -= 1
            if not self._active:
                self._gate.notify_all()

    # -- writing ------------------------------------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Lend the writing session inside `BEGIN IMMEDIATE`; commit at the end, roll back when anything is raised."""
        with translated(self.folder), self._writer_lock:
            with self._gate:
                if self._closed:
                    raise ClosedError(f"the client of {self.folder} is closed: open another one")
                self._active += 1
            try:
                self.check_in_place()
                fresh = self._writer is None
                if self._writer is None:
                    self._writer = Session(self._connect(_WRITER_CACHE_KIB))
                yield from self._transaction(self._writer, fresh=fresh)
            finally:
                self._leave()

    def _transaction(self, session: Session, *, fresh: bool) -> Iterator[Session]:
        try:
            session.execute("BEGIN IMMEDIATE")
            if fresh:
                self._prepare_wal()
            yield session
            session.execute("COMMIT")
        finally:
            session.collections.clear()
            try:
                session.end("ROLLBACK")
            finally:
                if session.holds_snapshot:
                    session.connection.close(force=True)
                    self._writer = None

    def _prepare_wal(self) -> None:
        """Write zeros up to the size at which the WAL starts over, so that commits overwrite and never extend it.

        On journaling file systems that makes the sync of a commit an order of magnitude cheaper. Only a writer may:
        the caller holds SQLite's write lock. Frames beyond the committed end are ignored by design (they are left
        over whenever a WAL starts over); zeros carry no valid checksum.
        """
        with (self.folder / f"{FILE_NAME}-wal").open("r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            missing = _CHECKPOINT_PAGES * _WAL_FRAME_BYTES - size
            if missing > 0:
                file.write(bytes(missing))
                os.fsync(file.fileno())

    def check_in_place(self) -> None:
        """Make sure that the file at the path is still the one that was opened.

        Raises:
            StorageError: the folder was deleted or replaced; what is written through old connections would be lost.
        """
        if self._identify() != self._identity:
            raise StorageError(
                f"the database at {self.folder} was deleted or replaced while it was open: the call changed nothing; "
                "open another client"
            )

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = (self.folder / FILE_NAME).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _leave(self) -> None:
        with self._gate:
            self._active -= 1
            if not self._active:
                self._gate.notify_all()

    # -- life cycle ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Wait for operations under way, then release every handle."""
        with self._gate:
            self._closed = True
            while self._active:
                self._gate.wait()
            sessions = [*self._readers, *([self._writer] if self._writer else [])]
            self._readers.clear()
            self._writer = None
        for session in sessions:
            session.connection.close()
        _databases.discard(self)

    def _connect(self, cache_kib: int) -> apsw.Connection:
        connection = apsw.Connection(str(self.folder / FILE_NAME))
        try:
            connection.set_busy_timeout(int(self._settings.busy_timeout * 1000))
            self._switch_to_wal(connection)
            connection.execute(f"PRAGMA synchronous={self._settings.synchronous}")
            connection.execute(f"PRAGMA cache_size=-{cache_kib}")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
            if sys.platform == "darwin":  # there a plain fsync does not reach the disk
                connection.execute("PRAGMA fullfsync=1")
                connection.execute("PRAGMA checkpoint_fullfsync=1")
            schema.ensure(connection, self.folder)
        except BaseException:
            connection.close()
            raise
        return connection

    def _switch_to_wal(self, connection: apsw.Connection) -> None:
        """Turn on WAL. SQLite does not wait for the lock this takes on a new file, so wait here."""
        deadline = time.monotonic() + self._settings.busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL").get  # noqa: B018  (reading runs it)
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    # -- fork ---------------------------------------------------------------------------------------------------
    # SQLite keeps its locks per process and its record of them in memory that a child inherits. A child therefore
    # has to close the inherited connections, which is safe while none of them is in use; hence the wait before.

    def _before_fork(self) -> None:
        self._gate.acquire()
        deadline = time.monotonic() + _FORK_PATIENCE
        while self._active and time.monotonic() < deadline:
            self._gate.wait(0.05)

    def _after_fork_in_parent(self) -> None:
        self._gate.release()

    def _after_fork_in_child(self) -> None:
        quiet = not self._active
        sessions = [*self._readers, *([self._writer] if self._writer else [])]
        self._gate = threading.Condition(threading.Lock())
        self._writer_lock = threading.Lock()
        self._writer = None
        self._readers = []
        self._active = 0
        for session in sessions:
            if quiet:
                # Without this the close would try to fold the parent's WAL into the file.
                session.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                session.connection.close()
            else:
                _abandoned.append(session)  # its mutex may be held by a thread that is not here: never touch it


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_forking: list[Database] = []
_abandoned: list[Session] = []


def _before_fork() -> None:
    _forking.extend(_databases)
    for database in _forking:
        database._before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop()._after_fork_in_parent()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop()._after_fork_in_child()


if hasattr(os, "register_at_fork"):  # elsewhere there is no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
