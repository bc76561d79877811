"""Bad input: each call raises an error of the right class that says what is wrong, and changes nothing.

The embedding functions' rules are in `test_embedding_rules`, those of collections in `test_collections`.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ochre import Collection, SparseVector
from ochre.errors import (
    DuplicateIDError,
    InvalidArgumentError,
    InvalidDimensionError,
    InvalidTypeError,
    OchreError,
)
from tests.client.conftest import everything

NAN, INF = float("nan"), float("inf")

WRITES = (Collection.add, Collection.update, Collection.upsert)

Case = tuple[dict[str, Any], type[Exception], str]


class Frame:
    """Iterates and has a length, as the columns of a data frame, and is no sequence."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __iter__(self) -> Any:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[index]


class Rude:
    """Has no repr to be quoted in a message."""

    def __repr__(self) -> str:
        raise RuntimeError("do not look at me")


def nested(depth: int, leaf: dict[str, Any], operator: str = "$and") -> dict[str, Any]:
    chain = leaf
    for _ in range(depth):
        chain = {operator: [chain, leaf]}
    return chain


def check(collection: Collection, call: Callable[[], Any], error: type[Exception], words: str) -> None:
    """The call raises an error of this class and with these words, and leaves the collection as it is."""
    before = everything(collection)
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, OchreError)
    assert len(str(caught.value)) < 1000, "a message quotes the beginning of a value, not all of it"
    assert everything(collection) == before
    assert collection.count() == 10


# -- ids ---------------------------------------------------------------------------------------------------------

BAD_IDS: list[tuple[Any, type[Exception], str]] = [
    (None, InvalidTypeError, "Expected IDs to be a list of strings, got None"),
    (5, InvalidTypeError, "Expected IDs to be a list"),
    (b"ab", InvalidTypeError, "each ID to be a string, got 97"),
    ({"a", "b"}, InvalidTypeError, "Expected IDs to be a list"),
    ({"a": 1, "b": 2}, InvalidTypeError, "Expected IDs to be a list"),
    ((id_ for id_ in "ab"), InvalidTypeError, "Expected IDs to be a list"),
    (Frame("a", "b"), InvalidTypeError, "make a list of it"),
    (Rude(), InvalidTypeError, "got <Rude>"),
    ([], InvalidArgumentError, "non-empty list"),
    (np.array([], str), InvalidArgumentError, "non-empty list"),
    ([1, 2], InvalidTypeError, "each ID to be a string, got 1"),
    (["a", None], InvalidTypeError, "each ID to be a string, got None"),
    ([b"a", b"b"], InvalidTypeError, "each ID to be a string"),
    ([["a"], ["b"]], InvalidTypeError, "each ID to be a string"),
    (np.array([1, 2]), InvalidTypeError, "each ID to be a string, got 1"),
    (np.array([["a"], ["b"]]), InvalidTypeError, "each ID to be a string"),
    (["a", "\ud800"], InvalidArgumentError, "ID '.*' holds a lone surrogate"),
    (["a", "a"], DuplicateIDError, "found duplicates of: 'a'"),
    (["x" * 1_000_000] * 2, DuplicateIDError, "found duplicates"),
]


@pytest.mark.parametrize(("ids", "error", "words"), BAD_IDS)
def test_bad_ids(filled: Collection, ids: Any, error: type[Exception], words: str) -> None:
    for call in WRITES:
        check(filled, lambda call=call: call(filled, ids, [[1, 0], [2, 0]]), error, words)
    if ids is not None:  # there it stands for no choice of ids
        check(filled, lambda: filled.get(ids), error, words)
        check(filled, lambda: filled.delete(ids), error, words)


def test_an_empty_id_is_not_written(filled: Collection) -> None:
    for call in WRITES:
        check(filled, lambda call=call: call(filled, ["a", ""], [[1, 0], [2, 0]]), InvalidArgumentError, "non-empty")


# -- columns of writes -------------------------------------------------------------------------------------------

