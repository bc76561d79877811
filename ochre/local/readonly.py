"""A database opened to be read only: a folder, whoever writes to it meanwhile, or a snapshot file. Nothing is written.

SQLite's way to read depends on what lies beside the file, so that is looked at whenever a session is lent:

- no log: nobody writes. The file is read as one that does not change. A lock keeps those who begin to write later from
  tidying up their log behind our back, so a log that is still not there at the end of a read proves that none was.
  A log whose writer died when it had written no more than the header is none: SQLite would try to read it for ever.
- a log with its index (`-shm`): others write, or did. SQLite reads both, and maps the index read-only.
- a log without an index, as on a copied medium: file and log are copied to a temporary folder, put together, and read
  there.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shutil
import tempfile
import threading
import urllib.parse
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import apsw

from ochre.errors import BusyError, ReadOnlyError, StorageError
from ochre.local import pages, schema
from ochre.local.database import Database, lost, open_databases
from ochre.local.faults import damaged
from ochre.local.folders import sync_file
from ochre.local.locks import patiently
from ochre.local.session import Session
from ochre.local.state import StaleSnapshotError
from ochre.settings import Settings

_CHUNK_BYTES = 4 * 1024 * 1024
_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


class Situation(enum.Enum):
    """What lies beside the file."""

    FROZEN = "no log"
    LIVE = "a log and its index"
    ASIDE = "a log alone"


Seen = tuple[Situation, int]
"""A situation; and of a log that has no more than its header, when that was written."""

_LOG_HEADER_BYTES = 32


class ReadOnlySession(Session):
    """A session that can only read.

    Attributes:
        seen, situation: in which it was opened; unless that is `LIVE`, it is of use only while it is the same.
    """

    def __init__(self, connection: apsw.Connection, patience: float, seen: Seen) -> None:
        super().__init__(connection, patience)
        self.seen = seen
        self.situation = seen[0]


class ReadOnlyDatabase(Database):
    """The SQLite file of a folder, or a snapshot file; every write is an error."""

    read_only = True

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Open what is there.

        Raises:
            StorageError: there is no database; FormatVersionError: the file is not ours to read.
        """
        self._presence: apsw.VFSFile | None = None
        self._copying = threading.Lock()
        self._copy: Path | None = None
        self._remove_copy: weakref.finalize[..., ReadOnlyDatabase] | None = None
        super().__init__(folder, settings)

    def _prepare(self) -> None:
        if not self._path.is_file():
            schema.check_unclaimed(self.folder)
            raise StorageError(
                f"there is no database at {self.folder}: check the path (one is made only when opened to be written)"
            )
        self._lock()

    @contextmanager
    def read(self) -> Iterator[ReadOnlySession]:
        """Lend a session with an open read transaction.

        Raises:
            StaleSnapshotError: somebody began to write in a way that this session could not follow; read again.
        """
        with self._followed(), super().read() as session:
            assert isinstance(session, ReadOnlySession)
            yield session

    def copy_into(self, path: Path) -> None:
        """Write a committed state into a new SQLite file; raises as `read`."""
        with self._followed():
            super().copy_into(path)

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Make sure that nobody began to write meanwhile, unless a session can follow that."""
        began = self._seen()
        try:
            yield
        except Exception as error:
            if self._overtaken(began):
                raise StaleSnapshotError from error
            raise
        if self._overtaken(began):
            raise StaleSnapshotError

    def _overtaken(self, began: Seen) -> bool:
        return began[0] is not Situation.LIVE and began != self._seen()

    def borrow(self) -> Session:
        """Lend a session without a transaction; `give_back` must follow."""
        while True:
            session = super().borrow()
            assert isinstance(session, ReadOnlySession)
            if not self._overtaken(session.seen):
                return session
            session.connection.close(force=True)
            self._leave()

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[NoReturn]:
        """Refuse.

        Raises:
            ReadOnlyError: always.
        """
        del patience
        self.check_writable()
        yield

    def check_writable(self) -> NoReturn:
        """Refuse."""
        what = "is a snapshot, which is never written" if self.is_snapshot else "was opened to be read only"
        raise ReadOnlyError(
            f"the database {what}: nothing was changed; to write, open a folder without mode='r', or start the server "
            "without --read-only"
        )

    def settle(self) -> None:
        """Bring what is committed to the disk, as far as that needs no permission to write."""
        with contextlib.suppress(OSError), Path(f"{self._path}-wal").open("rb") as log:
            sync_file(log.fileno())

    def make_way(self) -> None:
        """Close the sessions that are not in use: this process is about to open the file for writing.

        Within a process, SQLite shares one map of the log's index, and ours is read-only.
        """
        self.before_fork()
        try:
            with self._gate:
                sessions, self._readers = self._readers, []
            for session in sessions:
                session.connection.close()
        finally:
            self.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Begin anew, without the parent's connections."""
        self._copying = threading.Lock()
        self._presence = None  # the lock was the parent's
        super().after_fork_in_child()
        self._lock()

    def close(self) -> None:
        """Wait for calls under way, then release every handle."""
        super().close()
        self._presence = None
        if self._remove_copy is not None:
            self._remove_copy()

    @property
    def is_snapshot(self) -> bool:
        """Whether it is a file by itself."""
        return self._path == self.folder

    # -- parts --------------------------------------------------------------------------------------------------

    def _seen(self) -> Seen:
        if self.is_snapshot:
            return Situation.FROZEN, 0
        try:
            log = Path(f"{self._path}-wal").stat()
        except FileNotFoundError:
            return Situation.FROZEN, 0
        if log.st_size == _LOG_HEADER_BYTES:
            return Situation.FROZEN, log.st_mtime_ns
        if Path(f"{self._path}-shm").exists():
            return Situation.LIVE, 0
        return (Situation.ASIDE if log.st_size else Situation.FROZEN), 0

    def torn(self, session: ReadOnlySession) -> int:
        """Return how many bytes of its last page the file has if the others are missing, which SQLite takes for zeros.

        A power cut leaves that, too, and the whole page in the log.
        """
        if self.is_snapshot:  # behind its last page there is more
            return 0
        path = self._copied() if session.situation is Situation.ASIDE else self._path
        return path.stat().st_size % pages.PAGE_BYTES

    def _check_all_there(self, session: Session, acknowledged: int) -> None:
        """Make sure that nothing is cut off, and no acknowledged commit is missing."""
        assert isinstance(session, ReadOnlySession)
        torn = self.torn(session)
        if torn:
            session.connection.close()
            if session.situation is Situation.LIVE:
                raise StorageError(
                    f"ochre.sqlite3 in {self.folder} ends {torn} bytes into a page, as a power cut leaves it: open the "
                    "folder once without mode='r', which takes the rest from the log or finds the damage"
                )
            raise damaged(self.folder, f"ochre.sqlite3 ends {torn} bytes into a page")
        found = session.execute("SELECT number FROM commits").get
        if not self.is_snapshot and (found is None or found < acknowledged):
            session.connection.close()
            raise lost(self.folder, found or 0, acknowledged)

    def _lock(self) -> None:
        """Hold the lock that every user of the file holds: while it is held, nobody removes the log."""
        flags = [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0]
        self._presence = presence = apsw.VFSFile("", str(self._path), flags)

        def attempt() -> bool:
            try:
                presence.xLock(apsw.SQLITE_LOCK_SHARED)
            except apsw.BusyError:
                return False
            except apsw.Error:  # a file system without locks: then nobody can write through SQLite either
                pass
            return True

        if not patiently(attempt, self._settings.busy_timeout):
            raise BusyError(f"the database at {self.folder} is being opened or closed by others: try again")

    def _connect(self, cache_kib: int) -> Session:
        self._check_usable()
        seen = self._seen()
        connection = self._opened(seen[0])
        session = ReadOnlySession(connection, self._settings.busy_timeout, seen)
        try:
            self._check(connection)
            connection.execute(f"PRAGMA cache_size=-{self._share(cache_kib)}")
            connection.execute("PRAGMA temp_store=MEMORY")
        except BaseException:
            connection.close()
            raise
        return session

    def _check(self, connection: apsw.Connection) -> None:
        if self.is_snapshot:
            self._check_snapshot(connection)
        else:
            schema.check(connection, self.folder)
        if not pages.compares(connection):
            raise damaged(self.folder, "by the header of the SQLite file its pages have no checksums")

    def _check_snapshot(self, connection: apsw.Connection) -> None:
        try:
            known = schema.version(connection, self.folder)
        except apsw.NotADBError:
            known = 0
        if not known:
            raise StorageError(
                f"the file {self.folder} cannot be used, since it is no snapshot: name a folder, or a file that "
                "`ochre snapshot` made"
            )

    def _opened(self, situation: Situation) -> apsw.Connection:
        if situation is Situation.ASIDE:
            return pages.connect(str(self._copied()))
        options = "immutable=1"
        if situation is Situation.LIVE:
            options = "mode=ro" if self._written_by_this_process() else "mode=ro&readonly_shm=1"
        return pages.connect(f"{_uri(self._path)}?{options}", _FLAGS)

    def _written_by_this_process(self) -> bool:
        return any(not other.read_only and other.is_at(self._path) for other in open_databases())

    def _copied(self) -> Path:
        """Return a copy of the file, brought up to date with its log, made on first use."""
        with self._copying:
            if self._copy is None:
                folder = Path(tempfile.mkdtemp(prefix="ochre-"))
                self._remove_copy = weakref.finalize(self, _remove, folder, os.getpid())
                self._copy_main(folder / self._path.name)
                shutil.copyfile(f"{self._path}-wal", folder / f"{self._path.name}-wal")
                self._put_together(folder / self._path.name)
                self._copy = folder / self._path.name
            return self._copy

    def _put_together(self, copy: Path) -> None:
        connection = pages.connect(str(copy))
        try:
            with contextlib.suppress(apsw.Error):  # what is wrong with it, its readers will find
                connection.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018  (it finds the log)
                connection.wal_checkpoint()
        finally:
            connection.close()

    def _copy_main(self, target: Path) -> None:
        """Copy the file through the handle that holds the lock: closing any other one of this process would lose it."""
        assert self._presence is not None
        with target.open("wb") as copy:
            for place in range(0, self._presence.xFileSize(), _CHUNK_BYTES):
                copy.write(self._presence.xRead(_CHUNK_BYTES, place))


def _uri(path: Path) -> str:
    text = path.as_posix()
    return f"file:{'/' if text[0] != '/' else ''}{urllib.parse.quote(text, safe='/:')}"


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child shares the copy
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
