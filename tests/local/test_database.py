"""Connections and transactions: snapshots, what is shared and what is given back, and what an interruption leaves."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ochre.errors import BusyError, ClosedError, CorruptError, StorageError
from ochre.local import matching, schema, wal
from ochre.local.database import Database
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords
from ochre.settings import Settings
from tests.local.conftest import add, make_collection, vectors_of

FAST = Settings(synchronous="off", busy_timeout=0.05)


def tenants(database: Database) -> list[str]:
    with database.read() as session:
        return [name for (name,) in session.execute("SELECT name FROM tenants ORDER BY name")]


def insert(database: Database, name: str) -> None:
    with database.write() as session:
        session.execute("INSERT INTO tenants VALUES (?)", (name,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db", FAST)
    yield database
    database.close()


# -- snapshots ------------------------------------------------------------------------------------------------------


def test_a_read_sees_one_state_from_beginning_to_end(database: Database) -> None:
    insert(database, "a")
    with database.read() as session:
        insert(database, "b")
        assert session.execute("SELECT count(*) FROM tenants").get == 1
        assert tenants(database) == ["a", "b"]
        assert session.execute("SELECT count(*) FROM tenants").get == 1
    assert tenants(database) == ["a", "b"]


def test_a_read_does_not_see_what_is_not_committed(database: Database) -> None:
    with database.write() as session:
        session.execute("INSERT INTO tenants VALUES ('a')")
        assert tenants(database) == []
    assert tenants(database) == ["a"]


def test_caches_live_until_somebody_commits(tmp_path: Path, database: Database) -> None:
    other = Database(tmp_path / "db", FAST)
    for writer in (database, other):
        with database.read() as session:
            session.collections["cached"] = None  # type: ignore[index, assignment]
        with database.read() as session:
            assert session.collections
        insert(writer, str(id(writer)))
        with database.read() as session:
            assert not session.collections
    other.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_write_that_raises_is_rolled_back(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error), database.write() as session:
        session.execute("INSERT INTO tenants VALUES ('a')")
        raise error
    assert tenants(database) == []
    insert(database, "b")
    assert tenants(database) == ["b"]


# -- interruptions --------------------------------------------------------------------------------------------------


class InterruptedConnection:
    """Stands in for a connection: Ctrl-C comes while `statement` runs, and is raised once it is done."""

    def __init__(self, connection: apsw.Connection, statement: str) -> None:
        self._connection = connection
        self._statement = statement

    def execute(self, sql: str, *arguments: Any) -> Any:
        result = self._connection.execute(sql, *arguments)
        if sql == self._statement:
            raise KeyboardInterrupt
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
def test_an_interrupted_write_gives_the_lock_back(tmp_path: Path, statement: str) -> None:
    """Ctrl-C most often comes while a write waits for another process: within BEGIN, which then succeeds."""
    database, other = Database(tmp_path / "db", FAST), Database(tmp_path / "db", FAST)
    insert(database, "first")
    session = database._writer
    assert session is not None
    session.execute = InterruptedConnection(session.connection, statement).execute
    with pytest.raises(KeyboardInterrupt):
        insert(database, "interrupted")
    session.execute = session.connection.execute
    insert(other, "second")
    insert(database, "third")
    committed = ["interrupted"] if statement == "COMMIT" else []
    assert tenants(other) == tenants(database) == sorted(["first", "second", "third", *committed])
    database.close()
    other.close()


def test_an_interrupted_read_gives_its_snapshot_back(database: Database) -> None:
    session = database._readers[-1]
    session.execute = InterruptedConnection(session.connection, "BEGIN").execute
    with pytest.raises(KeyboardInterrupt):
        tenants(database)
    session.execute = session.connection.execute
    insert(database, "a")
    assert tenants(database) == ["a"]


class Interrupting:
    """A compiled pattern; Ctrl-C comes when it has seen two texts."""

    def __init__(self, pattern: str) -> None:
        self._seen = 0

    def search(self, text: str) -> object:
        self._seen += 1
        if self._seen > 2:
            raise KeyboardInterrupt
        return text


def test_what_an_interrupted_call_leaves_open_does_not_freeze_the_engine(
    engine: LocalEngine, collection: Any, monkeypatch
) -> None:
    """The traceback of the interruption, which shells keep, holds a half-read statement and with it the snapshot."""
    other = LocalEngine.open(engine._folder, FAST)
    add(engine, collection, range(10))
    everything = parse_filters(None, {"$regex": "d"})
    monkeypatch.setattr(matching, "compile_pattern", Interrupting)
    with pytest.raises(KeyboardInterrupt) as kept_by_the_shell:
        engine.get(GetRecords(collection, filter=everything))
    with pytest.raises(KeyboardInterrupt) as kept_as_well:
        engine.delete(DeleteRecords(collection, filter=everything))
    monkeypatch.undo()
    add(other, collection, range(10, 20))
    assert engine.count(CountRecords(collection)) == 20
    assert len(engine.get(GetRecords(collection, filter=everything)).ids) == 20
    add(engine, collection, range(20, 30))
    assert other.count(CountRecords(collection)) == 30
    assert kept_by_the_shell.value is not kept_as_well.value
    other.close()


# -- sharing --------------------------------------------------------------------------------------------------------


def test_readers_are_lent_again_and_at_most_as_many_are_opened_as_read_at_once(database: Database) -> None:
    for _ in range(5):
        tenants(database)
    assert len(database._readers) == 1
    with database.read(), database.read(), database.read():
        assert database._readers == []
    assert len(database._readers) == 3


def test_a_lock_held_too_long_is_a_busy_error(tmp_path: Path, database: Database) -> None:
    other = Database(tmp_path / "db", FAST)
    insert(database, "a")
    with database.write(), pytest.raises(BusyError, match="beyond the busy timeout: nothing was changed"):
        insert(other, "b")
    insert(other, "b")
    assert tenants(database) == ["a", "b"]
    other.close()


def test_the_log_is_brought_to_its_size_before_the_first_commit(tmp_path: Path) -> None:
    database = Database(tmp_path / "db", Settings(synchronous="normal"))
    insert(database, "a")
    log = database.folder / "ochre.sqlite3-wal"
    size = log.stat().st_size
    assert size == wal.HEADER_BYTES + wal.PAGES * wal.FRAME_BYTES
    for name in range(30):
        insert(database, str(name))
    assert log.stat().st_size == size
    database.close()


def test_no_room_to_bring_the_log_to_its_size_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    database = Database(tmp_path / "db", Settings(synchronous="normal"))
    monkeypatch.setattr(Path, "open", full)
    insert(database, "a")
    assert tenants(database) == ["a"]
    database.close()


def test_the_log_starts_over_although_readers_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary checkpoint cannot start the log over while somebody reads it; with overlapping readers, never."""
    monkeypatch.setattr(wal, "PAGES", 8)
    monkeypatch.setattr(wal, "_LONG_PAGES", 50)
    database = Database(tmp_path / "db", Settings(synchronous="off"))
    done = threading.Event()

    def read(first: threading.Event) -> None:
        while not done.is_set():
            with database.read() as session:
                session.execute("SELECT count(*) FROM tenants").fetchall()
                first.set()
                done.wait(0.005)

    started = [threading.Event(), threading.Event()]
    readers = [threading.Thread(target=read, args=(event,)) for event in started]
    for reader, event in zip(readers, started, strict=True):
        reader.start()
        event.wait()
    longest = 0
    for number in range(300):
        insert(database, f"{number}" + "x" * 3000)
        assert database._writer is not None
        longest = max(longest, database._writer.wal_pages)
    done.set()
    for reader in readers:
        reader.join()
    assert longest < 300
    database.close()


