"""Writing: the shapes that add, update, upsert and delete take, and what they leave behind."""

from __future__ import annotations

from collections import OrderedDict, UserList
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from ochre import ClientType, Collection, SparseVector
from ochre.errors import InvalidDimensionError
from tests.client.conftest import everything


def vectors_of(collection: Collection) -> np.ndarray:
    found = collection.get(include=["embeddings"])["embeddings"]
    assert found is not None
    return found


class OwnDict(dict):
    pass


class OwnStr(str):
    __slots__ = ()


# -- shapes ------------------------------------------------------------------------------------------------------


def test_single_values_stand_for_lists_of_one(empty: Collection) -> None:
    empty.add("a", [1, 2], {"n": 1}, "text", None, "file:a")
    expected = {
        "ids": ["a"],
        "embeddings": [[1.0, 2.0]],
        "metadatas": [{"n": 1}],
        "documents": ["text"],
        "uris": ["file:a"],
    }
    assert expected.items() <= everything(empty).items()
    empty.update("a", [3, 4], {"n": 2}, "words", None, "file:b")
    empty.upsert("b", np.array([5, 6]), {"n": 3}, "more", None, "file:c")
    assert vectors_of(empty).tolist() == [[3, 4], [5, 6]]
    assert empty.get()["documents"] == ["words", "more"]


@pytest.mark.parametrize(
    "ids",
    [
        ["a", "b"],
        ("a", "b"),
        UserList(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        [OwnStr("a"), "b"],
    ],
    ids=lambda ids: type(ids).__name__,
)
def test_ids_may_be_any_sequence_of_strings(empty: Collection, ids: Any) -> None:
    empty.add(ids=ids, embeddings=[[1], [2]])
    assert empty.get()["ids"] == ["a", "b"]
    assert empty.get(ids=ids)["ids"] == ["a", "b"]
    assert {type(id_) for id_ in empty.get()["ids"]} == {str}
    assert empty.delete(ids=ids) == {"deleted": 2}


@pytest.mark.parametrize(
    "embeddings",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [[1, 2], [3, 4]],
        ((1, 2), (3, 4)),
        [(1, 2.0), [3, 4]],
        [range(1, 3), range(3, 5)],
        [[np.float32(1), np.int64(2)], [3, 4]],
        [np.array([1, 2]), np.array([3, 4])],
        [np.array([1, 2], np.float16), np.array([3, 4], np.float64)],
        np.array([[1, 2], [3, 4]], np.float64),
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([[1, 2], [3, 4]], np.uint64),
        np.array([[1, 2], [3, 4]], ">f4"),
        np.array([[1, 3], [2, 4]], np.float32).T,
        np.array([[1, 0, 2, 0], [3, 0, 4, 0]], np.float32)[:, ::2],
        np.array([[3, 4], [1, 2]], np.float32)[::-1],
    ],
)
def test_embeddings_of_any_numeric_kind_are_stored_as_float32(empty: Collection, embeddings: Any) -> None:
    empty.add(ids=["a", "b"], embeddings=embeddings)
    stored = vectors_of(empty)
    assert stored.dtype == np.float32
    assert stored.tolist() == [[1, 2], [3, 4]]


def test_embeddings_are_rounded_to_the_nearest_float32_whatever_the_space(client: ClientType) -> None:
    numbers = [[0.1, 1e-40, -3e38], [2**70, 1 / 3, -0.0]]
    for space in ("l2", "cosine", "ip"):
        collection = client.create_collection(
            f"in-{space}", configuration={"hnsw": {"space": space}}, embedding_function=None
        )
        collection.add(ids=["a", "b"], embeddings=numbers)
        assert vectors_of(collection).tobytes() == np.array(numbers, np.float32).tobytes()