BAD_EMBEDDINGS: list[tuple[Any, type[Exception], str]] = [
    ([[1, NAN], [1, 2]], InvalidArgumentError, r"embeddings\[0\] holds NaN or infinity"),
    ([[1, 2], [1, INF]], InvalidArgumentError, r"embeddings\[1\] holds NaN or infinity"),
    (np.array([[1, 2], [-INF, 1]]), InvalidArgumentError, r"embeddings\[1\]"),
    ([[1, 2], [1, 1e39]], InvalidArgumentError, "beyond float32"),
    ([[1, 2], [1, 10**400]], InvalidArgumentError, "beyond float32"),
    ([[1, 2, 3], [1, 2, 3]], InvalidDimensionError, "dimension of 2, got 3"),
    ([[1], [2]], InvalidDimensionError, "dimension of 2, got 1"),
    ([[1, 2], [1, 2, 3]], InvalidDimensionError, r"dimension \[2, 3\]"),
    ([np.array([1, 2]), np.array([1])], InvalidDimensionError, "dimension"),
    ([np.array([1, 2]), [1, 2]], InvalidTypeError, r"embeddings\[1\] is not a 1-D array"),
    ([[1, 2], None], InvalidTypeError, "embedding"),
    ([None, None], InvalidTypeError, "embedding"),
    ([[1, None], [1, 2]], InvalidTypeError, "embedding"),
    ([[1, 2], 3], InvalidTypeError, "embedding"),
    ([[1, [2]], [1, [2]]], InvalidTypeError, "embedding"),
    ([["1", "2"], ["3", "4"]], InvalidTypeError, "embedding"),
    ([[1, "2"], [3, 4]], InvalidTypeError, "embedding"),
    (["12", "34"], InvalidTypeError, "embedding"),
    ([{"a": 1}, {"b": 2}], InvalidTypeError, "embedding"),
    ([[True, False], [True, True]], InvalidTypeError, "bool"),
    ([[1, True], [1, 2]], InvalidTypeError, "bool"),
    ([[1j, 2], [3, 4]], InvalidTypeError, "embedding"),
    ([[decimal.Decimal(1), 2], [3, 4]], InvalidTypeError, "embedding"),
    ([[Rude(), 2], [3, 4]], InvalidTypeError, "embedding"),
    (np.array([[True, False], [True, True]]), InvalidTypeError, "bool"),
    (np.array([["a", "b"], ["c", "d"]]), InvalidTypeError, "embedding"),
    (np.array([[1, 2], [3, 4]], object), InvalidTypeError, "embedding"),
    (np.array([[1, 2], [3, 4]], np.complex64), InvalidTypeError, "complex"),
    (np.array([["2020", "2021"], ["2022", "2023"]], "datetime64[Y]"), InvalidTypeError, "datetime"),
    (np.zeros((2, 2, 2)), InvalidDimensionError, "3 dimensions"),
    (np.zeros((2, 0)), InvalidDimensionError, "dimension 0"),
    (np.zeros((2, 65_537)), InvalidDimensionError, "1 to 65536"),
    (np.zeros((0, 2)), InvalidArgumentError, "embeddings is empty"),
    (np.array(1.0), InvalidDimensionError, "0 dimensions"),
    ([], InvalidArgumentError, "embeddings is empty"),
    ([[], []], InvalidDimensionError, "dimension 0"),
    ([[1, 2]], InvalidArgumentError, "embeddings has 1 entries and ids has 2"),
    ([[1, 2]] * 3, InvalidArgumentError, "embeddings has 3 entries and ids has 2"),
    ("ab", InvalidTypeError, "embeddings is a str"),
    (b"ab", InvalidTypeError, "embeddings is a bytes"),
    (bytearray(b"ab"), InvalidTypeError, "embeddings is a bytearray"),
    (memoryview(b"ab"), InvalidTypeError, "embeddings is a memoryview"),
    (5, InvalidTypeError, "embeddings is a int"),
    ({"a": [1, 2]}, InvalidTypeError, "embeddings is a dict"),
    (([1, 2] for _ in range(2)), InvalidTypeError, "embeddings is a generator"),
    (Frame([1, 2], [3, 4]), InvalidTypeError, "embeddings is a Frame"),
    (Rude(), InvalidTypeError, "embeddings is a Rude"),
]


