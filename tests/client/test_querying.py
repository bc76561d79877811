"""Querying: what may be asked with, whom it finds, and the shape of the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ochre import ClientType, Collection
from ochre.errors import InvalidArgumentError, NotFoundError
from tests.client.conftest import Letters, Loader

KEYS = {"ids", "embeddings", "documents", "metadatas", "uris", "data", "distances", "included"}
COLUMNS = ("documents", "embeddings", "metadatas", "distances", "uris")


@pytest.fixture
def lettered(client: ClientType) -> Collection:
    """Texts of 1, 3 and 6 letters, embedded by their length."""
    collection = client.create_collection("lettered", embedding_function=Letters(), data_loader=Loader())
    collection.add(ids=["one", "three", "six"], documents=["x", "xxx", "xxxxxx"])
    return collection


def test_query_returns_every_key_nested_by_query(filled: Collection) -> None:
    found = filled.query(query_embeddings=[[1.25, 0], [8, 0]], n_results=2)
    assert found.keys() == KEYS
    assert found["ids"] == [["id1", "id2"], ["id8", "id7"]]
    assert found["distances"] == [[0.0625, 0.5625], [0, 1]]
    assert found["documents"] == [["doc 1", None], [None, "doc 7"]]
    assert [[m["n"] for m in row] for row in found["metadatas"]] == [[1, 2], [8, 7]]
    assert found["included"] == ["metadatas", "documents", "distances"]
    assert found["embeddings"] is found["uris"] is found["data"] is None


@pytest.mark.parametrize("include", [[], ["distances"], ["uris", "embeddings"], list(COLUMNS), ("documents",)], ids=str)
def test_query_returns_what_is_included_and_none_for_the_rest(filled: Collection, include: Any) -> None:
    found = filled.query(query_embeddings=[[1, 0], [5, 0]], n_results=3, include=include)
    assert found["included"] == list(include)
    for column in COLUMNS:
        assert (found[column] is not None) == (column in include)
        if column in include:
            assert [len(row) for row in found[column]] == [3, 3]


def test_embeddings_of_a_query_are_one_float32_array_a_query(filled: Collection) -> None:
    found = filled.query(query_embeddings=[[1, 0], [5, 0]], n_results=2, include=["embeddings"])["embeddings"]
    assert isinstance(found, list)
    assert [(rows.dtype, rows.shape) for rows in found] == [(np.float32, (2, 2))] * 2
    assert found[1].tolist() == [[5, 0], [4, 0]]


@pytest.mark.parametrize(
    "embeddings",
    [[1, 0], [[1, 0]], ((1, 0),), np.array([1, 0]), np.array([[1, 0]], np.float64), [np.array([1, 0], np.float16)]],
)
def test_one_vector_or_several_may_be_asked_with(filled: Collection, embeddings: Any) -> None:
    assert filled.query(query_embeddings=embeddings, n_results=1)["ids"] == [["id1"]]


@pytest.mark.parametrize(
    ("space", "expected"),
    [("l2", [1, 4, 8]), ("ip", [-1, 1, 1]), ("cosine", [0, 1, 1])],
)
def test_distances_are_those_of_the_space_and_ties_keep_insertion_order(
    client: ClientType, space: str, expected: list[float]
) -> None:
    collection = client.create_collection(
        f"in-{space}", configuration={"hnsw": {"space": space}}, embedding_function=None
    )
    collection.add(ids=["near", "zero", "away"], embeddings=[[1, 0], [0, 0], [0, 2]])
    found = collection.query(query_embeddings=[[2, 0]])
    assert found["ids"] == [["near", "zero", "away"]]
    assert found["distances"] == [expected]


def test_fewer_results_come_only_if_fewer_match(filled: Collection) -> None:
    assert len(filled.query(query_embeddings=[[1, 0]])["ids"][0]) == 10
    assert len(filled.query(query_embeddings=[[1, 0]], n_results=100)["ids"][0]) == 10
    assert len(filled.query(query_embeddings=[[1, 0]], n_results=10**30)["ids"][0]) == 10
    assert len(filled.query(query_embeddings=[[1, 0]], n_results=np.int64(3))["ids"][0]) == 3
    assert filled.query(query_embeddings=[[1, 0]], where={"n": {"$gte": 8}})["ids"] == [["id8", "id9"]]


@pytest.mark.parametrize("filters", [{}, {"where": {"n": 1}}, {"where_document": {"$contains": "x"}}, {"ids": []}])
def test_an_empty_collection_answers_every_query_with_nothing(empty: Collection, filters: Any) -> None:
    found = empty.query(query_embeddings=[[1, 2, 3], [4, 5, 6]], include=COLUMNS, **filters)
    for column in ("ids", "distances", "documents", "metadatas", "uris"):
        assert found[column] == [[], []]
    assert [len(rows) for rows in found["embeddings"]] == [0, 0]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"where": {"even": False}}, [1, 3, 5, 7, 9]),
        ({"where_document": {"$contains": "doc"}}, [0, 1, 3, 4, 6, 7, 9]),
        ({"where": {"n": {"$gt": 4}}, "where_document": {"$not_contains": "doc"}}, [5, 8]),
        ({"where": {"n": 99}}, []),
        ({"ids": ["id9", "id3", "id9"]}, [3, 9]),
        ({"ids": "id3"}, [3]),
        ({"ids": np.array(["id3"])}, [3]),
        ({"ids": []}, []),
        ({"ids": ["id1", "id2"], "where": {"even": True}}, [2]),
        ({"ids": ["id1", "nobody", ""], "where": {"even": False}}, [1]),
        ({"ids": ["nobody"], "where": {"even": False}}, []),
    ],
    ids=str,
)
def test_filters_and_ids_narrow_the_candidates_before_the_search(
    filled: Collection, selection: Any, expected: list[int]
) -> None:
    found = filled.query(query_embeddings=[[0, 0]], **selection)
    assert found["ids"] == [[f"id{n}" for n in expected]]
    assert found["distances"] == [[float(n * n) for n in expected]]


@pytest.mark.parametrize("ids", [["nobody"], ["id1", "nobody"], [""]], ids=str)
def test_an_unknown_id_without_a_filter_is_an_error(filled: Collection, ids: list[str]) -> None:
    with pytest.raises(NotFoundError, match="Error finding id"):
        filled.query(query_embeddings=[[0, 0]], ids=ids)


@pytest.mark.parametrize(
    ("max_distance", "expected"),
    [(None, 10), (4, 3), (3.999, 2), (np.float32(1), 2), (0, 1), (-1, 0), (float("inf"), 10), (10**400, 10)],
    ids=str,
)
def test_max_distance_leaves_out_what_is_farther(filled: Collection, max_distance: Any, expected: int) -> None:
    found = filled.query(query_embeddings=[[0, 0]], max_distance=max_distance)
    assert found["ids"] == [[f"id{n}" for n in range(expected)]]


def test_exact_gives_the_same_answer(filled: Collection) -> None:
    assert filled.query(query_embeddings=[[3, 3]], exact=True) == filled.query(query_embeddings=[[3, 3]])


def test_explain_tells_how_the_query_was_answered(filled: Collection) -> None:
    found = filled.query(query_embeddings=[[0, 0]], where={"even": True}, n_results=2, explain=True)
    explained = found["explain"]
    assert found["ids"] == [["id0", "id2"]]
    assert (explained["records"], explained["matches"]) == (10, 5)
    assert explained["plan"]
    assert explained["reason"]
    assert all(seconds >= 0 for seconds in explained["seconds"].values())
    assert "explain" not in filled.query(query_embeddings=[[0, 0]])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"query_texts": "yy"}, [["one", "three"]]),
        ({"query_texts": ["yyyyy", ""]}, [["six", "three"], ["one", "three"]]),
        ({"query_texts": ("yyyy",)}, [["three", "six"]]),
        ({"query_texts": np.array(["yyyy"])}, [["three", "six"]]),
        ({"query_images": np.ones((2, 3))}, [["six", "three"]]),
        ({"query_images": [np.ones((2, 3)), np.zeros((2, 2))]}, [["six", "three"], ["one", "three"]]),
        ({"query_uris": "u"}, [["three", "six"]]),
        ({"query_uris": ["uu", "u"]}, [["six", "three"], ["three", "six"]]),
    ],
    ids=str,
)
def test_texts_images_and_uris_are_embedded(lettered: Collection, query: Any, expected: Any) -> None:
    assert lettered.query(**query, n_results=2)["ids"] == expected


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"query_texts": "x", "query_embeddings": [[1, 0]]},
        {"query_texts": "x", "query_images": [np.ones((2, 2))]},
        {"query_texts": "x", "query_uris": "u"},
    ],
    ids=lambda query: " and ".join(query) or "nothing",
)
def test_a_query_asks_with_exactly_one_thing(lettered: Collection, query: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Exactly one of query_embeddings, query_texts"):
        lettered.query(**query)


def test_query_uris_need_a_data_loader(filled: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="You must set a data loader"):
        filled.query(query_uris=["u"])


def test_a_change_shows_in_the_next_query(filled: Collection) -> None:
    ask = {"query_embeddings": [[100, 0]], "n_results": 1}
    assert filled.query(**ask)["ids"] == [["id9"]]
    filled.update(ids=["id2"], embeddings=[[100, 0]])
    assert filled.query(**ask)["ids"] == [["id2"]]
    filled.upsert(ids=["new"], embeddings=[[100, 0]])
    assert filled.query(**{**ask, "n_results": 2})["ids"] == [["id2", "new"]]
    filled.delete(ids=["id2"])
    assert filled.query(**ask)["ids"] == [["new"]]
    assert filled.query(**ask, where={"n": 9})["ids"] == [["id9"]]