@pytest.mark.parametrize("synchronous", ["full", "normal", "off"])
def test_each_connection_syncs_as_the_settings_say(tmp_path: Path, synchronous: Any) -> None:
    database = Database(tmp_path / "db", Settings(synchronous=synchronous))
    level = {"off": 0, "normal": 1, "full": 2}[synchronous]
    with database.read() as reading, database.write() as writing:
        for session in (reading, writing):
            assert session.execute("PRAGMA synchronous").get == level
            assert session.execute("PRAGMA journal_mode").get == "wal"
    database.close()


# -- closing --------------------------------------------------------------------------------------------------------


def test_close_waits_for_what_is_under_way_and_refuses_what_comes_after(database: Database) -> None:
    insert(database, "a")
    inside, go, seen = threading.Event(), threading.Event(), []

    def read() -> None:
        with database.read() as session:
            inside.set()
            go.wait()
            seen.append(session.execute("SELECT count(*) FROM tenants").get)

    reader, closer = threading.Thread(target=read), threading.Thread(target=database.close)
    reader.start()
    inside.wait()
    closer.start()
    while not database._closed:
        pass
    with pytest.raises(ClosedError, match="is closed: open another one"):
        tenants(database)
    with pytest.raises(ClosedError, match="is closed: open another one"):
        insert(database, "b")
    assert closer.is_alive()
    go.set()
    closer.join()
    reader.join()
    assert seen == [1]
    assert not (database.folder / "ochre.sqlite3-wal").exists(), "the last handle folds the log into the file"


