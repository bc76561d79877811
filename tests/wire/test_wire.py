"""The two sides of the wire: what the remote engine writes, the server reads as it was, and the other way round."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from ochre.errors import (
    AuthenticationError,
    OchreError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    UnreachableError,
    error_classes,
)
from ochre.model import requests
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.filters import parse_filters
from ochre.model.schema import Schema, parse_schema
from ochre.model.vectors import SparseVector
from ochre.wire import bodies, client_side, inbound, outbound

ID = uuid.UUID(int=7)
FILTER = parse_filters({"$or": [{"n": {"$in": [1, 2]}}, {"#document": {"$regex": "x"}}]}, {"$contains": "y"})
VECTORS = np.array([[1.5, -2], [0.1, 3]], np.float32)


def sent(body: Any, shape: Any) -> Any:
    """Pass a body through JSON."""
    return inbound.decoder(shape)(client_side.encode(body))


INDEX_OFF = {"int_inverted_index": {"enabled": False}}
CREATE = requests.CreateCollection("acme", "stock", "cars", {"a": 1}, Configuration(Hnsw("ip", ef_search=7)))


@pytest.mark.parametrize(
    "request_",
    [
        CREATE,
        replace(CREATE, schema=parse_schema({"defaults": {}, "keys": {"a": {"int": INDEX_OFF}}})[0]),
        requests.CreateCollection("acme", "stock", "cars", None, Configuration(), Schema(), True, True),
        requests.CreateCollection(
            "acme",
            "stock",
            "cars",
            None,
            Configuration(Hnsw(), {"type": "known", "name": "x", "config": {"a": [None]}}),
        ),
    ],
    ids=["configured", "schema", "get or create", "embedding function"],
)
def test_a_new_collection_arrives_as_it_was_sent(request_: requests.CreateCollection) -> None:
    body = sent(client_side.create_collection(request_), bodies.CreateCollection)
    assert inbound.create_collection(body, "acme", "stock") == request_


@pytest.mark.parametrize(
    "request_",
    [
        requests.ModifyCollection(ID, "bikes", {"a": None, "b": 2}, {"hnsw": {"ef_search": 9}}),
        requests.ModifyCollection(ID),
    ],
)
def test_a_change_arrives_as_it_was_sent(request_: requests.ModifyCollection) -> None:
    body = sent(client_side.modify_collection(request_), bodies.UpdateCollection)
    assert inbound.update_collection(body, ID) == request_


@pytest.mark.parametrize(
    "request_",
    [
        requests.GetRecords(ID, ["a"], FILTER, (requests.OrderKey("n", True),), 5, 2, frozenset({"uris"})),
        requests.GetRecords(ID),
    ],
)
def test_a_get_arrives_as_it_was_sent(request_: requests.GetRecords) -> None:
    assert inbound.get_records(sent(client_side.get_records(request_), bodies.GetRecords), ID) == request_


def test_a_delete_arrives_as_it_was_sent() -> None:
    request = requests.DeleteRecords(ID, ["a"], FILTER, 3)
    assert inbound.delete_records(sent(client_side.delete_records(request), bodies.DeleteRecords), ID) == request


def test_a_count_arrives_as_it_was_sent() -> None:
    request = requests.CountRecords(ID, FILTER)
    assert inbound.count_records(sent(client_side.count_records(request), bodies.CountRecords), ID) == request


def test_a_step_of_a_scan_arrives_as_it_was_sent() -> None:
    request = requests.ScanRecords(ID, FILTER, 5, frozenset({"documents"}), requests.Cursor(3, 9))
    assert inbound.scan_records(sent(client_side.scan_records(request), bodies.ScanRecords), ID) == request


def test_a_query_arrives_as_it_was_sent() -> None:
    request = requests.QueryRecords(ID, VECTORS, 3, ["a"], FILTER, 0.5, True, True, frozenset({"metadatas"}))
    found = inbound.query_records(sent(client_side.query_records(request), bodies.QueryRecords), ID)
    assert np.array_equal(found.vectors, VECTORS)
    for name in ("n_results", "ids", "filter", "max_distance", "exact", "explain", "include"):
        assert getattr(found, name) == getattr(request, name), name


@pytest.mark.parametrize(
    ("kind", "vectors", "rows"), [("add", VECTORS, None), ("update", VECTORS[:1], [None, 0]), ("update", None, None)]
)
def test_a_write_arrives_as_it_was_sent(kind: Any, vectors: Any, rows: Any) -> None:
    metadata = [{"a": 1, "f": 1.0, "tags": ["x"], "s": SparseVector([1, 5], [0.5, 2.0])}, None]
    request = requests.WriteRecords(ID, kind, ["a", "b"], vectors, ["x", None], metadata, [None, "u"], rows)
    found = inbound.write_records(sent(client_side.write_records(request), bodies.WriteRecords), ID, kind)
    assert (found.ids, found.documents, found.metadatas, found.uris, found.rows) == (
        ["a", "b"], ["x", None], metadata, [None, "u"], rows,
    )  # fmt: skip
    assert vectors is found.vectors if vectors is None else np.array_equal(found.vectors, vectors)


def answered(body: Any, shape: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body), type=shape)


def test_a_collection_comes_back_as_it_was() -> None:
    info = requests.CollectionInfo(
        ID, "cars", "acme", "stock", {"a": 1}, Configuration(Hnsw("ip", num_threads=3)), Schema(), 4, 9
    )
    assert client_side.collection(answered(outbound.collection(info), bodies.Collection)) == info


def test_records_come_back_as_they_were() -> None:
    metadata = [{"a": 1, "s": SparseVector([1], [2.0])}, None]
    batch = requests.RecordBatch(["a", "b"], VECTORS, ["x", None], metadata, None)
    found = client_side.record_batch(answered(outbound.get_reply(batch, ["embeddings"]), bodies.GetReply))
    assert np.array_equal(found.vectors, VECTORS)
    assert (found.ids, found.documents, found.metadatas, found.uris) == (["a", "b"], ["x", None], metadata, None)


def test_a_distance_beyond_float32_comes_back_as_infinity() -> None:
    reply = requests.QueryReply([requests.RecordBatch(["a", "b"], None, None, None, None)], [[1.0, math.inf]], None)
    found = client_side.query_reply(answered(outbound.query_reply(reply, ["distances"]), bodies.QueryReply))
    assert found.distances == [[1.0, math.inf]]


@pytest.mark.parametrize("kind", error_classes().values(), ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_the_class_it_was(kind: type[OchreError]) -> None:
    content = msgspec.json.encode(bodies.Error(kind.wire_name, "the message", kind.code))
    error = client_side.error(kind.status, content)
    assert (type(error), error.message) == (kind, "the message")


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"[]"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, OchreError),
        (413, PayloadTooLargeError),
        (429, OverloadedError),
        (502, UnreachableError),
        (503, UnreachableError),
        (504, UnreachableError),
    ],
)
def test_an_error_that_is_a_proxys_is_known_by_its_status(content: bytes, status: int, kind: type[OchreError]) -> None:
    error = client_side.error(status, content)
    assert type(error) is kind
    assert f"status {status}: {content.decode() or 'no text'}" in error.message


def test_an_error_without_a_code_of_ours_is_known_by_its_status() -> None:
    error = client_side.error(429, b'{"error": "ChromaError", "message": "slow down"}')
    assert (type(error), error.message) == (OverloadedError, "slow down")
