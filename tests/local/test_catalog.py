"""The catalog: names and keys, what a deletion leaves behind, and what a change of a collection keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochre.errors import InvalidArgumentError, NotFoundError, StorageError
from ochre.local import catalog
from ochre.local.database import Database
from ochre.local.engine import LocalEngine
from ochre.local.session import Session
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, CreateCollection, DeleteRecords, GetRecords, ModifyCollection
from ochre.settings import Settings
from tests.local.conftest import add, make_collection, vectors_of


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(tmp_path / "db", Settings(synchronous="off"))
    with database.write() as session:
        catalog.ensure_defaults(session)
        yield session
    database.close()


def create(session: Session, name: str = "things", **fields: Any) -> catalog.CollectionRow:
    fields = {"metadata": None, "configuration": Configuration(), **fields}
    return catalog.create_collection(session, CreateCollection("default_tenant", "default_database", name, **fields))


def test_a_key_freed_by_a_deletion_is_used_again_and_brings_nothing_back(engine: LocalEngine) -> None:
    """Records' keys begin with their collection's: what the old one left would show in the new one."""
    reader = LocalEngine.open(engine._folder)
    filter_ = parse_filters({"even": True}, None)
    old = make_collection(engine, "old")
    add(engine, old, range(10))
    engine.delete(DeleteRecords(old, ids=["id3"]))
    for each in (engine, reader):
        assert each.count(CountRecords(old, filter_)) == 5
    engine.delete_collection("old", "default_tenant", "default_database")
    new = make_collection(engine, "new")
    add(engine, new, range(4, 7))
    for each in (engine, reader):
        assert each.get(GetRecords(new)).ids == ["id4", "id5", "id6"]
        assert each.count(CountRecords(new, filter_)) == 2
        with pytest.raises(NotFoundError):
            each.count(CountRecords(old, filter_))
    with engine._file.read() as session:
        assert session.execute("SELECT count(*) FROM changes").get == 1
        assert session.execute("SELECT count(DISTINCT collection) FROM records").get == 1
    reader.close()


def test_a_recreated_collection_is_new_for_an_engine_that_knew_the_old_one(engine: LocalEngine) -> None:
    reader = LocalEngine.open(engine._folder)
    old = make_collection(engine)
    add(engine, old, range(3))
    assert reader.get(GetRecords(old, include=frozenset({"embeddings"}))).vectors is not None
    engine.delete_collection("things", "default_tenant", "default_database")
    new = make_collection(engine, space="ip")
    assert new != old
    add(engine, new, range(7, 9))
    assert reader.get_collection("things", "default_tenant", "default_database").configuration.space == "ip"
    batch = reader.get(GetRecords(new, include=frozenset({"embeddings"})))
    assert batch.ids == ["id7", "id8"]
    assert batch.vectors is not None
    assert batch.vectors.tolist() == vectors_of([7, 8]).tolist()
    reader.close()


def test_keys_that_run_out_are_an_error(session: Session, monkeypatch) -> None:
    create(session)
    monkeypatch.setattr(catalog, "MAX_COLLECTION_KEY", 1)
    with pytest.raises(StorageError, match="used up its 1 collection keys"):
        create(session, "more")


def test_a_new_collection_has_no_dimension_and_no_history(session: Session) -> None:
    row = create(session, metadata={"a": 1, "b": None}, configuration=Configuration(Hnsw(space="cosine")))
    assert row.info.metadata == {"a": 1}
    assert row.info.configuration.space == "cosine"
    assert (row.info.dimension, row.info.head, row.records, row.next_ordinal, row.next_slot) == (None, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("things", {"a": 1}, 100)),
        ({"name": "other"}, ("other", {"a": 1}, 100)),
        ({"name": "things"}, ("things", {"a": 1}, 100)),
        ({"metadata": {"b": 2.0, "c": None}}, ("things", {"b": 2.0}, 100)),
        ({"metadata": {"a": None}}, ("things", None, 100)),
        ({"configuration": {"hnsw": {"ef_search": 7}}}, ("things", {"a": 1}, 7)),
    ],
)
def test_modify_changes_what_it_is_given(session: Session, change: dict[str, Any], expected: Any) -> None:
    row = create(session, metadata={"a": 1})
    info = catalog.modify_collection(session, ModifyCollection(row.info.id, **change)).info
    assert (info.name, info.metadata, info.configuration.hnsw.ef_search) == expected
    assert catalog.get_collection(session, row.info.id).info == info


def test_modify_keeps_dimension_counters_and_head(engine: LocalEngine) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(3))
    before = engine.get_collection_by_id(collection)
    after = engine.modify_collection(ModifyCollection(collection, name="renamed"))
    assert (after.dimension, after.head) == (before.dimension, before.head)
    assert engine.count(CountRecords(collection)) == 3


def test_a_collection_of_an_unknown_database_is_refused_with_the_way_out(session: Session) -> None:
    request = CreateCollection("default_tenant", "nowhere", "things", None, Configuration())
    with pytest.raises(InvalidArgumentError, match=r"Database \[nowhere\] does not exist.*create_database"):
        catalog.create_collection(session, request)


def test_the_default_database_stays_away_once_it_was_deleted(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    engine.delete_database("default_database", "default_tenant")
    engine.close()
    engine = LocalEngine.open(tmp_path / "db")
    assert engine.list_databases("default_tenant") == []
    engine.close()


def test_deleting_a_database_removes_the_vectors_of_its_collections(engine: LocalEngine) -> None:
    add(engine, make_collection(engine, "one"), range(3))
    add(engine, make_collection(engine, "two"), range(3))
    engine.delete_database("default_database", "default_tenant")
    assert list((engine._folder / "vectors").iterdir()) == []
    with engine._file.read() as session:
        for table in ("collections", "records", "changes"):
            assert session.execute(f"SELECT count(*) FROM {table}").get == 0


@pytest.mark.parametrize(("limit", "offset"), [(None, 0), (2, 0), (2, 1), (0, 0), (None, 3), (5, 9)])
def test_pages_of_collections(session: Session, limit: int | None, offset: int) -> None:
    names = ["b-second", "a-first", "d-fourth", "c-third"]
    for name in names:
        create(session, name)
    rows = catalog.list_collections(session, "default_tenant", "default_database", limit, offset)
    assert [row.info.name for row in rows] == sorted(names)[offset:][:limit]
