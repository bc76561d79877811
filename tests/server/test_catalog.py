"""Tenants, databases and collections over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.server.conftest import COLLECTIONS, DATABASE, ROOT, error_of

INVALID, CHROMA, MISSING = "InvalidArgumentError", "ChromaError", "NotFoundError"
TENANTS = f"{ROOT}/tenants"
DATABASES = f"{TENANTS}/default_tenant/databases"
NOBODY = f"{COLLECTIONS}/{uuid.UUID(int=7)}"

BAD_NAMES = ["", "ab", "a" * 513, "_ab", "ab_", "a b", "a/b", "a..b", "1.2.3.4", "abc+", "one+two+six", "ab+cde", "äbc"]
ON, OFF = {"enabled": True, "config": {}}, {"enabled": False, "config": {}}


def create(http: httpx.Client, name: str = "cars", **fields: Any) -> dict[str, Any]:
    response = http.post(COLLECTIONS, json={"name": name, **fields})
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    return made


def schema(keys: dict[str, Any] | None = None, defaults: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"schema": {"defaults": defaults or {}, "keys": keys or {}}}


# -- tenants ----------------------------------------------------------------------------------------------------


def test_a_tenant_is_created_and_found(http: httpx.Client) -> None:
    assert http.post(TENANTS, json={"name": "x y z"}).json() == {}
    assert http.get(f"{TENANTS}/x%20y%20z").json() == {"name": "x y z", "resource_name": None}


def test_a_tenant_is_created_once(http: httpx.Client) -> None:
    response = http.post(TENANTS, json={"name": "default_tenant"})
    assert error_of(response) == (409, CHROMA)
    assert "exists" in response.json()["message"]


def test_a_tenants_name_has_three_characters(http: httpx.Client) -> None:
    assert error_of(http.post(TENANTS, json={"name": "ab"})) == (400, INVALID)


def test_an_unknown_tenant_is_404(http: httpx.Client) -> None:
    assert error_of(http.get(f"{TENANTS}/nobody")) == (404, MISSING)


@pytest.mark.parametrize("tenant", ["default_tenant", "nobody"])
def test_a_resource_name_is_taken_without_effect(http: httpx.Client, tenant: str) -> None:
    assert http.patch(f"{TENANTS}/{tenant}", json={"resource_name": "x"}).json() == {}


# -- databases --------------------------------------------------------------------------------------------------


def test_a_database_is_created_and_found(http: httpx.Client) -> None:
    assert http.post(DATABASES, json={"name": "stock"}).json() == {}
    found = http.get(f"{DATABASES}/stock").json()
    assert (found["name"], found["tenant"], set(found)) == ("stock", "default_tenant", {"id", "name", "tenant"})
    assert uuid.UUID(found["id"])


def test_a_database_is_created_once(http: httpx.Client) -> None:
    response = http.post(DATABASES, json={"name": "default_database"})
    assert error_of(response) == (409, CHROMA)
    assert "exists" in response.json()["message"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_database_of_a_bad_name_is_refused(http: httpx.Client, name: str) -> None:
    assert error_of(http.post(DATABASES, json={"name": name})) == (400, INVALID)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_database_is_404(http: httpx.Client, method: str) -> None:
    assert error_of(http.request(method, f"{DATABASES}/stock")) == (404, MISSING)


def test_a_database_cannot_have_so_short_a_name(http: httpx.Client) -> None:
    assert error_of(http.get(f"{DATABASES}/ab")) == (400, INVALID)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["default_database", "one", "six", "two"]),
        ("?limit=2", ["default_database", "one"]),
        ("?limit=2&offset=3", ["two"]),
        ("?limit=0", []),
        ("?offset=9", []),
    ],
)
def test_databases_are_listed_by_name_and_page(http: httpx.Client, query: str, names: list[str]) -> None:
    for name in ("two", "one", "six"):
        http.post(DATABASES, json={"name": name})
    assert [found["name"] for found in http.get(f"{DATABASES}{query}").json()] == names


def test_an_unknown_tenant_has_no_databases(http: httpx.Client) -> None:
    assert http.get(f"{TENANTS}/nobody/databases").json() == []


def test_a_deleted_database_takes_its_collections_along(http: httpx.Client) -> None:
    path = f"{COLLECTIONS}/{create(http)['id']}"
    assert http.delete(DATABASE).json() == {}
    assert error_of(http.post(f"{path}/get", json={})) == (404, MISSING)
    http.post(DATABASES, json={"name": "default_database"})
    assert http.get(COLLECTIONS).json() == []


def test_databases_may_have_collections_of_the_same_name(http: httpx.Client) -> None:
    http.post(DATABASES, json={"name": "stock"})
    other = http.post(f"{DATABASES}/stock/collections", json={"name": "cars"}).json()
    assert other["id"] != create(http)["id"]
    assert (other["tenant"], other["database"]) == ("default_tenant", "stock")


# -- creating and finding collections ---------------------------------------------------------------------------


def test_a_collection_has_all_the_fields_that_clients_read(http: httpx.Client) -> None:
    made = create(http, metadata={"a": 1, "f": 1.0, "s": "x", "b": True})
    assert uuid.UUID(made["id"]).version == 4
    assert {name: made[name] for name in ("name", "metadata", "dimension", "tenant", "database", "version")} == {
        "name": "cars",
        "metadata": {"a": 1, "f": 1.0, "s": "x", "b": True},
        "dimension": None,
        "tenant": "default_tenant",
        "database": "default_database",
        "version": 0,
    }
    assert type(made["log_position"]) is int


def test_floats_in_metadata_keep_their_point(http: httpx.Client) -> None:
    content = b'{"name": "cars", "metadata": {"f": 2.000000000000000}}'
    assert '"metadata":{"f":2.0}' in http.post(COLLECTIONS, content=content).text


def test_a_plain_collection_has_the_default_configuration(http: httpx.Client) -> None:
    hnsw = {
        "space": "l2",
        "ef_construction": 100,
        "ef_search": 100,
        "max_neighbors": 16,
        "resize_factor": 1.2,
        "sync_threshold": 1000,
    }
    assert create(http)["configuration_json"] == {"hnsw": hnsw, "spann": None, "embedding_function": None}


def test_a_plain_collection_has_the_default_schema(http: httpx.Client) -> None:
    made = create(http)["schema"]
    assert {kind: made["defaults"][kind] for kind in ("int", "float", "bool", "string")} == {
        "int": {"int_inverted_index": ON},
        "float": {"float_inverted_index": ON},
        "bool": {"bool_inverted_index": ON},
        "string": {"fts_index": OFF, "string_inverted_index": ON},
    }
    assert made["keys"]["#document"]["string"] == {"fts_index": ON, "string_inverted_index": OFF}
    assert made["keys"]["#embedding"]["float_list"]["vector_index"]["enabled"] is True


@pytest.mark.parametrize("way", ["by name", "by id", "in the list"])
def test_a_collection_is_found_as_it_was_created(http: httpx.Client, way: str) -> None:
    made = create(http, metadata={"a": 1})
    path = {"by name": "/cars", "by id": f"/by-id/{made['id']}", "in the list": ""}[way]
    assert http.get(COLLECTIONS + path).json() == (made if path else [made])


def test_the_dimension_is_that_of_the_first_records(http: httpx.Client) -> None:
    path = f"{COLLECTIONS}/{create(http)['id']}"
    http.post(f"{path}/add", json={"ids": ["a"], "embeddings": [[1, 2, 3]]})
    assert http.get(f"{COLLECTIONS}/cars").json()["dimension"] == 3


@pytest.mark.parametrize(
    ("query", "names"), [("", ["bikes", "cars"]), ("?limit=1&offset=1", ["cars"]), ("?limit=0", [])]
)
def test_collections_are_listed_by_page(http: httpx.Client, query: str, names: list[str]) -> None:
    create(http, "cars")
    create(http, "bikes")
    assert [found["name"] for found in http.get(f"{COLLECTIONS}{query}").json()] == names


def test_collections_are_counted(http: httpx.Client) -> None:
    create(http)
    assert http.get(f"{DATABASE}/collections_count").text == "1"


def test_an_unknown_database_has_no_collections(http: httpx.Client) -> None:
    assert http.get(f"{DATABASES}/nowhere/collections").json() == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{COLLECTIONS}/nothing", (404, MISSING)),
        (f"{COLLECTIONS}/{uuid.UUID(int=7)}", (404, MISSING)),
        (f"{COLLECTIONS}/by-id/{uuid.UUID(int=7)}", (404, MISSING)),
        (f"{COLLECTIONS}/by-id/no-uuid", (400, INVALID)),
        (f"{ROOT}/collections/a:b:c", (404, MISSING)),
        (f"{ROOT}/collections/a:b", (400, INVALID)),
        (f"{ROOT}/collections/a::c", (400, INVALID)),
    ],
)
def test_a_collection_that_is_not_there(http: httpx.Client, path: str, expected: Any) -> None:
    response = http.get(path)
    assert error_of(response) == expected
    assert ("does not exist" in response.json()["message"]) == (expected[0] == 404)


def test_an_id_is_no_name(http: httpx.Client) -> None:
    assert error_of(http.get(f"{COLLECTIONS}/{create(http)['id']}")) == (404, MISSING)


@pytest.mark.parametrize("place", [f"{DATABASES}/stock", f"{TENANTS}/nobody/databases/default_database"])
def test_a_collection_of_another_database_is_not_here(http: httpx.Client, place: str) -> None:
    http.post(DATABASES, json={"name": "stock"})
    id_ = create(http)["id"]
    assert error_of(http.get(f"{place}/collections/by-id/{id_}")) == (404, MISSING)
    assert error_of(http.post(f"{place}/collections/{id_}/get", json={})) == (404, MISSING)


def test_a_collection_is_created_once(http: httpx.Client) -> None:
    create(http)
    response = http.post(COLLECTIONS, json={"name": "cars"})
    assert error_of(response) == (409, CHROMA)
    assert "already exists" in response.json()["message"]


def test_get_or_create_returns_what_is_there_and_ignores_the_rest(http: httpx.Client) -> None:
    made = create(http, metadata={"a": 1})
    assert create(http, metadata={"a": 2}, configuration={"hnsw": {"space": "ip"}}, get_or_create=True) == made


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {}},
        {"metadata": {"#a": 1}},
        schema({"#own": {"int": {"int_inverted_index": ON}}}),
        {"name": "a..b"},
    ],
    ids=str,
)
def test_get_or_create_checks_the_body_although_the_collection_is_there(http: httpx.Client, body: Any) -> None:
    create(http)
    assert error_of(http.post(COLLECTIONS, json={"name": "cars", "get_or_create": True} | body)) == (400, INVALID)


def test_overwrite_metadata_replaces_that_of_a_collection_that_is_there(http: httpx.Client) -> None:
    create(http, metadata={"a": 1})
    changed = create(http, metadata={"b": 2}, get_or_create=True, overwrite_metadata=True)
    assert changed["metadata"] == {"b": 2}


@pytest.mark.parametrize("path", [f"{DATABASES}/nowhere", f"{TENANTS}/nobody/databases/default_database"])
def test_a_collection_of_an_unknown_place_is_refused(http: httpx.Client, path: str) -> None:
    response = http.post(f"{path}/collections", json={"name": "cars"})
    assert error_of(response) == (400, INVALID)
    assert "does not exist" in response.json()["message"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_collection_of_a_bad_name_is_refused(http: httpx.Client, name: str) -> None:
    response = http.post(COLLECTIONS, json={"name": name})
    assert error_of(response) == (400, INVALID)
    assert response.json()["message"].startswith("Validation error: name: ")


@pytest.mark.parametrize("name", ["abc", "A.b_c-9", "eur+cars", "a" * 512])
def test_a_collection_of_a_good_name_is_created(http: httpx.Client, name: str) -> None:
    assert create(http, name)["name"] == name


SPARSE_INDEX = {"sparse_vector": {"sparse_vector_index": ON}}
OTHER_INDEX = schema({"n": {"int": {"int_inverted_index": OFF}}})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"metadata": {}}, (400, INVALID)),
        ({"metadata": {"": 1}}, (400, INVALID)),
        ({"metadata": {"#a": 1}}, (400, INVALID)),
        ({"metadata": {"$a": 1}}, (400, INVALID)),
        ({"metadata": {"a": [1]}}, (400, INVALID)),
        ({"metadata": {"a": {"indices": [1], "values": [1.0]}}}, (400, INVALID)),
        ({"metadata": {"a": None}}, (422, CHROMA)),
        ({"metadata": {"a": {"b": 1}}}, (422, CHROMA)),
        ({"metadata": {"hnsw:colour": 1}}, (400, INVALID)),
        ({"metadata": {"hnsw:space": "round"}}, (400, INVALID)),
        ({"metadata": {"hnsw:M": "x"}}, (400, INVALID)),
        ({"configuration": {"hnsw": {}, "spann": {}}}, (400, INVALID)),
        ({"configuration": {"hnsw": {"ef_search": 0}}}, (400, INVALID)),
        ({"configuration": {"hnsw": {"colour": 1}}}, (422, CHROMA)),
        ({"configuration": {"hnsw": {"ef_search": "x"}}}, (422, CHROMA)),
        ({"configuration": {"spann": {"colour": 1}}}, (422, CHROMA)),
        ({"configuration": {"hnsw": {"space": "round"}}}, (422, CHROMA)),
        ({"configuration": {"embedding_function": {"type": "known", "name": "x"}}}, (422, CHROMA)),
        ({"configuration": {"embedding_function": {"type": "known", "config": {}}}}, (422, CHROMA)),
        ({"schema": {"defaults": {}}}, (422, CHROMA)),
        ({"schema": {"keys": {}}}, (422, CHROMA)),
        (schema({"n": {"wrong": {"int_inverted_index": ON}}}), (422, CHROMA)),
        (schema({"n": {"int": {"fts_index": ON}}}), (422, CHROMA)),
        (schema({"#own": {"int": {"int_inverted_index": ON}}}), (400, INVALID)),
        (schema({"#own": {"string": {}}}), (400, INVALID)),
        (schema({"#own": {}}), (400, INVALID)),
        (schema({"": {"int": {"int_inverted_index": OFF}}}), (400, INVALID)),
        (schema({"#document": {"int": {"int_inverted_index": ON}}}), (400, INVALID)),
        (schema({"#document": {"int": {}}}), (400, INVALID)),
        (schema({"#embedding": {"string": {}}}), (400, INVALID)),
        (schema({"#document": {"string": {"string_inverted_index": ON}}}), (400, INVALID)),
        (schema({"k": {"string": {"fts_index": ON}}}), (400, INVALID)),
        (schema({"k": {"float_list": {"vector_index": ON}}}), (400, INVALID)),
        (schema({"k": SPARSE_INDEX}), (400, INVALID)),
        (schema(defaults={"string": {"fts_index": ON}}), (400, INVALID)),
        (schema(defaults={"float_list": {"vector_index": ON}}), (400, INVALID)),
        (schema(defaults=SPARSE_INDEX), (400, INVALID)),
        (OTHER_INDEX | {"configuration": {"hnsw": {"ef_search": 9}}}, (400, INVALID)),
    ],
    ids=lambda value: str(value)[:100] if isinstance(value, dict) else "",
)
def test_a_collection_that_breaks_a_rule_is_refused(http: httpx.Client, fields: Any, expected: Any) -> None:
    assert error_of(http.post(COLLECTIONS, json={"name": "cars", **fields})) == expected
    assert http.get(f"{DATABASE}/collections_count").json() == 0


# -- configuration and schema -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configuration", "hnsw"),
    [
        (None, {}),
        ({}, {}),
        ({"hnsw": None, "spann": None, "colour": 1}, {}),
        ({"hnsw": {"space": "cosine", "ef_search": 7}}, {"space": "cosine", "ef_search": 7}),
        ({"hnsw": {"num_threads": 3, "batch_size": 1, "sync_threshold": 1}}, {"sync_threshold": 1}),
        ({"spann": {"space": "ip", "search_nprobe": 9}}, {"space": "ip"}),
    ],
    ids=str,
)
def test_a_configuration_is_taken_and_told(http: httpx.Client, configuration: Any, hnsw: dict[str, Any]) -> None:
    told = create(http, configuration=configuration)["configuration_json"]
    assert told["hnsw"] == create(http, "plain")["configuration_json"]["hnsw"] | hnsw
    assert told["spann"] is None


@pytest.mark.parametrize(
    "function", [{"type": "legacy"}, {"type": "unknown"}, {"type": "known", "name": "x", "config": {"a": [1, None]}}]
)
def test_an_embedding_function_is_stored_as_it_was_sent(http: httpx.Client, function: Any) -> None:
    made = create(http, configuration={"embedding_function": function})
    assert made["configuration_json"]["embedding_function"] == function
    index = made["schema"]["keys"]["#embedding"]["float_list"]["vector_index"]
    assert index["config"]["embedding_function"] == function


def test_legacy_metadata_configures_and_stays(http: httpx.Client) -> None:
    metadata = {"hnsw:space": "cosine", "hnsw:M": 5, "hnsw:search_ef": 6, "hnsw:construction_ef": 7}
    made = create(http, metadata=metadata)
    assert made["metadata"] == metadata
    expected = {"space": "cosine", "max_neighbors": 5, "ef_search": 6, "ef_construction": 7}
    assert expected.items() <= made["configuration_json"]["hnsw"].items()


def test_a_configuration_comes_before_legacy_metadata(http: httpx.Client) -> None:
    made = create(http, metadata={"hnsw:space": "cosine"}, configuration={"hnsw": {"space": "ip"}})
    assert made["configuration_json"]["hnsw"]["space"] == "ip"


def test_a_schema_that_was_returned_is_accepted_as_it_is(http: httpx.Client) -> None:
    function = {"type": "known", "name": "x", "config": {}}
    made = create(http, configuration={"hnsw": {"space": "cosine"}, "embedding_function": function})
    assert create(http, "copy", schema=made["schema"])["schema"] == made["schema"]


def test_missing_parts_of_a_schema_are_filled_in(http: httpx.Client) -> None:
    assert create(http, **schema())["schema"] == create(http, "plain")["schema"]


def test_older_names_in_a_schema_are_understood(http: httpx.Client) -> None:
    old = {"defaults": {"#int": {"$int_inverted_index": OFF}}, "key_overrides": {}}
    new = {"defaults": {"int": {"int_inverted_index": OFF}}, "keys": {}}
    assert create(http, schema=old)["schema"] == create(http, "new", schema=new)["schema"]


@pytest.mark.parametrize(
    ("keys", "body", "message"),
    [
        ({"n": {"int": {"int_inverted_index": OFF}}}, {"where": {"n": 1}}, "filter using metadata key 'n'"),
        ({"#document": {"string": {"fts_index": OFF}}}, {"where_document": {"$contains": "x"}}, "fts"),
    ],
    ids=["metadata", "document"],
)
def test_a_filter_whose_index_is_off_is_refused(http: httpx.Client, keys: Any, body: Any, message: str) -> None:
    made = create(http, **schema(keys))
    response = http.post(f"{COLLECTIONS}/{made['id']}/get", json=body)
    assert error_of(response) == (400, INVALID)
    assert message in response.json()["message"]


# -- changing and deleting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({}, {}),
        ({"new_name": None, "new_metadata": None, "new_configuration": None}, {}),
        ({"new_name": "bikes"}, {"name": "bikes"}),
        ({"new_metadata": {"b": 2, "gone": None}}, {"metadata": {"b": 2}}),
        ({"new_metadata": {"gone": None}}, {"metadata": None}),
        ({"new_configuration": {"hnsw": None, "spann": None, "embedding_function": None}}, {}),
        ({"new_configuration": {"spann": {"search_nprobe": 9}}}, {}),
    ],
    ids=str,
)
def test_a_change_changes_what_it_names(http: httpx.Client, body: Any, changed: dict[str, Any]) -> None:
    made = create(http, metadata={"a": 1})
    assert http.put(f"{COLLECTIONS}/{made['id']}", json=body).json() == {}
    assert http.get(f"{COLLECTIONS}/by-id/{made['id']}").json() == made | changed


def test_a_changed_configuration_shows_in_the_schema_too(http: httpx.Client) -> None:
    path = f"{COLLECTIONS}/{create(http)['id']}"
    assert http.put(path, json={"new_configuration": {"hnsw": {"ef_search": 9}}}).json() == {}
    changed = http.get(f"{COLLECTIONS}/cars").json()
    assert changed["configuration_json"]["hnsw"]["ef_search"] == 9
    assert changed["schema"]["keys"]["#embedding"]["float_list"]["vector_index"]["config"]["hnsw"]["ef_search"] == 9


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"new_name": "taken"}, (409, CHROMA)),
        ({"new_name": "a..b"}, (400, INVALID)),
        ({"new_metadata": {}}, (400, INVALID)),
        ({"new_metadata": {"#a": 1}}, (400, INVALID)),
        ({"new_configuration": {"hnsw": {"space": "ip"}}}, (422, CHROMA)),
        ({"new_configuration": {"hnsw": {"ef_construction": 5}}}, (422, CHROMA)),
        ({"new_configuration": {"spann": {"write_nprobe": 5}}}, (422, CHROMA)),
        ({"new_configuration": {"hnsw": {"ef_search": 5}, "spann": {"ef_search": 5}}}, (400, INVALID)),
    ],
    ids=str,
)
def test_a_change_that_breaks_a_rule_is_refused_whole(http: httpx.Client, body: Any, expected: Any) -> None:
    create(http, "taken")
    made = create(http, metadata={"a": 1})
    assert error_of(http.put(f"{COLLECTIONS}/{made['id']}", json={"new_metadata": {"b": 1}} | body)) == expected
    assert http.get(f"{COLLECTIONS}/cars").json() == made


@pytest.mark.parametrize(("path", "expected"), [(f"{COLLECTIONS}/cars", (400, INVALID)), (NOBODY, (404, MISSING))])
def test_changes_go_by_id(http: httpx.Client, path: str, expected: Any) -> None:
    create(http)
    assert error_of(http.put(path, json={})) == expected


def test_deletes_go_by_name(http: httpx.Client) -> None:
    made = create(http)
    assert error_of(http.delete(f"{COLLECTIONS}/{made['id']}")) == (404, MISSING)
    assert http.delete(f"{COLLECTIONS}/cars").json() == {}
    assert error_of(http.delete(f"{COLLECTIONS}/cars")) == (404, MISSING)
