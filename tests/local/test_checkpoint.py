"""Checkpoints: a state that begins with one answers as one made of the records, and reads only what changed since."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ochre.errors import CorruptError
from ochre.local import archive, catalog, log, segments
from ochre.local.archive import Archive
from ochre.local.engine import LocalEngine
from ochre.local.extents import Verified
from ochre.local.index.exact import Exact
from ochre.local.state import CollectionState
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, OrderKey, QueryRecords, WriteRecords
from tests.local.conftest import add, checkpoint_of, publish, publish_checkpoint, vectors_of

EVEN = parse_filters({"even": True}, None)
SMALL = parse_filters({"n": {"$lt": 3}}, None)


@pytest.fixture
def published(engine: LocalEngine, collection: UUID) -> Path:
    """The checkpoint of ten records, of which one was deleted and one has another vector."""
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, ids=["id4"]))
    engine.write(WriteRecords(collection, "update", ["id2"], vectors_of([20])))
    path = publish_checkpoint(engine, collection)
    engine._states.clear()
    return path


def answers(engine: LocalEngine, collection: UUID) -> list[Any]:
    """What is asked of roster, columns, ranks and lengths."""
    found = engine.query(QueryRecords(collection, vectors_of([3]), n_results=20, filter=SMALL))
    return [
        engine.get(GetRecords(collection, limit=3, offset=2)).ids,
        engine.get(GetRecords(collection, filter=EVEN)).ids,
        engine.get(GetRecords(collection, order_by=(OrderKey("n", descending=True),))).ids,
        engine.count(CountRecords(collection, filter=SMALL)),
        (found.batches[0].ids, found.distances),
        engine.query(QueryRecords(collection, vectors_of([3]), n_results=20)).distances,
    ]


def without_checkpoint(engine: LocalEngine, collection: UUID) -> list[Any]:
    with engine._file.write() as session:
        segments.withdraw(session, catalog.get_collection(session, collection))
    engine._states.clear()
    return answers(engine, collection)


@pytest.mark.usefixtures("published")
def test_a_new_process_reads_neither_rows_nor_metadata(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("slots", "metadata_blocks"):
        monkeypatch.setattr(log, name, None)
    found = answers(engine, collection)
    monkeypatch.undo()
    assert found == without_checkpoint(engine, collection)


@pytest.mark.usefixtures("published")
def test_a_new_process_measures_no_vector(engine: LocalEngine, collection: UUID) -> None:
    answers(engine, collection)
    others = np.zeros((11, 8), np.float32)
    expected = np.linalg.norm(vectors_of([*range(10), 20]).astype(np.float64), axis=1)
    assert np.allclose(engine._states[collection]._vectors.exact.extend(others), expected)


CHANGES: dict[str, Callable[[LocalEngine, UUID], Any]] = {
    "nothing": lambda engine, collection: None,
    "added": lambda engine, collection: add(engine, collection, range(10, 15)),
    "updated": lambda engine, collection: add(engine, collection, [0, 3, 5], "upsert"),
    "other values": lambda engine, collection: engine.write(
        WriteRecords(collection, "update", ["id0", "id1"], None, metadatas=[{"n": None, "new": "x"}, {"even": True}])
    ),
    "deleted": lambda engine, collection: engine.delete(DeleteRecords(collection, ids=["id0", "id9"])),
    "deleted all": lambda engine, collection: engine.delete(
        DeleteRecords(collection, filter=parse_filters({"n": {"$gte": 0}}, None))
    ),
    "added much": lambda engine, collection: add(engine, collection, range(10, 60)),
}


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_since_is_in_the_answers(
    engine: LocalEngine, collection: UUID, change: str, asked_before: bool
) -> None:
    if asked_before:
        answers(engine, collection)
    CHANGES[change](engine, collection)
    found = answers(engine, collection)
    assert found == without_checkpoint(engine, collection)


@pytest.mark.usefixtures("published")
def test_a_checkpoint_is_made_of_the_one_before(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    CHANGES["other values"](engine, collection)
    CHANGES["deleted"](engine, collection)
    engine.write(WriteRecords(collection, "update", ["id2"], vectors_of([30])))
    read: list[int] = []
    verified: list[int] = []
    check = Verified.check

    def noted_check(self: Any, session: Any, row: Any, arena: Any, slots: Any) -> None:
        verified.extend(slots.tolist())
        check(self, session, row, arena, slots)

    monkeypatch.setattr(Verified, "check", noted_check)
    blocks = log.metadata_blocks

    def noted(session: Any, row: Any, ordinals: Any, *arguments: Any) -> Any:
        read.extend(ordinals.tolist())
        return blocks(session, row, ordinals, *arguments)

    monkeypatch.setattr(log, "metadata_blocks", noted)
    arrays, meta, sequence = checkpoint_of(engine, collection)
    assert read == [0, 1, 2, 9]
    assert verified == [11], "of the vectors, only the new one"
    monkeypatch.undo()
    publish(engine, collection, "checkpoint", arrays, meta, sequence)
    engine._states.clear()
    found = answers(engine, collection)
    assert found == without_checkpoint(engine, collection)
    assert len(arrays["ordinals"]) == 7


@pytest.mark.usefixtures("published")
def test_a_checkpoint_older_than_the_change_log_is_ignored(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "RETAINED_CHANGES", 2)
    monkeypatch.setattr(log, "_PURGE_EVERY", 1)
    for number in range(3):
        add(engine, collection, [number], "upsert")
    found = answers(engine, collection)
    assert engine._states[collection]._columns._stored is None
    assert found == without_checkpoint(engine, collection)


def test_a_damaged_checkpoint_is_reported_and_costs_only_time(
    engine: LocalEngine, collection: UUID, published: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(published.read_bytes())
    data[-1] ^= 1
    published.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = answers(engine, collection)
    assert [record.message for record in caplog.records if published.name in record.message]
    assert [segment.name for _, segment in engine._maintenance._damaged] == [published.name]
    assert found == without_checkpoint(engine, collection)


def test_a_checkpoint_that_led_nowhere_is_not_tried_again(
    engine: LocalEngine, collection: UUID, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exact, "restore", None)
    with pytest.raises(TypeError):
        answers(engine, collection)
    found = answers(engine, collection)
    assert found == without_checkpoint(engine, collection)


def test_a_state_may_be_given_a_checkpoint(engine: LocalEngine, collection: UUID, tmp_path: Path) -> None:
    add(engine, collection, range(6))
    arrays, meta, sequence = checkpoint_of(engine, collection)
    digest = archive.write(tmp_path / "own", "mine", arrays, meta, sync=False)
    add(engine, collection, [6, 7])
    state = state_with(engine, collection, archive.open_archive(tmp_path / "own", "mine", digest), sequence)
    with engine._file.read() as session:
        view = state.view(session, catalog.get_collection(session, collection), EVEN)
        assert view.roster.ordinals.tolist() == list(range(8))
        assert view.masks[id(EVEN)].tolist() == [True, False] * 4


def state_with(engine: LocalEngine, collection: UUID, checkpoint: Archive, sequence: int) -> CollectionState:
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
    state = CollectionState(engine._folder, row)
    state.restore(row, checkpoint, sequence)
    return state


def test_an_empty_collection_has_a_checkpoint(engine: LocalEngine, collection: UUID) -> None:
    publish_checkpoint(engine, collection)
    add(engine, collection, range(3))
    assert engine.get(GetRecords(collection, filter=EVEN)).ids == ["id0", "id2"]


def test_no_checkpoint_is_made_of_damaged_vectors(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(3))
    path = engine._states[collection]._vectors.arena.path
    data = bytearray(path.read_bytes())
    data[64 + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="damaged"):
        checkpoint_of(engine, collection)