def test_changing_an_array_after_the_call_changes_nothing(empty: Collection) -> None:
    array = np.array([[1, 2]], np.float32)
    metadata = {"tags": ["x"]}
    empty.add(ids=["a"], embeddings=array, metadatas=[metadata])
    array[:] = 9
    metadata["tags"].append("y")
    assert vectors_of(empty).tolist() == [[1, 2]]
    assert empty.get()["metadatas"] == [{"tags": ["x"]}]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("text", "text"),
        ("", ""),
        ("nul \0 and 🙂", "nul \0 and 🙂"),
        (OwnStr("x"), "x"),
        (True, True),
        (0, 0),
        (-(2**63), -(2**63)),
        (2**63 - 1, 2**63 - 1),
        (2**63, float(2**63)),
        (1.0, 1.0),
        (-0.5, -0.5),
        (5e-324, 5e-324),
        (np.int32(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(False), False),
        (np.str_("x"), "x"),
        (np.array(7), 7),
        (["a", "b", "a"], ["a", "b", "a"]),
        ([1, 2], [1, 2]),
        ((1.0, 2.5), [1.0, 2.5]),
        ([True, False], [True, False]),
        (np.array([1, 2]), [1, 2]),
        (np.array(["a"], object), ["a"]),
    ],
    ids=repr,
)
def test_a_metadata_value_reads_back_as_it_is(empty: Collection, value: Any, stored: Any) -> None:
    empty.add(ids=["a"], embeddings=[[1]], metadatas=[{"key": value}])
    metadatas = empty.get()["metadatas"]
    assert metadatas == [{"key": stored}]
    found = metadatas[0]["key"]
    assert type(found) is type(stored)
    if isinstance(stored, list):
        assert [type(item) for item in found] == [type(item) for item in stored]


@pytest.mark.parametrize("kind", [dict, OwnDict, OrderedDict, MappingProxyType], ids=lambda kind: kind.__name__)
def test_metadata_may_be_any_mapping(empty: Collection, kind: Any) -> None:
    empty.add(ids=["a", "b"], embeddings=[[1], [2]], metadatas=(kind({"n": 1}), None))
    assert empty.get()["metadatas"] == [{"n": 1}, None]


def test_a_sparse_vector_in_metadata_reads_back(empty: Collection) -> None:
    sparse = SparseVector(indices=[1, 2**32 - 1], values=[0.5, 1], labels=["x", "y"])
    empty.add(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"v": sparse}, {"v": sparse.to_dict()}])
    assert empty.get()["metadatas"] == [{"v": sparse}, {"v": sparse}]


def test_a_record_needs_nothing_but_an_id_and_an_embedding(empty: Collection) -> None:
    empty.add(
        ids=["a", "b", "c"],
        embeddings=[[1], [2], [3]],
        documents=["", None, "x"],
        metadatas=[None, {"n": 1}, None],
        uris=[None, "", "y"],
    )
    found = everything(empty)
    assert found["documents"] == ["", None, "x"]
    assert found["metadatas"] == [None, {"n": 1}, None]
    assert found["uris"] == [None, "", "y"]


def test_images_beside_embeddings_are_not_stored(empty: Collection) -> None:
    empty.add(ids=["a"], embeddings=[[1]], images=[np.zeros((2, 2))], documents=["x"])
    assert everything(empty)["documents"] == ["x"]


# -- what the operations do --------------------------------------------------------------------------------------


def test_add_leaves_existing_records_alone_and_adds_the_others(filled: Collection) -> None:
    before = filled.get(ids="id0")
    filled.add(ids=["id0", "new"], embeddings=[[9, 9], [8, 8]], documents=["x", "y"], metadatas=[{"n": 77}, {"n": 78}])
    assert filled.get(ids="id0") == before
    assert filled.get(ids="new")["metadatas"] == [{"n": 78}]
    assert vectors_of(filled)[[0, 10]].tolist() == [[0, 0], [8, 8]]


def test_update_ignores_ids_that_do_not_exist(filled: Collection) -> None:
    before = everything(filled)
    filled.update(ids=["nobody"], embeddings=[[9, 9]], documents=["x"], metadatas=[{"n": 77}])
    assert everything(filled) == before