@pytest.mark.parametrize(("embeddings", "error", "words"), BAD_EMBEDDINGS)
def test_bad_embeddings(filled: Collection, embeddings: Any, error: type[Exception], words: str) -> None:
    for call in WRITES:
        check(filled, lambda call=call: call(filled, ["id0", "new"], embeddings), error, words)


def test_an_embedding_that_is_not_finite_is_found_among_many(filled: Collection) -> None:
    many = np.ones((10_000, 2), np.float32)
    many[7_777, 1] = NAN
    ids = [f"new{n}" for n in range(10_000)]
    check(filled, lambda: filled.add(ids=ids, embeddings=many), InvalidArgumentError, r"embeddings\[7777\]")


BAD_COLUMNS: list[Case] = [
    ({"documents": ["x"]}, InvalidArgumentError, "documents has 1 entries and ids has 2"),
    ({"documents": []}, InvalidArgumentError, "documents has 0 entries and ids has 2"),
    ({"documents": "x"}, InvalidArgumentError, "documents has 1 entries"),
    ({"documents": 5}, InvalidTypeError, "Expected documents to be a list of strings, got 5"),
    ({"documents": {"x": 1}}, InvalidTypeError, "Expected documents to be a list"),
    ({"documents": Frame("x", "y")}, InvalidTypeError, "make a list of it"),
    ({"documents": ["x", 5]}, InvalidTypeError, r"documents\[1\] to be a string, got 5"),
    ({"documents": [b"x", "y"]}, InvalidTypeError, r"documents\[0\] to be a string, got b'x'"),
    ({"documents": [["x"], ["y"]]}, InvalidTypeError, r"documents\[0\]"),
    ({"documents": [Rude(), "y"]}, InvalidTypeError, "got <Rude>"),
    ({"documents": [NAN, "y"]}, InvalidTypeError, r"documents\[0\] to be a string, got nan"),
    ({"documents": ["x", "\udfff"]}, InvalidArgumentError, r"documents\[1\] holds a lone surrogate"),
    ({"uris": ["x"]}, InvalidArgumentError, "uris has 1 entries"),
    ({"uris": ["x", 5]}, InvalidTypeError, r"uris\[1\] to be a string"),
    ({"uris": ["\ud800", "x"]}, InvalidArgumentError, r"uris\[0\] holds a lone surrogate"),
    ({"images": []}, InvalidTypeError, "images"),
    ({"images": [5, 5]}, InvalidTypeError, r"images\[0\] to be an array"),
    ({"images": [np.zeros(3), np.zeros(3)]}, InvalidTypeError, r"images\[0\]"),
    ({"images": [np.zeros((2, 2))]}, InvalidArgumentError, "images has 1 entries"),
    ({"metadatas": {"n": 1}}, InvalidArgumentError, "metadatas has 1 entries"),
    ({"metadatas": []}, InvalidArgumentError, "metadatas has 0 entries"),
    ({"metadatas": 5}, InvalidTypeError, "Expected metadatas to be a list of metadata dicts, got 5"),
    ({"metadatas": "xy"}, InvalidTypeError, "Expected metadatas to be a list of metadata dicts, got 'xy'"),
    ({"metadatas": [{"n": 1}, 5]}, InvalidTypeError, r"metadatas\[1\] to be a metadata dict"),
    ({"metadatas": [[("n", 1)], None]}, InvalidTypeError, r"metadatas\[0\] to be a metadata dict"),
    ({"metadatas": [{}, None]}, InvalidArgumentError, "non-empty metadata dict"),
]


@pytest.mark.parametrize(("columns", "error", "words"), BAD_COLUMNS)
def test_bad_columns(filled: Collection, columns: Any, error: type[Exception], words: str) -> None:
    for call in WRITES:
        check(filled, lambda call=call: call(filled, ["id0", "new"], [[1, 0], [2, 0]], **columns), error, words)


