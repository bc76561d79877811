"""The SQLite file of a folder that Chroma wrote, opened so that nothing in the folder changes.

A file that another program left in the middle of a write, or whose tables are damaged, is copied aside first, as far as
it can be read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from ochre.errors import CorruptError, NotFoundError, StorageError
from ochre.migrate.chroma.salvage import damage, salvage

FILE = "chroma.sqlite3"
PATIENCE = 10_000
"""Milliseconds to wait for a program that is writing."""

_WAL = b"\2"
_TRIES = 5


class ChromaFolder:
    """A folder that Chroma wrote. Use it in a `with` statement.

    Attributes:
        path: the folder.
        troubles: what is wrong with its SQLite file, in sentences.
        damaged: the tables of it that are damaged, with what SQLite says.
    """

    _connection: apsw.Connection

    def __init__(self, path: Path) -> None:
        """Note the folder; entering opens it.

        Raises:
            NotFoundError: there is no `chroma.sqlite3`. CorruptError: it is damaged beyond reading.
        """
        if not (path / FILE).is_file():
            raise NotFoundError(
                f"{path} has no {FILE}: expected the folder that was given to chromadb.PersistentClient, "
                "or to `chroma run --path`"
            )
        self.path = path
        self.troubles: list[str] = []
        self.damaged: dict[str, str] = {}
        self._columns: dict[str, list[str]] = {}
        self._closing = ExitStack()
        self._before = self._state()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.push(self._closing.__exit__)
            self._connection = self._open()
            if not self.has("collections"):
                raise CorruptError(f"{self.path / FILE} has no table of collections: nothing can be read")
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def has(self, table: str, column: str = "") -> bool:
        """Tell whether there is a table, and in it a column if one is named."""
        if table not in self._columns:
            self._columns[table] = [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]
        columns = self._columns[table]
        return bool(columns) and (not column or column in columns)

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a statement."""
        try:
            yield from self._connection.cursor().execute(sql, tuple(bindings))
        except apsw.Error as error:
            raise CorruptError(f"{self.path / FILE} cannot be read ({error})") from error

    def changed(self) -> bool:
        """Tell whether another program has written to the folder since it was opened."""
        return self._state() != self._before

    def _state(self) -> list[tuple[str, int, int]]:
        """Return what shows that a file was written to: a live Chroma's writes among them."""
        files = [*self.path.glob(f"{FILE}*"), *self.path.glob("*-*-*-*-*/*")]
        return sorted((str(file), stat.st_size, stat.st_mtime_ns) for file in files if (stat := file.stat()))

    def _open(self) -> apsw.Connection:
        source = self.path / FILE
        try:
            if _is_wal(source):
                return self._sound(self._connect(self._copy_aside(), apsw.SQLITE_OPEN_READWRITE))
            try:
                connection = self._connect(source, apsw.SQLITE_OPEN_READONLY)
            except (apsw.ReadOnlyError, apsw.CantOpenError):  # a journal to be played back, which would change the file
                connection = self._connect(self._copy_aside(), apsw.SQLITE_OPEN_READWRITE)
            return self._sound(connection)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise CorruptError(
                f"{source} is damaged where its tables are listed ({error}): nothing can be read"
            ) from error
        except apsw.Error as error:
            raise StorageError(f"{source} cannot be read ({error}): stop the program that has it open") from error

    def _connect(self, file: Path, flags: int) -> apsw.Connection:
        """Open a file and begin to read: from here on everything is of one moment."""
        connection = apsw.Connection(str(file), flags=flags)
        self._closing.callback(connection.close)
        connection.set_busy_timeout(PATIENCE)
        connection.execute("PRAGMA temp_store=FILE; PRAGMA cache_size=-65536; BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return connection

    def _sound(self, connection: apsw.Connection) -> apsw.Connection:
        self.damaged = damage(connection)
        if not self.damaged:
            return connection
        self.troubles += self.damaged.values()
        copy = self._connect_new(self._scratch() / "salvaged.sqlite3")
        self.troubles += salvage(connection, copy)
        return copy

    def _connect_new(self, file: Path) -> apsw.Connection:
        connection = apsw.Connection(str(file))
        self._closing.callback(connection.close)
        connection.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF")
        return connection

    def _scratch(self) -> Path:
        return Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="ochre-migrate-")))

    def _copy_aside(self) -> Path:
        """Copy the file, and the journal that belongs to it, to where it may be played back."""
        target = self._scratch()
        for _ in range(_TRIES):
            before = self._state()
            for name in (FILE, f"{FILE}-journal", f"{FILE}-wal"):
                if (self.path / name).exists():
                    shutil.copyfile(self.path / name, target / name)
            if self._state() == before:
                return target / FILE
        raise StorageError(f"{self.path / FILE} changes while it is copied: stop the program that has it open")


def _is_wal(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(20)[18:19] == _WAL
