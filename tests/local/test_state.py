"""Derived state: it catches up, starts anew where it must, and never outlives a doubt."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from ochre.errors import CorruptError, NotFoundError
from ochre.local import catalog, extents, log, maps, state
from ochre.local import engine as engine_module
from ochre.local import session as session_module
from ochre.local.engine import LocalEngine
from ochre.local.maps import collections_at_once
from ochre.local.state import StaleSnapshotError
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords, ScanRecords, WriteRecords
from ochre.settings import Settings
from ochre.testing.contract import walk
from tests.local.conftest import add, make_collection, publish_checkpoint, vectors_of

EVEN = parse_filters({"even": True}, None)
FAST = Settings(synchronous="off")


def evens(engine: LocalEngine, collection: Any) -> list[str]:
    return engine.get(GetRecords(collection, filter=EVEN)).ids


def test_a_snapshot_older_than_the_state_is_refused(engine: LocalEngine, collection: Any) -> None:
    add(engine, collection, range(3))
    with engine._file.read() as old:
        row = catalog.get_collection(old, collection)
        add(engine, collection, range(3, 6))
        assert evens(engine, collection) == ["id0", "id2", "id4"]
        with pytest.raises(StaleSnapshotError):
            engine._state(old, row).view(old, row, EVEN)


def test_a_read_overtaken_by_another_thread_takes_a_new_snapshot(
    engine: LocalEngine, collection: Any, monkeypatch
) -> None:
    add(engine, collection, range(3))
    find, overtaken = catalog.get_collection, []

    def overtake(session: Any, wanted: Any) -> Any:
        row = find(session, wanted)
        if not overtaken:  # the snapshot is taken; now another thread writes, and reads what it wrote
            overtaken.append(True)
            thread = threading.Thread(target=lambda: (add(engine, collection, range(3, 6)), evens(engine, collection)))
            thread.start()
            thread.join()
        return row

    monkeypatch.setattr(engine_module.catalog, "get_collection", overtake)
    assert evens(engine, collection) == ["id0", "id2", "id4"]


def nearest(engine: LocalEngine, collection: Any, number: int) -> list[str]:
    return engine.query(QueryRecords(collection, vectors_of([number]), n_results=1)).batches[0].ids


def test_what_this_process_adds_it_need_not_read(engine: LocalEngine, collection: Any, monkeypatch) -> None:
    add(engine, collection, range(4))
    assert nearest(engine, collection, 3) == ["id3"]

    def fail(*arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(log, "changes_since", fail)
    monkeypatch.setattr(extents, "differing", fail)
    for first in (4, 304, 604):
        add(engine, collection, range(first, first + 300))
    assert nearest(engine, collection, 800) == ["id800"]
    assert len(evens(engine, collection)) == 452


def test_what_others_did_between_two_adds_is_not_overlooked(engine: LocalEngine, collection: Any) -> None:
    add(engine, collection, range(4))
    assert nearest(engine, collection, 3) == ["id3"]
    other = LocalEngine(engine._folder, FAST)
    other.delete(DeleteRecords(collection, ids=["id3"]))
    other.close()
    add(engine, collection, range(4, 304))
    assert nearest(engine, collection, 3) == ["id2"]
    assert len(evens(engine, collection)) == 152


def test_taking_over_what_was_added_may_fail(engine: LocalEngine, collection: Any, monkeypatch) -> None:
    add(engine, collection, range(4))
    assert evens(engine, collection) == ["id0", "id2"]

    def fail(*arguments: Any) -> Any:
        raise CorruptError("the disk is worn out")

    monkeypatch.setattr(log, "metadata_blocks", fail)
    add(engine, collection, range(4, 304))
    monkeypatch.undo()
    assert len(evens(engine, collection)) == 152


@pytest.mark.parametrize("failing", ["slots", "metadata_blocks", "changes_since"])
def test_a_catch_up_that_failed_is_not_half_believed(
    engine: LocalEngine, collection: Any, monkeypatch, failing: str
) -> None:
    add(engine, collection, range(4))
    assert evens(engine, collection) == ["id0", "id2"]
    add(engine, collection, range(4, 8))
    engine.write(WriteRecords(collection, "update", ["id0"], None, metadatas=[{"even": False}]))
    engine.delete(DeleteRecords(collection, ids=["id2"]))

    def fail(*arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(log, failing, fail)
    with pytest.raises(MemoryError):
        evens(engine, collection)
    monkeypatch.undo()
    assert evens(engine, collection) == ["id4", "id6"]
    assert engine.query(QueryRecords(collection, vectors_of([2]), n_results=1)).batches[0].ids == ["id1"]


class Failing:
    """An index that cannot take over its first change."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def rebuild(self, roster: Any) -> None:
        self.calls.append("rebuild")

    def apply(self, change: Any, source: Any) -> None:
        self.calls.append("apply")
        if self.calls.count("apply") == 1:
            raise MemoryError


