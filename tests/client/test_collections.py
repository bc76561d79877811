"""Collections: create, find, list, change, delete; names, metadata and settings; handles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from ochre import ClientType, Collection
from ochre.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    InvalidTypeError,
    InvalidUUIDError,
    NotFoundError,
    UnprocessableError,
    UnsupportedError,
)
from tests.client.conftest import everything, fill

DEFAULTS = {
    "space": "l2",
    "ef_construction": 100,
    "ef_search": 100,
    "max_neighbors": 16,
    "resize_factor": 1.2,
    "sync_threshold": 1000,
}


def create(client: ClientType, name: str = "things", **arguments: Any) -> Collection:
    return client.create_collection(name, **{"embedding_function": None, **arguments})


def names(client: ClientType, **page: int) -> list[str]:
    return [collection.name for collection in client.list_collections(**page)]


# -- create, find, list, delete ----------------------------------------------------------------------------------


def test_a_new_collection_is_empty_and_is_found_by_name_and_by_id(client: ClientType) -> None:
    made = create(client, metadata={"s": "x", "i": 1, "f": 1.0, "b": True})
    for found in (
        client.get_collection("things", embedding_function=None),
        client.get_collection_by_id(made.id, embedding_function=None),
        client.get_collection_by_id(str(made.id), embedding_function=None),
        client.get_or_create_collection("things", embedding_function=None),
    ):
        assert found == made
        assert isinstance(found.id, UUID)
        assert (found.name, found.metadata) == ("things", {"s": "x", "i": 1, "f": 1.0, "b": True})
        assert isinstance(found.metadata["f"], float)
        assert (found.tenant, found.database) == ("default_tenant", "default_database")
        assert found.count() == 0


def test_a_collection_without_metadata_has_none(client: ClientType) -> None:
    assert create(client).metadata is None
    assert client.get_collection("things").metadata is None


def test_none_and_numpy_values_in_metadata_are_dropped_and_converted(client: ClientType) -> None:
    made = create(client, metadata={"none": None, "i": np.int64(3), "f": np.float32(0.5)})
    assert made.metadata == {"i": 3, "f": 0.5}
    assert create(client, "others", metadata={"none": None}).metadata is None


def test_changing_the_dict_that_was_passed_changes_nothing(client: ClientType) -> None:
    metadata = {"owner": "ann"}
    made = create(client, metadata=metadata)
    metadata["owner"] = "bob"
    assert made.metadata == {"owner": "ann"}


def test_a_taken_name_is_refused(client: ClientType, filled: Collection) -> None:
    with pytest.raises(AlreadyExistsError, match=r"Collection \[filled\] already exists"):
        create(client, "filled")
    assert filled.count() == 10


@pytest.mark.parametrize("name", ["abc", "ABC", "a.b-c_d", "0.1", "x" * 512, "1.2.3", "left+right"])
def test_a_name_of_the_right_form_is_accepted(client: ClientType, name: str) -> None:
    assert create(client, name).name == name
    assert names(client) == [name]


BAD_NAMES = ["", "ab", "x" * 513, "a b", "a/b", "-abc", "abc.", "_abc", "a..b", "1.2.3.4", "naïve", "a+b", "abc\n"]
BAD_NAMES += ["x" * 300 + "+" + "x" * 300, "one+two+three", "abc\0", "\ud800bc"]


@pytest.mark.parametrize("name", [*BAD_NAMES, None, 5, b"abc", ["abc"]])
def test_a_name_of_the_wrong_form_is_refused(client: ClientType, filled: Collection, name: Any) -> None:
    for call in (create, lambda client, name: client.get_or_create_collection(name, embedding_function=None)):
        with pytest.raises(InvalidArgumentError, match="name"):
            call(client, name)
    if name is not None:
        with pytest.raises(InvalidArgumentError, match="name"):
            filled.modify(name=name)
    assert names(client) == ["filled"]


def test_get_or_create_keeps_what_exists(client: ClientType) -> None:
    made = create(client, metadata={"owner": "ann"}, configuration={"hnsw": {"space": "cosine"}})
    fill(made)
    again = client.get_or_create_collection(
        "things", metadata={"owner": "bob"}, configuration={"hnsw": {"space": "ip"}}, embedding_function=None
    )
    assert again == made
    assert again.configuration_json["hnsw"]["space"] == "cosine"
    assert again.count() == 10
    assert create(client, metadata={"owner": "bob"}, get_or_create=True).metadata == {"owner": "ann"}


def test_get_or_create_overwrites_metadata_when_asked(client: ClientType) -> None:
    made = create(client, metadata={"owner": "ann", "old": 1})
    again = client.get_or_create_collection("things", metadata={"owner": "bob"}, overwrite_metadata=True)
    assert (again.id, again.metadata) == (made.id, {"owner": "bob"})
    assert client.get_collection("things").metadata == {"owner": "bob"}
    assert client.get_or_create_collection("things", overwrite_metadata=True).metadata == {"owner": "bob"}


@pytest.mark.parametrize(
    "arguments",
    [{"metadata": {}}, {"metadata": {"hnsw:foo": 1}}, {"configuration": {"hnsw": {"foo": 1}}}],
    ids=str,
)
def test_get_or_create_checks_its_arguments_even_when_the_collection_exists(
    client: ClientType, filled: Collection, arguments: Any
) -> None:
    with pytest.raises(InvalidArgumentError):
        client.get_or_create_collection("filled", embedding_function=None, **arguments)


def test_collections_are_listed_by_name_in_pages(client: ClientType) -> None:
    for name in ("ccc", "aaa", "bbb"):
        create(client, name)
    assert names(client) == ["aaa", "bbb", "ccc"]
    assert names(client, limit=2) == ["aaa", "bbb"]
    assert names(client, limit=1, offset=2) == ["ccc"]
    assert names(client, offset=1) == ["bbb", "ccc"]
    assert names(client, limit=0) == names(client, offset=3) == names(client, offset=2**70) == []
    assert names(client, limit=2**70) == ["aaa", "bbb", "ccc"]
    assert client.count_collections() == 3


def test_listed_collections_can_be_used(client: ClientType, filled: Collection) -> None:
    (listed,) = client.list_collections()
    assert everything(listed) == everything(filled)


def test_a_deleted_collection_is_gone_and_its_name_is_free(client: ClientType, filled: Collection) -> None:
    client.delete_collection("filled")
    assert client.list_collections() == []
    again = create(client, "filled")
    assert again.id != filled.id
    assert again.count() == 0


STALE: dict[str, Callable[[Collection], Any]] = {
    "get": lambda c: c.get(),
    "get by id": lambda c: c.get(ids=["id0"]),
    "peek": lambda c: c.peek(),
    "query": lambda c: c.query(query_embeddings=[[1, 0]]),
    "count": lambda c: c.count(),
    "count where": lambda c: c.count(where={"n": 1}),
    "scan": lambda c: next(c.scan()),
    "add": lambda c: c.add(ids=["new"], embeddings=[[1, 0]]),
    "update": lambda c: c.update(ids=["id0"], embeddings=[[1, 0]]),
    "upsert": lambda c: c.upsert(ids=["id0"], embeddings=[[1, 0]]),
    "delete": lambda c: c.delete(ids=["id0"]),
    "delete where": lambda c: c.delete(where={"n": 1}),
    "modify": lambda c: c.modify(name="other"),
}


@pytest.mark.parametrize("call", STALE.values(), ids=STALE)
def test_a_handle_of_a_deleted_collection_is_stale_for_good(client: ClientType, filled: Collection, call: Any) -> None:
    filled.count()
    client.delete_collection("filled")
    for _ in range(2):  # a new collection of the same name is another one
        with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
            call(filled)
        client.get_or_create_collection("filled", embedding_function=None)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c.get_collection("nothing"), NotFoundError, r"Collection \[nothing\] does not exist"),
        (lambda c: c.get_collection("a b"), NotFoundError, "does not exist"),
        (lambda c: c.get_collection(None), InvalidTypeError, "must be a string"),
        (lambda c: c.get_collection(["a"]), InvalidTypeError, "must be a string"),
        (lambda c: c.get_collection("\ud800"), InvalidArgumentError, "surrogate"),
        (lambda c: c.get_collection_by_id(uuid4()), NotFoundError, "does not exist"),
        (lambda c: c.get_collection_by_id("nothing"), InvalidUUIDError, "not a UUID"),
        (lambda c: c.get_collection_by_id(None), InvalidUUIDError, "not a UUID"),
        (lambda c: c.delete_collection("nothing"), NotFoundError, "does not exist"),
        (lambda c: c.delete_collection(5), InvalidTypeError, "must be a string"),
        (lambda c: c.list_collections(limit=-1), InvalidArgumentError, "limit"),
        (lambda c: c.list_collections(offset=-1), InvalidArgumentError, "offset"),
        (lambda c: c.list_collections(limit=1.5), InvalidTypeError, "limit"),
        (lambda c: create(c, metadata={}), InvalidArgumentError, "metadata"),
        (lambda c: create(c, metadata={"": 1}), InvalidArgumentError, "metadata key"),
        (lambda c: create(c, metadata={"#a": 1}), InvalidArgumentError, "metadata key '#a'"),
        (lambda c: create(c, metadata={"$a": 1}), InvalidArgumentError, "metadata key '\\$a'"),
        (lambda c: create(c, metadata={"chroma:a": 1}), InvalidArgumentError, "metadata key 'chroma:a'"),
        (lambda c: create(c, metadata={5: 1}), InvalidTypeError, "metadata key"),
        (lambda c: create(c, metadata={"a": [1]}), InvalidTypeError, "metadata"),
        (lambda c: create(c, metadata={"a": {"b": 1}}), InvalidTypeError, "metadata"),
        (lambda c: create(c, metadata={"a": float("nan")}), InvalidArgumentError, "metadata"),
        (lambda c: create(c, metadata="x"), InvalidTypeError, "metadata"),
        (lambda c: create(c, metadata=[("a", 1)]), InvalidTypeError, "metadata"),
        (lambda c: create(c, schema={}), UnprocessableError, "needs both 'defaults' and 'keys'"),
        (lambda c: create(c, schema=5), InvalidTypeError, "Expected schema to be a dict"),
        (lambda c: create(c, embedding_function=5), InvalidTypeError, "embedding function"),
    ],
)
def test_a_bad_call_changes_no_collection(
    client: ClientType, filled: Collection, call: Callable[[Any], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(client)
    assert names(client) == ["filled"]
    assert filled.count() == 10


# -- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {}),
        ({"configuration": {}}, {}),
        ({"configuration": {"hnsw": None, "unknown": 1}}, {}),
        ({"configuration": {"hnsw": {"space": "cosine", "ef_search": None}}}, {"space": "cosine"}),
        ({"configuration": {"hnsw": {"space": "ip", "max_neighbors": 8}}}, {"space": "ip", "max_neighbors": 8}),
        ({"configuration": {"hnsw": {"ef_search": np.int64(7)}}}, {"ef_search": 7}),
        ({"configuration": {"hnsw": {"batch_size": 1, "sync_threshold": 1}}}, {"sync_threshold": 1}),
        ({"configuration": {"spann": {"space": "cosine", "ef_search": 50}}}, {"space": "cosine"}),
        ({"metadata": {"hnsw:space": "cosine"}}, {"space": "cosine"}),
        (
            {"metadata": {"hnsw:construction_ef": 7, "hnsw:search_ef": np.int64(8), "hnsw:M": 9}},
            {"ef_construction": 7, "ef_search": 8, "max_neighbors": 9},
        ),
        (
            {"metadata": {"hnsw:resize_factor": 2, "hnsw:batch_size": 10, "hnsw:sync_threshold": 11}},
            {"resize_factor": 2, "sync_threshold": 11},
        ),
        ({"metadata": {"hnsw:num_threads": 2, "hnsw:M": None}}, {}),
        ({"metadata": {"hnsw:space": "cosine"}, "configuration": {"hnsw": {"space": "ip"}}}, {"space": "ip"}),
        ({"metadata": {"hnsw:space": "cosine"}, "configuration": {"hnsw": {"space": "l2"}}}, {"space": "cosine"}),
        (
            {"metadata": {"hnsw:space": "cosine"}, "configuration": {"hnsw": {"ef_search": 50}}},
            {"ef_search": 50},
        ),
    ],
    ids=str,
)
def test_settings_come_from_the_configuration_or_the_legacy_metadata(
    client: ClientType, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = create(client, **arguments)
    shown = {"hnsw": {**DEFAULTS, **expected}, "spann": None, "embedding_function": None}
    for collection in (made, client.get_collection("things")):
        assert collection.configuration_json == shown
        assert collection.configuration == shown


def test_legacy_settings_stay_in_the_metadata_and_are_inert_there(client: ClientType) -> None:
    made = create(client, metadata={"hnsw:M": 8})
    assert made.metadata == {"hnsw:M": 8}
    made.modify(metadata={"hnsw:M": 32, "hnsw:unknown": "x"})
    assert made.metadata == {"hnsw:M": 32, "hnsw:unknown": "x"}
    assert client.get_collection("things").configuration_json["hnsw"]["max_neighbors"] == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"configuration": "cosine"}, "Expected configuration to be a dict"),
        ({"configuration": {"hnsw": "cosine"}}, "expected a dict"),
        ({"configuration": {"hnsw": {"space": "cos"}}}, "space 'cos' is unknown: expected one of l2, cosine, ip"),
        ({"configuration": {"hnsw": {"space": []}}}, "space"),
        ({"configuration": {"hnsw": {"ef": 5}}}, "unknown field 'ef'"),
        ({"configuration": {"hnsw": {"ef_search": 0}}}, "ef_search 0 is too small"),
        ({"configuration": {"hnsw": {"ef_search": "5"}}}, "ef_search '5' is not an int"),
        ({"configuration": {"hnsw": {"ef_search": 5.0}}}, "ef_search 5.0 is not an int"),
        ({"configuration": {"hnsw": {"num_threads": True}}}, "num_threads True is not an int"),
        ({"configuration": {"hnsw": {"resize_factor": "2"}}}, "resize_factor"),
        ({"configuration": {"hnsw": {"resize_factor": float("nan")}}}, "resize_factor is nan"),
        ({"configuration": {"hnsw": {}, "spann": {}}}, "both 'hnsw' and 'spann'"),
        ({"configuration": {"spann": {"ef": 5}}}, "unknown field 'ef'"),
        ({"configuration": {"spann": {"space": 5}}}, "space 5 is unknown"),
        ({"metadata": {"hnsw:space": "cos"}}, "space 'cos' is unknown"),
        ({"metadata": {"hnsw:ef": 5}}, "unknown metadata key 'hnsw:ef'"),
        ({"metadata": {"hnsw:M": "5"}}, "max_neighbors"),
        ({"metadata": {"hnsw:M": 5.0}}, "max_neighbors"),
        ({"metadata": {"hnsw:batch_size": 1}}, "hnsw:batch_size is 1: pass 2 or more"),
        ({"metadata": {"hnsw:sync_threshold": 1}}, "hnsw:sync_threshold is 1"),
        ({"configuration": {"embedding_function": {"type": "magic"}}}, "'magic'"),
        ({"configuration": {"embedding_function": {"type": "known", "name": "x"}}}, "a 'name' and a 'config'"),
        ({"configuration": {"embedding_function": {"type": "known", "name": "x", "config": {"a": 1j}}}}, "JSON"),
        ({"configuration": {"embedding_function": {"type": "known", "name": "\ud800", "config": {}}}}, "JSON"),
        (
            {"configuration": {"embedding_function": {"type": "known", "name": "x", "config": {"a": float("nan")}}}},
            "JSON",
        ),
    ],
    ids=str,
)
def test_a_bad_setting_creates_nothing(client: ClientType, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        create(client, **arguments)
    assert client.list_collections() == []


# -- modify ------------------------------------------------------------------------------------------------------


def test_a_renamed_collection_keeps_its_id_and_frees_its_name(client: ClientType, filled: Collection) -> None:
    other_handle = client.get_collection("filled")
    filled.modify(name="renamed")
    assert filled.name == "renamed"
    assert client.get_collection("renamed").id == filled.id
    assert (other_handle.name, other_handle.count()) == ("filled", 10)
    with pytest.raises(NotFoundError):
        client.get_collection("filled")
    create(client, "filled")
    with pytest.raises(AlreadyExistsError):
        filled.modify(name="filled")
    filled.modify(name="renamed")
    assert names(client) == ["filled", "renamed"]


def test_modify_replaces_the_whole_metadata(client: ClientType) -> None:
    made = create(client, metadata={"a": 1, "b": 2})
    made.modify(metadata={"b": 3, "c": None})
    assert made.metadata == client.get_collection("things").metadata == {"b": 3}
    made.modify(metadata={"b": None})
    assert made.metadata is client.get_collection("things").metadata is None


def test_modify_without_arguments_changes_nothing(client: ClientType) -> None:
    made = create(client, metadata={"a": 1})
    before = (made.name, made.metadata, made.configuration_json)
    made.modify()
    made.modify(configuration={})
    assert (made.name, made.metadata, made.configuration_json) == before


def test_modify_changes_what_may_change_and_keeps_the_rest(client: ClientType) -> None:
    made = create(client, configuration={"hnsw": {"space": "cosine", "ef_construction": 50}})
    changes = {"ef_search": 7, "max_neighbors": 20, "resize_factor": 1.5, "sync_threshold": 9}
    made.modify(configuration={"hnsw": {**changes, "num_threads": 2, "batch_size": 5}})
    expected = {**DEFAULTS, "space": "cosine", "ef_construction": 50, **changes}
    assert made.configuration_json["hnsw"] == expected
    made.modify(configuration={"hnsw": {"ef_search": 8}})
    assert client.get_collection("things").configuration_json["hnsw"] == {**expected, "ef_search": 8}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "taken"}, "already exists"),
        ({"metadata": {}}, "metadata"),
        ({"metadata": 5}, "metadata"),
        ({"metadata": "hnsw:space"}, "metadata"),
        ({"metadata": {"a": [1]}}, "metadata"),
        ({"metadata": {"hnsw:space": "ip"}}, "not supported"),
        ({"configuration": "x"}, "configuration"),
        ({"configuration": {"hnsw": "x"}}, "expected a dict"),
        ({"configuration": {"hnsw": {"space": "ip"}}}, "space is fixed when a collection is created"),
        ({"configuration": {"hnsw": {"ef_construction": 5}}}, "ef_construction is fixed"),
        ({"configuration": {"hnsw": {"foo": 5}}}, "unknown field 'foo'"),
        ({"configuration": {"hnsw": {"ef_search": 0}}}, "too small"),
        ({"configuration": {"hnsw": {"ef_search": "a"}}}, "not an int"),
        ({"configuration": {"spann": {"ef_search": 5}}}, "spann"),
        ({"configuration": {"hnsw": {}, "spann": {}}}, "spann"),
        ({"configuration": {"embedding_function": 5}}, "embedding function"),
        ({"name": "fresh", "metadata": {"a": [1]}}, "metadata"),
        ({"name": "fresh", "metadata": {"a": 1}, "configuration": {"hnsw": {"space": "ip"}}}, "fixed"),
        ({"name": "taken", "metadata": {"a": 1}, "configuration": {"hnsw": {"ef_search": 5}}}, "already exists"),
    ],
    ids=str,
)
def test_a_bad_change_changes_nothing(client: ClientType, changes: dict[str, Any], words: str) -> None:
    create(client, "taken")
    made = create(client, metadata={"a": 0})
    before = (made.name, made.metadata, made.configuration_json)
    with pytest.raises((InvalidArgumentError, AlreadyExistsError), match=words):
        made.modify(**changes)
    assert (made.name, made.metadata, made.configuration_json) == before
    stored = client.get_collection("things")
    assert (stored.name, stored.metadata, stored.configuration_json) == before
    assert names(client) == ["taken", "things"]


# -- handles -----------------------------------------------------------------------------------------------------


def test_handles_compare_by_what_they_hold(client: ClientType, filled: Collection) -> None:
    assert filled == client.get_collection("filled", embedding_function=None)
    assert filled != create(client, "other")
    assert filled != "filled"
    assert "filled" in repr(filled)
    with pytest.raises(TypeError):
        hash(filled)


# -- schema ------------------------------------------------------------------------------------------------------

OFF = {"string": {"string_inverted_index": {"enabled": False, "config": {}}}}


def schema(**vector: Any) -> dict[str, Any]:
    """A schema that switches filters on the strings of `secret` off; `vector` is its vector index's settings."""
    keys = {"secret": OFF, "#embedding": {"float_list": {"vector_index": {"enabled": True, "config": vector}}}}
    return {"defaults": {}, "keys": keys}


