"""Several processes and threads on one folder: every committed write is visible to everyone's next call."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from ochre.errors import ClosedError, StorageError
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords
from tests.local.conftest import add, make_collection, vectors_of

WRITER = """
import sys
from pathlib import Path
from uuid import UUID
from ochre.local.engine import LocalEngine
from tests.local.conftest import add
engine = LocalEngine.open(Path(sys.argv[1]))
start = int(sys.argv[3])
for first in range(start, start + 300, 10):
    add(engine, UUID(sys.argv[2]), range(first, first + 10))
engine.close()
"""


def test_four_writing_processes_lose_nothing(tmp_path: Path, run_script) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    processes = [run_script(WRITER, tmp_path / "db", collection, start) for start in range(0, 1200, 300)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert engine.count(CountRecords(collection)) == 1200
    reply = engine.query(QueryRecords(collection, vectors_of(range(1200)), n_results=1))
    assert [batch.ids for batch in reply.batches] == [[f"id{n}"] for n in range(1200)]
    engine.close()


def test_a_write_of_one_engine_is_seen_by_the_next_call_of_another(tmp_path: Path) -> None:
    one, two = LocalEngine.open(tmp_path / "db"), LocalEngine.open(tmp_path / "db")
    collection = make_collection(one)
    filter_ = parse_filters({"even": True}, None)
    for step in range(0, 40, 4):
        writer, reader = (one, two) if step % 8 else (two, one)
        add(writer, collection, range(step, step + 4))
        assert reader.count(CountRecords(collection)) == step + 4
        assert reader.count(CountRecords(collection, filter_)) == (step + 4) // 2
        nearest = reader.query(QueryRecords(collection, vectors_of([step + 3]), n_results=1))
        assert nearest.batches[0].ids == [f"id{step + 3}"]
        assert writer.delete(DeleteRecords(collection, ids=[f"id{step}"])) == 1
        assert reader.get(GetRecords(collection, ids=[f"id{step}"])).ids == []
        add(writer, collection, [step])
    one.close()
    two.close()


def test_an_update_is_seen_by_an_engine_that_had_read_the_old_record(tmp_path: Path) -> None:
    one, two = LocalEngine.open(tmp_path / "db"), LocalEngine.open(tmp_path / "db")
    collection = make_collection(one)
    add(one, collection, range(10))
    assert two.query(QueryRecords(collection, vectors_of([3]), n_results=1)).batches[0].ids == ["id3"]
    from ochre.model.requests import WriteRecords

    one.write(WriteRecords(collection, "update", ["id3"], vectors_of([100]), metadatas=[{"n": 100}]))
    assert two.query(QueryRecords(collection, vectors_of([100]), n_results=1)).batches[0].ids == ["id3"]
    assert two.count(CountRecords(collection, parse_filters({"n": 100}, None))) == 1
    assert two.count(CountRecords(collection, parse_filters({"n": 3}, None))) == 0
    one.close()
    two.close()


def test_threads_share_an_engine(engine: LocalEngine, collection) -> None:
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for first in range(start, start + 100, 5):
                add(engine, collection, range(first, first + 5))
                reply = engine.query(QueryRecords(collection, vectors_of([first]), n_results=1))
                assert reply.batches[0].ids == [f"id{first}"]
                found = engine.get(GetRecords(collection, filter=parse_filters({"n": first + 4}, None)))
                assert found.ids == [f"id{first + 4}"]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 600, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert engine.count(CountRecords(collection)) == 600


def test_readers_see_each_write_whole(engine: LocalEngine, collection) -> None:
    """A call that writes 50 records is seen with all 50 or none, whatever is read."""
    done = threading.Event()
    partial: list[int] = []

    def read() -> None:
        filter_ = parse_filters({"n": {"$gte": 0}}, None)
        while not done.is_set():
            for count in (
                engine.count(CountRecords(collection)),
                engine.count(CountRecords(collection, filter_)),
                len(engine.get(GetRecords(collection, include=frozenset({"documents"}))).ids),
            ):
                if count % 50:
                    partial.append(count)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for first in range(0, 1000, 50):
        add(engine, collection, range(first, first + 50))
    done.set()
    for reader in readers:
        reader.join()
    assert partial == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_and_writes_and_the_parent_goes_on(engine: LocalEngine, collection) -> None:
    add(engine, collection, range(10))
    assert engine.query(QueryRecords(collection, vectors_of([5]), n_results=1)).batches[0].ids == ["id5"]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            add(engine, collection, range(10, 20))
            if engine.count(CountRecords(collection)) >= 20:
                status = 0
        finally:
            os._exit(status)
    add(engine, collection, range(20, 30))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.count(CountRecords(collection)) == 30
    reply = engine.query(QueryRecords(collection, vectors_of(range(30)), n_results=1))
    assert [batch.ids for batch in reply.batches] == [[f"id{n}"] for n in range(30)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_outlives_the_parents_close_and_a_third_process_joins(tmp_path: Path, run_script) -> None:
    """The parent closes last in its own eyes; the child's writes must not land in a log that was thrown away."""
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(10))
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            add(engine, collection, range(10, 20))  # the child's own connection is open from here on
            os.read(go_read, 1)
            add(engine, collection, range(20, 30))
            status = 0 if engine.count(CountRecords(collection)) == 330 else 2
        finally:
            os._exit(status)
    while engine.count(CountRecords(collection)) < 20:
        pass
    engine.close()
    third = run_script(WRITER, tmp_path / "db", collection, 30)
    _, errors = third.communicate(timeout=60)
    assert third.returncode == 0, errors
    os.write(go_write, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(go_read)
    os.close(go_write)
    with_all = LocalEngine.open(tmp_path / "db")
    assert with_all.count(CountRecords(collection)) == 330
    assert len(set(with_all.get(GetRecords(collection)).ids)) == 330
    with_all.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_that_fork_at_once_do_not_wait_for_each_other_for_ever(engine: LocalEngine, collection) -> None:
    add(engine, collection, range(200))
    done = threading.Event()
    filter_ = parse_filters(None, {"$regex": "7"})
    statuses: list[int] = []

    def read() -> None:
        while not done.is_set():
            engine.count(CountRecords(collection, filter_))

    def fork() -> None:
        for _ in range(4):
            child = os.fork()
            if child == 0:
                os._exit(0 if engine.count(CountRecords(collection)) == 200 else 1)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    reader = threading.Thread(target=read)
    forkers = [threading.Thread(target=fork) for _ in range(3)]
    for thread in [reader, *forkers]:
        thread.start()
    for thread in forkers:
        thread.join(60)
    done.set()
    reader.join(60)
    assert statuses == [0] * 12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_call_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Its locks would be worth nothing, and what it writes could be lost; so it must not seem to work."""
    from ochre.local import database

    monkeypatch.setattr(database, "_PATIENCE", 0.05)
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    with engine._file.read():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for open_one in (lambda: engine, lambda: LocalEngine.open(tmp_path / "db")):
                    try:
                        add(open_one(), collection, [1])
                    except StorageError as error:
                        status = 0 if "forked while calls were under way" in str(error) else 3
                    else:
                        status = 2
                        break
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    add(engine, collection, [2])
    assert engine.count(CountRecords(collection)) == 1
    engine.close()


def test_a_collection_deleted_by_another_process_keeps_no_file_open(tmp_path: Path) -> None:
    one, two = LocalEngine.open(tmp_path / "db"), LocalEngine.open(tmp_path / "db")
    gone, kept = make_collection(one, "gone"), make_collection(one, "kept")
    add(one, gone, range(5))
    add(one, kept, range(5))
    two.query(QueryRecords(gone, vectors_of([1])))
    one.delete_collection("gone", "default_tenant", "default_database")
    two.query(QueryRecords(kept, vectors_of([1])))
    assert list(two._states) == [kept]
    one.close()
    two.close()


def test_scan_stays_right_while_others_write(engine: LocalEngine, collection) -> None:
    from ochre.model.requests import ScanRecords, WriteRecords
    from ochre.testing.contract import walk

    add(engine, collection, range(100))
    filter_ = parse_filters({"n": {"$lt": 1000}}, None)
    seen: list[str] = []
    for batch in walk(engine, ScanRecords(collection, filter_, batch_size=10)):
        seen += batch.ids
        if len(seen) == 10:
            engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(15, 20)]))
            add(engine, collection, range(200, 210))
            engine.write(WriteRecords(collection, "update", ["id50"], None, metadatas=[{"n": 5000}]))
    assert seen == [f"id{n}" for n in range(100) if n not in {15, 16, 17, 18, 19, 50}]


def test_closing_releases_every_handle(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(10))
    kept = engine.get(GetRecords(collection, include=frozenset({"embeddings"}))).vectors
    engine.query(QueryRecords(collection, vectors_of([5])))
    engine.close()
    engine.close()
    assert kept is not None
    assert np.array_equal(kept, vectors_of(range(10)))
    with pytest.raises(ClosedError, match="closed"):
        engine.count(CountRecords(collection))
    folder = Path("/proc/self/fd")
    if folder.exists():
        open_files = [os.readlink(folder / name) for name in os.listdir(folder) if (folder / name).is_symlink()]
        assert [name for name in open_files if str(tmp_path) in name] == []
        assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    import shutil

    shutil.rmtree(tmp_path / "db")
