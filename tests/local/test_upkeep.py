"""Segments beside erasure, compaction, copies and readers: what was erased is in none, and answers stay right."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ochre.errors import BusyError, ReadOnlyError
from ochre.local import arena, builders, catalog, compaction, maintenance, plan, segments
from ochre.local.builders import TextBuilder
from ochre.local.check import check
from ochre.local.engine import LocalEngine
from ochre.local.hold import Hold
from ochre.local.index import graph
from ochre.local.lease import Lease
from ochre.model.filters import parse_filters
from ochre.model.requests import DeleteRecords, GetRecords, WriteRecords
from ochre.settings import Settings
from tests.local.conftest import Script
from tests.local.test_backup import contents
from tests.local.test_maintenance import COUNT, VECTORS, create, plan_of, query, recall, write

NOT_BUILDING = Settings(background_indexing=False, synchronous="off", busy_timeout=0.2)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small collections be worth an index, and few dead vectors a compaction."""
    monkeypatch.setattr(plan, "EXACT_NUMBERS", 100)
    monkeypatch.setattr(plan, "PICKED_NUMBERS", 100)
    monkeypatch.setattr(builders, "SMALLEST", 10)
    monkeypatch.setattr(compaction, "_FEW_SLOTS", 10)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db", NOT_BUILDING)
    yield engine
    engine.close()


@pytest.fixture
def collection(engine: LocalEngine) -> UUID:
    """A collection with all segments, one record of which holds a secret."""
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.write(
        WriteRecords(collection, "add", ["secret"], VECTORS[-1:], ["sesame opens"], [{"word": "sesame", "n": -1}])
    )
    assert engine.maintain()
    return collection


def files(engine: LocalEngine) -> set[str]:
    return {name for name in contents(engine._folder) if name.startswith("index")}


def row_of(engine: LocalEngine, collection: UUID) -> Any:
    with engine._file.read() as session:
        return catalog.get_collection(session, collection)


def ids(engine: LocalEngine, collection: UUID, where_document: Any = None) -> list[str]:
    return engine.get(GetRecords(collection, filter=parse_filters(None, where_document))).ids


def delete_most(engine: LocalEngine, collection: UUID) -> list[str]:
    kept = [f"id{n}" for n in range(0, COUNT, 4)]
    gone = [id_ for id_ in ids(engine, collection) if id_ not in set(kept)]
    engine.delete(DeleteRecords(collection, ids=gone))
    return kept


def test_an_erased_record_is_in_no_segment(engine: LocalEngine, collection: UUID) -> None:
    before = files(engine)
    assert len(before) == 3
    assert any(b"sesame" in content for content in contents(engine._folder).values())
    engine.delete(DeleteRecords(collection, ids=["secret"], erase=True))
    assert not before & files(engine)
    assert not any(b"sesame" in content for content in contents(engine._folder).values())
    assert ids(engine, collection, {"$contains": "sesame"}) == []
    assert engine.maintain()
    assert len(files(engine)) == 3
    assert not any(b"sesame" in content for content in contents(engine._folder).values())
    assert ids(engine, collection, {"$contains": "sesame"}) == []


def test_a_text_that_was_replaced_is_vacuumed_from_segments_and_the_graph_stays(
    engine: LocalEngine, collection: UUID
) -> None:
    before = files(engine)
    engine.write(WriteRecords(collection, "update", ["secret"], None, ["open now"], [{"word": "gone"}]))
    engine.vacuum()
    assert {Path(name).name.split("-")[0] for name in before & files(engine)} == {"graph"}
    assert not any(b"sesame" in content for content in contents(engine._folder).values())


def test_a_vacuum_leaves_segments_of_what_is_there(engine: LocalEngine, collection: UUID) -> None:
    before = files(engine)
    engine.vacuum()
    assert files(engine) == before


def test_upkeep_compacts_what_is_mostly_dead(engine: LocalEngine, collection: UUID, tmp_path: Path) -> None:
    other = LocalEngine.open(tmp_path / "db", NOT_BUILDING)
    old = query(other, collection, exact=True)
    kept = delete_most(engine, collection)
    size = sum(len(content) for name, content in contents(engine._folder).items() if name.startswith("vectors"))
    expected = query(engine, collection, exact=True)
    assert engine.maintain()
    row = row_of(engine, collection)
    assert row.next_slot == row.records == len(kept)
    assert sum(len(c) for name, c in contents(engine._folder).items() if name.startswith("vectors")) < size / 2
    for each in (engine, other):  # the other one has the old arena mapped
        assert ids(each, collection) == kept
        assert query(each, collection, exact=True).batches[0].ids == expected.batches[0].ids
        assert recall(query(each, collection), expected) >= 0.95
    assert old.batches[0].ids != expected.batches[0].ids
    assert check(engine._folder).findings == []
    other.close()