def test_an_index_that_failed_to_take_over_a_change_is_rebuilt(engine: LocalEngine, collection: Any) -> None:
    add(engine, collection, [0])
    evens(engine, collection)
    index = Failing()
    engine._states[collection]._indexes.append(index)
    add(engine, collection, [1])
    with pytest.raises(MemoryError):
        evens(engine, collection)
    for n in (2, 3):
        add(engine, collection, [n])
        evens(engine, collection)
    assert index.calls == ["apply", "rebuild", "apply"]


def test_a_roster_mostly_of_the_dead_is_built_anew(engine: LocalEngine, collection: Any, monkeypatch) -> None:
    monkeypatch.setattr(state, "_COMPACT_ABOVE", 5)
    add(engine, collection, range(20))
    assert len(evens(engine, collection)) == 10
    engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(15)]))
    assert evens(engine, collection) == ["id16", "id18"]
    add(engine, collection, [20])
    assert evens(engine, collection) == ["id16", "id18", "id20"]
    roster = engine._states[collection]._roster
    assert (len(roster), roster.dead) == (6, 0)
    assert engine.query(QueryRecords(collection, vectors_of([17]), n_results=1)).batches[0].ids == ["id17"]


def test_a_scan_goes_on_over_a_roster_that_was_built_anew(engine: LocalEngine, collection: Any, monkeypatch) -> None:
    monkeypatch.setattr(state, "_COMPACT_ABOVE", 5)
    add(engine, collection, range(40))
    seen = []
    for batch in walk(engine, ScanRecords(collection, EVEN, batch_size=4)):
        seen += batch.ids
        if len(seen) == 4:
            engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(30)]))
            evens(engine, collection)
            add(engine, collection, range(30))
    assert seen == ["id0", "id2", "id4", "id6", "id30", "id32", "id34", "id36", "id38"]


def test_the_least_used_collections_are_forgotten_first(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, Settings(synchronous="off", max_open_collections=2))
    one, two, three = (make_collection(engine, name) for name in ("one", "two", "three"))
    for collection in (one, two, one, three):
        add(engine, collection, [len(engine._states)])
    assert list(engine._states) == [one, three]
    engine.close()


def test_a_scan_goes_on_when_its_collection_is_forgotten_in_between(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, Settings(synchronous="off", max_open_collections=1))
    one, two = make_collection(engine, "one"), make_collection(engine, "two")
    add(engine, one, range(10))
    add(engine, two, range(10))
    seen = []
    for batch in walk(engine, ScanRecords(one, EVEN, batch_size=1, include=frozenset({"embeddings"}))):
        assert evens(engine, two)
        assert list(engine._states) == [two]
        assert batch.vectors is not None
        seen += batch.vectors[:, 0].tolist()
    assert seen == [0, 2, 4, 6, 8]
    engine.close()


def descriptors() -> int:
    process = psutil.Process()
    return process.num_fds() if hasattr(process, "num_fds") else process.num_handles()


def test_many_collections_take_no_more_open_files_than_a_few(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, Settings(synchronous="off", max_open_collections=4))
    collections = [make_collection(engine, f"collection-{n}") for n in range(40)]
    counts = []
    for collection in collections:
        add(engine, collection, range(3))
        publish_checkpoint(engine, collection)
        engine.query(QueryRecords(collection, vectors_of([0]), n_results=5))
        evens(engine, collection)
        counts.append(descriptors())
    assert max(counts[20:]) <= max(counts[:20])
    engine.close()


def test_as_many_collections_are_open_as_the_system_allows_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "collections_at_once", lambda: 2)
    engine = LocalEngine.open(tmp_path, FAST)
    for n in range(5):
        add(engine, make_collection(engine, f"collection-{n}"), range(3))
    assert len(engine._states) == 2
    engine.close()


def test_half_of_the_open_files_the_system_allows_are_left_to_others() -> None:
    resource = pytest.importorskip("resource", reason="Windows limits no descriptors")
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(allowed, 200), most))
        assert collections_at_once() * maps._DESCRIPTORS <= 100
        assert collections_at_once() >= 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


def test_what_a_session_knows_of_collections_is_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(session_module, "_ROWS_KEPT", 5)
    engine = LocalEngine.open(tmp_path, FAST)
    collections = [make_collection(engine, f"collection-{n}") for n in range(30)]
    for collection in collections:
        engine.count(CountRecords(collection))
    assert all(len(session.collections) <= 6 for session in engine._file._readers)
    engine.close()


def test_many_collections_are_kept_apart(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, Settings(synchronous="off", max_open_collections=7))
    collections = [make_collection(engine, f"collection-{n}") for n in range(60)]
    for number, collection in enumerate(collections):
        add(engine, collection, range(number, number + 3))
    for number, collection in enumerate(collections):
        reply = engine.query(QueryRecords(collection, vectors_of([0]), n_results=5))
        assert reply.batches[0].ids == [f"id{n}" for n in range(number, number + 3)]
        assert evens(engine, collection) == [f"id{n}" for n in range(number, number + 3) if n % 2 == 0]
    assert len(engine._states) == 7
    engine.close()