def test_update_of_a_missing_record_does_not_set_the_dimension(empty: Collection) -> None:
    empty.update(ids=["nobody"], embeddings=[[1, 2, 3]])
    empty.add(ids=["a"], embeddings=[[1, 2]])
    assert empty.count() == 1


def test_the_first_write_sets_the_dimension_for_good(empty: Collection) -> None:
    empty.upsert(ids=["a"], embeddings=[[1, 2]])
    empty.delete(ids=["a"])
    with pytest.raises(InvalidDimensionError, match="expecting embedding with dimension of 2, got 3"):
        empty.add(ids=["a"], embeddings=[[1, 2, 3]])


@pytest.mark.parametrize("operation", ["update", "upsert"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"metadatas": [{"n": 5, "new": "x"}]}, {"metadatas": [{"n": 5, "new": "x", "t": [1]}]}),
        ({"metadatas": [{"n": "text"}]}, {"metadatas": [{"n": "text", "t": [1]}]}),
        ({"metadatas": [{"t": [2, 3]}]}, {"metadatas": [{"n": 1, "t": [2, 3]}]}),
        ({"metadatas": [{"n": None}]}, {"metadatas": [{"t": [1]}]}),
        ({"metadatas": [{"n": None, "t": None}]}, {"metadatas": [None]}),
        ({"metadatas": [{"nothing": None}]}, {}),
        ({"metadatas": [None]}, {}),
        ({"documents": ["new"]}, {"documents": ["new"]}),
        ({"documents": [""]}, {"documents": [""]}),
        ({"documents": [None]}, {}),
        ({"uris": ["new"]}, {"uris": ["new"]}),
        ({"uris": [None]}, {}),
    ],
    ids=str,
)
def test_what_is_not_given_is_kept(empty: Collection, operation: str, columns: Any, expected: Any) -> None:
    empty.add(ids=["a"], embeddings=[[1, 2]], documents=["doc"], metadatas=[{"n": 1, "t": [1]}], uris=["file:a"])
    before = everything(empty)
    getattr(empty, operation)(ids=["a"], embeddings=[[3, 4]], **columns)
    assert everything(empty) == {**before, "embeddings": [[3, 4]], **expected}


@pytest.mark.parametrize("columns", [{}, {"metadatas": [{"n": 77}]}, {"uris": ["new"]}], ids=str)
def test_update_without_embeddings_keeps_the_vectors(filled: Collection, columns: Any) -> None:
    before = vectors_of(filled)
    filled.update(ids=["id3"], **columns)
    assert np.array_equal(vectors_of(filled), before)


def test_update_and_upsert_keep_a_records_place_and_delete_gives_it_up(filled: Collection) -> None:
    ids = filled.get()["ids"]
    filled.update(ids=["id1"], embeddings=[[50, 50]])
    filled.upsert(ids=["id2"], embeddings=[[50, 50]])
    assert filled.get()["ids"] == ids
    filled.delete(ids=["id1"])
    filled.upsert(ids=["id1"], embeddings=[[1, 0]])
    assert filled.get()["ids"] == ["id0", *ids[2:], "id1"]


def test_a_deleted_record_leaves_nothing_to_the_next_of_its_id(filled: Collection) -> None:
    filled.delete(ids=["id0"])
    filled.upsert(ids=["id0"], embeddings=[[7, 7]])
    found = filled.get(ids=["id0"], include=["documents", "metadatas", "uris"])
    assert (found["documents"], found["metadatas"], found["uris"]) == ([None], [None], [None])


def test_upsert_of_a_new_record_drops_none_values(empty: Collection) -> None:
    empty.upsert(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"n": None}, {"n": None, "m": 1}])
    assert empty.get()["metadatas"] == [None, {"m": 1}]