READER = """
import sys
from pathlib import Path
from uuid import UUID
from ochre.local import plan
from ochre.local.engine import LocalEngine
from ochre.model.requests import GetRecords, QueryRecords
from ochre.settings import Settings
from tests.local.test_maintenance import COUNT, VECTORS
engine = LocalEngine.open(Path(sys.argv[1]), Settings(background_indexing=False))
collection = UUID(sys.argv[2])
plan.EXACT_NUMBERS = plan.PICKED_NUMBERS = 100
kept, arenas = list(range(0, COUNT, 4)), set()
while len(arenas) < 2:  # until the vectors have moved
    found = engine.get(GetRecords(collection, ids=["id8", "id400"], include=frozenset(["embeddings"])))
    assert (found.vectors == VECTORS[[8, 400]]).all(), "get"
    nearest = engine.query(QueryRecords(collection, VECTORS[kept[:50]], 1)).batches
    assert [batch.ids for batch in nearest] == [[f"id{n}"] for n in kept[:50]], "query"
    (state,) = engine._states.values()
    arenas.add(state._vectors.arena.name)
    print("right", flush=True)
engine.close()
"""


def test_another_process_with_old_maps_goes_on_while_upkeep_moves_vectors(
    engine: LocalEngine, collection: UUID, run_script: Script
) -> None:
    process = run_script(READER, engine._folder, collection)
    assert process.stdout is not None
    assert process.stdout.readline() == "right\n"
    delete_most(engine, collection)
    assert engine.maintain()
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def test_upkeep_waits_without_a_word_for_those_who_copy_vectors(
    engine: LocalEngine, collection: UUID, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_COMPACT_PATIENCE", 0.0)
    delete_most(engine, collection)
    with Hold(engine._folder).copying(1.0), caplog.at_level(logging.WARNING):
        assert engine.maintain()
    assert caplog.records == []
    assert row_of(engine, collection).next_slot == COUNT + 1
    assert engine.maintain()
    assert row_of(engine, collection).next_slot < COUNT


def test_a_backup_that_is_opened_is_not_compacted_and_stays_one(
    engine: LocalEngine, collection: UUID, tmp_path: Path
) -> None:
    delete_most(engine, collection)
    engine.backup(tmp_path / "backup")
    opened = LocalEngine.open(tmp_path / "backup", NOT_BUILDING)
    assert opened.maintain()
    assert len(files(opened)) == 3
    opened.close()
    engine.delete(DeleteRecords(collection, ids=["id0"]))
    engine.backup(tmp_path / "backup")
    reader = LocalEngine.open(tmp_path / "backup", mode="r")
    assert ids(reader, collection) == ids(engine, collection)
    assert files(reader) == set()
    reader.close()


def test_segments_without_a_collection_are_removed(engine: LocalEngine, collection: UUID) -> None:
    """As when a process is killed after it deleted a collection."""
    place = segments.folder_of(engine._folder, collection)
    kept = shutil.copytree(place, engine._folder.with_name("kept"))
    engine.delete_collection("things", "default_tenant", "default_database")
    for clean in (engine.vacuum, lambda: LocalEngine.open(engine._folder, NOT_BUILDING).close()):
        shutil.copytree(kept, place)
        (note,) = check(engine._folder).notes
        assert note.message == f"{collection} holds segments of no collection"
        clean()
        assert not place.exists()


def test_upkeep_gives_room_back_that_large_writes_left(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena, "_ROOM_BYTES", 1000)
    for start in (0, COUNT // 2):
        write(engine, collection, range(start, start + COUNT))
    (path,) = (engine._folder / "vectors").iterdir()
    committed = arena.arena_bytes(VECTORS.shape[1], row_of(engine, collection).next_slot)
    assert path.stat().st_size > committed + 1000
    expected = query(engine, collection, exact=True)
    engine.maintain()
    assert path.stat().st_size == committed + 1000
    assert query(engine, collection, exact=True).batches[0].ids == expected.batches[0].ids


def test_a_collection_with_few_dead_is_left_as_it_is(engine: LocalEngine, collection: UUID) -> None:
    engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(COUNT // 3)]))
    assert engine.maintain()
    assert row_of(engine, collection).next_slot == COUNT + 1


@pytest.mark.parametrize("builder", builders.BUILDERS, ids=lambda builder: builder.kind)
def test_what_was_built_of_vectors_that_moved_is_not_published(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch, builder: Any
) -> None:
    build = type(builder).build
    write(engine, collection, range(COUNT, 2 * COUNT - 1))
    gone = [f"id{n}" for n in range(COUNT, COUNT + 100)]

    def build_late(self: Any, job: Any) -> Any:
        built = build(self, job)
        engine.delete(DeleteRecords(collection, ids=gone))
        compaction.cleanse(engine._file, collection, 1.0)
        return built

    monkeypatch.setattr(type(builder), "build", build_late)
    engine._maintenance._attempt(collection, builder)
    monkeypatch.undo()
    with engine._file.read() as session:
        assert builder.kind not in segments.published(session, row_of(engine, collection))
    assert recall(query(engine, collection), query(engine, collection, exact=True)) >= 0.95


def test_an_erasure_waits_for_those_who_build(engine: LocalEngine, collection: UUID) -> None:
    lease = Lease(engine._folder)
    assert lease.acquire()
    with pytest.raises(BusyError, match=r"1 records were deleted, .*is building indexes.*call `vacuum` later"):
        engine.delete(DeleteRecords(collection, ids=["secret"], erase=True))
    with pytest.raises(BusyError, match="is building indexes"):
        engine.vacuum()
    lease.release()
    assert ids(engine, collection, {"$contains": "sesame"}) == []
    engine.vacuum()
    assert not any(b"sesame" in content for content in contents(engine._folder).values())


def test_a_vacuum_waits_for_a_build_of_its_own_process_as_long_as_the_settings_say(
    engine: LocalEngine, collection: UUID
) -> None:
    with (
        engine._maintenance._working,
        pytest.raises(BusyError, match="another client is building indexes or vacuuming"),
    ):
        engine.vacuum()
    engine.vacuum()


def test_a_build_makes_way_for_an_erasure(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    build = TextBuilder.build

    def watched(self: Any, job: Any) -> Any:
        asked.append(job.going_on())
        with engine._maintenance._resting_lock:
            engine._maintenance._resting += 1
        asked.append(job.going_on())
        try:
            return build(self, job)
        finally:
            engine._maintenance._resting -= 1

    write(engine, collection, range(COUNT, COUNT + 500))
    monkeypatch.setattr(TextBuilder, "build", watched)
    before = files(engine)
    engine._maintenance._attempt(collection, TextBuilder())
    assert asked == [True, False]
    assert files(engine) == before


def test_a_build_without_memory_is_given_up_and_tried_again(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hungry(*arguments: Any, **options: Any) -> None:
        raise MemoryError("std::bad_alloc")

    write(engine, collection, range(COUNT, 2 * COUNT - 1))
    before = files(engine)
    with monkeypatch.context() as short, caplog.at_level(logging.WARNING):
        short.setattr(graph, "build", hungry)
        engine.maintain()
    assert "the graph of collection" in caplog.text
    assert {name for name in files(engine) if "graph" in name} == {name for name in before if "graph" in name}
    assert recall(query(engine, collection), query(engine, collection, exact=True)) >= 0.95
    assert engine.maintain()
    assert {name for name in files(engine) if "graph" in name} != {name for name in before if "graph" in name}


def test_a_damaged_segment_is_a_note_of_the_check(engine: LocalEngine, collection: UUID) -> None:
    name = next(name for name in files(engine) if "text" in name)
    path = engine._folder / name
    path.write_bytes(path.read_bytes()[:-1])
    report = check(engine._folder)
    assert report.whole
    assert [(note.kind, note.collection) for note in report.notes] == [("segment", str(collection))]
    assert "will be built anew" in report.notes[0].message


def test_a_reader_uses_what_others_built_and_builds_nothing(engine: LocalEngine, collection: UUID) -> None:
    reader = LocalEngine.open(engine._folder, Settings(), mode="r")
    assert plan_of(query(reader, collection)) == "graph"
    with pytest.raises(ReadOnlyError):
        reader.maintain()
    assert reader._maintenance._thread is None
    reader.close()


@pytest.mark.parametrize("copy", [LocalEngine.backup, LocalEngine.snapshot])
def test_copies_come_without_segments_and_do_not_miss_them(
    engine: LocalEngine, collection: UUID, tmp_path: Path, caplog: pytest.LogCaptureFixture, copy: Any
) -> None:
    target = tmp_path / "copy"
    copy(engine, target)
    with caplog.at_level(logging.WARNING):
        reader = LocalEngine.open(target, Settings(), mode="r")
        expected = query(engine, collection, exact=True)
        assert recall(query(reader, collection), expected) >= 0.95
        assert ids(reader, collection, {"$contains": "sesame"}) == ["secret"]
        reader.close()
    assert not caplog.records
