"""The HTTP API as Chroma's clients know it: routes, statuses, names of errors, and the shapes of answers."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server.conftest import COLLECTIONS, DATABASE, ROOT, error_of

INVALID, CHROMA, MISSING = "InvalidArgumentError", "ChromaError", "NotFoundError"
ELSEWHERE = f"{ROOT}/tenants/default_tenant/databases/elsewhere/collections"
NOBODY = f"{COLLECTIONS}/{uuid.UUID(int=7)}"


def base64_of(*vector: float) -> str:
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


# -- system and plumbing ----------------------------------------------------------------------------------------


def test_the_system_routes_answer(http: httpx.Client) -> None:
    for path in (ROOT, f"{ROOT}/heartbeat"):
        assert type(http.get(path).json()["nanosecond heartbeat"]) is int
    assert http.get(f"{ROOT}/version").json() == "1.0.0"
    assert http.get(f"{ROOT}/healthcheck").json() == {"is_executor_ready": True, "is_log_client_ready": True}
    assert http.get(f"{ROOT}/pre-flight-checks").json() == {"max_batch_size": 50000, "supports_base64_encoding": True}
    identity = {"user_id": "", "tenant": "default_tenant", "databases": ["default_database"]}
    assert http.get(f"{ROOT}/auth/identity").json() == identity


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("GET", f"{ROOT}/heartbeat/", 404),
        ("GET", "/api/v1", 404),
        ("POST", f"{ROOT}/heartbeat", 405),
        ("DELETE", f"{ROOT}/tenants", 405),
    ],
)
def test_unknown_routes_have_no_body_but_a_trace(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["chroma-trace-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_version_one_is_gone(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/api/v1/collections")
    assert (response.status_code, response.json()["error"]) == (410, "Unimplemented")


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (b"{", {}, (400, INVALID)),
        (b'{"name": NaN}', {}, (400, INVALID)),
        (b'{"name": "abc", "metadata": {"a": 1e400}}', {}, (400, INVALID)),
        (b'{"name": "\xff"}', {}, (400, INVALID)),
        (b'{"name": "abc", "metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, {}, (400, INVALID)),
        (b"[]", {}, (422, CHROMA)),
        (b"{}", {}, (422, CHROMA)),
        (b'{"name": 1}', {}, (422, CHROMA)),
        (b'{"name": "abc"}', {"content-type": "application/x-www-form-urlencoded"}, (415, CHROMA)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies_that_are_no_json_or_of_another_shape(
    http: httpx.Client, content: bytes, headers: dict[str, str], expected: Any
) -> None:
    assert error_of(http.post(COLLECTIONS, content=content, headers=headers)) == expected


def test_a_body_without_a_declared_type_is_json(http: httpx.Client) -> None:
    request = http.build_request("POST", COLLECTIONS, content=b'{"name": "abc"}')
    request.headers.pop("content-type", None)
    assert http.send(request).status_code == 200


def test_a_body_over_the_limit_is_refused(http: httpx.Client, things: str) -> None:
    large = {"ids": ["x" * 1_100_000]}
    plain = http.post(f"{things}/add", json=large)
    assert (plain.status_code, plain.headers["content-type"].split(";")[0]) == (413, "text/plain")
    assert "Payload too large" in plain.text
    assert error_of(http.post(f"{things}/get", json=large)) == (413, CHROMA)
    streamed = http.post(
        f"{things}/get", content=(b" " * 100_000 for _ in range(12)), headers={"content-type": "application/json"}
    )
    assert streamed.status_code == 413
    assert http.get(f"{things}/count").json() == 3


def test_the_callers_trace_id_comes_back(http: httpx.Client) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    response = http.get(NOBODY, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert response.headers["chroma-trace-id"] == trace
    assert "chroma-trace-id" not in http.get(f"{ROOT}/heartbeat").headers


# -- tenants and databases --------------------------------------------------------------------------------------


def test_tenants_and_databases(http: httpx.Client) -> None:
    assert http.post(f"{ROOT}/tenants", json={"name": "acme"}).json() == {}
    assert http.get(f"{ROOT}/tenants/acme").json() == {"name": "acme", "resource_name": None}
    assert http.patch(f"{ROOT}/tenants/acme", json={"resource_name": "x"}).json() == {}
    databases = f"{ROOT}/tenants/acme/databases"
    for name in ("two", "one", "six"):
        assert http.post(databases, json={"name": name}).json() == {}
    assert [found["name"] for found in http.get(databases).json()] == ["one", "six", "two"]
    assert http.get(f"{databases}?limit=1&offset=1").json()[0]["tenant"] == "acme"
    assert http.get(f"{databases}?limit=0").json() == []
    assert http.get(f"{databases}/two").json().keys() == {"id", "name", "tenant"}
    assert http.delete(f"{databases}/two").json() == {}
    assert error_of(http.get(f"{databases}/two")) == (404, MISSING)
    assert error_of(http.delete(f"{databases}/two")) == (404, MISSING)
    assert error_of(http.post(f"{ROOT}/tenants", json={"name": "acme"})) == (409, CHROMA)
    assert error_of(http.post(databases, json={"name": "six"})) == (409, CHROMA)
    assert error_of(http.post(f"{ROOT}/tenants", json={"name": "ab"})) == (400, INVALID)
    assert error_of(http.post(databases, json={"name": "a b"})) == (400, INVALID)
    assert error_of(http.get(f"{databases}/ab")) == (400, INVALID)
    assert error_of(http.get(f"{databases}?limit=-1")) == (400, INVALID)
    assert error_of(http.get(f"{ROOT}/tenants/nobody")) == (404, MISSING)
    assert http.get(f"{ROOT}/tenants/nobody/databases").json() == []


# -- collections ------------------------------------------------------------------------------------------------


def test_a_collection_as_clients_know_it(http: httpx.Client) -> None:
    made = http.post(COLLECTIONS, json={"name": "abc", "metadata": {"a": 1, "f": 1.0}, "unknown": 5}).json()
    assert (made["name"], made["metadata"], made["dimension"], made["version"]) == ("abc", {"a": 1, "f": 1.0}, None, 0)
    assert made["configuration_json"]["hnsw"]["space"] == "l2"
    assert made["configuration_json"]["spann"] is None
    assert made["schema"]["keys"]["#document"]["string"]["fts_index"]["enabled"] is True
    assert uuid.UUID(made["id"])
    assert http.get(f"{COLLECTIONS}/abc").json() == made
    assert http.get(f"{COLLECTIONS}/by-id/{made['id']}").json() == made
    assert http.get(COLLECTIONS).json() == [made]
    assert http.get(f"{DATABASE}/collections_count").json() == 1
    again = http.post(COLLECTIONS, json={"name": "abc", "metadata": {"a": 2}, "get_or_create": True}).json()
    assert again == made
    path = f"{COLLECTIONS}/{made['id']}"
    changes = {
        "new_name": "xyz",
        "new_metadata": {"b": 2, "gone": None},
        "new_configuration": {"hnsw": {"ef_search": 9}},
    }
    assert http.put(path, json=changes).json() == {}
    changed = http.get(f"{COLLECTIONS}/xyz").json()
    assert (changed["metadata"], changed["configuration_json"]["hnsw"]["ef_search"]) == ({"b": 2}, 9)
    assert changed["schema"]["defaults"]["float_list"]["vector_index"]["config"]["hnsw"]["ef_search"] == 9
    assert http.put(path, json={}).json() == {}
    assert http.delete(f"{COLLECTIONS}/xyz").json() == {}
    assert error_of(http.get(f"{COLLECTIONS}/xyz")) == (404, MISSING)


def test_a_schema_that_was_returned_is_accepted_as_it_is(http: httpx.Client) -> None:
    schema = http.post(COLLECTIONS, json={"name": "abc"}).json()["schema"]
    assert http.post(COLLECTIONS, json={"name": "xyz", "schema": schema}).json()["schema"] == schema


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "ab"}, (400, INVALID)),
        ({"name": "a..b"}, (400, INVALID)),
        ({"name": "1.2.3.4"}, (400, INVALID)),
        ({"name": "abc", "metadata": {}}, (400, INVALID)),
        ({"name": "abc", "metadata": {"": 1}}, (400, INVALID)),
        ({"name": "abc", "metadata": {"#a": 1}}, (400, INVALID)),
        ({"name": "abc", "metadata": {"a": None}}, (422, CHROMA)),
        ({"name": "abc", "metadata": {"a": {"b": 1}}}, (422, CHROMA)),
        ({"name": "abc", "metadata": {"a": [1]}}, (400, INVALID)),
        ({"name": "abc", "metadata": {"hnsw:unknown": 1}}, (400, INVALID)),
        ({"name": "abc", "metadata": {"hnsw:space": "no"}}, (400, INVALID)),
        ({"name": "abc", "configuration": {"hnsw": {}, "spann": {}}}, (400, INVALID)),
        ({"name": "abc", "schema": {"defaults": {}}}, (422, CHROMA)),
        (
            {
                "name": "abc",
                "schema": {"defaults": {}, "keys": {"#own": {"int": {"int_inverted_index": {"enabled": True}}}}},
            },
            (400, INVALID),
        ),
        (
            {"name": "abc", "schema": {"defaults": {}, "keys": {"k": {"string": {"fts_index": {"enabled": True}}}}}},
            (400, INVALID),
        ),
        (
            {"name": "abc", "schema": {"defaults": {"string": {"fts_index": {"enabled": True}}}, "keys": {}}},
            (400, INVALID),
        ),
    ],
    ids=str,
)
def test_collections_that_are_refused(http: httpx.Client, body: dict[str, Any], expected: Any) -> None:
    assert error_of(http.post(COLLECTIONS, json=body)) == expected
    assert http.get(f"{DATABASE}/collections_count").json() == 0


def test_names_that_are_taken_or_lead_nowhere(http: httpx.Client, things: str) -> None:
    http.post(COLLECTIONS, json={"name": "taken"})
    response = http.post(COLLECTIONS, json={"name": "taken"})
    assert error_of(response) == (409, CHROMA)
    assert "already exists" in response.json()["message"]
    assert error_of(http.put(things, json={"new_name": "taken"})) == (409, CHROMA)
    assert error_of(http.put(things, json={"new_metadata": {}})) == (400, INVALID)
    assert error_of(http.post(ELSEWHERE, json={"name": "abc"})) == (400, INVALID)
    assert error_of(http.get(f"{COLLECTIONS}/by-id/no-uuid")) == (400, INVALID)
    assert error_of(http.get(f"{ROOT}/collections/a:b:c")) == (404, MISSING)
    assert error_of(http.get(f"{ROOT}/collections/abc")) == (400, INVALID)
    elsewhere = things.replace("default_database", "elsewhere")
    assert error_of(http.get(f"{elsewhere}/count")) == (404, MISSING)
    response = http.get(f"{NOBODY}/count")
    assert error_of(response) == (404, MISSING)
    assert "does not exist" in response.json()["message"]


# -- records ----------------------------------------------------------------------------------------------------


def test_get_returns_columns_with_all_keys(http: httpx.Client, things: str) -> None:
    assert http.post(f"{things}/get", json={}).json() == {
        "ids": ["a", "b", "c"],
        "embeddings": None,
        "documents": [None, "red fox", "blue fox"],
        "uris": None,
        "metadatas": [{"n": 1, "f": 1.0}, {"n": 2, "tags": ["x", "y"]}, None],
        "include": ["documents", "metadatas"],
    }
    assert '"f":1.0' in http.post(f"{things}/get", json={}).text
    page = http.post(f"{things}/get", json={"limit": 1, "offset": 1, "include": ["embeddings", "uris"]}).json()
    assert (page["ids"], page["embeddings"], page["uris"], page["documents"]) == (["b"], [[0.0, 1.0]], [None], None)
    assert http.post(f"{things}/get", json={"ids": [], "include": ["distances"]}).json()["include"] == ["distances"]
    assert http.get(f"{things}/count?read_level=index_and_wal").text == "3"


def test_query_returns_one_inner_list_a_vector(http: httpx.Client, things: str) -> None:
    body = {"query_embeddings": [[1, 0], [0, 2]], "n_results": 2, "include": ["distances", "uris"]}
    found = http.post(f"{things}/query", json=body).json()
    assert found["ids"] == [["a", "c"], ["b", "c"]]
    assert found["distances"] == [[0.0, 1.0], [1.0, 2.0]]
    assert found["uris"] == [["u", None], [None, None]]
    assert (found["documents"], found["metadatas"], found["embeddings"]) == (None, None, None)
    assert http.post(f"{things}/query", json={"query_embeddings": []}).json()["ids"] == []
    assert http.post(f"{things}/query", json={"query_embeddings": [[1, 0]], "n_results": 0}).json()["ids"] == [[]]
    narrowed = {"query_embeddings": [[1, 0]], "where": {"#document": {"$contains": "fox"}}, "ids": ["b", "zzz"]}
    assert http.post(f"{things}/query", json=narrowed).json()["ids"] == [["b"]]
    response = http.post(f"{things}/query", json={"query_embeddings": [[1, 0]], "ids": ["zzz"]})
    assert "Error finding id" in response.json()["message"]


def test_writes_merge_and_deletes_count(http: httpx.Client, things: str) -> None:
    body = {"ids": ["a", "nobody"], "embeddings": [None, None], "metadatas": [{"n": None, "m": 5}, None]}
    assert http.post(f"{things}/update", json=body).json() == {}
    assert http.post(f"{things}/update", json={"ids": ["b"], "embeddings": [], "documents": ["green"]}).json() == {}
    body = {"ids": ["a", "d"], "embeddings": [base64_of(5, 5), base64_of(0.1, 2)], "metadatas": [{}, {"x": [1, 2.5]}]}
    assert http.post(f"{things}/upsert", json=body).json() == {}
    got = http.post(f"{things}/get", json={"include": ["metadatas", "documents", "embeddings"]}).json()
    assert got["ids"] == ["a", "b", "c", "d"]
    assert got["metadatas"] == [{"f": 1.0, "m": 5}, {"n": 2, "tags": ["x", "y"]}, None, {"x": [1.0, 2.5]}]
    assert got["documents"] == [None, "green", "blue fox", None]
    assert got["embeddings"][3] == [0.10000000149011612, 2.0]
    assert http.post(f"{things}/delete", json={}).json() == {"deleted": 0}
    assert http.post(f"{things}/delete", json={"ids": ["a", "zzz"]}).json() == {"deleted": 1}
    assert http.post(f"{things}/delete", json={"where": {"n": {"$ne": 7}}, "limit": 1}).json() == {"deleted": 1}
    assert http.post(f"{things}/get", json={}).json()["ids"] == ["c", "d"]


VECTORS = [[1, 0]]


@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        ("add", {"ids": ["x"], "embeddings": [[1, 2, 3]]}, (400, INVALID)),
        ("add", {"ids": ["x", "y"], "embeddings": [[1, 2], [1]]}, (400, INVALID)),
        ("add", {"ids": [""], "embeddings": VECTORS}, (400, INVALID)),
        ("add", {"ids": ["x", "y"], "embeddings": VECTORS}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "documents": []}, (400, INVALID)),
        ("add", {"ids": ["x"]}, (422, CHROMA)),
        ("add", {"ids": ["x"], "embeddings": None}, (422, CHROMA)),
        ("upsert", {"ids": ["x"], "embeddings": [None]}, (422, CHROMA)),
        ("add", {"ids": ["x"], "embeddings": [[]]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": [[1e39, 0]]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": ["%%%%"]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": ["AAA="]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": [base64_of(float("nan"), 1)]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"a": None}]}, (422, CHROMA)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"$a": 1}]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"chroma:document": 1}]}, (400, INVALID)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"a": {"b": 1}}]}, (422, CHROMA)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"a": [1, "b"]}]}, (422, CHROMA)),
        ("add", {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"a": [[1]]}]}, (422, CHROMA)),
        (
            "add",
            {"ids": ["x"], "embeddings": VECTORS, "metadatas": [{"a": {"indices": [2, 1], "values": [1, 2]}}]},
            (400, INVALID),
        ),
        ("get", {"include": ["data"]}, (422, CHROMA)),
        ("get", {"include": None}, (422, CHROMA)),
        ("get", {"limit": -1}, (422, CHROMA)),
        ("get", {"limit": 1.5}, (422, CHROMA)),
        ("get", {"where": {}}, (400, INVALID)),
        ("get", {"where_document": {}}, (400, INVALID)),
        ("get", {"where": {"a": 1, "b": 2}}, (400, INVALID)),
        ("get", {"where": {"a": None}}, (400, INVALID)),
        ("get", {"where": {"a": {"$gt": "x"}}}, (400, INVALID)),
        ("get", {"where": {"a": {"$in": [1, 1.5]}}}, (400, INVALID)),
        ("get", {"where": {"a": {"$regex": "x"}}}, (400, INVALID)),
        ("get", {"where": {"#document": {"$eq": "x"}}}, (400, INVALID)),
        ("get", {"where_document": {"$regex": "("}}, (400, INVALID)),
        ("query", {}, (422, CHROMA)),
        ("query", {"query_embeddings": [base64_of(1, 0)]}, (422, CHROMA)),
        ("query", {"query_embeddings": [[1, 2, 3]]}, (400, INVALID)),
        ("query", {"query_embeddings": VECTORS, "n_results": -1}, (422, CHROMA)),
        ("delete", {"ids": []}, (400, INVALID)),
        ("delete", {"ids": ["a"], "limit": 1}, (400, INVALID)),
        ("search", {"searches": []}, (501, CHROMA)),
        ("fork", {"new_name": "abc"}, (501, CHROMA)),
        ("conditional/commit", {}, (501, CHROMA)),
    ],
    ids=lambda value: json.dumps(value)[:60] if not isinstance(value, tuple) else None,
)
def test_records_that_are_refused_change_nothing(
    http: httpx.Client, things: str, route: str, body: dict[str, Any], expected: Any
) -> None:
    before = http.post(f"{things}/get", json={"include": ["documents", "metadatas", "embeddings", "uris"]}).json()
    assert error_of(http.post(f"{things}/{route}", json=body)) == expected
    after = http.post(f"{things}/get", json={"include": ["documents", "metadatas", "embeddings", "uris"]}).json()
    assert before == after


def test_what_is_ours_beyond_chroma(http: httpx.Client, things: str) -> None:
    assert http.post(f"{things}/count", json={"where": {"n": {"$exists": True}}}).json() == 2
    step = http.post(f"{things}/scan", json={"batch_size": 2}).json()
    assert step["ids"] == ["a", "b"]
    rest = http.post(f"{things}/scan", json={"batch_size": 2, "cursor": step["cursor"]}).json()
    assert (rest["ids"], rest["cursor"]) == (["c"], None)
    assert http.post(f"{things}/get", json={"order_by": ["-n"]}).json()["ids"] == ["b", "a", "c"]
    body = {"query_embeddings": [[1, 0]], "max_distance": 1.0, "exact": True, "explain": True}
    found = http.post(f"{things}/query", json=body).json()
    assert (found["ids"], found["explain"]["matches"]) == ([["a", "c"]], 3)
    assert http.get(f"{things}/indexing_status").json()["op_indexing_progress"] == 1.0
    assert error_of(http.get(f"{things}/count?read_level=sometimes")) == (400, INVALID)
