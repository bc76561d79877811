"""Records over HTTP: written, read, queried, deleted."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server.conftest import COLLECTIONS, error_of

INVALID, CHROMA, MISSING = "InvalidArgumentError", "ChromaError", "NotFoundError"
NOBODY = f"{COLLECTIONS}/{uuid.UUID(int=7)}"
EVERYTHING = {"include": ["documents", "metadatas", "embeddings", "uris"]}
SPARSE = {"#type": "sparse_vector", "indices": [1, 5], "values": [0.5, 2.0], "tokens": None}


def base64_of(*vector: float) -> str:
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


def got(http: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    response = http.post(f"{path}/get", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def added(http: httpx.Client, path: str, content: str) -> httpx.Response:
    """Add one record `x`, with more of the body as it is written."""
    return http.post(f"{path}/add", content=f'{{"ids": ["x"], "embeddings": [[1, 0]], {content}}}'.encode())


# -- what a write takes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "embeddings", [[[0.1, 2], [3, 4]], [base64_of(0.1, 2), base64_of(3, 4)]], ids=["arrays", "base64"]
)
def test_embeddings_come_as_arrays_or_base64_and_go_as_float32(
    http: httpx.Client, things: str, embeddings: list[Any]
) -> None:
    response = http.post(f"{things}/add", json={"ids": ["x", "y"], "embeddings": embeddings})
    assert (response.status_code, response.json()) == (201, {})
    found = got(http, things, ids=["x", "y"], include=["embeddings"])
    assert found["embeddings"] == [[0.10000000149011612, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("true", "true"),
        ("1", "1"),
        ("1.0", "1.0"),
        ("2.000000000000000", "2.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9.223372036854776e18"),
        ('"s"', '"s"'),
        ('""', '""'),
        ("[1,2,2]", "[1,2,2]"),
        ("[1,2.5]", "[1.0,2.5]"),
        ("[1,9223372036854775808]", "[1.0,9.223372036854776e18]"),
        ('["b","a"]', '["b","a"]'),
        ("[true,false]", "[true,false]"),
        ('{"indices":[1],"values":[2]}', '{"#type":"sparse_vector","indices":[1],"values":[2.0],"tokens":null}'),
        ('{"indices":[],"values":[]}', '{"#type":"sparse_vector","indices":[],"values":[],"tokens":null}'),
    ],
)
def test_a_metadata_value_comes_back_as_what_it_was(http: httpx.Client, things: str, sent: str, told: str) -> None:
    assert added(http, things, f'"metadatas": [{{"k": {sent}}}]').status_code == 201
    assert f'"metadatas":[{{"k":{told}}}]' in http.post(f"{things}/get", json={"ids": ["x"]}).text


@pytest.mark.parametrize("metadata", ["{}", "null", '{"k": []}'])
def test_metadata_of_nothing_is_null(http: httpx.Client, things: str, metadata: str) -> None:
    assert added(http, things, f'"metadatas": [{metadata}], "uris": ["u"]').status_code == 201
    assert got(http, things, ids=["x"])["metadatas"] == [None]


def test_an_empty_document_is_a_document(http: httpx.Client, things: str) -> None:
    assert added(http, things, '"documents": [""]').status_code == 201
    assert got(http, things, ids=["x"])["documents"] == [""]
    assert "x" in got(http, things, where_document={"$contains": ""})["ids"]


@pytest.mark.parametrize("route", ["add", "update", "upsert"])
def test_a_write_of_nothing_is_fine(http: httpx.Client, things: str, route: str) -> None:
    response = http.post(f"{things}/{route}", json={"ids": [], "embeddings": []})
    assert (response.status_code, response.json()) == (201 if route == "add" else 200, {})


@pytest.mark.parametrize("route", ["add", "update", "upsert"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"embeddings": [[1, 2, 3]]}, (400, INVALID)),
        ({"ids": ["x", "y"], "embeddings": [[1, 2], [1]]}, (400, INVALID)),
        ({"ids": [""]}, (400, INVALID)),
        ({"ids": ["x", "y"]}, (400, INVALID)),
        ({"ids": None}, (422, CHROMA)),
        ({"ids": [1]}, (422, CHROMA)),
        ({"documents": []}, (400, INVALID)),
        ({"documents": [1]}, (422, CHROMA)),
        ({"uris": ["u", "v"]}, (400, INVALID)),
        ({"metadatas": [{}, {}]}, (400, INVALID)),
        ({"embeddings": [[]]}, (400, INVALID)),
        ({"embeddings": [[1e39, 0]]}, (400, INVALID)),
        ({"embeddings": [["1", 0]]}, (422, CHROMA)),
        ({"embeddings": [1, 0]}, (422, CHROMA)),
        ({"embeddings": {"a": 1}}, (422, CHROMA)),
        ({"embeddings": "AAAA"}, (422, CHROMA)),
        ({"ids": ["x", "y"], "embeddings": [base64_of(1, 2), [1, 2]]}, (422, CHROMA)),
        ({"embeddings": ["%%%%"]}, (400, INVALID)),
        ({"embeddings": ["ä"]}, (400, INVALID)),
        ({"embeddings": [""]}, (400, INVALID)),
        ({"embeddings": ["AAA="]}, (400, INVALID)),
        ({"embeddings": [base64_of(float("nan"), 1)]}, (400, INVALID)),
        ({"embeddings": [base64_of(float("inf"), 1)]}, (400, INVALID)),
        ({"metadatas": [{"": 1}]}, (400, INVALID)),
        ({"metadatas": [{"#a": 1}]}, (400, INVALID)),
        ({"metadatas": [{"$a": 1}]}, (400, INVALID)),
        ({"metadatas": [{"chroma:document": "x"}]}, (400, INVALID)),
        ({"metadatas": [{"a": {"b": 1}}]}, (422, CHROMA)),
        ({"metadatas": [{"a": [1, "b"]}]}, (422, CHROMA)),
        ({"metadatas": [{"a": [True, 1]}]}, (422, CHROMA)),
        ({"metadatas": [{"a": [[1]]}]}, (422, CHROMA)),
        ({"metadatas": [{"a": [None]}]}, (422, CHROMA)),
        ({"metadatas": [{"a": SPARSE | {"#type": "dense"}}]}, (422, CHROMA)),
        ({"metadatas": [{"a": SPARSE | {"indices": [5, 1]}}]}, (400, INVALID)),
        ({"metadatas": [{"a": SPARSE | {"indices": [1, 1]}}]}, (400, INVALID)),
        ({"metadatas": [{"a": SPARSE | {"values": [1.0]}}]}, (400, INVALID)),
        ({"metadatas": [5]}, (422, CHROMA)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_write_that_breaks_a_rule_changes_nothing(
    http: httpx.Client, things: str, route: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = got(http, things, **EVERYTHING)
    response = http.post(f"{things}/{route}", json={"ids": ["x"], "embeddings": [[1, 0]]} | body)
    assert error_of(response) == expected
    assert got(http, things, **EVERYTHING) == before


@pytest.mark.parametrize("route", ["add", "upsert"])
@pytest.mark.parametrize("body", [{}, {"embeddings": None}, {"embeddings": [None]}], ids=str)
def test_a_record_needs_an_embedding(http: httpx.Client, things: str, route: str, body: dict[str, Any]) -> None:
    assert error_of(http.post(f"{things}/{route}", json={"ids": ["x"], **body})) == (422, CHROMA)


def test_a_null_in_new_metadata_is_refused(http: httpx.Client, things: str) -> None:
    assert error_of(added(http, things, '"metadatas": [{"a": null}]')) == (422, CHROMA)


@pytest.mark.parametrize("form", ["{}", "[{}]", "[1.5, {}]", '{{"indices": [1], "values": [{}]}}'])
def test_a_number_beyond_float64_is_refused(http: httpx.Client, things: str, form: str) -> None:
    value = form.format("9" * 400)
    assert error_of(added(http, things, f'"metadatas": [{{"a": {value}}}]')) == (400, INVALID)


def test_a_message_tells_both_dimensions(http: httpx.Client, things: str) -> None:
    message = http.post(f"{things}/add", json={"ids": ["x"], "embeddings": [[1, 2, 3]]}).json()["message"]
    assert "dimension of 2, got 3" in message


def test_a_message_tells_which_record_it_is_about(http: httpx.Client, things: str) -> None:
    body = {"ids": ["x", "y"], "embeddings": [[1, 0], [1, 0]], "metadatas": [None, {"#a": 1}]}
    assert "metadatas[1]" in http.post(f"{things}/add", json=body).json()["message"]


# -- what a write does ------------------------------------------------------------------------------------------


def test_add_leaves_records_that_are_there(http: httpx.Client, things: str) -> None:
    body = {"ids": ["a", "x", "x"], "embeddings": [[9, 9]] * 3, "documents": ["new", "first", "second"]}
    assert http.post(f"{things}/add", json=body).status_code == 201
    found = got(http, things)
    assert found["ids"] == ["a", "b", "c", "x"]
    assert found["documents"] == [None, "red fox", "blue fox", "first"]


@pytest.mark.parametrize("embeddings", [{}, {"embeddings": None}, {"embeddings": [None]}, {"embeddings": []}], ids=str)
def test_update_leaves_embeddings_that_are_not_named(http: httpx.Client, things: str, embeddings: Any) -> None:
    body = {"ids": ["b"], "documents": ["green fox"], **embeddings}
    assert http.post(f"{things}/update", json=body).json() == {}
    found = got(http, things, ids=["b"], **EVERYTHING)
    assert (found["embeddings"], found["documents"]) == ([[0.0, 1.0]], ["green fox"])


def test_update_takes_embeddings_for_some_records(http: httpx.Client, things: str) -> None:
    assert http.post(f"{things}/update", json={"ids": ["a", "b"], "embeddings": [None, [5, 5]]}).json() == {}
    assert got(http, things, include=["embeddings"])["embeddings"] == [[1.0, 0.0], [5.0, 5.0], [1.0, 1.0]]


def test_update_ignores_records_that_are_not_there(http: httpx.Client, things: str) -> None:
    assert http.post(f"{things}/update", json={"ids": ["x"], "documents": ["new"]}).json() == {}
    assert http.get(f"{things}/count").json() == 3


@pytest.mark.parametrize("route", ["update", "upsert"])
def test_metadata_is_merged_and_nulls_delete(http: httpx.Client, things: str, route: str) -> None:
    body = {"ids": ["a", "b"], "embeddings": [[1, 0], [0, 1]], "metadatas": [{"n": "new", "m": 1}, {"n": None}]}
    assert http.post(f"{things}/{route}", json=body).json() == {}
    assert got(http, things, ids=["a", "b"])["metadatas"] == [{"n": "new", "f": 1.0, "m": 1}, {"tags": ["x", "y"]}]


def test_metadata_whose_keys_are_all_deleted_is_null(http: httpx.Client, things: str) -> None:
    http.post(f"{things}/update", json={"ids": ["a"], "metadatas": [{"n": None, "f": None}]})
    assert got(http, things, ids=["a"])["metadatas"] == [None]


def test_upsert_changes_what_is_there_and_adds_the_rest(http: httpx.Client, things: str) -> None:
    body = {"ids": ["b", "x"], "embeddings": [[7, 7], [8, 8]], "documents": [None, "new"]}
    assert http.post(f"{things}/upsert", json=body).json() == {}
    found = got(http, things, **EVERYTHING)
    assert found["ids"] == ["a", "b", "c", "x"]
    assert found["documents"] == [None, "red fox", "blue fox", "new"]
    assert found["embeddings"][1:] == [[7.0, 7.0], [1.0, 1.0], [8.0, 8.0]]


def test_one_id_twice_is_changed_in_turn(http: httpx.Client, things: str) -> None:
    http.post(f"{things}/update", json={"ids": ["a", "a"], "metadatas": [{"n": 2, "m": 1}, {"n": 3}]})
    assert got(http, things, ids=["a"])["metadatas"] == [{"n": 3, "f": 1.0, "m": 1}]


# -- delete -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "deleted", "left"),
    [
        ({}, 0, ["a", "b", "c"]),
        ({"ids": None, "where": None, "where_document": None, "limit": None}, 0, ["a", "b", "c"]),
        ({"ids": ["a", "x"]}, 1, ["b", "c"]),
        ({"where": {"n": {"$gte": 1}}}, 2, ["c"]),
        ({"where_document": {"$contains": "fox"}}, 2, ["a"]),
        ({"ids": ["a", "c"], "where": {"n": 1}}, 1, ["b", "c"]),
        ({"ids": [], "where": {"n": 1}}, 0, ["a", "b", "c"]),
        ({"where": {"n": {"$gte": 1}}, "limit": 1}, 1, ["b", "c"]),
        ({"where": {"n": {"$gte": 1}}, "limit": 0}, 0, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_delete_deletes_what_is_selected(
    http: httpx.Client, things: str, body: dict[str, Any], deleted: int, left: list[str]
) -> None:
    assert http.post(f"{things}/delete", json=body).json() == {"deleted": deleted}
    assert got(http, things)["ids"] == left


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"ids": []}, (400, INVALID)),
        ({"ids": ["a"], "limit": 1}, (400, INVALID)),
        ({"limit": 1}, (400, INVALID)),
        ({"where": {"n": 1}, "limit": -1}, (422, CHROMA)),
    ],
    ids=str,
)
def test_a_delete_that_breaks_a_rule_is_refused(
    http: httpx.Client, things: str, body: dict[str, Any], expected: Any
) -> None:
    assert error_of(http.post(f"{things}/delete", json=body)) == expected
    assert http.get(f"{things}/count").json() == 3


def test_a_record_that_comes_back_comes_last(http: httpx.Client, things: str) -> None:
    http.post(f"{things}/delete", json={"ids": ["a"]})
    http.post(f"{things}/add", json={"ids": ["a"], "embeddings": [[1, 0]]})
    assert got(http, things)["ids"] == ["b", "c", "a"]


# -- get and count ----------------------------------------------------------------------------------------------


def test_get_tells_every_column_and_null_for_those_not_asked_for(http: httpx.Client, things: str) -> None:
    assert got(http, things) == {
        "ids": ["a", "b", "c"],
        "embeddings": None,
        "documents": [None, "red fox", "blue fox"],
        "uris": None,
        "metadatas": [{"n": 1, "f": 1.0}, {"n": 2, "tags": ["x", "y"]}, None],
        "include": ["documents", "metadatas"],
    }


@pytest.mark.parametrize("include", [[], ["distances"], ["uris", "embeddings"], ["metadatas", "metadatas"]], ids=str)
def test_include_is_told_as_it_came(http: httpx.Client, things: str, include: list[str]) -> None:
    found = got(http, things, include=include)
    there = {name for name in ("embeddings", "documents", "uris", "metadatas") if found[name] is not None}
    assert found["include"] == include
    assert there == set(include) - {"distances"}


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"ids": None, "offset": 0, "limit": None}, ["a", "b", "c"]),
        ({"ids": []}, []),
        ({"ids": ["c", "a", "c", "x"]}, ["a", "c"]),
        ({"limit": 0}, []),
        ({"limit": 2}, ["a", "b"]),
        ({"limit": 2, "offset": 2}, ["c"]),
        ({"offset": 9}, []),
        ({"where": {"n": {"$gte": 1}}, "offset": 1}, ["b"]),
        ({"where": {"n": {"$gte": 1}}, "ids": ["b", "c"]}, ["b"]),
    ],
    ids=str,
)
def test_get_returns_what_is_selected_in_order_of_insertion(
    http: httpx.Client, things: str, body: dict[str, Any], ids: list[str]
) -> None:
    assert got(http, things, **body)["ids"] == ids


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"n": 1}, ["a"]),
        ({"n": 1.0}, ["a"]),
        ({"f": 1}, ["a"]),
        ({"n": {"$gt": 1.5}}, ["b"]),
        ({"n": True}, []),
        ({"n": "1"}, []),
        ({"n": {"$ne": 1}}, ["b", "c"]),
        ({"n": {"$in": [1, 2]}}, ["a", "b"]),
        ({"n": {"$nin": [1]}}, ["b", "c"]),
        ({"tags": {"$contains": "x"}}, ["b"]),
        ({"tags": {"$not_contains": "x"}}, ["a", "c"]),
        ({"tags": "x"}, []),
        ({"$and": []}, ["a", "b", "c"]),
        ({"$or": []}, []),
        ({"$and": [{"n": 1}]}, ["a"]),
        ({"$or": [{"n": 1}, {"#document": {"$contains": "blue"}}]}, ["a", "c"]),
        ({"#document": {"$not_regex": "^red"}}, ["a", "c"]),
        ({"#nothing": 1}, []),
        (None, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_a_filter_finds(http: httpx.Client, things: str, where: Any, ids: list[str]) -> None:
    assert got(http, things, where=where)["ids"] == ids


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"$contains": "fox"}, ["b", "c"]),
        ({"$contains": "FOX"}, []),
        ({"$contains": "%"}, []),
        ({"$not_contains": "red"}, ["a", "c"]),
        ({"$regex": "(?i)RED"}, ["b"]),
        ({"$and": [{"$contains": "fox"}, {"$not_contains": "red"}]}, ["c"]),
        (None, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_a_document_filter_finds(http: httpx.Client, things: str, where: Any, ids: list[str]) -> None:
    assert got(http, things, where_document=where)["ids"] == ids


@pytest.mark.parametrize("route", ["get", "query", "delete"])
@pytest.mark.parametrize(
    "body",
    [
        {"where": {}},
        {"where": {"a": 1, "b": 2}},
        {"where": {"a": None}},
        {"where": {"a": {}}},
        {"where": {"a": {"$gt": 1, "$lt": 2}}},
        {"where": {"a": {"$gt": "x"}}},
        {"where": {"a": {"$lte": True}}},
        {"where": {"a": {"$in": []}}},
        {"where": {"a": {"$in": [1, 1.5]}}},
        {"where": {"a": {"$in": [1, True]}}},
        {"where": {"a": {"$in": 1}}},
        {"where": {"a": {"$regex": "x"}}},
        {"where": {"a": {"$like": "x"}}},
        {"where": {"a": 2**63}},
        {"where": {"$not": {"a": 1}}},
        {"where": {"$and": {"a": 1}}},
        {"where": {"$or": [{}]}},
        {"where": {"#document": {"$eq": "x"}}},
        {"where": [1]},
        {"where": "a"},
        {"where_document": {}},
        {"where_document": {"$contains": 1}},
        {"where_document": {"$eq": "x"}},
        {"where_document": {"a": "x"}},
        {"where_document": {"$regex": "("}},
        {"where_document": {"$regex": "(?=x)"}},
        {"where_document": {"$regex": r"(a)\1"}},
    ],
    ids=str,
)
def test_a_filter_that_breaks_the_grammar_is_refused(
    http: httpx.Client, things: str, route: str, body: dict[str, Any]
) -> None:
    more = {"query_embeddings": [[1, 0]]} if route == "query" else {}
    assert error_of(http.post(f"{things}/{route}", json=body | more)) == (400, INVALID)


@pytest.mark.parametrize(
    "body",
    [
        {"include": ["data"]},
        {"include": None},
        {"include": "documents"},
        {"limit": -1},
        {"limit": 1.5},
        {"limit": "1"},
        {"limit": 2**32},
        {"offset": -1},
        {"ids": "a"},
    ],
    ids=str,
)
def test_a_get_of_another_shape_is_422(http: httpx.Client, things: str, body: dict[str, Any]) -> None:
    assert error_of(http.post(f"{things}/get", json=body)) == (422, CHROMA)


@pytest.mark.parametrize("query", ["", "?read_level=index_and_wal", "?read_level=index_only"])
def test_a_count_is_bare_digits(http: httpx.Client, things: str, query: str) -> None:
    response = http.get(f"{things}/count{query}")
    assert (response.text, response.headers["content-type"]) == ("3", "application/json")


def test_an_unknown_read_level_is_refused(http: httpx.Client, things: str) -> None:
    assert error_of(http.get(f"{things}/count?read_level=IndexAndWal")) == (400, INVALID)


def test_everything_is_indexed_when_a_write_returns(http: httpx.Client, things: str) -> None:
    status = http.get(f"{things}/indexing_status").json()
    assert (status["op_indexing_progress"], status["num_unindexed_ops"]) == (1.0, 0)
    assert status["num_indexed_ops"] == status["total_ops"] > 0


# -- query ------------------------------------------------------------------------------------------------------


def queried(http: httpx.Client, path: str, *vectors: list[float], **body: Any) -> dict[str, Any]:
    response = http.post(f"{path}/query", json={"query_embeddings": vectors, **body})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_query_tells_an_inner_list_a_vector_nearest_first(http: httpx.Client, things: str) -> None:
    assert queried(http, things, [1, 0], [0, 2], n_results=2) == {
        "ids": [["a", "c"], ["b", "c"]],
        "distances": [[0.0, 1.0], [1.0, 2.0]],
        "documents": [[None, "blue fox"], ["red fox", "blue fox"]],
        "metadatas": [[{"n": 1, "f": 1.0}, None], [{"n": 2, "tags": ["x", "y"]}, None]],
        "embeddings": None,
        "uris": None,
        "include": ["documents", "metadatas", "distances"],
        "explain": None,
    }


@pytest.mark.parametrize(
    ("space", "distances"),
    [
        ("l2", {"a": 0.0, "b": 5.0, "zero": 1.0}),
        ("ip", {"a": 0.0, "b": -1.0, "zero": 1.0}),
        ("cosine", {"a": 0.0, "b": 0.29289323, "zero": 1.0}),
    ],
)
def test_distances_are_those_of_the_space(http: httpx.Client, space: str, distances: dict[str, float]) -> None:
    made = http.post(COLLECTIONS, json={"name": "cars", "configuration": {"hnsw": {"space": space}}}).json()
    path = f"{COLLECTIONS}/{made['id']}"
    http.post(f"{path}/add", json={"ids": ["a", "b", "zero"], "embeddings": [[1, 0], [2, 2], [0, 0]]})
    found = queried(http, path, [1, 0])
    assert dict(zip(found["ids"][0], found["distances"][0], strict=True)) == pytest.approx(distances, rel=1e-6)


def test_a_distance_beyond_float32_is_null(http: httpx.Client) -> None:
    made = http.post(COLLECTIONS, json={"name": "far"}).json()
    path = f"{COLLECTIONS}/{made['id']}"
    http.post(f"{path}/add", json={"ids": ["a"], "embeddings": [[3e38, 0]]})
    assert queried(http, path, [-3e38, 0])["distances"] == [[None]]


def test_query_without_vectors_tells_no_lists(http: httpx.Client, things: str) -> None:
    found = queried(http, things, include=["documents", "distances"])
    assert (found["ids"], found["documents"], found["distances"]) == ([], [], [])


@pytest.mark.parametrize(
    "body", [{"n_results": 0}, {"where": {"n": 9}}, {"ids": []}, {"where_document": {"$contains": "cat"}}], ids=str
)
def test_query_that_finds_nothing_tells_an_empty_list_a_vector(
    http: httpx.Client, things: str, body: dict[str, Any]
) -> None:
    found = queried(http, things, [1, 0], [0, 1], **body)
    assert (found["ids"], found["documents"], found["distances"]) == ([[], []], [[], []], [[], []])


def test_query_of_an_empty_collection_takes_any_dimension(http: httpx.Client) -> None:
    made = http.post(COLLECTIONS, json={"name": "empty"}).json()
    assert queried(http, f"{COLLECTIONS}/{made['id']}", [1, 2, 3])["ids"] == [[]]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({}, ["a", "c", "b"]),
        ({"n_results": None}, ["a", "c", "b"]),
        ({"n_results": 99}, ["a", "c", "b"]),
        ({"n_results": 1, "where": {"n": 2}}, ["b"]),
        ({"where": {"#document": {"$contains": "fox"}}, "ids": ["b", "zzz"]}, ["b"]),
        ({"ids": ["b", "c"]}, ["c", "b"]),
    ],
    ids=str,
)
def test_query_looks_among_what_is_selected(
    http: httpx.Client, things: str, body: dict[str, Any], ids: list[str]
) -> None:
    assert queried(http, things, [1, 0], **body)["ids"] == [ids]


def test_query_of_an_unknown_id_without_a_filter_is_an_error(http: httpx.Client, things: str) -> None:
    response = http.post(f"{things}/query", json={"query_embeddings": [[1, 0]], "ids": ["zzz"]})
    assert error_of(response) == (404, MISSING)
    assert "Error finding id" in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, CHROMA)),
        ({"query_embeddings": None}, (422, CHROMA)),
        ({"query_embeddings": [base64_of(1, 0)]}, (422, CHROMA)),
        ({"query_embeddings": [[1, 0]], "n_results": -1}, (422, CHROMA)),
        ({"query_embeddings": [[1, 0]], "n_results": 1.5}, (422, CHROMA)),
        ({"query_embeddings": [[1, 0]], "include": ["data"]}, (422, CHROMA)),
        ({"query_embeddings": [[1, 0, 0]]}, (400, INVALID)),
        ({"query_embeddings": [[1, 0], [1]]}, (400, INVALID)),
        ({"query_embeddings": [[]]}, (400, INVALID)),
        ({"query_embeddings": [[1e39, 0]]}, (400, INVALID)),
    ],
    ids=str,
)
def test_a_query_that_breaks_a_rule_is_refused(
    http: httpx.Client, things: str, body: dict[str, Any], expected: Any
) -> None:
    assert error_of(http.post(f"{things}/query", json=body)) == expected


# -- Ochre's own ------------------------------------------------------------------------------------------------


def test_count_takes_a_filter(http: httpx.Client, things: str) -> None:
    assert http.post(f"{things}/count", json={"where": {"n": {"$exists": True}}}).json() == 2


def test_scan_walks_in_steps(http: httpx.Client, things: str) -> None:
    first = http.post(f"{things}/scan", json={"batch_size": 2}).json()
    rest = http.post(f"{things}/scan", json={"batch_size": 2, "cursor": first["cursor"]}).json()
    assert (first["ids"], rest["ids"], rest["cursor"]) == (["a", "b"], ["c"], None)


@pytest.mark.parametrize("cursor", [[1], [1, 2, 3], ["a", "b"], 5], ids=str)
def test_a_scan_from_nowhere_is_refused(http: httpx.Client, things: str, cursor: Any) -> None:
    assert error_of(http.post(f"{things}/scan", json={"cursor": cursor})) == (422, CHROMA)


def test_get_takes_an_order(http: httpx.Client, things: str) -> None:
    assert got(http, things, order_by=["-n"])["ids"] == ["b", "a", "c"]


def test_query_explains_itself_and_leaves_out_what_is_far(http: httpx.Client, things: str) -> None:
    found = queried(http, things, [1, 0], max_distance=1.0, exact=True, explain=True)
    assert (found["ids"], found["explain"]["matches"]) == ([["a", "c"]], 3)


# -- what is not there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"), [(NOBODY, (404, MISSING)), (f"{COLLECTIONS}/no-uuid", (400, INVALID))], ids=["id", "no id"]
)
@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "add", {"ids": ["a"], "embeddings": [[1.0]]}),
        ("POST", "update", {"ids": ["a"]}),
        ("POST", "upsert", {"ids": ["a"], "embeddings": [[1.0]]}),
        ("POST", "delete", {"ids": ["a"]}),
        ("POST", "get", {}),
        ("POST", "query", {"query_embeddings": [[1.0]]}),
        ("GET", "count", None),
        ("GET", "indexing_status", None),
    ],
)
def test_records_of_a_collection_that_is_not_there(
    http: httpx.Client, method: str, route: str, body: Any, path: str, expected: Any
) -> None:
    response = http.request(method, f"{path}/{route}", json=body)
    assert error_of(response) == expected
    assert ("does not exist" in response.json()["message"]) == (expected[0] == 404)


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("POST", "search"),
        ("POST", "fork"),
        ("GET", "fork_count"),
        ("POST", "functions/attach"),
        ("GET", "functions/x"),
        ("POST", "attached_functions/x/detach"),
        ("POST", "attached_functions/x/add_input"),
    ],
)
def test_what_is_not_supported_yet_says_so(http: httpx.Client, things: str, method: str, route: str) -> None:
    response = http.request(method, f"{things}/{route}", json={})
    assert error_of(response) == (501, CHROMA)
    assert "not supported" in response.json()["message"]


@pytest.mark.parametrize("route", ["get", "commit"])
def test_conditional_transactions_are_refused_under_a_name_of_their_own(
    http: httpx.Client, things: str, route: str
) -> None:
    response = http.post(f"{things}/conditional/{route}", json={})
    assert error_of(response) == (501, "TransactionsNotSupported")
    assert "conditional transactions require the gRPC log implementation" in response.json()["message"]
