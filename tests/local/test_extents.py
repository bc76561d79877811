"""Checksums of vectors in the database: each slot has one, and a vector that differs from it is never an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ochre.errors import CorruptError
from ochre.local import catalog, extents
from ochre.local.arena import HEADER_BYTES, arena_path
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import DeleteRecords, GetRecords, QueryRecords
from tests.local.conftest import DIMENSION, add, make_collection, vectors_of

EMBEDDINGS = frozenset({"embeddings"})


def spoil(folder: Path, collection: UUID, *slots: int) -> None:
    """Flip a bit of the vectors in these slots."""
    with arena_path(folder, collection).open("r+b") as file:
        for slot in slots:
            file.seek(HEADER_BYTES + slot * DIMENSION * 4 + 5)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 0x10]))


def stored(engine: LocalEngine, collection: UUID) -> tuple[list[int], int]:
    """The lengths of the extents, and of the tail, in checksums."""
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
        found = session.execute(
            "SELECT length(checksums) FROM extents WHERE key BETWEEN ? AND ?", (row.first_key, row.last_key)
        )
        return [int(length) // 8 for (length,) in found], len(row.tail) // 8


@pytest.mark.parametrize("calls", [[1] * 70, [70], [31, 1, 38], [32, 32, 6], [5, 64, 1]], ids=str)
def test_every_slot_has_a_checksum_however_it_was_written(
    engine: LocalEngine, collection: UUID, calls: list[int]
) -> None:
    first = 0
    for count in calls:
        add(engine, collection, range(first, first + count))
        first += count
    assert stored(engine, collection) == ([32, 32], 6)
    engine._states.clear()  # nothing is known to be whole any more
    assert np.array_equal(engine.get(GetRecords(collection, include=EMBEDDINGS)).vectors, vectors_of(range(70)))


def test_a_call_that_fails_leaves_no_checksums(engine: LocalEngine, collection: UUID, monkeypatch) -> None:
    add(engine, collection, range(40))
    before = stored(engine, collection)

    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(catalog, "save_progress", fail)
    with pytest.raises(Exception, match="Input/output error"):
        add(engine, collection, range(40, 140))
    monkeypatch.undo()
    assert stored(engine, collection) == before
    add(engine, collection, range(40, 70))
    assert stored(engine, collection) == ([32, 32], 6)


QUESTIONS: dict[str, Callable[[LocalEngine, UUID], Any]] = {
    "a get by id": lambda engine, id_: engine.get(GetRecords(id_, ids=["id7"], include=EMBEDDINGS)),
    "a page": lambda engine, id_: engine.get(GetRecords(id_, limit=20, include=EMBEDDINGS)),
    "a query": lambda engine, id_: engine.query(QueryRecords(id_, vectors_of([50]), n_results=1)),
    "a filtered query": lambda engine, id_: engine.query(
        QueryRecords(id_, vectors_of([50]), n_results=1, filter=parse_filters({"n": {"$lt": 9}}, None))
    ),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_damaged_vector_is_an_error_that_names_its_record(engine: LocalEngine, collection: UUID, question) -> None:
    add(engine, collection, range(100))
    spoil(engine._folder, collection, 7)
    for _ in range(2):
        with pytest.raises(CorruptError, match=r"'things' \[.*of the records 'id7': .*checksums.*ochre repair"):
            question(engine, collection)


def test_what_is_not_damaged_is_still_answered(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(100))
    spoil(engine._folder, collection, 7)
    assert engine.get(GetRecords(collection, ids=["id7"], include=frozenset({"documents"}))).documents == ["document 7"]
    assert np.array_equal(engine.get(GetRecords(collection, ids=["id8"], include=EMBEDDINGS)).vectors, vectors_of([8]))
    others = parse_filters({"n": {"$gt": 7}}, None)
    reply = engine.query(QueryRecords(collection, vectors_of([7]), n_results=1, filter=others))
    assert reply.batches[0].ids == ["id8"]


def test_many_damaged_vectors_are_counted(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(100))
    spoil(engine._folder, collection, *range(10, 20))
    with pytest.raises(CorruptError, match=r"'id10', 'id11', 'id12', 'id13', 'id14' and 5 more"):
        engine.query(QueryRecords(collection, vectors_of([50]), n_results=1))


def test_damage_to_a_vector_that_no_record_uses_disturbs_nobody(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(100))
    engine.delete(DeleteRecords(collection, ids=["id7"]))
    spoil(engine._folder, collection, 7)
    assert len(engine.query(QueryRecords(collection, vectors_of([7]), n_results=99)).batches[0].ids) == 99


def test_a_vector_is_compared_with_its_checksum_once(engine: LocalEngine, collection: UUID, monkeypatch) -> None:
    compared = []
    whole = extents.differing

    def differing(session, row, arena, slots):
        compared.extend(slots.tolist())
        return whole(session, row, arena, slots)

    monkeypatch.setattr(extents, "differing", differing)
    add(engine, collection, range(100))
    engine.get(GetRecords(collection, ids=["id3", "id90"], include=EMBEDDINGS))
    assert sorted(compared) == [3, 90]
    for _ in range(2):
        engine.query(QueryRecords(collection, vectors_of([50]), n_results=1))
    assert sorted(compared) == list(range(100))
    add(engine, collection, [100])
    engine.query(QueryRecords(collection, vectors_of([50]), n_results=1))
    assert sorted(compared) == list(range(101))


def test_a_missing_checksum_is_damage(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(100))
    with engine._file.write() as session:
        session.execute("DELETE FROM extents WHERE key=(SELECT min(key) FROM extents)")
    with pytest.raises(CorruptError, match="of the records 'id0'.* and 27 more"):
        engine.query(QueryRecords(collection, vectors_of([50]), n_results=1))


def test_nothing_is_added_behind_checksums_that_are_not_all_there(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    with engine._file.write() as session:
        session.execute("UPDATE collections SET tail=x'00'")
    with pytest.raises(CorruptError, match="do not reach its last vector: nothing was changed"):
        add(engine, collection, range(10, 20))
    assert engine.get(GetRecords(collection)).ids == [f"id{n}" for n in range(10)]


def test_a_deleted_collection_takes_its_checksums_along(engine: LocalEngine, collection: UUID) -> None:
    other = make_collection(engine, "other")
    for id_ in (collection, other):
        add(engine, id_, range(100))
    engine.delete_collection("things", "default_tenant", "default_database")
    with engine._file.read() as session:
        assert session.execute("SELECT count(*) FROM extents").get == 3
    assert stored(engine, other) == ([32] * 3, 4)