BAD_METADATA: list[Case] = [
    ({5: 1}, InvalidTypeError, "metadata key of .* to be a string, got 5"),
    ({None: 1}, InvalidTypeError, "metadata key"),
    ({Rude(): 1}, InvalidTypeError, "metadata key .* got <Rude>"),
    ({"": 1}, InvalidArgumentError, "metadata key ''"),
    ({"#n": 1}, InvalidArgumentError, "metadata key '#n'"),
    ({"$n": 1}, InvalidArgumentError, "metadata key '\\$n'"),
    ({"chroma:document": "x"}, InvalidArgumentError, "metadata key 'chroma:document'"),
    ({"\ud800": 1}, InvalidArgumentError, "metadata key .* surrogate"),
    ({"n": "\ud800"}, InvalidArgumentError, "surrogate"),
    ({"n": ["x", "\ud800"]}, InvalidArgumentError, "surrogate"),
    ({"n": {"deep": 1}}, InvalidTypeError, "metadata value"),
    ({"n": {1, 2}}, InvalidTypeError, "metadata value"),
    ({"n": b"x"}, InvalidTypeError, "metadata value"),
    ({"n": 1j}, InvalidTypeError, "metadata value"),
    ({"n": dt.date(2024, 1, 1)}, InvalidTypeError, "which is a date; convert it"),
    ({"n": decimal.Decimal(1)}, InvalidTypeError, "which is a Decimal"),
    ({"n": Rude()}, InvalidTypeError, "got <Rude> which is a Rude"),
    ({"n": object}, InvalidTypeError, "metadata value"),
    ({"n": NAN}, InvalidArgumentError, "is nan: metadata numbers are finite"),
    ({"n": -INF}, InvalidArgumentError, "is -inf"),
    ({"n": np.float32(NAN)}, InvalidArgumentError, "is nan"),
    ({"n": 10**400}, InvalidArgumentError, "an integer of 1329 bits"),
    ({"n": []}, InvalidArgumentError, "metadata value .* non-empty list"),
    ({"n": np.array([])}, InvalidArgumentError, "non-empty list"),
    ({"n": [1, "x"]}, InvalidArgumentError, "same type"),
    ({"n": [1, 2.5]}, InvalidArgumentError, "same type"),
    ({"n": [1, True]}, InvalidArgumentError, "same type"),
    ({"n": [1, None]}, InvalidTypeError, "metadata value .* str, int, float, bool"),
    ({"n": [[1]]}, InvalidTypeError, "metadata value"),
    ({"n": np.array([[1]])}, InvalidTypeError, "metadata value"),
    ({"n": [NAN]}, InvalidArgumentError, "is nan"),
    ({"n": {"#type": "sparse_vector"}}, InvalidTypeError, "indices to be a list"),
    ({"n": {"#type": "sparse_vector", "indices": [1], "values": 5}}, InvalidTypeError, "values to be a list"),
    (
        {"n": {"#type": "sparse_vector", "indices": [2, 1], "values": [1, 1]}},
        InvalidArgumentError,
        "sorted in strictly ascending order",
    ),
]