def test_threads_reading_while_the_engine_closes_get_answers_or_a_closed_error(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db", FAST)
    collection = make_collection(engine)
    add(engine, collection, range(50))
    started, strange = threading.Barrier(5), []

    def ask(number: int) -> None:
        started.wait()
        try:
            while True:
                answers = [
                    engine.query(QueryRecords(collection, vectors_of([number]), n_results=1)).batches[0].ids,
                    engine.get(GetRecords(collection, filter=parse_filters({"n": number}, None))).ids,
                ]
                strange.extend(answer for answer in answers if answer != [f"id{number}"])
        except ClosedError:
            pass
        except BaseException as error:
            strange.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    engine.close()
    for thread in threads:
        thread.join()
    assert strange == []
    assert engine._states == {}
    shutil.rmtree(tmp_path / "db")


# -- the folder -----------------------------------------------------------------------------------------------------


def lost(folder: Path) -> None:
    shutil.rmtree(folder)


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    LocalEngine.open(folder).close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are open from being deleted")
@pytest.mark.parametrize("happens", [lost, emptied, replaced])
def test_a_folder_deleted_under_an_engine_is_an_error_and_no_write_into_the_void(tmp_path: Path, happens: Any) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(3))
    happens(tmp_path / "db")
    for call in (
        lambda: add(engine, collection, range(3, 6)),
        lambda: engine.delete(DeleteRecords(collection, ids=["id1"])),
        lambda: make_collection(engine, "more"),
        lambda: engine.query(QueryRecords(collection, vectors_of([1]))),
    ):
        with pytest.raises(StorageError, match="deleted or replaced while it was open.*open another client"):
            call()
    with engine._file.read(), pytest.raises(StorageError):  # a second connection would be to another file
        engine.count_collections("default_tenant", "default_database")
    engine.close()
    assert happens is replaced or not any((tmp_path / "db").glob("*")), "nothing is left there by the refused calls"


def test_vectors_beside_a_lost_database_file_are_not_cleaned_up(tmp_path: Path) -> None:
    """A half-copied backup looks like that: the file is not there yet, the vectors are."""
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(3))
    engine.close()
    (tmp_path / "db" / "ochre.sqlite3").rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(CorruptError, match=r"holds vectors, but ochre.sqlite3 is missing.*restore it"):
            LocalEngine.open(tmp_path / "db")
    shutil.copy(tmp_path / "aside", tmp_path / "db" / "ochre.sqlite3")
    engine = LocalEngine.open(tmp_path / "db")
    assert engine.query(QueryRecords(collection, vectors_of([2]), n_results=1)).batches[0].ids == ["id2"]
    engine.close()


def test_files_that_are_no_vectors_of_a_collection_are_left_alone(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    add(engine, make_collection(engine), range(3))
    engine.close()
    (tmp_path / "db" / "vectors" / "notes.f32").write_text("mine")
    LocalEngine.open(tmp_path / "db").close()
    assert (tmp_path / "db" / "vectors" / "notes.f32").read_text() == "mine"


def test_a_new_folder_opened_by_many_at_once_is_made_once(tmp_path: Path) -> None:
    started, engines, failures = threading.Barrier(8), [], []

    def work() -> None:
        started.wait()
        try:
            engines.append(LocalEngine.open(tmp_path / "db", Settings(synchronous="off")))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for engine in engines:
        assert [found.name for found in engine.list_databases("default_tenant")] == ["default_database"]
        engine.close()


class OvertakenConnection:
    """Another process makes the tables right before the given look at the file."""

    def __init__(self, path: Path, moment: int) -> None:
        self._path = path
        self._moment = moment
        self._connection = apsw.Connection(str(path))
        self._looks = 0

    def execute(self, sql: str) -> Any:
        self._looks += 1
        if self._looks == self._moment:
            other = apsw.Connection(str(self._path))
            schema.ensure(other, self._path.parent)
            other.close()
        return self._connection.execute(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("moment", [1, 2])
def test_a_file_that_another_process_is_just_making_is_not_taken_for_a_strangers(tmp_path: Path, moment: int) -> None:
    connection: Any = OvertakenConnection(tmp_path / "ochre.sqlite3", moment)
    schema.ensure(connection, tmp_path)
    assert connection.pragma("user_version") == schema.FORMAT_VERSION
    connection.close()


def test_opening_and_reading_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Nor do they write: a folder on a full disk can be opened and read."""
    writer = LocalEngine.open(tmp_path / "db")
    collection = make_collection(writer)
    add(writer, collection, range(3))
    impatient = Settings(busy_timeout=0.0)
    with writer._file.write():
        reader = LocalEngine.open(tmp_path / "db", impatient)
        with reader._file.read(), reader._file.read():  # a connection each
            assert reader.count(CountRecords(collection)) == 3
            assert reader.query(QueryRecords(collection, vectors_of([1]), n_results=1)).batches[0].ids == ["id1"]
        with pytest.raises(BusyError):
            add(reader, collection, [9])
    reader.close()
    writer.close()


def test_a_new_file_can_shrink(database: Database) -> None:
    with database.read() as session:
        assert session.execute("PRAGMA auto_vacuum").get == 2