# -- delete ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "gone"),
    [
        ({"ids": ["id3"]}, [3]),
        ({"ids": "id3"}, [3]),
        ({"ids": ["id3", "nobody", ""]}, [3]),
        ({"ids": ["nobody"]}, []),
        ({"where": {"n": {"$lt": 3}}}, [0, 1, 2]),
        ({"where": {"n": 99}}, []),
        ({"where_document": {"$contains": "doc 1"}}, [1]),
        ({"where": {"even": True}, "where_document": {"$contains": "doc"}}, [0, 4, 6]),
        ({"ids": ["id1", "id2", "id3"], "where": {"even": True}}, [2]),
        ({"ids": ["id1", "id2"], "where_document": {"$contains": "doc"}}, [1]),
        ({"where": {"even": False}, "limit": 2}, [1, 3]),
        ({"where": {"even": False}, "limit": np.int64(2)}, [1, 3]),
        ({"where": {"even": False}, "limit": 0}, []),
        ({"where": {"even": False}, "limit": 2**70}, [1, 3, 5, 7, 9]),
        ({"ids": ["id9", "id1"], "where": {"even": False}, "limit": 1}, [1]),
    ],
    ids=str,
)
def test_delete_takes_what_is_selected_and_counts_it(filled: Collection, selection: Any, gone: list[int]) -> None:
    assert filled.delete(**selection) == {"deleted": len(gone)}
    assert filled.get()["ids"] == [f"id{n}" for n in range(10) if n not in gone]
    assert filled.count() == 10 - len(gone)
    assert set(filled.query(query_embeddings=[[0, 0]])["ids"][0]).isdisjoint(f"id{n}" for n in gone)


# -- size --------------------------------------------------------------------------------------------------------


def test_a_call_of_100_000_records_is_one_write(empty: Collection) -> None:
    ids = [str(n) for n in range(100_000)]
    empty.add(ids=ids, embeddings=np.arange(200_000, dtype=np.float32).reshape(-1, 2), documents=ids)
    assert empty.count() == 100_000
    assert empty.get(ids=["99999"])["documents"] == ["99999"]
    assert empty.query(query_embeddings=[[199_998, 199_999]], n_results=1)["ids"] == [["99999"]]
    assert len(empty.get(ids=ids, include=[])["ids"]) == 100_000
    empty.update(ids=ids, metadatas=[{"n": n} for n in range(100_000)])
    assert empty.count(where={"n": {"$gte": 99_990}}) == 10
    assert empty.delete(ids=ids) == {"deleted": 100_000}


def test_documents_and_ids_may_be_very_long(empty: Collection) -> None:
    long_id, document = "x" * 100_000, "ä" * 5_000_000 + "needle"
    empty.add(
        ids=[long_id], embeddings=[[1]], documents=[document], uris=[long_id], metadatas=[{"k" * 10_000: document}]
    )
    assert empty.get(ids=[long_id])["documents"] == [document]
    assert empty.get(where_document={"$contains": "äneedle"})["ids"] == [long_id]
    assert empty.get(where={"k" * 10_000: document})["ids"] == [long_id]


def test_vectors_may_have_very_many_dimensions(empty: Collection) -> None:
    empty.add(ids=["a", "b"], embeddings=np.eye(2, 65_536))
    assert empty.query(query_embeddings=np.eye(1, 65_536), n_results=1)["ids"] == [["a"]]


@pytest.mark.parametrize("text", ["nul \0 inside", "\0", " ", "\n", "'; DROP TABLE records; --", "🙂" * 100, "e\u0301"])
def test_any_text_is_an_id_a_document_and_a_uri(empty: Collection, text: str) -> None:
    empty.add(ids=[text, "other"], embeddings=[[1], [2]], documents=[text, None], uris=[text, None])
    found = empty.get(ids=[text], include=["documents", "uris"])
    assert (found["ids"], found["documents"], found["uris"]) == ([text], [text], [text])
    assert empty.get(where_document={"$contains": text})["ids"] == [text]
    assert empty.query(query_embeddings=[[2]], ids=[text])["ids"] == [[text]]