class ChromasSchema:
    def serialize_to_json(self) -> dict[str, Any]:
        return schema()


@pytest.mark.parametrize("given", [schema(), ChromasSchema()], ids=["JSON", "an object"])
@pytest.mark.parametrize("method", ["create_collection", "get_or_create_collection"])
def test_a_schema_decides_what_may_be_filtered(client: ClientType, method: str, given: Any) -> None:
    made = getattr(client, method)("things", schema=given)
    made.add(["a"], embeddings=[[1.0]], metadatas=[{"secret": "x", "open": "y"}])
    assert made.get(where={"open": "y"})["ids"] == ["a"]
    with pytest.raises(InvalidArgumentError, match="Cannot filter using metadata key 'secret'"):
        made.get(where={"secret": "x"})


def test_a_collection_shows_its_schema_and_another_takes_it(client: ClientType) -> None:
    made = create(client, schema=schema(space="cosine", hnsw={"ef_search": 50}))
    assert made.configuration_json["hnsw"] == {**DEFAULTS, "space": "cosine", "ef_search": 50}
    assert made.schema["keys"]["secret"]["string"]["string_inverted_index"]["enabled"] is False
    vector = made.schema["keys"]["#embedding"]["float_list"]["vector_index"]
    assert (vector["enabled"], vector["config"]["space"]) == (True, "cosine")
    assert create(client, "others", schema=made.schema).schema == made.schema


def test_a_collection_without_a_schema_shows_the_default_and_the_keys_of_its_records(client: ClientType) -> None:
    made = create(client)
    assert set(made.schema["keys"]) == {"#document", "#embedding"}
    made.add(["a"], embeddings=[[1.0]], metadatas=[{"year": 1990}])
    keys = client.get_collection("things").schema["keys"]
    assert keys["year"] == {"int": {"int_inverted_index": {"enabled": True, "config": {}}}}


def test_a_schema_and_a_configuration_cannot_both_choose_the_index(client: ClientType) -> None:
    with pytest.raises(InvalidArgumentError, match="schema and configuration conflict"):
        create(client, schema=schema(), configuration={"hnsw": {"space": "ip"}})
    assert client.count_collections() == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [(lambda c: c.search([]), "search is not supported yet"), (lambda c: c.fork("b"), "fork is not supported yet")],
)
def test_what_there_is_not_yet_says_so(empty: Collection, call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        call(empty)
