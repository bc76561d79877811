"""Segments are built, published, used, replaced and healed; one process at a time; answers never depend on them."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import numpy as np
import pytest

from ochre.errors import NotFoundError
from ochre.local import builders, catalog, log, plan, segments
from ochre.local.builders import Job
from ochre.local.engine import LocalEngine
from ochre.local.index import graph
from ochre.local.lease import Lease
from ochre.model.configuration import parse_configuration
from ochre.model.filters import parse_filters
from ochre.model.requests import (
    CreateCollection,
    DeleteRecords,
    GetRecords,
    ModifyCollection,
    QueryRecords,
    QueryReply,
    WriteRecords,
)
from ochre.settings import Settings
from tests.local.conftest import Script

COUNT = 1200
DIMENSION = 16
RANDOM = np.random.default_rng(7)
VECTORS = RANDOM.standard_normal((2 * COUNT, DIMENSION)).astype(np.float32)
KINDS = {"checkpoint", "graph", "text"}
WORDS = ["anise", "basil", "cumin", "dill"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small collections be worth an index."""
    monkeypatch.setattr(plan, "EXACT_NUMBERS", 100)
    monkeypatch.setattr(plan, "PICKED_NUMBERS", 100)
    monkeypatch.setattr(builders, "SMALLEST", 10)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))
    yield engine
    engine.close()


def create(engine: LocalEngine, configuration: Any = None) -> UUID:
    parsed = parse_configuration(configuration or {"hnsw": {"space": "cosine", "sync_threshold": 10}})
    return engine.create_collection(CreateCollection("default_tenant", "default_database", "things", None, parsed)).id


def write(engine: LocalEngine, collection: UUID, numbers: range, kind: Any = "upsert", shift: int = 0) -> None:
    engine.write(
        WriteRecords(
            collection,
            kind,
            [f"id{n}" for n in numbers],
            VECTORS[[n + shift for n in numbers]],
            [f"{WORDS[n % 4]} {n}" for n in numbers],
            [{"n": n, "rare": n % 8 == 0} for n in numbers],
        )
    )


def query(engine: LocalEngine, collection: UUID, where: Any = None, n_results: int = 10, **options: Any) -> QueryReply:
    return engine.query(
        QueryRecords(
            collection,
            VECTORS[[5, 77, 400, 1900]],
            n_results,
            filter=parse_filters(where, None),
            explain=True,
            **options,
        )
    )


def plan_of(reply: QueryReply) -> str:
    assert reply.explanation is not None
    return reply.explanation.plan


def recall(quick: QueryReply, exact: QueryReply) -> float:
    pairs = list(zip(quick.batches, exact.batches, strict=True))
    wanted = sum(len(best.ids) for _, best in pairs)
    return sum(len({*found.ids} & {*best.ids}) for found, best in pairs) / wanted if wanted else 1.0


def check_against_exact(engine: LocalEngine, collection: UUID, where: Any = None, n_results: int = 10) -> str:
    """Whatever the plan: as many results, in order, with the exact distances of the records they name."""
    quick = query(engine, collection, where, n_results)
    exact = query(engine, collection, where, n_results, exact=True)
    everything = query(engine, collection, where, 10_000, exact=True)
    for found, distances, own, all_distances, best in zip(
        quick.batches, quick.distances, everything.batches, everything.distances, exact.batches, strict=True
    ):
        assert len(found.ids) == len(best.ids) == len(set(found.ids))
        of = dict(zip(own.ids, all_distances, strict=True))
        assert distances == [of[id_] for id_ in found.ids]
        assert distances == sorted(distances)
    assert recall(quick, exact) >= 0.95
    return plan_of(quick)


def files(engine: LocalEngine, collection: UUID) -> dict[str, Path]:
    place = segments.folder_of(engine._folder, collection)
    return {path.name.split("-")[0]: path for path in place.glob("*")}


@pytest.mark.parametrize("space", ["cosine", "l2", "ip"])
def test_a_graph_serves_queries_once_it_is_built(engine: LocalEngine, space: str) -> None:
    collection = create(engine, {"hnsw": {"space": space, "sync_threshold": 10}})
    write(engine, collection, range(COUNT))
    assert plan_of(query(engine, collection)) == "scan"
    assert engine.indexing(collection).pending == COUNT
    assert engine.maintain()
    assert engine.indexing(collection).pending == 0
    assert check_against_exact(engine, collection) == "graph"


