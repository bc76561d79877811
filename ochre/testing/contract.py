"""The contract: what every engine does, as tests written once.

Subclass it, and give fixtures: `engine`, and `reopen`, which closes an engine and opens its database again (or returns
it as it is, for an engine that keeps nothing). The rules are Chroma's, at the level of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from ochre.engine import Engine
from ochre.errors import (
    AlreadyExistsError,
    ForbiddenError,
    InvalidArgumentError,
    InvalidDimensionError,
    NotFoundError,
)
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.filters import parse_filters
from ochre.model.requests import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    CollectionInfo,
    CountRecords,
    CreateCollection,
    DeleteRecords,
    Field,
    GetRecords,
    ModifyCollection,
    OrderKey,
    QueryRecords,
    RecordBatch,
    ScanRecords,
    WriteRecords,
)
from ochre.model.schema import parse_schema
from ochre.model.vectors import Matrix, SparseVector

ALL: frozenset[Field] = frozenset({"documents", "embeddings", "metadatas", "uris"})

Reopen = Callable[[Engine], Engine]


def create(engine: Engine, name: str = "things", space: Any = "l2", **fields: Any) -> CollectionInfo:
    """Create a collection in the default database."""
    fields = {"tenant": DEFAULT_TENANT, "database": DEFAULT_DATABASE, "metadata": None, **fields}
    return engine.create_collection(
        CreateCollection(name=name, configuration=Configuration(Hnsw(space=space)), **fields)
    )


def write(engine: Engine, collection: UUID, kind: Any, ids: list[str], vectors: Any = None, **columns: Any) -> None:
    """Write records; vectors as nested lists."""
    matrix = None if vectors is None else np.array(vectors, np.float32)
    engine.write(WriteRecords(collection, kind, ids, matrix, **columns))


def fill(engine: Engine, collection: UUID, count: int = 10) -> None:
    """Add records 0 to `count` - 1: record n lies at (n, 0), has document "doc n" and metadata n, even, name."""
    write(
        engine,
        collection,
        "add",
        [f"id{n}" for n in range(count)],
        [[n, 0.0] for n in range(count)],
        documents=[f"doc {n}" for n in range(count)],
        metadatas=[{"n": n, "even": n % 2 == 0, "name": f"name{n}"} for n in range(count)],
        uris=[f"file:///{n}" for n in range(count)],
    )


def ids_where(engine: Engine, collection: UUID, where: Any = None, where_document: Any = None) -> list[str]:
    """Return the ids of the records that match."""
    return engine.get(GetRecords(collection, filter=parse_filters(where, where_document, min_branches=0))).ids


def nearest(engine: Engine, collection: UUID, vector: Any, n_results: int = 10, **fields: Any) -> list[str]:
    """Return the ids nearest to one vector."""
    request = QueryRecords(collection, np.array([vector], np.float32), n_results, **fields)
    return engine.query(request).batches[0].ids


def walk(engine: Engine, request: ScanRecords) -> Iterator[RecordBatch]:
    """Yield the batches of a scan to its end."""
    while True:
        reply = engine.scan(request)
        yield reply.batch
        if reply.cursor is None:
            return
        request = replace(request, cursor=reply.cursor)


def ids_of_walk(engine: Engine, request: ScanRecords) -> list[str]:
    """Return the ids that a scan yields, in order."""
    return [id_ for batch in walk(engine, request) for id_ in batch.ids]


class EngineContract:
    """What every engine does."""

    @pytest.fixture
    def collection(self, engine: Engine) -> UUID:
        """Create an empty collection."""
        return create(engine).id

    @pytest.fixture
    def filled(self, engine: Engine, collection: UUID) -> UUID:
        """Create a collection of ten records."""
        fill(engine, collection)
        return collection

    # -- tenants and databases ----------------------------------------------------------------------------------

    def test_the_defaults_exist(self, engine: Engine) -> None:
        assert engine.get_tenant(DEFAULT_TENANT) == DEFAULT_TENANT
        assert engine.get_database(DEFAULT_DATABASE, DEFAULT_TENANT).name == DEFAULT_DATABASE

    def test_a_tenant_is_created_once(self, engine: Engine) -> None:
        engine.create_tenant("acme")
        with pytest.raises(AlreadyExistsError):
            engine.create_tenant("acme")
        assert engine.get_tenant("acme") == "acme"

    def test_an_unknown_tenant_is_not_found(self, engine: Engine) -> None:
        with pytest.raises(NotFoundError):
            engine.get_tenant("nobody")
        with pytest.raises(NotFoundError):
            engine.create_database("stock", "nobody")

    def test_databases_are_listed_by_name_in_pages(self, engine: Engine) -> None:
        engine.create_tenant("acme")
        for name in ("ccc", "aaa", "bbb"):
            engine.create_database(name, "acme")
        assert [database.name for database in engine.list_databases("acme")] == ["aaa", "bbb", "ccc"]
        assert [database.name for database in engine.list_databases("acme", 1, 1)] == ["bbb"]
        assert engine.list_databases("acme", 0) == []
        assert engine.list_databases("nobody") == []

    def test_a_database_name_is_taken_in_its_tenant_only(self, engine: Engine) -> None:
        engine.create_tenant("acme")
        engine.create_database("stock", "acme")
        engine.create_database("stock", DEFAULT_TENANT)
        with pytest.raises(AlreadyExistsError):
            engine.create_database("stock", "acme")

    def test_deleting_a_database_deletes_its_collections(self, engine: Engine) -> None:
        engine.create_database("stock", DEFAULT_TENANT)
        inside = create(engine, database="stock").id
        fill(engine, inside)
        outside = create(engine).id
        engine.delete_database("stock", DEFAULT_TENANT)
        with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
            engine.count(CountRecords(inside))
        with pytest.raises(NotFoundError):
            engine.get_database("stock", DEFAULT_TENANT)
        assert engine.count(CountRecords(outside)) == 0
        engine.create_database("stock", DEFAULT_TENANT)
        assert engine.list_collections(DEFAULT_TENANT, "stock") == []

    def test_a_collection_name_is_taken_in_its_database_only(self, engine: Engine) -> None:
        engine.create_database("stock", DEFAULT_TENANT)
        first, second = create(engine), create(engine, database="stock")
        assert first.id != second.id
        assert engine.get_collection("things", DEFAULT_TENANT, "stock").id == second.id

    # -- collections --------------------------------------------------------------------------------------------

    def test_a_new_collection_is_as_it_was_asked_for(self, engine: Engine) -> None:
        info = create(engine, space="cosine", metadata={"s": "x", "i": 1, "f": 1.0, "b": True, "gone": None})
        assert info.metadata == {"s": "x", "i": 1, "f": 1.0, "b": True}
        assert [type(value) for value in info.metadata.values()] == [str, int, float, bool]
        assert info.configuration.space == "cosine"
        assert (info.dimension, info.name, info.tenant, info.database) == (
            None,
            "things",
            DEFAULT_TENANT,
            DEFAULT_DATABASE,
        )
        assert engine.get_collection("things", DEFAULT_TENANT, DEFAULT_DATABASE) == info
        assert engine.get_collection_by_id(info.id) == info

    def test_a_taken_name_is_refused(self, engine: Engine) -> None:
        create(engine)
        with pytest.raises(AlreadyExistsError, match="already exists"):
            create(engine)

    def test_an_unknown_database_is_refused(self, engine: Engine) -> None:
        with pytest.raises(InvalidArgumentError):
            create(engine, database="nowhere")

    def test_get_or_create_keeps_what_exists(self, engine: Engine) -> None:
        info = create(engine, metadata={"a": 1})
        again = create(engine, space="cosine", metadata={"a": 2, "b": 3}, get_or_create=True)
        assert (again.id, again.metadata, again.configuration.space) == (info.id, {"a": 1}, "l2")

    def test_overwrite_metadata_replaces_it(self, engine: Engine) -> None:
        info = create(engine, metadata={"a": 1})
        again = create(engine, metadata={"b": 3}, get_or_create=True, overwrite_metadata=True)
        assert (again.id, again.metadata) == (info.id, {"b": 3})
        assert engine.get_collection_by_id(info.id).metadata == {"b": 3}

    def test_collections_are_listed_by_name_in_pages(self, engine: Engine) -> None:
        for name in ("ccc", "aaa", "bbb"):
            create(engine, name)
        names = [info.name for info in engine.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE)]
        assert names == ["aaa", "bbb", "ccc"]
        assert [info.name for info in engine.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE, 1, 1)] == ["bbb"]
        assert engine.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE, 5, 10) == []
        assert engine.count_collections(DEFAULT_TENANT, DEFAULT_DATABASE) == 3
        assert engine.list_collections(DEFAULT_TENANT, "nowhere") == []

    def test_rename_frees_the_old_name_and_keeps_the_records(self, engine: Engine, filled: UUID) -> None:
        assert engine.modify_collection(ModifyCollection(filled, name="renamed")).name == "renamed"
        assert engine.get_collection("renamed", DEFAULT_TENANT, DEFAULT_DATABASE).id == filled
        assert create(engine).id != filled
        assert engine.count(CountRecords(filled)) == 10

    def test_rename_to_a_taken_name_is_refused(self, engine: Engine, collection: UUID) -> None:
        create(engine, "taken")
        with pytest.raises(AlreadyExistsError):
            engine.modify_collection(ModifyCollection(collection, name="taken"))
        assert engine.modify_collection(ModifyCollection(collection, name="things")).name == "things"

    def test_modify_replaces_metadata_and_drops_nulls(self, engine: Engine) -> None:
        info = create(engine, metadata={"a": 1, "b": 2})
        assert engine.modify_collection(ModifyCollection(info.id, metadata={"c": 3, "d": None})).metadata == {"c": 3}
        assert engine.modify_collection(ModifyCollection(info.id, metadata={"c": None})).metadata is None

    def test_modify_changes_the_given_settings_only(self, engine: Engine, collection: UUID) -> None:
        changed = engine.modify_collection(ModifyCollection(collection, configuration={"hnsw": {"ef_search": 7}}))
        assert changed.configuration.hnsw == Hnsw(ef_search=7)
        with pytest.raises(InvalidArgumentError, match="space"):
            engine.modify_collection(ModifyCollection(collection, configuration={"hnsw": {"space": "ip"}}))

    def test_a_deleted_collection_is_gone_for_every_call(self, engine: Engine, filled: UUID) -> None:
        engine.delete_collection("things", DEFAULT_TENANT, DEFAULT_DATABASE)
        point = np.zeros((1, 2), np.float32)
        calls: list[Callable[[], Any]] = [
            lambda: engine.get(GetRecords(filled)),
            lambda: engine.query(QueryRecords(filled, point)),
            lambda: engine.count(CountRecords(filled)),
            lambda: engine.delete(DeleteRecords(filled, ids=["id1"])),
            lambda: engine.scan(ScanRecords(filled)),
            lambda: engine.modify_collection(ModifyCollection(filled, name="other")),
            lambda: engine.get_collection_by_id(filled),
            lambda: engine.get_collection("things", DEFAULT_TENANT, DEFAULT_DATABASE),
            lambda: engine.delete_collection("things", DEFAULT_TENANT, DEFAULT_DATABASE),
            *[
                lambda kind=kind: engine.write(WriteRecords(filled, kind, ["x"], point))
                for kind in ("add", "update", "upsert")
            ],
        ]
        for call in calls:
            with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
                call()

    def test_a_collection_made_again_is_empty_and_free_of_the_old_dimension(self, engine: Engine, filled: UUID) -> None:
        engine.delete_collection("things", DEFAULT_TENANT, DEFAULT_DATABASE)
        again = create(engine).id
        write(engine, again, "add", ["id1"], [[1.0, 2.0, 3.0]])
        assert ids_where(engine, again) == ["id1"]
        assert again != filled

    def test_an_id_is_found_in_its_own_database_only(self, engine: Engine, collection: UUID) -> None:
        assert engine.get_collection_by_id(collection, DEFAULT_TENANT, DEFAULT_DATABASE).id == collection
        with pytest.raises(NotFoundError):
            engine.get_collection_by_id(collection, DEFAULT_TENANT, "elsewhere")
        with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
            engine.get_collection_by_id(uuid4())

    def test_reset_is_off_unless_allowed(self, engine: Engine, filled: UUID) -> None:
        with pytest.raises(ForbiddenError):
            engine.reset()
        assert engine.count(CountRecords(filled)) == 10

    # -- adding -------------------------------------------------------------------------------------------------

    def test_what_was_added_is_returned(self, engine: Engine, collection: UUID) -> None:
        metadata = {"s": "x", "i": 1, "f": 1.0, "b": True, "l": ["a", "b"], "n": [1, 2], "d": [0.5], "t": [True, False]}
        write(
            engine,
            collection,
            "add",
            ["a", "b"],
            [[0.1, 2.0], [3.0, 4.0]],
            documents=["first", None],
            metadatas=[metadata, None],
            uris=[None, "file:///b"],
        )
        batch = engine.get(GetRecords(collection, include=ALL))
        assert batch.ids == ["a", "b"]
        assert batch.documents == ["first", None]
        assert batch.uris == [None, "file:///b"]
        assert batch.metadatas == [metadata, None]
        assert [type(value) for value in (batch.metadatas[0] or {}).values()] == [str, int, float, bool, *[list] * 4]
        assert np.array_equal(batch.vectors, np.array([[0.1, 2.0], [3.0, 4.0]], np.float32))  # type: ignore[arg-type]

    def test_columns_not_asked_for_are_none(self, engine: Engine, filled: UUID) -> None:
        batch = engine.get(GetRecords(filled, limit=1))
        assert (batch.vectors, batch.documents, batch.metadatas, batch.uris) == (None, None, None, None)

    def test_adding_an_id_that_exists_leaves_it_as_it_is(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "add", ["id1", "new"], [[9.0, 9.0], [8.0, 8.0]], documents=["changed", "new"])
        batch = engine.get(GetRecords(filled, ids=["id1", "new"], include=ALL))
        assert batch.documents == ["doc 1", "new"]
        assert batch.vectors is not None
        assert batch.vectors.tolist() == [[1.0, 0.0], [8.0, 8.0]]

    def test_the_first_of_two_equal_ids_in_an_add_wins(self, engine: Engine, collection: UUID) -> None:
        write(engine, collection, "add", ["a", "a"], [[1.0], [2.0]], documents=["one", "two"])
        assert engine.get(GetRecords(collection, include=ALL)).documents == ["one"]

    def test_an_empty_write_changes_nothing(self, engine: Engine, collection: UUID) -> None:
        write(engine, collection, "add", [], np.empty((0, 5)))
        assert engine.count(CountRecords(collection)) == 0
        assert engine.get_collection_by_id(collection).dimension is None

    def test_the_first_vectors_fix_the_dimension(self, engine: Engine, filled: UUID) -> None:
        assert engine.get_collection_by_id(filled).dimension == 2
        for kind in ("add", "update", "upsert"):
            with pytest.raises(InvalidDimensionError, match="dimension"):
                write(engine, filled, kind, ["id1"], [[1.0, 2.0, 3.0]])
        engine.delete(DeleteRecords(filled, filter=parse_filters({"n": {"$gte": 0}}, None)))
        with pytest.raises(InvalidDimensionError, match="dimension"):
            write(engine, filled, "add", ["id1"], [[1.0, 2.0, 3.0]])

    def test_an_update_of_unknown_ids_fixes_no_dimension(self, engine: Engine, collection: UUID) -> None:
        write(engine, collection, "update", ["a"], [[1.0, 2.0, 3.0]])
        assert engine.get_collection_by_id(collection).dimension is None
        write(engine, collection, "add", ["a"], [[1.0]])

    def test_a_refused_write_changes_nothing(self, engine: Engine, filled: UUID) -> None:
        before = engine.get(GetRecords(filled, include=ALL))
        with pytest.raises(InvalidDimensionError):
            write(engine, filled, "upsert", ["id1", "z"], [[1.0], [2.0]], documents=["changed", "new"])
        after = engine.get(GetRecords(filled, include=ALL))
        assert (after.ids, after.documents, after.metadatas) == (before.ids, before.documents, before.metadatas)

    def test_awkward_texts_come_back_as_they_were(self, engine: Engine, collection: UUID) -> None:
        texts = ["", "nul\0inside", "\ud7ff\ue000\U0010ffff", "日本語", "'\"\\%_", "line\r\nend", " spaces "]
        ids = [f"{text}!" for text in texts]
        write(
            engine,
            collection,
            "add",
            ids,
            [[float(n)] for n in range(len(texts))],
            documents=texts,
            uris=texts,
            metadatas=[{f"{text}k": text} for text in texts],
        )
        batch = engine.get(GetRecords(collection, include=ALL))
        assert batch.ids == ids
        assert batch.documents == texts
        assert batch.uris == texts
        assert batch.metadatas == [{f"{text}k": text} for text in texts]
        assert engine.get(GetRecords(collection, ids=ids)).ids == ids
        for text, id_ in zip(texts, ids, strict=True):
            assert ids_where(engine, collection, {f"{text}k": text}) == [id_]

    def test_a_document_of_ten_megabytes_is_kept_and_searched(self, engine: Engine, collection: UUID) -> None:
        text = "x" * 10_000_000 + "needle"
        write(engine, collection, "add", ["big"], [[1.0]], documents=[text])
        assert engine.get(GetRecords(collection, include=ALL)).documents == [text]
        assert ids_where(engine, collection, None, {"$contains": "needle"}) == ["big"]
        assert ids_where(engine, collection, None, {"$contains": "needles"}) == []

    def test_sparse_vectors_are_kept_in_metadata(self, engine: Engine, collection: UUID) -> None:
        sparse = SparseVector([1, 5], [0.5, 2.0], ["a", "b"])
        write(engine, collection, "add", ["a"], [[1.0]], metadatas=[{"s": sparse, "n": 1}])
        assert engine.get(GetRecords(collection, include=ALL)).metadatas == [{"s": sparse, "n": 1}]
        assert ids_where(engine, collection, {"s": {"$exists": True}}) == ["a"]
        assert ids_where(engine, collection, {"s": 1}) == []

    # -- updating -----------------------------------------------------------------------------------------------

    def test_an_update_changes_what_it_carries(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["id1"], documents=["new"])
        write(engine, filled, "update", ["id2"], [[7.0, 7.0]])
        write(engine, filled, "update", ["id3"], uris=["file:///new"])
        batch = engine.get(GetRecords(filled, ids=["id1", "id2", "id3"], include=ALL))
        assert batch.documents == ["new", "doc 2", "doc 3"]
        assert batch.uris == ["file:///1", "file:///2", "file:///new"]
        assert batch.vectors is not None
        assert batch.vectors.tolist() == [[1.0, 0.0], [7.0, 7.0], [3.0, 0.0]]
        assert nearest(engine, filled, [7.0, 7.0], 1) == ["id2"]

    def test_an_update_of_unknown_ids_is_ignored(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["nobody", "id1"], [[5.0, 5.0], [6.0, 6.0]])
        assert engine.count(CountRecords(filled)) == 10
        assert nearest(engine, filled, [6.0, 6.0], 1) == ["id1"]

    def test_metadata_is_merged_key_by_key(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["id1"], metadatas=[{"n": "text now", "even": None, "extra": [1, 2]}])
        assert engine.get(GetRecords(filled, ids=["id1"], include=ALL)).metadatas == [
            {"n": "text now", "name": "name1", "extra": [1, 2]}
        ]
        assert ids_where(engine, filled, {"n": "text now"}) == ["id1"]
        assert ids_where(engine, filled, {"n": 1}) == []
        assert ids_where(engine, filled, {"extra": {"$contains": 2}}) == ["id1"]
        write(engine, filled, "update", ["id1"], metadatas=[{"extra": [3]}])
        assert ids_where(engine, filled, {"extra": {"$contains": 2}}) == []
        assert ids_where(engine, filled, {"extra": {"$contains": 3}}) == ["id1"]

    def test_metadata_emptied_by_deletes_is_none(self, engine: Engine, collection: UUID) -> None:
        write(engine, collection, "add", ["a"], [[1.0]], metadatas=[{"k": 1}])
        write(engine, collection, "update", ["a"], metadatas=[{"k": None}])
        assert engine.get(GetRecords(collection, include=ALL)).metadatas == [None]
        assert ids_where(engine, collection, {"k": {"$exists": True}}) == []

    def test_none_entries_keep_what_is_stored(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["id1"], documents=[None], metadatas=[None], uris=[None])
        batch = engine.get(GetRecords(filled, ids=["id1"], include=ALL))
        assert (batch.documents, batch.uris) == (["doc 1"], ["file:///1"])
        write(engine, filled, "update", ["id1"], documents=[""])
        assert engine.get(GetRecords(filled, ids=["id1"], include=ALL)).documents == [""]

    def test_upsert_adds_and_merges(self, engine: Engine, filled: UUID) -> None:
        write(
            engine,
            filled,
            "upsert",
            ["new", "id1"],
            [[20.0, 0.0], [21.0, 0.0]],
            documents=["fresh", None],
            metadatas=[{"n": 20, "gone": None}, {"n": 21}],
        )
        batch = engine.get(GetRecords(filled, ids=["id1", "new"], include=ALL))
        assert batch.documents == ["doc 1", "fresh"]
        assert batch.metadatas == [{"n": 21, "even": False, "name": "name1"}, {"n": 20}]
        assert nearest(engine, filled, [21.0, 0.0], 2) == ["id1", "new"]

    def test_equal_ids_in_an_upsert_are_applied_in_order(self, engine: Engine, collection: UUID) -> None:
        write(
            engine, collection, "upsert", ["a", "a"], [[1.0], [2.0]], metadatas=[{"x": 1, "y": 1}, {"y": 2, "x": None}]
        )
        batch = engine.get(GetRecords(collection, include=ALL))
        assert (batch.ids, batch.metadatas) == (["a"], [{"y": 2}])
        assert batch.vectors is not None
        assert batch.vectors.tolist() == [[2.0]]

    def test_an_update_may_carry_vectors_for_some_records_only(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["id1", "id2", "id3"], [[7.0, 7.0], [8.0, 8.0]], rows=[0, None, 1])
        vectors = engine.get(GetRecords(filled, ids=["id1", "id2", "id3"], include=ALL)).vectors
        assert vectors is not None
        assert vectors.tolist() == [[7.0, 7.0], [2.0, 0.0], [8.0, 8.0]]

    # -- schema -------------------------------------------------------------------------------------------------

    def test_a_filter_needs_its_index(self, engine: Engine) -> None:
        schema, _ = parse_schema(
            {
                "defaults": {"int": {"int_inverted_index": {"enabled": False, "config": {}}}},
                "keys": {
                    "closed": {"string": {"string_inverted_index": {"enabled": False, "config": {}}}},
                    "open": {"int": {"int_inverted_index": {"enabled": True, "config": {}}}},
                    "#document": {"string": {"fts_index": {"enabled": False, "config": {}}}},
                },
            }
        )
        collection = create(engine, schema=schema).id
        write(
            engine,
            collection,
            "add",
            ["a"],
            [[1.0]],
            documents=["text"],
            metadatas=[{"closed": "x", "open": 1, "other": "y", "n": 2}],
        )
        assert engine.get_collection_by_id(collection).schema.enabled("other", "string_inverted_index")
        assert ids_where(engine, collection, {"$and": [{"open": 1}, {"other": "y"}]}) == ["a"]
        assert engine.get(GetRecords(collection, include=ALL)).documents == ["text"]
        for where, document in (({"closed": "x"}, None), ({"n": {"$gt": 1}}, None), (None, {"$contains": "t"})):
            filter_ = parse_filters(where, document)
            with pytest.raises(InvalidArgumentError, match="Cannot filter"):
                engine.get(GetRecords(collection, filter=filter_))
            with pytest.raises(InvalidArgumentError, match="Cannot filter"):
                engine.count(CountRecords(collection, filter_))
            with pytest.raises(InvalidArgumentError, match="Cannot filter"):
                engine.scan(ScanRecords(collection, filter_))
            with pytest.raises(InvalidArgumentError, match="Cannot filter"):
                engine.delete(DeleteRecords(collection, filter=filter_))
            with pytest.raises(InvalidArgumentError, match="Cannot filter"):
                nearest(engine, collection, [1.0], filter=filter_)

    def test_a_schema_takes_up_the_keys_of_records(self, engine: Engine, collection: UUID) -> None:
        write(engine, collection, "add", ["a", "b"], [[1.0], [2.0]], metadatas=[{"s": "x", "n": [1]}, {"s": 2.5}])
        write(engine, collection, "update", ["a"], metadatas=[{"late": True, "s": None}])
        keys = engine.get_collection_by_id(collection).schema.keys
        assert keys["s"] == {"fts_index": False, "string_inverted_index": True, "float_inverted_index": True}
        assert keys["n"] == {"int_inverted_index": True}
        assert keys["late"] == {"bool_inverted_index": True}

    # -- deleting -----------------------------------------------------------------------------------------------

    def test_delete_by_ids_counts_what_existed(self, engine: Engine, filled: UUID) -> None:
        assert engine.delete(DeleteRecords(filled, ids=["id1", "nobody", "id1", "id3"])) == 2
        assert ids_where(engine, filled) == ["id0", "id2", "id4", "id5", "id6", "id7", "id8", "id9"]
        assert engine.delete(DeleteRecords(filled, ids=["id1"])) == 0
        assert engine.delete(DeleteRecords(filled, ids=[])) == 0

    def test_delete_by_filter_and_by_both(self, engine: Engine, filled: UUID) -> None:
        even = parse_filters({"even": True}, None)
        assert engine.delete(DeleteRecords(filled, ids=["id1", "id2"], filter=even)) == 1
        assert engine.delete(DeleteRecords(filled, filter=parse_filters(None, {"$contains": "doc 4"}))) == 1
        assert engine.delete(DeleteRecords(filled, filter=even, limit=1)) == 1
        assert engine.delete(DeleteRecords(filled, filter=even, limit=0)) == 0
        assert ids_where(engine, filled) == ["id1", "id3", "id5", "id6", "id7", "id8", "id9"]

    def test_a_deleted_record_is_never_found_again(self, engine: Engine, filled: UUID) -> None:
        engine.delete(DeleteRecords(filled, ids=["id3"]))
        assert "id3" not in nearest(engine, filled, [3.0, 0.0])
        assert ids_where(engine, filled, {"n": 3}) == []
        assert ids_where(engine, filled, None, {"$contains": "doc 3"}) == []
        assert engine.get(GetRecords(filled, ids=["id3"])).ids == []
        assert engine.count(CountRecords(filled)) == 9

    def test_a_record_added_again_comes_last_and_is_new(self, engine: Engine, filled: UUID) -> None:
        engine.delete(DeleteRecords(filled, ids=["id0"]))
        write(engine, filled, "add", ["id0"], [[5.0, 0.0]])
        batch = engine.get(GetRecords(filled, include=ALL))
        assert batch.ids[-1] == "id0"
        assert batch.documents is not None
        assert batch.documents[-1] is None
        assert nearest(engine, filled, [5.0, 0.0], 2) == ["id5", "id0"]

    # -- getting ------------------------------------------------------------------------------------------------

    def test_records_come_in_insertion_order_whatever_the_ids(self, engine: Engine, filled: UUID) -> None:
        write(engine, filled, "update", ["id0"], [[50.0, 0.0]], documents=["changed"])
        assert ids_where(engine, filled) == [f"id{n}" for n in range(10)]
        assert engine.get(GetRecords(filled, ids=["id7", "id2", "nobody", "id2"])).ids == ["id2", "id7"]

    def test_pages(self, engine: Engine, filled: UUID) -> None:
        def page(limit: int | None, offset: int, **fields: Any) -> list[str]:
            return engine.get(GetRecords(filled, limit=limit, offset=offset, **fields)).ids

        assert page(3, 4) == ["id4", "id5", "id6"]
        assert page(None, 8) == ["id8", "id9"]
        assert page(0, 0) == page(5, 100) == []
        assert page(2, 1, filter=parse_filters({"even": True}, None)) == ["id2", "id4"]
        assert page(1, 1, ids=["id9", "id5", "id7"]) == ["id7"]
        engine.delete(DeleteRecords(filled, ids=["id0", "id4"]))
        assert page(3, 2) == ["id3", "id5", "id6"]

    def test_empty_selections(self, engine: Engine, filled: UUID) -> None:
        assert engine.get(GetRecords(filled, ids=[])).ids == []
        none = engine.get(GetRecords(filled, ids=["nobody"], include=ALL))
        assert (none.ids, none.documents, none.metadatas, none.uris) == ([], [], [], [])
        assert none.vectors is not None
        assert len(none.vectors) == 0

    def test_order_by(self, engine: Engine, collection: UUID) -> None:
        values: list[Any] = [3, 1.5, None, "b", True, "a", [1], -1, False, 3]
        write(
            engine,
            collection,
            "add",
            [str(n) for n in range(len(values))],
            [[0.0]] * len(values),
            metadatas=[None if value is None else {"v": value, "w": n} for n, value in enumerate(values)],
        )

        def ordered(*keys: OrderKey, **fields: Any) -> list[str]:
            return engine.get(GetRecords(collection, order_by=keys, **fields)).ids

        assert ordered(OrderKey("v")) == ["8", "4", "7", "1", "0", "9", "5", "3", "2", "6"]
        assert ordered(OrderKey("v", descending=True)) == ["3", "5", "0", "9", "1", "7", "4", "8", "2", "6"]
        assert ordered(OrderKey("v"), OrderKey("w", descending=True))[4:6] == ["9", "0"]
        assert ordered(OrderKey("v"), limit=2, offset=1) == ["4", "7"]
        assert ordered(OrderKey("v"), ids=["0", "3", "7"]) == ["7", "0", "3"]
        assert ordered(OrderKey("nowhere")) == [str(n) for n in range(10)]

    def test_counts_with_filters(self, engine: Engine, filled: UUID) -> None:
        assert engine.count(CountRecords(filled)) == 10
        assert engine.count(CountRecords(filled, parse_filters({"even": True}, {"$contains": "doc"}))) == 5
        assert engine.count(CountRecords(filled, parse_filters({"n": {"$gt": 100}}, None))) == 0

    # -- scanning -----------------------------------------------------------------------------------------------

    def test_scan_yields_everything_once_in_order(self, engine: Engine, filled: UUID) -> None:
        batches = list(walk(engine, ScanRecords(filled, batch_size=3, include=ALL)))
        assert [len(batch.ids) for batch in batches] == [3, 3, 3, 1]
        assert [id_ for batch in batches for id_ in batch.ids] == [f"id{n}" for n in range(10)]
        assert batches[3].documents == ["doc 9"]

    def test_scan_takes_filters(self, engine: Engine, filled: UUID) -> None:
        odd = parse_filters({"even": False}, None)
        assert [batch.ids for batch in walk(engine, ScanRecords(filled, odd, 2))] == [
            ["id1", "id3"],
            ["id5", "id7"],
            ["id9"],
        ]
        seven = parse_filters(None, {"$contains": "doc 7"})
        assert [batch.ids for batch in walk(engine, ScanRecords(filled, seven, 1))] == [["id7"]]
        assert ids_of_walk(engine, ScanRecords(filled, parse_filters({"n": -1}, None))) == []

    def test_scan_leaves_out_what_was_deleted_meanwhile_and_what_came_later(self, engine: Engine, filled: UUID) -> None:
        seen = []
        for batch in walk(engine, ScanRecords(filled, batch_size=2)):
            seen += batch.ids
            if len(seen) == 2:
                engine.delete(DeleteRecords(filled, ids=["id0", "id5"]))
                write(engine, filled, "add", ["late", "id5"], [[1.0, 1.0], [2.0, 2.0]])
        assert seen == ["id0", "id1", "id2", "id3", "id4", "id6", "id7", "id8", "id9"]

    # -- filters ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({"v": 1}, "ab"),
            ({"v": 1.0}, "ab"),
            ({"v": {"$ne": 1}}, "cdefghi"),
            ({"v": True}, "c"),
            ({"v": {"$ne": True}}, "abdefghi"),
            ({"v": "1"}, "d"),
            ({"v": {"$gt": 0}}, "abe"),
            ({"v": {"$gt": 1}}, "e"),
            ({"v": {"$gte": 1.5}}, "e"),
            ({"v": {"$lt": 1.5}}, "ab"),
            ({"v": {"$lte": 1.5}}, "abe"),
            ({"v": {"$in": [1, 7]}}, "ab"),
            ({"v": {"$in": [1.5, 1]}}, "abe"),
            ({"v": {"$nin": [1, 7]}}, "cdefghi"),
            ({"v": {"$in": ["1", "x"]}}, "d"),
            ({"v": {"$contains": 1}}, "f"),
            ({"v": {"$contains": 1.0}}, "g"),
            ({"v": {"$not_contains": 1}}, "abcdeghi"),
            ({"v": {"$contains": "x"}}, "h"),
            ({"v": {"$contains": "X"}}, ""),
            ({"v": {"$exists": True}}, "abcdefgh"),
            ({"v": {"$exists": False}}, "i"),
            ({"unknown": 1}, ""),
            ({"unknown": {"$ne": 1}}, "abcdefghi"),
            ({"#id": "a"}, ""),
            ({"$and": [{"v": {"$gte": 1}}, {"v": {"$lt": 1.5}}]}, "ab"),
            ({"$or": [{"v": True}, {"$and": [{"v": 1}, {"w": "q"}]}]}, "bc"),
            ({"$and": []}, "abcdefghi"),
            ({"$or": []}, ""),
            ({"$or": [{"v": "1"}]}, "d"),
            ({"$or": [{"#document": {"$contains": "ay"}}, {"v": "1"}]}, "abd"),
        ],
    )
    def test_where(self, engine: Engine, collection: UUID, where: Any, expected: str) -> None:
        values = [1, 1.0, True, "1", 1.5, [1, 2], [1.0], ["x", "y"]]
        metadatas: list[Any] = [{"v": value} for value in values] + [None]
        metadatas[1]["w"] = "q"
        write(
            engine,
            collection,
            "add",
            list("abcdefghi"),
            [[0.0]] * 9,
            metadatas=metadatas,
            documents=["day", "may", *[None] * 7],
        )
        assert "".join(ids_where(engine, collection, where)) == expected

    @pytest.mark.parametrize(
        ("where_document", "expected"),
        [
            ({"$contains": "red"}, "b"),
            ({"$contains": "Red wine"}, "a"),
            ({"$contains": "%"}, "c"),
            ({"$contains": "_"}, "c"),
            ({"$contains": "本"}, "d"),
            ({"$contains": ""}, "abcde"),
            ({"$not_contains": "red"}, "acdef"),
            ({"$icontains": "RED"}, "ab"),
            ({"$icontains": "D W"}, "a"),
            ({"$icontains": "語"}, "d"),
            ({"$icontains": ""}, "abcde"),
            ({"$not_icontains": "rED"}, "cdef"),
            ({"$regex": "^red"}, "b"),
            ({"$regex": "(?i)^red"}, "ab"),
            ({"$regex": "e.*n"}, "a"),
            ({"$regex": r"d\w p"}, ""),
            ({"$regex": r"\w{3}"}, "abd"),
            ({"$not_regex": "(?i)red"}, "cdef"),
            ({"$and": [{"$contains": "e"}, {"$not_contains": "Red"}]}, "b"),
            ({"$or": [{"$contains": "wine"}, {"$regex": "本"}]}, "ad"),
        ],
    )
    def test_where_document(self, engine: Engine, collection: UUID, where_document: Any, expected: str) -> None:
        texts = ["Red wine", "red\npaint", "50%_x", "日本語", "", None]
        write(engine, collection, "add", list("abcdef"), [[0.0]] * 6, documents=texts)
        assert "".join(ids_where(engine, collection, None, where_document)) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("STRASSE", "ab"),
            ("straße", "ab"),
            ("\u03a3", "cd"),
            ("\u212aelvin", "e"),
            ("\ufb01n", "f"),
            ("I", "efg"),
            ("e", "abefh"),
            ("é", "hi"),
            ("\u0301", ""),
        ],
    )
    def test_case_is_ignored_by_folding_it(self, engine: Engine, collection: UUID, text: str, expected: str) -> None:
        texts = ["Straße", "STRASSE", "\u03bf\u03c2", "\u03bf\u03c3\u03bf", "KELVIN", "FINE", "İ", "é e", "É"]
        write(engine, collection, "add", list("abcdefghi"), [[0.0]] * 9, documents=texts)
        assert "".join(ids_where(engine, collection, None, {"$icontains": text})) == expected

    @pytest.mark.parametrize("edge", [2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**62 + 1])
    def test_large_integers_compare_exactly(self, engine: Engine, collection: UUID, edge: int) -> None:
        near = [edge - 1, edge, edge + 1]
        stored = [value for value in near if -(2**63) <= value < 2**63]
        write(
            engine,
            collection,
            "add",
            [*map(str, stored), "float"],
            [[0.0]] * (len(stored) + 1),
            metadatas=[*({"v": value} for value in stored), {"v": float(edge)}],
        )

        def matching(operator: str, operand: float) -> list[str]:
            return ids_where(engine, collection, {"v": {operator: operand}})

        every: list[tuple[str, int | float]] = [*((str(value), value) for value in stored), ("float", float(edge))]
        assert matching("$eq", edge) == [name for name, value in every if value == edge]
        assert matching("$gt", edge) == [name for name, value in every if value > edge]
        assert matching("$lte", float(edge)) == [name for name, value in every if value <= float(edge)]

    # -- querying -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("space", ["l2", "ip", "cosine"])
    def test_distances_are_those_of_the_space(self, engine: Engine, space: str) -> None:
        collection = create(engine, space=space).id
        vectors = {"y": [0.0, 2.0], "x": [2.0, 0.0], "zero": [0.0, 0.0], "far": [10.0, 10.0]}
        write(engine, collection, "add", list(vectors), list(vectors.values()))
        reply = engine.query(QueryRecords(collection, np.array([[1.0, 1.0]], np.float32)))
        half = 1 - 2**-0.5
        expected = {
            "l2": {"y": 2.0, "x": 2.0, "zero": 2.0, "far": 162.0},
            "ip": {"far": -19.0, "y": -1.0, "x": -1.0, "zero": 1.0},
            "cosine": {"far": 0.0, "y": half, "x": half, "zero": 1.0},
        }[space]
        assert reply.batches[0].ids == list(expected)
        assert reply.distances[0] == pytest.approx(list(expected.values()), abs=1e-6)
        assert all(type(value) is float for value in reply.distances[0])

    def test_equal_distances_come_in_insertion_order(self, engine: Engine, collection: UUID) -> None:
        names = [f"t{n}" for n in range(20)]
        write(engine, collection, "add", names[::-1], [[1.0, 1.0]] * 20)
        assert nearest(engine, collection, [0.0, 0.0], 20) == names[::-1]
        assert nearest(engine, collection, [0.0, 0.0], 5) == names[::-1][:5]

    def test_a_query_returns_as_many_as_match(self, engine: Engine, filled: UUID) -> None:
        assert len(nearest(engine, filled, [0.0, 0.0], 100)) == 10
        assert nearest(engine, filled, [0.0, 0.0], 3) == ["id0", "id1", "id2"]
        assert nearest(engine, filled, [0.0, 0.0], 0) == []
        even = parse_filters({"even": True}, None)
        assert nearest(engine, filled, [3.1, 0.0], 3, filter=even) == ["id4", "id2", "id6"]
        assert nearest(engine, filled, [0.0, 0.0], 10, filter=parse_filters({"n": 99}, None)) == []

    def test_several_queries_are_answered_each_for_itself(self, engine: Engine, filled: UUID) -> None:
        vectors = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 0.0]], np.float32)
        reply = engine.query(QueryRecords(filled, vectors, 2, include=ALL))
        assert [batch.ids for batch in reply.batches] == [["id0", "id1"], ["id9", "id8"], ["id0", "id1"]]
        assert [batch.documents for batch in reply.batches][1] == ["doc 9", "doc 8"]
        assert reply.distances == [[0.0, 1.0]] * 3
        assert [batch.vectors.tolist() for batch in reply.batches if batch.vectors is not None][1] == [[9, 0], [8, 0]]

    def test_ids_restrict_a_query(self, engine: Engine, filled: UUID) -> None:
        assert nearest(engine, filled, [0.0, 0.0], ids=["id7", "id3", "id3"]) == ["id3", "id7"]
        assert nearest(engine, filled, [0.0, 0.0], ids=[]) == []
        with pytest.raises(NotFoundError, match="Error finding id"):
            nearest(engine, filled, [0.0, 0.0], ids=["id1", "nobody"])
        odd = parse_filters({"even": False}, None)
        assert nearest(engine, filled, [0.0, 0.0], ids=["id1", "nobody", "id2"], filter=odd) == ["id1"]

    def test_max_distance_is_inclusive(self, engine: Engine, filled: UUID) -> None:
        assert nearest(engine, filled, [0.0, 0.0], max_distance=4.0) == ["id0", "id1", "id2"]
        assert nearest(engine, filled, [0.0, 0.0], max_distance=-1.0) == []
        assert nearest(engine, filled, [0.0, 0.0], 2, max_distance=4.0) == ["id0", "id1"]

    def test_a_query_of_another_dimension_is_refused(self, engine: Engine, filled: UUID) -> None:
        with pytest.raises(InvalidDimensionError, match="dimension of 2, got 3"):
            nearest(engine, filled, [1.0, 2.0, 3.0])

    def test_an_empty_collection_answers_any_query_with_nothing(self, engine: Engine, collection: UUID) -> None:
        reply = engine.query(QueryRecords(collection, np.ones((2, 7), np.float32), include=ALL))
        assert [batch.ids for batch in reply.batches] == [[], []]
        assert reply.distances == [[], []]
        assert engine.get(GetRecords(collection, include=ALL)).ids == []
        assert ids_of_walk(engine, ScanRecords(collection)) == []
        assert engine.delete(DeleteRecords(collection, ids=["a"])) == 0

    def test_explain_tells_how_many_matched(self, engine: Engine, filled: UUID) -> None:
        vectors = np.zeros((1, 2), np.float32)
        even = parse_filters({"even": True}, None)
        explanation = engine.query(QueryRecords(filled, vectors, filter=even, explain=True)).explanation
        assert explanation is not None
        assert (explanation.records, explanation.matches) == (10, 5)
        assert explanation.plan
        assert explanation.reason
        assert engine.query(QueryRecords(filled, vectors)).explanation is None

    def test_an_exact_query_finds_the_true_neighbours(self, engine: Engine) -> None:
        randomness = np.random.default_rng(3)
        vectors: Matrix = randomness.normal(size=(3000, 24)).astype(np.float32)
        queries: Matrix = randomness.normal(size=(20, 24)).astype(np.float32)
        for space in ("l2", "ip", "cosine"):
            collection = create(engine, f"random-{space}", space).id
            engine.write(WriteRecords(collection, "add", [str(n) for n in range(3000)], vectors))
            reply = engine.query(QueryRecords(collection, queries, 10, exact=True))
            for query, batch in zip(queries, reply.batches, strict=True):
                wide, point = vectors.astype(np.float64), query.astype(np.float64)
                scores = {
                    "l2": ((wide - point) ** 2).sum(axis=1),
                    "ip": -(wide @ point),
                    "cosine": -(wide @ point) / np.linalg.norm(wide, axis=1),
                }[space]
                assert batch.ids == [str(n) for n in np.argsort(scores, kind="stable")[:10]]

    def test_near_ties_far_from_the_origin_are_told_apart(self, engine: Engine, collection: UUID) -> None:
        """|a|² + |q|² - 2ab in float32 cannot tell these apart; the differences can."""
        write(engine, collection, "add", [str(n) for n in range(50)], [[1000.0, n * 0.001] for n in range(50)])
        assert nearest(engine, collection, [1000.0, 0.0], 50) == [str(n) for n in range(50)]
        assert nearest(engine, collection, [1000.0, 0.049], 3) == ["49", "48", "47"]

    @pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18])
    def test_extreme_lengths_keep_their_order(self, engine: Engine, scale: float) -> None:
        collection = create(engine, space="cosine").id
        angles = np.linspace(0.1, 1.5, 30)
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1) * scale
        engine.write(WriteRecords(collection, "add", [str(n) for n in range(30)], vectors.astype(np.float32)))
        assert nearest(engine, collection, [scale, 0.0], 5) == ["0", "1", "2", "3", "4"]

    # -- size and durability ------------------------------------------------------------------------------------

    def test_a_call_of_a_hundred_thousand_records_is_one_write(self, engine: Engine, collection: UUID) -> None:
        count = 100_000
        vectors = np.arange(count, dtype=np.float32)[:, np.newaxis]
        ids = [f"id{n}" for n in range(count)]
        head = engine.get_collection_by_id(collection).head
        engine.write(WriteRecords(collection, "add", ids, vectors, metadatas=[{"n": n} for n in range(count)]))
        assert engine.get_collection_by_id(collection).head > head
        assert engine.count(CountRecords(collection)) == count
        assert nearest(engine, collection, [77_777.0], 1) == ["id77777"]
        assert engine.get(GetRecords(collection, limit=2, offset=50_000)).ids == ["id50000", "id50001"]
        assert len(ids_where(engine, collection, {"n": {"$gte": 99_000}})) == 1000
        assert engine.get(GetRecords(collection, ids=ids[::-1])).ids == ids
        assert engine.delete(DeleteRecords(collection, filter=parse_filters({"n": {"$lt": 99_999}}, None))) == count - 1
        assert ids_where(engine, collection) == ["id99999"]

    def test_a_small_collection_waits_for_no_index(self, engine: Engine, filled: UUID) -> None:
        status = engine.indexing(filled)
        assert (status.total, status.pending) == (10, 0)
        with pytest.raises(NotFoundError):
            engine.indexing(uuid4())

    def test_everything_is_there_after_reopening(self, engine: Engine, reopen: Reopen, filled: UUID) -> None:
        engine.create_tenant("acme")
        engine.create_database("stock", "acme")
        write(engine, filled, "update", ["id1"], [[70.0, 0.0]], metadatas=[{"n": None, "tags": ["a"]}])
        engine.delete(DeleteRecords(filled, ids=["id2"]))
        before = engine.get(GetRecords(filled, include=ALL))
        info = engine.get_collection_by_id(filled)
        engine = reopen(engine)
        after = engine.get(GetRecords(filled, include=ALL))
        assert (after.ids, after.documents, after.metadatas, after.uris) == (
            before.ids,
            before.documents,
            before.metadatas,
            before.uris,
        )
        assert np.array_equal(after.vectors, before.vectors)  # type: ignore[arg-type]
        assert engine.get_collection_by_id(filled) == info
        assert engine.get_database("stock", "acme").tenant == "acme"
        assert nearest(engine, filled, [70.0, 0.0], 1) == ["id1"]
        assert ids_where(engine, filled, {"tags": {"$contains": "a"}}) == ["id1"]
        write(engine, filled, "add", ["later"], [[2.0, 2.0]])
        assert ids_where(engine, filled)[-1] == "later"
