"""The file `ochre.sqlite3`: one session that writes, a pool of those that read, and what happens at fork and close."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import apsw

from ochre.errors import ClosedError, CorruptError, StorageError
from ochre.local import pages, schema, wal
from ochre.local.acknowledged import Acknowledged
from ochre.local.faults import damaged, translated
from ochre.local.folders import make_folder
from ochre.local.locks import patiently
from ochre.local.network import check_local
from ochre.local.session import Session
from ochre.local.wal import Wal
from ochre.settings import Settings

if TYPE_CHECKING:
    from ochre.local.catalog import CollectionRow

FILE_NAME = "ochre.sqlite3"

_WRITER_CACHE_KIB = 32 * 1024
_READER_CACHE_KIB = 4 * 1024
_LEAST_CACHE_KIB = 256
_READERS_KEPT = 8
_SURE = {"full", "extra"}  # settings of `synchronous` by which a commit that returned is on the disk
_PATIENCE = 10.0  # seconds that a fork, or the end, waits for calls under way in other threads


class Database:
    """The SQLite file of one folder, opened on first use by each process.

    Attributes:
        on_fork: called in a forked child, to drop what it cannot share with its parent.
        read_only: whether every write is refused.
    """

    read_only = False

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Open the file, creating folder and tables as needed.

        Raises:
            StorageError: the folder cannot be made or read; FormatVersionError: the file is not ours to read.
        """
        self.folder = folder
        self._path = folder if folder.is_file() else folder / FILE_NAME
        self.on_fork: Callable[[], None] = lambda: None
        self._settings = settings
        self._make_locks()
        self._writer: Session | None = None
        self._readers: list[Session] = []
        self._active = 0
        self._closed = False
        self._wal = Wal(self._path)
        self._acknowledged = Acknowledged(folder)
        self._identity: tuple[int, int] | None = None
        _databases.add(self)
        try:
            with translated(folder):
                self._prepare()
                acknowledged = self._acknowledged.read()  # before the database, which may only be ahead
                self._readers.append(self._connect(_READER_CACHE_KIB))
                self._check_all_there(self._readers[0], acknowledged)
                self._identity = self._identify()
        except BaseException:
            _databases.discard(self)
            raise

    def _prepare(self) -> None:
        schema.check_unclaimed(self.folder)
        make_folder(self.folder)
        if not self._settings.allow_network_folder:
            check_local(self.folder)
        with _fork_lock:
            for other in open_databases():
                if other.read_only and other.is_at(self._path):
                    other.make_way()

    def is_at(self, path: Path) -> bool:
        """Whether this is the file at `path`, whatever it is called."""
        with contextlib.suppress(OSError):
            return self._path.samefile(path)
        return False

    def make_way(self) -> None:
        """Let go of what keeps this process from writing to the file, as a database that only reads may have to."""

    def _make_locks(self) -> None:
        # Entered as a plain lock, never through the condition: no interrupt comes between taking it and leaving it.
        self._gate = threading.Lock()
        self._changed = threading.Condition(self._gate)
        self._writer_lock = threading.Lock()
        self._paused = False

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

    def copy_into(self, path: Path) -> None:
        """Write a committed state into a new SQLite file, without its unused pages."""
        with translated(self.folder):
            session = self.borrow()
            try:
                _copy(session, path)
            finally:
                self.give_back(session)

    def borrow(self) -> Session:
        """Lend a session without a transaction; `give_back` must follow."""
        with self._gate:
            self._enter()
            if self._readers:
                return self._readers.pop()  # the one used last: its caches are the freshest
        try:
            self.check_in_place()
            return self._connect(_READER_CACHE_KIB)
        except BaseException:
            self._leave()
            raise

    def give_back(self, session: Session) -> None:
        """Take a session back; one that still holds a snapshot is closed, since nobody else may read that."""
        kept = False
        try:
            kept = not session.holds_snapshot and len(self._readers) < _READERS_KEPT
            if not kept:
                session.connection.close(force=True)
        finally:
            self._leave(session if kept else None)

    # -- writing ------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Make sure that this is not only to be read; raises `ReadOnlyError`."""

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Session]:
        """Lend the writing session inside `BEGIN IMMEDIATE`; commit at the end, roll back when anything is raised.

        Args:
            patience: seconds to wait for other processes' writes; None for what the settings say.
        """
        with translated(self.folder), self._writer_lock:
            with self._gate:
                self._enter()
            try:
                self.check_in_place()
                fresh = self._writer is None
                if self._writer is None:
                    self._writer = self._connect(_WRITER_CACHE_KIB)
                with self._writer.waiting(self._settings.busy_timeout if patience is None else patience):
                    yield from self._transaction(self._writer, fresh=fresh)
            finally:
                self._leave()

    def _transaction(self, session: Session, *, fresh: bool) -> Iterator[Session]:
        try:
            session.execute("BEGIN IMMEDIATE")
            if fresh and self._settings.synchronous != "off":
                self._wal.prepare()
            before = session.connection.total_changes()
            yield session
            self._commit(session, changed=session.connection.total_changes() != before)
            self._wal.fold(session)
        finally:
            session.forget()
            session.after_commit = None
            try:
                session.end("ROLLBACK")
            finally:
                if session.holds_snapshot:
                    session.connection.close(force=True)
                    self._writer = None

    def _commit(self, session: Session, *, changed: bool) -> None:
        """Commit; give what was changed a number, and note that number once the commit is sure to be on the disk."""
        number = session.execute("UPDATE commits SET number=number+1 RETURNING number").get if changed else 0
        session.execute("COMMIT")
        if session.after_commit is not None:
            session.after_commit()
        if number and self._settings.synchronous in _SURE:
            self._acknowledged.write(number)

    def settle(self) -> None:
        """Bring all that is committed to the disk, whoever left that for later: files it names no more may go then."""
        if self._settings.synchronous != "off":
            self._wal.settle()

    def vacuum(self, patience: float) -> None:
        """Write the file anew, without unused pages and what is left in them, and empty the WAL.

        Writers wait meanwhile; readers go on, with the state that they have.

        Raises:
            BusyError: somebody wrote, or read one state, for longer than `patience` seconds.
        """
        with translated(self.folder), self._writer_lock:
            with self._gate:
                self._enter()
            try:
                self.check_in_place()
                session, self._writer = self._writer or self._connect(_WRITER_CACHE_KIB), None
                try:
                    with session.waiting(patience):
                        session.execute("PRAGMA temp_store=FILE")  # the copy may be larger than the memory
                        session.execute("VACUUM")
                        _wait_and(
                            lambda: session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE), patience
                        )
                finally:
                    session.connection.close(force=True)  # the next one prepares the log anew
            finally:
                self._leave()

    def _check_all_there(self, session: Session, acknowledged: int) -> None:
        """Make sure that nothing is cut off, which SQLite would not notice.

        It takes a damaged log for one that ends there, and what is missing of the file's last page for zeros.

        Raises:
            CorruptError: something is.
        """
        if self._path.stat().st_size % pages.PAGE_BYTES:  # a power cut leaves that, and the page in the log
            with contextlib.suppress(apsw.Error):
                session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        torn = self._path.stat().st_size % pages.PAGE_BYTES
        found = session.execute("SELECT number FROM commits").get
        if not torn and found is not None and found >= acknowledged:
            return
        session.leave_files()
        session.connection.close()
        if torn:
            raise damaged(self.folder, f"ochre.sqlite3 ends {torn} bytes into a page")
        raise lost(self.folder, found or 0, acknowledged)

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
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    # -- life cycle ---------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        """Count one more call, once no fork is about to happen; the caller holds the gate."""
        while self._paused:
            self._changed.wait()
        if self._closed:
            raise ClosedError(f"the client of {self.folder} is closed: open another one")
        self._active += 1

    def _leave(self, session: Session | None = None) -> None:
        """Count one call less, and keep the session it used."""
        with self._gate:
            if session is not None:
                self._readers.append(session)
            self._active -= 1
            if not self._active:
                self._changed.notify_all()

    def close(self) -> None:
        """Wait for calls under way, ten seconds at most (an interrupt may have lost one), then release every handle."""
        with self._gate:
            self._closed = True
            self._changed.wait_for(lambda: not self._active, _PATIENCE)
            sessions = [*self._readers, *([self._writer] if self._writer else [])]
            self._readers.clear()
            self._writer = None
        for session in sessions:
            session.connection.close()
        self._acknowledged.close()
        _databases.discard(self)

    def _share(self, cache_kib: int) -> int:
        """Return how much of a cache the memory limit leaves: half of it is for all of them."""
        if self._settings.memory_limit is None:
            return cache_kib
        whole = _WRITER_CACHE_KIB + _READERS_KEPT * _READER_CACHE_KIB
        share = self._settings.memory_limit // 2 // 1024 * cache_kib // whole
        return max(min(cache_kib, share), _LEAST_CACHE_KIB)

    def _check_usable(self) -> None:
        if self._identify() in _poisoned:
            raise StorageError(
                f"the database at {self.folder} cannot be used in this process, which was forked while calls were "
                "under way in other threads; fork before the folder is opened, or start the process anew"
            )

    def _connect(self, cache_kib: int) -> Session:
        self._check_usable()
        fresh = not self._path.exists() or not self._path.stat().st_size
        session = self._open(cache_kib, fresh=fresh)
        if fresh and not pages.compares(session.connection):  # another process made the file meanwhile
            session.connection.close()
            session = self._open(cache_kib, fresh=False)
        if not pages.compares(session.connection):
            session.leave_files()
            session.connection.close()
            raise damaged(self.folder, "by the header of ochre.sqlite3 its pages have no checksums")
        return session

    def _open(self, cache_kib: int, *, fresh: bool) -> Session:
        session = Session(pages.connect(str(self._path)), self._settings.busy_timeout)
        connection = session.connection
        try:
            if fresh:  # on an old file this would only wait for writers
                pages.ask_for_checksums(connection)
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # so that the file can shrink one day
            self._switch_to_wal(connection)
            connection.execute(f"PRAGMA synchronous={self._settings.synchronous}")
            connection.execute(f"PRAGMA cache_size=-{self._share(cache_kib)}")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA journal_size_limit={wal.LIMIT_BYTES}")
            if sys.platform == "darwin":  # there a plain fsync does not reach the disk
                connection.execute("PRAGMA fullfsync=1")
                connection.execute("PRAGMA checkpoint_fullfsync=1")
            schema.ensure(connection, self.folder)
        except BaseException:
            session.leave_files()  # whatever is wrong with them, closing them must not make it worse
            connection.close()
            raise
        return session

    def _switch_to_wal(self, connection: apsw.Connection) -> None:
        """Turn on WAL. SQLite does not wait for the lock this takes on a new file, so wait here."""
        _wait_and(lambda: connection.execute("PRAGMA journal_mode=WAL").get, self._settings.busy_timeout)

    # -- fork ---------------------------------------------------------------------------------------------------
    # SQLite keeps its locks per process and its record of them in memory that a child inherits. A child therefore
    # has to close the inherited connections, which is safe while none of them is in use; hence the wait before. A
    # child that was forked all the same can trust no lock on that file any more, and is refused.

    def before_fork(self) -> None:
        """Let no call begin until the fork has happened, and wait for those under way, ten seconds at most."""
        with self._gate:
            self._paused = True
            self._changed.wait_for(lambda: not self._active, _PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Let calls begin again."""
        with self._gate:
            self._paused = False
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """Begin anew, without the parent's connections."""
        quiet = not self._active
        sessions = [*self._readers, *([self._writer] if self._writer else [])]
        self._make_locks()
        self._writer = None
        self._readers = []
        self._active = 0
        for session in sessions:
            if quiet:
                session.leave_files()  # otherwise the close would try to fold the parent's WAL into the file
                session.connection.close()
            else:
                _abandoned.append(session)  # its mutex may be held by a thread that is not here: never touch it
        if not quiet and self._identity is not None:
            _poisoned.add(self._identity)
        self.on_fork()


def _copy(session: Session, path: Path) -> None:
    connection = pages.connect(str(path))
    try:
        pages.begin(connection)
        pages.copy(session.connection, connection)
        connection.execute("PRAGMA journal_mode=DELETE").get  # noqa: B018  (reading runs it)
        connection.execute("VACUUM")
    finally:
        connection.close()


def _wait_and(act: Callable[[], object], patience: float) -> None:
    """Do what needs a lock for which SQLite does not wait: of a new file, or of another's checkpoint."""

    def attempt() -> bool:
        try:
            act()
        except apsw.BusyError:
            return False
        return True

    if not patiently(attempt, patience):
        act()  # which raises what it is


def lost(folder: Path, found: int, acknowledged: int) -> CorruptError:
    """Return the error about commits that are not there any more."""
    return CorruptError(
        f"the database at {folder} holds {found} commits, {acknowledged} were acknowledged: its write-ahead log, "
        "ochre.sqlite3-wal, is damaged or gone; restore the folder from a backup, or save what is there with "
        "`ochre repair`"
    )


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_abandoned: list[Session] = []
_poisoned: set[tuple[int, int]] = set()
_fork_lock = threading.Lock()
_forking: list[Database] = []
"""Those that the fork under way has paused; the lock is held meanwhile, so that threads fork one after the other."""


def _before_fork() -> None:
    _fork_lock.acquire()
    _forking[:] = open_databases()
    for database in _forking:
        database.before_fork()


def open_databases() -> list[Database]:
    """Return what this process has open."""
    while True:
        try:
            return list(_databases)
        except RuntimeError:  # another thread opened one meanwhile
            continue


def _after_fork_in_parent() -> None:
    try:
        for database in _forking:
            database.after_fork_in_parent()
    finally:
        _forking.clear()
        _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock  # noqa: PLW0603  (the parent's is held)
    _fork_lock = threading.Lock()
    for database in _forking:
        database.after_fork_in_child()
    _forking.clear()


if hasattr(os, "register_at_fork"):  # elsewhere there is no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