def test_a_spann_configuration_is_served_by_lists(engine: LocalEngine) -> None:
    collection = create(engine, {"spann": {"space": "cosine", "search_nprobe": 20, "split_threshold": 50}})
    write(engine, collection, range(COUNT))
    engine.maintain()
    assert check_against_exact(engine, collection) == "lists"
    assert check_against_exact(engine, collection, {"rare": True}) == "codes"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"n": {"$gte": 300}}, "graph"),
        ({"rare": True}, "codes"),
        ({"n": {"$lt": 5}}, "scan matches"),
        ({"n": {"$gt": COUNT}}, "nothing"),
    ],
)
def test_filters_hold_whatever_the_plan(engine: LocalEngine, where: Any, expected: str) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    assert check_against_exact(engine, collection, where) == expected


def test_exact_leaves_the_index_alone(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    assert plan_of(query(engine, collection, exact=True)) == "scan"


def test_what_the_index_leads_astray_is_still_complete(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    monkeypatch.setattr(graph.Graph, "search", lambda self, queries, *rest: [np.empty(0, np.int64)] * len(queries))
    assert check_against_exact(engine, collection) == "graph"


@pytest.mark.parametrize("rebuilt", [False, True])
def test_updates_and_deletes_are_seen_at_once(engine: LocalEngine, rebuilt: bool) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    engine.delete(DeleteRecords(collection, ids=["id5", "id6"]))
    write(engine, collection, range(70, 90), "update", shift=COUNT)
    write(engine, collection, range(COUNT, COUNT + 30), "add")
    if rebuilt:
        engine.maintain()
    assert check_against_exact(engine, collection) == "graph"
    assert check_against_exact(engine, collection, {"n": {"$gte": 80}}) == "graph"
    assert "id5" not in query(engine, collection, n_results=COUNT).batches[0].ids
    assert query(engine, collection).batches[1].ids[0] != "id77", "its vector is another one now"


def test_an_index_of_nothing_but_the_dead_is_left_alone(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    write(engine, collection, range(COUNT), shift=COUNT)
    assert check_against_exact(engine, collection) == "scan"
    assert check_against_exact(engine, collection, {"rare": True}) == "scan matches"


def outlier(rows: np.ndarray) -> np.ndarray:
    rows[7] *= 1e4
    return rows


def one_dimension(rows: np.ndarray) -> np.ndarray:
    rows[:, 3] *= 1e4
    return rows


@pytest.mark.parametrize("spread", [outlier, one_dimension])
@pytest.mark.parametrize("space", ["l2", "ip"])
def test_few_values_out_of_proportion_cost_no_neighbours(engine: LocalEngine, space: str, spread: Any) -> None:
    low = np.random.default_rng(3).standard_normal((COUNT, 4)) @ np.random.default_rng(4).standard_normal(
        (4, DIMENSION)
    )
    rows = spread(low.astype(np.float32))
    collection = create(engine, {"hnsw": {"space": space, "sync_threshold": 10}})
    engine.write(WriteRecords(collection, "add", [f"id{n}" for n in range(COUNT)], rows))
    engine.maintain()
    asked = QueryRecords(collection, rows[100:200], 10, explain=True)
    reply = engine.query(asked)
    assert plan_of(reply) == "graph"
    assert recall(reply, engine.query(QueryRecords(collection, rows[100:200], 10, exact=True))) >= 0.95


def test_a_graph_with_other_settings_is_built_anew(engine: LocalEngine) -> None:
    collection = create(engine, {"hnsw": {"space": "cosine", "sync_threshold": 10, "max_neighbors": 8}})
    write(engine, collection, range(COUNT))
    engine.maintain()
    configuration = parse_configuration({"hnsw": {"max_neighbors": 24}}).hnsw
    engine.modify_collection(ModifyCollection(collection, configuration={"hnsw": {"max_neighbors": 24}}))
    write(engine, collection, range(COUNT, COUNT + 200))
    engine.maintain()
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
        opened = engine._state(session, row).graph(session, row)
    assert configuration.max_neighbors == opened._index.hnsw.nb_neighbors(1) == 24


def test_what_one_call_changed_of_many_records_is_worth_a_build(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    before = files(engine, collection)
    ids = [f"id{n}" for n in range(COUNT)]
    engine.write(WriteRecords(collection, "update", ids, None, metadatas=[{"n": -n} for n in range(COUNT)]))
    assert engine.indexing(collection).pending >= COUNT
    engine.maintain()
    assert engine.indexing(collection).pending == 0
    after = files(engine, collection)
    assert after["text"] != before["text"]
    assert after["checkpoint"] != before["checkpoint"]
    assert after["graph"] == before["graph"]


def test_an_index_is_extended_and_the_old_file_removed(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(400))
    engine.maintain()
    before = files(engine, collection)
    write(engine, collection, range(400, 900))
    assert engine.indexing(collection).pending == 500
    with mock.patch.object(graph, "_fresh", side_effect=AssertionError("built from nothing")):
        engine.maintain()
    after = files(engine, collection)
    assert set(before) == set(after) == KINDS
    assert not {path.name for path in before.values()} & {path.name for path in after.values()}
    assert check_against_exact(engine, collection) == "graph"


def test_a_new_process_begins_with_a_checkpoint(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    other = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))
    for name in ("slots", "metadata_blocks"):
        monkeypatch.setattr(log, name, None)  # what reads the records
    assert plan_of(query(other, collection, {"rare": True})) == "codes"
    other.close()


def test_a_tail_below_the_threshold_is_left_to_scanning(engine: LocalEngine) -> None:
    collection = create(engine, {"hnsw": {"sync_threshold": 50}})
    write(engine, collection, range(400))
    engine.maintain()
    before = files(engine, collection)["graph"]
    write(engine, collection, range(400, 449))
    engine.maintain()
    assert files(engine, collection)["graph"] == before
    assert engine.indexing(collection).pending == 0
    assert check_against_exact(engine, collection) == "graph"


def test_vectors_of_another_kind_are_indexed_anew(engine: LocalEngine) -> None:
    collection = create(engine, {"hnsw": {"space": "l2", "sync_threshold": 10}})
    write(engine, collection, range(400))
    engine.maintain()
    far = VECTORS[400:800] * 6
    engine.write(WriteRecords(collection, "add", [f"id{n}" for n in range(400, 800)], far))
    engine.maintain()
    near = engine.query(QueryRecords(collection, far[:20], 5, explain=True))
    exact = engine.query(QueryRecords(collection, far[:20], 5, exact=True))
    assert plan_of(near) == "graph"
    assert recall(near, exact) >= 0.95


def test_vectors_too_large_for_an_index_are_compared_one_by_one(engine: LocalEngine) -> None:
    collection = create(engine, {"hnsw": {"space": "l2", "sync_threshold": 10}})
    write(engine, collection, range(50))
    engine.write(WriteRecords(collection, "add", ["huge"], np.full((1, DIMENSION), 1e30, np.float32)))
    engine.maintain()
    assert check_against_exact(engine, collection) == "scan"
    assert engine.indexing(collection).pending == 0


def test_a_query_too_large_for_an_index_is_compared_with_all(engine: LocalEngine) -> None:
    collection = create(engine, {"hnsw": {"space": "l2", "sync_threshold": 10}})
    write(engine, collection, range(COUNT))
    engine.maintain()
    reply = engine.query(QueryRecords(collection, np.full((1, DIMENSION), 3e38, np.float32), 3, explain=True))
    assert plan_of(reply) == "scan"
    assert len(reply.batches[0].ids) == 3


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("how", [damage, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_damaged_segment_is_left_alone_and_built_anew(
    tmp_path: Path, engine: LocalEngine, how: Any, kind: str
) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    right = engine.get(GetRecords(collection, filter=parse_filters(None, {"$contains": "dill 1"}))).ids
    how(files(engine, collection)[kind])
    with closing(LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))) as other:
        assert check_against_exact(other, collection) == ("scan" if kind == "graph" else "graph")
        assert other.get(GetRecords(collection, filter=parse_filters(None, {"$contains": "dill 1"}))).ids == right
        other.maintain()
        assert set(files(other, collection)) == KINDS
        assert check_against_exact(other, collection) == "graph"


def test_answers_are_the_same_without_any_derived_file(tmp_path: Path, engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    where = parse_filters({"n": {"$gte": 3}}, {"$regex": "(anise|dill) 1"})
    before = engine.get(GetRecords(collection, filter=where)).ids
    engine.close()
    shutil.rmtree(tmp_path / "db" / segments.FOLDER)
    with closing(LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))) as other:
        assert other.get(GetRecords(collection, filter=where)).ids == before
        assert check_against_exact(other, collection) == "scan"


def test_files_that_are_gone_are_built_anew_before_anybody_asks(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    shutil.rmtree(segments.folder_of(engine._folder, collection))
    assert engine.indexing(collection).pending == COUNT
    engine.maintain()
    assert engine.indexing(collection).pending == 0
    assert set(files(engine, collection)) == {builder.kind for builder in builders.BUILDERS}


def test_opening_a_folder_is_enough_for_what_is_due_to_be_built(tmp_path: Path, engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.close()
    with closing(LocalEngine.open(tmp_path / "db")) as other:
        assert other._maintenance._thread is not None
        other._maintenance.look()
        other._maintenance.run(quiet=True)
        assert other.indexing(collection).pending == 0


def test_a_collection_takes_its_segments_with_it(engine: LocalEngine) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    engine.maintain()
    assert files(engine, collection)
    engine.delete_collection("things", "default_tenant", "default_database")
    assert not segments.folder_of(engine._folder, collection).exists()


def test_a_collection_deleted_in_the_middle_of_a_build_is_nothing_to_report(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    build = graph.build

    def late(*arguments: Any, **options: Any) -> Any:
        with contextlib.suppress(NotFoundError):
            engine.delete_collection("things", "default_tenant", "default_database")
        return build(*arguments, **options)

    monkeypatch.setattr(graph, "build", late)
    with caplog.at_level(logging.WARNING):
        engine.maintain()
    assert caplog.text == ""


def test_the_background_builds_what_is_due(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    try:
        collection = create(engine)
        write(engine, collection, range(COUNT))
        thread = engine._maintenance._thread
        assert thread is not None
        engine._maintenance.look()
        assert engine.indexing(collection).pending == 0
    finally:
        engine.close()
    assert not thread.is_alive()


def test_one_process_at_a_time_builds(tmp_path: Path, engine: LocalEngine, run_script: Script) -> None:
    collection = create(engine)
    write(engine, collection, range(COUNT))
    holder = run_script(
        "import sys, pathlib\n"
        "from ochre.local.lease import Lease\n"
        "print(Lease(pathlib.Path(sys.argv[1])).acquire(), flush=True)\n"
        "sys.stdin.read()",
        tmp_path / "db",
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "True"
    assert not engine.maintain()
    assert not files(engine, collection)
    holder.kill()
    holder.wait()
    assert engine.maintain(), "the lease went with its holder"
    assert files(engine, collection)


def test_engines_of_one_process_take_turns(tmp_path: Path) -> None:
    first, second = Lease(tmp_path), Lease(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_build_stops_when_it_is_told_to(engine: LocalEngine, tmp_path: Path) -> None:
    with pytest.raises(graph.StoppedError):
        graph.build(VECTORS, parse_configuration(None), tmp_path / "graph", going_on=lambda: False)
    assert not (tmp_path / "graph").exists()


def test_a_build_takes_no_more_threads_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAISS's runtime would end the process for lack of one."""
    import faiss

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    taken: list[int] = []
    monkeypatch.setattr(faiss, "omp_set_num_threads", taken.append)
    configuration = parse_configuration({"hnsw": {"num_threads": 4}})
    graph.build(VECTORS, configuration, tmp_path / "one")
    monkeypatch.setattr("_thread.start_new_thread", refuse)
    graph.build(VECTORS, configuration, tmp_path / "other")
    assert taken[::2] == [4, 1]


@pytest.mark.parametrize("builder", [builders.TextBuilder(), builders.CheckpointBuilder()], ids=lambda b: b.kind)
def test_a_build_from_records_stops_when_it_is_told_to(engine: LocalEngine, tmp_path: Path, builder: Any) -> None:
    collection = create(engine)
    write(engine, collection, range(40))
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
        state = engine._state(session, row)
    job = Job(engine._folder, engine._file, row, state, None, tmp_path / "segment", going_on=lambda: False)
    with pytest.raises(graph.StoppedError):
        builder.build(job)
    assert not job.path.exists()
