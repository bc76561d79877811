"""The memory limit: what caches take stays below it, and answers stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, QueryRecords
from ochre.settings import LEAST_MEMORY, Settings
from tests.local.conftest import add, make_collection, vectors_of

RECORDS = 2000


def fill(folder: Path, count: int) -> list:
    engine = LocalEngine.open(folder, Settings(synchronous="off", background_indexing=False))
    collections = [make_collection(engine, f"things-{number}") for number in range(count)]
    for collection in collections:
        add(engine, collection, range(RECORDS))
    engine.close()
    return collections


def ask(engine: LocalEngine, collection) -> tuple[int, list[str]]:
    matching = parse_filters({"$and": [{"even": True}, {"n": {"$lt": 1000}}]}, None)
    nearest = engine.query(QueryRecords(collection, vectors_of([7]), n_results=1, filter=matching))
    return engine.count(CountRecords(collection, matching)), nearest.batches[0].ids


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit of which half is less than two collections of this size take."""
    monkeypatch.setattr("ochre.settings.LEAST_MEMORY", 1)
    return 300_000


def test_the_least_used_collections_go_before_the_limit_is_passed(tmp_path: Path, limit: int) -> None:
    collections = fill(tmp_path / "db", 4)
    free = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))
    bounded = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False, memory_limit=limit))
    for _ in range(2):
        for collection in collections:
            assert ask(bounded, collection) == ask(free, collection) == (500, ["id6"])
            assert sum(state.weight for state in bounded._states.values()) <= limit // 2
    assert len(free._states) == 4
    assert sum(state.weight for state in free._states.values()) > limit // 2
    bounded.close()
    free.close()


def test_of_a_single_collection_the_columns_go(tmp_path: Path, limit: int) -> None:
    (collection,) = fill(tmp_path / "db", 1)
    engine = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False, memory_limit=limit // 10))
    for _ in range(2):
        assert ask(engine, collection) == (500, ["id6"])
        assert engine._states[collection]._columns.weight == 0
    engine.close()


def test_a_state_weighs_what_its_arrays_take(tmp_path: Path) -> None:
    (collection,) = fill(tmp_path / "db", 1)
    engine = LocalEngine.open(tmp_path / "db", Settings(background_indexing=False))
    ask(engine, collection)
    state = engine._states[collection]
    arrays = [state._roster.ordinals, state._roster.slots, state._roster.live, state._columns.column("n")._ints]
    assert state.weight >= sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) > 17 * RECORDS
    engine.close()


@pytest.mark.parametrize(("limit_mib", "least", "most"), [(8, 256, 2048), (64, 2048, 16_384), (1024, 4096, 32_768)])
def test_sqlites_caches_share_half_of_the_limit(tmp_path: Path, limit_mib: int, least: int, most: int) -> None:
    settings = Settings(background_indexing=False, memory_limit=limit_mib * 2**20)
    engine = LocalEngine.open(tmp_path / "db", settings)
    with engine._file.read() as reader, engine._file.write() as writer:
        assert reader.execute("PRAGMA cache_size").get == -least
        assert writer.execute("PRAGMA cache_size").get == -most
    engine.close()


@pytest.mark.parametrize(
    ("limit", "error"),
    [(LEAST_MEMORY - 1, InvalidArgumentError), ("1 GB", InvalidTypeError), (True, InvalidTypeError)],
)
def test_a_limit_that_makes_no_sense_is_refused(limit: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="memory_limit is .*: expected"):
        Settings(memory_limit=limit)  # type: ignore[arg-type]