def test_leaves_that_python_calls_equal_have_masks_of_their_own(engine: LocalEngine, collection: Any) -> None:
    ids, metadatas = list("abc"), [{"k": 1}, {"k": True}, {"k": 1.0}]
    engine.write(WriteRecords(collection, "add", ids, vectors_of([1, 2, 3]), metadatas=metadatas))
    for where, expected in (({"k": True}, ["b"]), ({"k": 1}, ["a", "c"]), ({"k": {"$in": [1.0, 1]}}, ["a", "c"])):
        both = parse_filters({"$or": [{"k": {"$exists": False}}, where]}, None)
        assert engine.get(GetRecords(collection, filter=both)).ids == expected
    either = parse_filters({"$and": [{"k": 1}, {"k": {"$ne": True}}]}, None)
    assert engine.get(GetRecords(collection, filter=either)).ids == ["a", "c"]


# -- collections that go away -------------------------------------------------------------------------------------


def test_a_collection_deleted_during_a_scan_ends_it_with_not_found(engine: LocalEngine, collection: Any) -> None:
    add(engine, collection, range(10))
    batches = walk(engine, ScanRecords(collection, batch_size=2, include=frozenset({"embeddings"})))
    assert next(batches).ids == ["id0", "id1"]
    engine.delete_collection("things", "default_tenant", "default_database")
    with pytest.raises(NotFoundError, match="does not exist"):
        next(batches)


def test_reset_by_one_engine_is_not_found_for_another(tmp_path: Path) -> None:
    one = LocalEngine.open(tmp_path, Settings(synchronous="off", allow_reset=True))
    two = LocalEngine.open(tmp_path, FAST)
    collection = make_collection(one)
    add(one, collection, range(5))
    assert evens(two, collection) == ["id0", "id2", "id4"]
    batches = walk(two, ScanRecords(collection, batch_size=2))
    next(batches)
    one.reset()
    for call in (
        lambda: next(batches),
        lambda: two.count(CountRecords(collection)),
        lambda: evens(two, collection),
        lambda: add(two, collection, [9]),
        lambda: two.delete(DeleteRecords(collection, ids=["id1"])),
        lambda: two.query(QueryRecords(collection, vectors_of([1]))),
    ):
        with pytest.raises(NotFoundError, match="does not exist"):
            call()
    again = make_collection(two)
    add(two, again, range(3))
    assert evens(one, again) == ["id0", "id2"]
    one.close()
    two.close()


def test_what_another_process_deleted_is_let_go_when_the_next_collection_is_opened(tmp_path: Path) -> None:
    one, two = LocalEngine.open(tmp_path, FAST), LocalEngine.open(tmp_path, FAST)
    kept, things, later = (make_collection(one, name) for name in ("kept", "things", "later"))
    for collection in (kept, things):
        add(two, collection, range(3))
    one.delete_collection("things", "default_tenant", "default_database")
    add(two, later, range(3))
    assert list(two._states) == [kept, later]
    one.close()
    two.close()


def test_readers_of_a_collection_that_is_deleted_get_whole_answers_or_not_found(tmp_path: Path) -> None:
    writer, reader = LocalEngine.open(tmp_path, FAST), LocalEngine.open(tmp_path, FAST)
    strange: list[Any] = []

    def ask(collection: Any) -> None:
        try:
            while True:
                reply = reader.query(
                    QueryRecords(collection, vectors_of([7]), n_results=3, include=frozenset({"embeddings"}))
                )
                vectors = reply.batches[0].vectors
                if reply.batches[0].ids != ["id7", "id6", "id8"] or not np.array_equal(vectors, vectors_of([7, 6, 8])):
                    strange.append(reply)
        except NotFoundError:
            pass
        except BaseException as error:
            strange.append(error)

    for _ in range(8):
        collection = make_collection(writer)
        add(writer, collection, range(20))
        threads = [threading.Thread(target=ask, args=(collection,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        reader.query(QueryRecords(collection, vectors_of([7]), n_results=3))
        writer.delete_collection("things", "default_tenant", "default_database")
        for thread in threads:
            thread.join()
    assert strange == []
    writer.close()
    reader.close()


def test_a_snapshot_taken_before_a_deletion_names_the_deletion_and_no_damage(
    engine: LocalEngine, collection: Any, monkeypatch
) -> None:
    """The rows are still there in the snapshot, the vectors are not."""
    add(engine, collection, range(5))
    other = LocalEngine.open(engine._folder)
    find, deleted = catalog.get_collection, []

    def delete_first(session: Any, wanted: Any) -> Any:
        row = find(session, wanted)
        if not deleted:
            deleted.append(True)
            other.delete_collection("things", "default_tenant", "default_database")
        return row

    monkeypatch.setattr(engine_module.catalog, "get_collection", delete_first)
    with pytest.raises(NotFoundError, match="does not exist"):
        engine.query(QueryRecords(collection, vectors_of([1])))
    other.close()
