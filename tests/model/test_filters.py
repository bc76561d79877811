"""The grammar of filters: what is accepted and into which tree, and what is refused and with which words."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.errors import InvalidArgumentError
from ochre.model.filters import (
    MAX_DEPTH,
    And,
    ArrayContains,
    Compare,
    DocumentContains,
    DocumentContainsAnyCase,
    DocumentMatches,
    Exists,
    In,
    Not,
    Or,
    compile_pattern,
    leaves,
    parse_filters,
)
from tests.model.conftest import refusal

A, B = Compare("a", "eq", 1), Compare("b", "eq", 2)


@pytest.mark.parametrize(
    ("where", "tree"),
    [
        ({"a": 1}, A),
        ({"a": {"$eq": 1}}, A),
        ({"a": True}, Compare("a", "eq", True)),
        ({"a": 1.5}, Compare("a", "eq", 1.5)),
        ({"a": ""}, Compare("a", "eq", "")),
        ({"a": {"$ne": "x"}}, Not(Compare("a", "eq", "x"))),
        ({"a": {"$gt": 1}}, Compare("a", "gt", 1)),
        ({"a": {"$gte": 1.5}}, Compare("a", "gte", 1.5)),
        ({"a": {"$lt": -(2**63)}}, Compare("a", "lt", -(2**63))),
        ({"a": {"$lte": float("inf")}}, Compare("a", "lte", float("inf"))),
        ({"a": {"$in": [1, 2]}}, In("a", (1, 2))),
        ({"a": {"$in": ("x",)}}, In("a", ("x",))),
        ({"a": {"$nin": [True, False]}}, Not(In("a", (True, False)))),
        ({"a": {"$in": [1.5, 1]}}, In("a", (1.5, 1))),
        ({"a": {"$contains": "x"}}, ArrayContains("a", "x")),
        ({"a": {"$not_contains": 1}}, Not(ArrayContains("a", 1))),
        ({"a": {"$exists": True}}, Exists("a")),
        ({"a": {"$exists": False}}, Not(Exists("a"))),
        ({"": 1}, Compare("", "eq", 1)),
        ({"#id": "x"}, Compare("#id", "eq", "x")),
        ({"#document": {"$contains": "x"}}, DocumentContains("x")),
        ({"#document": {"$not_contains": "x"}}, Not(DocumentContains("x"))),
        ({"#document": {"$icontains": "X"}}, DocumentContainsAnyCase("X")),
        ({"#document": {"$not_icontains": "X"}}, Not(DocumentContainsAnyCase("X"))),
        ({"#document": {"$regex": "^x"}}, DocumentMatches("^x")),
        ({"#document": {"$not_regex": "x"}}, Not(DocumentMatches("x"))),
        ({"$and": [{"a": 1}, {"b": 2}]}, And((A, B))),
        ({"$or": ({"a": 1}, {"$and": [{"a": 1}, {"b": 2}]})}, Or((A, And((A, B))))),
        ({"a": np.int64(1)}, A),
        ({"a": {"$in": [np.float32(1.5), np.int8(1)]}}, In("a", (1.5, 1))),
        ({"a": np.bool_(True)}, Compare("a", "eq", True)),
    ],
)
def test_a_where_becomes_a_tree(where: Any, tree: Any) -> None:
    assert repr(parse_filters(where, None)) == repr(tree)  # 1, 1.0 and True are equal, and differ here


@pytest.mark.parametrize(
    ("where_document", "tree"),
    [
        ({"$contains": "x"}, DocumentContains("x")),
        ({"$not_contains": "x"}, Not(DocumentContains("x"))),
        ({"$icontains": "X"}, DocumentContainsAnyCase("X")),
        ({"$not_icontains": "X"}, Not(DocumentContainsAnyCase("X"))),
        ({"$regex": "x+"}, DocumentMatches("x+")),
        ({"$not_regex": "x+"}, Not(DocumentMatches("x+"))),
        (
            {"$or": [{"$contains": "x"}, {"$and": [{"$contains": "y"}, {"$regex": "z"}]}]},
            Or((DocumentContains("x"), And((DocumentContains("y"), DocumentMatches("z"))))),
        ),
    ],
)
def test_a_where_document_becomes_a_tree(where_document: Any, tree: Any) -> None:
    assert parse_filters(None, where_document) == tree


def test_both_arguments_are_joined_and_none_is_no_filter() -> None:
    assert parse_filters(None, None) is None
    assert parse_filters({"a": 1}, {"$contains": "x"}) == And((A, DocumentContains("x")))


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ({}, "exactly one key or operator, got {}"),
        ({"a": 1, "b": 2}, "exactly one key.*join several with [$]and"),
        ([], "expected a dict, got \\[\\]"),
        ("a", "expected a dict, got 'a'"),
        ({1: 1}, "expected a string as key, got 1"),
        ({"\ud800": 1}, "expected a string as key"),
        ({"a": None}, "[$]eq takes a str, int, float or bool, got None"),
        ({"a": [1]}, "takes a str, int, float or bool, got \\[1\\]"),
        ({"a": {}}, "exactly one key or operator"),
        ({"a": {"$gt": 1, "$lt": 2}}, "join several with [$]and"),
        ({"a": {"$near": 1}}, "unknown operator '[$]near' for the key 'a': expected one of [$]eq"),
        ({"a": {"eq": 1}}, "unknown operator 'eq'"),
        ({"a": {"$regex": "x"}}, "unknown operator '[$]regex' for the key 'a'"),
        ({"$nor": [{"a": 1}, {"b": 1}]}, "unknown operator '[$]nor': expected [$]and, [$]or or a metadata key"),
        ({"$contains": "x"}, "unknown operator '[$]contains'"),
        ({"$and": {"a": 1}}, "[$]and takes a list, got {'a': 1}"),
        ({"$and": []}, "[$]and takes 2 or more expressions, got 0"),
        ({"$or": [{"a": 1}]}, "[$]or takes 2 or more expressions, got 1; leave [$]or out"),
        ({"$or": [{"a": 1}, None]}, "expected a dict, got None"),
        *(
            ({"a": {name: operand}}, f"[{name[0]}]{name[1:]} takes an int or a float")
            for name in ("$gt", "$gte", "$lt", "$lte")
            for operand in ("1", True)
        ),
        ({"a": {"$gt": None}}, "[$]gt takes a str, int"),
        ({"a": {"$gt": float("nan")}}, "got NaN"),
        ({"a": 2**63}, r"integers from -2\^63 to 2\^63-1, got 9223372036854775808"),
        ({"a": {"$in": [-(2**63) - 1]}}, r"integers from -2\^63"),
        ({"a": "\udfff"}, "text that UTF-8 can carry"),
        ({"a": {"$in": []}}, "[$]in takes a non-empty list, got \\[\\]"),
        ({"a": {"$nin": "xy"}}, "[$]nin takes a non-empty list, got 'xy'"),
        ({"a": {"$in": [1, 1.5]}}, "list of one type"),
        ({"a": {"$in": [1, True]}}, "list of one type"),
        ({"a": {"$in": [True, 1]}}, "list of one type"),
        ({"a": {"$in": [1.5, True]}}, "list of one type"),
        ({"a": {"$in": ["1", 1]}}, "list of one type"),
        ({"a": {"$in": [[1]]}}, "takes a str, int, float or bool"),
        ({"a": {"$contains": ["x"]}}, "[$]contains takes a str, int, float or bool"),
        ({"a": {"$exists": 1}}, "[$]exists takes true or false, got 1"),
        ({"#document": "x"}, "unknown operator '[$]eq' for documents: expected one of [$]contains"),
        ({"#document": {"$contains": 1}}, "[$]contains takes a string, got 1"),
        ({"#document": {"$contains": ""}}, "non-empty string"),
        ({"#document": {"$regex": "("}}, "does not compile.*missing.*no look-around"),
        ({"#document": {"$regex": "(?=x)"}}, "does not compile"),
        ({"#document": {"$not_regex": r"(x)\1"}}, "does not compile"),
    ],
)
def test_a_broken_where_is_refused_with_the_rule(where: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^Invalid where clause \(where\): .*" + problem):
        parse_filters(where, None)


@pytest.mark.parametrize(
    ("where_document", "problem"),
    [
        ({}, "exactly one key or operator"),
        ("x", "expected a dict, got 'x'"),
        ({"$contains": "x", "$regex": "y"}, "exactly one"),
        ({"$contains": 1}, "takes a string, got 1"),
        ({"$contains": None}, "takes a string, got None"),
        ({"$contains": ""}, "non-empty string, got ''"),
        ({"$regex": ""}, "non-empty string"),
        ({"$contains": "\ud800"}, "takes a string"),
        ({"$eq": "x"}, "unknown operator '[$]eq' for documents"),
        ({"a": "x"}, "unknown operator 'a' for documents"),
        ({"$regex": "[a-"}, "does not compile"),
        ({"$and": [{"$contains": "x"}]}, "2 or more expressions"),
        ({"$and": [{"a": 1}, {"b": 1}]}, "unknown operator 'a' for documents"),
    ],
)
def test_a_broken_where_document_is_refused_with_the_rule(where_document: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^Invalid where document clause \(where_document\): .*" + problem):
        parse_filters(None, where_document)


def nested(depth: int) -> Any:
    where: Any = {"a": 1}
    for _ in range(depth):
        where = {"$and": [where, {"a": 1}]}
    return where


def test_nesting_has_an_end() -> None:
    assert len(list(leaves(parse_filters(nested(MAX_DEPTH), None)))) == MAX_DEPTH + 1  # type: ignore[arg-type]
    for depth in (MAX_DEPTH + 1, 5000):
        with pytest.raises(InvalidArgumentError, match=f"deeper than {MAX_DEPTH} levels; flatten"):
            parse_filters(nested(depth), None)


@pytest.mark.parametrize(
    ("where", "tree"),
    [
        ({"$and": []}, And(())),
        ({"$or": []}, Or(())),
        ({"$and": [{"a": 1}]}, And((A,))),
        ({"#document": {"$contains": ""}}, DocumentContains("")),
        ({"#document": {"$icontains": ""}}, DocumentContainsAnyCase("")),
        ({"#document": {"$regex": ""}}, DocumentMatches("")),
    ],
)
def test_the_servers_grammar_takes_branches_of_any_number_and_empty_texts(where: Any, tree: Any) -> None:
    assert parse_filters(where, None, min_branches=0) == tree


def test_leaves_come_from_left_to_right() -> None:
    tree = parse_filters({"$and": [{"a": 1}, {"$or": [{"b": {"$ne": 2}}, {"a": 1}]}]}, {"$regex": "x"})
    assert tree is not None
    assert list(leaves(tree)) == [A, B, A, DocumentMatches("x")]


names = st.sampled_from(
    ["$and", "$or", "$eq", "$ne", "$gt", "$in", "$nin", "$contains", "$regex", "$exists", "$x", "#document", "a", ""]
)
operands = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=2),
)
anything = st.recursive(
    operands,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=2) | st.integers(), inner, max_size=2)
    ),
    max_leaves=12,
)
filters = st.dictionaries(names, anything, min_size=1, max_size=1) | anything


@given(filters, filters)
def test_anything_is_parsed_or_refused_in_our_words(where: Any, where_document: Any) -> None:
    for pair in ((where, None), (None, where_document)):
        message = refusal(parse_filters, *pair)
        if message is None:
            assert (parse_filters(*pair) is None) == (pair == (None, None))
        else:
            assert message.startswith("Invalid where")
            assert len(message) < 600


def test_a_hostile_pattern_is_searched_in_linear_time_or_refused() -> None:
    assert compile_pattern("(a*)*(a|aa)+$").search("a" * 50_000 + "b") is None
    with pytest.raises(InvalidArgumentError, match="does not compile"):
        compile_pattern("((a{1000}){1000}){1000}")


def test_a_pattern_whose_program_is_huge_is_refused() -> None:
    """It would take time in proportion to its size for every character of every document."""
    pattern = "|".join(f"a[ab]{{{count}}}c" for count in range(880, 980))
    with pytest.raises(InvalidArgumentError, match="pattern too large.*shortened"):
        parse_filters(None, {"$regex": pattern})


def test_operands_that_are_subclasses_count_as_what_they_are_made_of() -> None:
    class Colour(str, Enum):  # noqa: UP042  (whose str() is its name, unlike a StrEnum's)
        RED = "red"

    class Level(IntEnum):
        HIGH = 2

    assert parse_filters({"k": Colour.RED}, None) == Compare("k", "eq", "red")
    assert parse_filters({"k": {"$in": [Level.HIGH, 3]}}, None) == In("k", (2, 3))
    leaf = parse_filters({"k": {"$contains": np.float64(1.5)}}, None)
    assert leaf == ArrayContains("k", 1.5)
    assert type(leaf.operand) is float
    with pytest.raises(InvalidArgumentError, match="got array"):
        parse_filters({"k": np.array([1, 2])}, None)