@pytest.mark.parametrize(("metadata", "error", "words"), BAD_METADATA)
def test_bad_metadata(filled: Collection, metadata: Any, error: type[Exception], words: str) -> None:
    for call in WRITES:
        columns = (["id0", "new"], [[1, 0], [2, 0]], [{"n": 5}, metadata])
        check(filled, lambda call=call, columns=columns: call(filled, *columns), error, words)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"indices": (1,), "values": [1.0]}, InvalidTypeError, "indices to be a list"),
        ({"indices": [1], "values": np.ones(1)}, InvalidTypeError, "values to be a list"),
        ({"indices": [1], "values": []}, InvalidArgumentError, "must have the same length"),
        ({"indices": [1.0], "values": [1.0]}, InvalidTypeError, "must be integers"),
        ({"indices": [True], "values": [1.0]}, InvalidTypeError, "must be integers"),
        ({"indices": [-1], "values": [1.0]}, InvalidArgumentError, "must be non-negative"),
        ({"indices": [1, 1], "values": [1.0, 2.0]}, InvalidArgumentError, "sorted in strictly ascending order"),
        ({"indices": [2**32], "values": [1.0]}, InvalidArgumentError, "at most 4294967295"),
        ({"indices": [1], "values": ["x"]}, InvalidTypeError, "must be numbers"),
        ({"indices": [1], "values": [NAN]}, InvalidArgumentError, "must be finite"),
        ({"indices": [1], "values": [1e39]}, InvalidArgumentError, "must be finite"),
        ({"indices": [1], "values": [10**400]}, InvalidArgumentError, "must be finite"),
        ({"indices": [1], "values": [1.0], "labels": "x"}, InvalidTypeError, "labels to be a list"),
        ({"indices": [1], "values": [1.0], "labels": [5]}, InvalidTypeError, "labels must be strings"),
        ({"indices": [1], "values": [1.0], "labels": []}, InvalidArgumentError, "same length"),
        ({"indices": [1], "values": [1.0], "labels": ["\ud800"]}, InvalidArgumentError, "surrogate"),
    ],
    ids=str,
)
def test_bad_sparse_vectors(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SparseVector(**arguments)


# -- filters -----------------------------------------------------------------------------------------------------

BAD_WHERE: list[Any] = [
    {},
    [],
    "n",
    5,
    Rude(),
    {5: 1},
    {"\ud800": 1},
    {"n": 1, "even": True},
    {"$not": {"n": 1}},
    {"$and": {"n": 1}},
    {"$and": [{"n": 1}]},
    {"$or": []},
    {"$or": [{"n": 1}, {}]},
    {"$or": [{"n": 1}, 5]},
    {"n": None},
    {"n": [1]},
    {"n": b"x"},
    {"n": {}},
    {"n": {"$gt": 1, "$lt": 5}},
    {"n": {"$foo": 1}},
    {"n": {"$eq": None}},
    {"n": {"$eq": [1]}},
    {"n": {"$eq": {"n": 1}}},
    {"n": {"$eq": Rude()}},
    {"n": {"$gt": "a"}},
    {"n": {"$gt": True}},
    {"n": {"$gt": None}},
    {"n": {"$gt": NAN}},
    {"n": {"$in": []}},
    {"n": {"$in": 1}},
    {"n": {"$in": "abc"}},
    {"n": {"$in": {1, 2}}},
    {"n": {"$in": [1, "a"]}},
    {"n": {"$in": [1, 1.5]}},
    {"n": {"$in": [True, 1]}},
    {"n": {"$in": [None]}},
    {"n": {"$nin": []}},
    {"n": {"$contains": [1]}},
    {"n": {"$contains": None}},
    {"n": {"$regex": "x"}},
    {"n": {"$exists": 1}},
    {"n": 2**63},
    {"n": {"$in": [2**70]}},
    {"n": "\ud800"},
    {"#document": "doc 1"},
    {"#document": {"$eq": "doc 1"}},
    {"#document": {"$contains": ""}},
    nested(100, {"n": 1}),
    nested(5_000, {"n": 1}, "$or"),
]
BAD_WHERE_DOCUMENT: list[Any] = [
    {},
    [],
    "doc",
    {"n": "doc"},
    {"$eq": "doc"},
    {"$contains": ""},
    {"$contains": 5},
    {"$contains": b"doc"},
    {"$contains": ["doc"]},
    {"$contains": "\ud800"},
    {"$not_contains": None},
    {"$contains": "a", "$not_contains": "b"},
    {"$and": [{"$contains": "doc"}]},
    {"$or": []},
    {"$or": {"$contains": "doc"}},
    {"$regex": ""},
    {"$regex": 5},
    {"$regex": "["},
    {"$regex": "(?=look)"},
    {"$regex": r"(a)\1"},
    {"$regex": "(" * 100_000},
    {"$regex": "a{1000}{1000}"},
    {"$not_regex": "*"},
    nested(100, {"$contains": "doc"}),
]

FILTERED: dict[str, Callable[..., Any]] = {
    "get": Collection.get,
    "count": Collection.count,
    "scan": Collection.scan,
    "delete": Collection.delete,
    "query": lambda collection, **filters: collection.query(query_embeddings=[[1, 0]], **filters),
}


@pytest.mark.parametrize("where", BAD_WHERE)
def test_bad_where(filled: Collection, where: Any) -> None:
    for call in FILTERED.values():
        check(
            filled, lambda call=call: call(filled, where=where), InvalidArgumentError, r"Invalid where clause \(where\)"
        )


@pytest.mark.parametrize("where_document", BAD_WHERE_DOCUMENT)
def test_bad_where_document(filled: Collection, where_document: Any) -> None:
    words = r"Invalid where document clause \(where_document\)"
    for call in FILTERED.values():
        check(filled, lambda call=call: call(filled, where_document=where_document), InvalidArgumentError, words)


def test_a_wide_or_a_deep_filter_within_the_limit_is_answered(filled: Collection) -> None:
    wide = {"$or": [{"n": n} for n in range(3, 5_000)]}
    assert filled.count(where=wide) == 7
    assert filled.count(where={"n": {"$in": list(range(3, 100_000))}}) == 7
    assert filled.get(where=nested(60, {"n": 3}))["ids"] == ["id3"]
    assert filled.count(where_document={"$or": [{"$contains": str(n)} for n in range(1_000)]}) == 7


# -- arguments of reads and deletes ------------------------------------------------------------------------------

BAD_CALLS: dict[str, list[Case]] = {
    "get": [
        ({"limit": -1}, InvalidArgumentError, "limit to be 0 or more, got -1"),
        ({"offset": -1}, InvalidArgumentError, "offset to be 0 or more, got -1"),
        ({"limit": "1"}, InvalidTypeError, "limit to be an int, got '1'"),
        ({"limit": 1.0}, InvalidTypeError, "limit to be an int"),
        ({"limit": True}, InvalidTypeError, "limit to be an int"),
        ({"offset": NAN}, InvalidTypeError, "offset to be an int"),
        ({"include": None}, InvalidTypeError, "Expected include to be a list"),
        ({"include": "documents"}, InvalidTypeError, "Expected include to be a list"),
        ({"include": ["ids"]}, InvalidArgumentError, "include item to be one of .*, got 'ids'"),
        ({"include": [None]}, InvalidArgumentError, "include item"),
        ({"include": [["documents"]]}, InvalidArgumentError, "include item"),
        ({"include": ["distances"]}, InvalidArgumentError, "Include item cannot be distances"),
        ({"order_by": ""}, InvalidArgumentError, "order_by"),
        ({"order_by": "-"}, InvalidArgumentError, "order_by"),
        ({"order_by": "#n"}, InvalidArgumentError, "order_by"),
        ({"order_by": "\ud800"}, InvalidArgumentError, "order_by"),
        ({"order_by": []}, InvalidTypeError, "order_by"),
        ({"order_by": 5}, InvalidTypeError, "order_by"),
        ({"order_by": {"n": 1}}, InvalidTypeError, "order_by"),
        ({"order_by": [["n", "desc"]]}, InvalidTypeError, "order_by"),
        ({"order_by": ("n", ["desc"])}, InvalidTypeError, "order_by"),
        ({"order_by": [("n", "down")]}, InvalidTypeError, "order_by"),
    ],
    "peek": [
        ({"limit": -1}, InvalidArgumentError, "limit"),
        ({"limit": "1"}, InvalidTypeError, "limit"),
    ],
    "scan": [
        ({"batch_size": 0}, InvalidArgumentError, "batch_size to be an int of 1 or more, got 0"),
        ({"batch_size": "1"}, InvalidArgumentError, "batch_size"),
        ({"batch_size": None}, InvalidArgumentError, "batch_size"),
        ({"include": ["distances"]}, InvalidArgumentError, "distances"),
    ],
    "query": [
        ({"query_embeddings": [[1, 2, 3]]}, InvalidDimensionError, "dimension of 2, got 3"),
        ({"query_embeddings": [[1]]}, InvalidDimensionError, "dimension"),
        ({"query_embeddings": [[1, 2], [1]]}, InvalidDimensionError, "dimension"),
        ({"query_embeddings": []}, InvalidArgumentError, "query_embeddings is empty"),
        ({"query_embeddings": [[]]}, InvalidDimensionError, "query_embeddings"),
        ({"query_embeddings": [None]}, InvalidTypeError, "query_embeddings"),
        ({"query_embeddings": [["x", "y"]]}, InvalidTypeError, "query_embeddings"),
        ({"query_embeddings": "xy"}, InvalidTypeError, "query_embeddings is a str"),
        ({"query_embeddings": [[1, NAN]]}, InvalidArgumentError, r"query_embeddings\[0\] holds NaN"),
        ({"query_embeddings": [[1, 2], [1, INF]]}, InvalidArgumentError, r"query_embeddings\[1\]"),
        ({"query_embeddings": np.zeros((1, 1, 2))}, InvalidDimensionError, "query_embeddings"),
        ({"query_texts": []}, InvalidArgumentError, "query_texts to be a non-empty list"),
        ({"query_texts": 5}, InvalidArgumentError, "query_texts"),
        ({"query_texts": [5]}, InvalidTypeError, r"query_texts\[0\] to be a string, got 5"),
        ({"query_texts": [None]}, InvalidArgumentError, r"query_texts\[0\] is None"),
        ({"query_texts": {"x"}}, InvalidArgumentError, "query_texts"),
        ({"query_texts": "\ud800"}, InvalidArgumentError, "surrogate"),
        ({"query_images": []}, InvalidTypeError, "images"),
        ({"query_images": [5]}, InvalidTypeError, "images"),
        ({"query_uris": [5]}, InvalidTypeError, "query_uris"),
        ({"query_embeddings": [[1, 2]], "n_results": 0}, InvalidTypeError, "cannot be negative, or zero"),
        ({"query_embeddings": [[1, 2]], "n_results": -1}, InvalidTypeError, "Number of requested results -1"),
        ({"query_embeddings": [[1, 2]], "n_results": "1"}, InvalidTypeError, "to be a int"),
        ({"query_embeddings": [[1, 2]], "n_results": 1.0}, InvalidTypeError, "to be a int"),
        ({"query_embeddings": [[1, 2]], "n_results": None}, InvalidTypeError, "to be a int"),
        ({"query_embeddings": [[1, 2]], "include": ["nothing"]}, InvalidArgumentError, "include"),
        ({"query_embeddings": [[1, 2]], "include": 5}, InvalidTypeError, "include"),
        ({"query_embeddings": [[1, 2]], "ids": 5}, InvalidTypeError, "IDs"),
        ({"query_embeddings": [[1, 2]], "ids": [5]}, InvalidTypeError, "each ID to be a string"),
        ({"query_embeddings": [[1, 2]], "max_distance": "1"}, InvalidTypeError, "max_distance"),
        ({"query_embeddings": [[1, 2]], "max_distance": True}, InvalidTypeError, "max_distance"),
        ({"query_embeddings": [[1, 2]], "max_distance": NAN}, InvalidArgumentError, "max_distance"),
    ],
    "delete": [
        ({}, InvalidArgumentError, "At least one of ids, where, or where_document"),
        ({"limit": 1}, InvalidArgumentError, "At least one of"),
        ({"ids": ["id0"], "limit": 1}, InvalidArgumentError, "limit can only be specified"),
        ({"ids": [], "where": {"n": 1}}, InvalidArgumentError, "non-empty list"),
        ({"ids": ["id0"], "where": {}}, InvalidArgumentError, "Invalid where clause"),
        ({"where": {"n": 1}, "limit": -1}, InvalidArgumentError, "limit to be 0 or more"),
        ({"where": {"n": 1}, "limit": "1"}, InvalidTypeError, "limit to be an int"),
        ({"where": {"n": 1}, "limit": 1.0}, InvalidTypeError, "limit to be an int"),
    ],
}


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "words"),
    [(operation, *case) for operation, cases in BAD_CALLS.items() for case in cases],
)
def test_bad_arguments(filled: Collection, operation: str, arguments: Any, error: type[Exception], words: str) -> None:
    check(filled, lambda: getattr(filled, operation)(**arguments), error, words)


@pytest.mark.parametrize("error", [InvalidTypeError, InvalidDimensionError, DuplicateIDError])
def test_bad_input_is_a_value_error_and_a_wrong_type_a_type_error_too(error: type[Exception]) -> None:
    assert issubclass(error, ValueError)
    assert issubclass(error, TypeError) == (error is InvalidTypeError)
