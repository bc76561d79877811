"""Ids, texts and metadata as users hand them over; and how metadata is merged."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError, OchreError
from ochre.model.records import (
    merge_metadata,
    parse_collection_metadata,
    parse_ids,
    parse_metadata,
    parse_metadatas,
    parse_texts,
)
from ochre.model.vectors import SparseVector
from tests.model.conftest import nested, refusal

# -- ids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("a", ["a"]),
        (["b", "a"], ["b", "a"]),
        (("a", "ü", "日本", "nul\0", " ", "i" * 10_000), ["a", "ü", "日本", "nul\0", " ", "i" * 10_000]),
        (np.array(["a", "b"]), ["a", "b"]),
        ([np.str_("a")], ["a"]),
    ],
)
def test_ids_become_a_list_of_plain_strings(value: Any, parsed: list[str]) -> None:
    ids = parse_ids(value)
    assert ids == parsed
    assert {type(id_) for id_ in ids} == {str}


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([], InvalidArgumentError, "IDs to be a non-empty list"),
        ([""], InvalidArgumentError, "non-empty string"),
        (["a", 1], InvalidTypeError, "each ID to be a string, got 1; convert it"),
        ([None], InvalidTypeError, "each ID to be a string, got None"),
        (b"ab", InvalidTypeError, "each ID to be a string"),
        (None, InvalidTypeError, "IDs to be a list of strings, got None"),
        (5, InvalidTypeError, "IDs to be a list of strings, got 5"),
        ({"a"}, InvalidTypeError, "IDs to be a list of strings"),
        (["ok", "\ud800"], InvalidArgumentError, "lone surrogate"),
        (["b", "a", "b", "a", "c"], DuplicateIDError, "duplicates of: 'b', 'a'; keep one"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(value: Any, error: type[OchreError], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_ids(value)


def test_ids_may_be_empty_or_repeated_where_that_is_allowed() -> None:
    assert parse_ids([], allow_empty=True) == []
    assert parse_ids(["a", "a"], unique=False) == ["a", "a"]


def test_a_message_about_duplicates_stays_short() -> None:
    with pytest.raises(DuplicateIDError) as caught:
        parse_ids([f"{n % 50_000}" * 40 for n in range(100_000)])
    assert len(str(caught.value)) < 500


# -- texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "parsed"),
    [(None, None), ("a", ["a"]), (["a"], ["a"]), ([None], [None]), (("",), [""]), (np.array(["ü"]), ["ü"])],
)
def test_texts_become_a_list(value: Any, parsed: Any) -> None:
    assert parse_texts(value, "documents", 1) == parsed


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (["a", "b"], InvalidArgumentError, "Unequal lengths: documents has 2 entries and ids has 1"),
        ([], InvalidArgumentError, "Unequal lengths: documents has 0"),
        ([1], InvalidTypeError, r"documents\[0\] to be a string, got 1"),
        (5, InvalidTypeError, "documents to be a list of strings"),
        (["\udfff"], InvalidArgumentError, r"documents\[0\] holds a lone surrogate"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(value: Any, error: type[OchreError], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_texts(value, "documents", 1)


# -- metadata -------------------------------------------------------------------------------------------------------


def typed(value: Any) -> Any:
    return [type(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (True, True),
        (1, 1),
        (1.0, 1.0),
        (-0.0, -0.0),
        ("", ""),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, 2.0**63),
        (-(2**63) - 1, -(2.0**63)),
        (None, None),
        ([1, 2, 2], [1, 2, 2]),
        (("a", ""), ["a", ""]),
        ([True], [True]),
        ([0.5, -0.0], [0.5, -0.0]),
        (np.int8(1), 1),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("ü"), "ü"),
        (np.array([1, 2]), [1, 2]),
        (np.array(1.5), 1.5),
        ([np.int64(1), 2], [1, 2]),
    ],
)
def test_a_value_keeps_its_type_or_becomes_pythons(value: Any, parsed: Any) -> None:
    found = parse_metadata({"key": value})["key"]
    assert found == parsed
    assert typed(found) == typed(parsed)


def test_sparse_vectors_come_as_objects_or_in_their_wire_form() -> None:
    vector = SparseVector([1], [0.5])
    assert parse_metadata({"a": vector, "b": vector.to_dict()}) == {"a": vector, "b": vector}


@pytest.mark.parametrize("mapping", [OrderedDict(a=1), MappingProxyType({"a": 1})])
def test_any_mapping_is_metadata(mapping: Any) -> None:
    assert parse_metadata(mapping) == {"a": 1}
    assert parse_metadatas(mapping, 1) == [{"a": 1}]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({}, InvalidArgumentError, "non-empty metadata dict, got {}; use None"),
        ("text", InvalidTypeError, "to be a metadata dict, got 'text'"),
        ({1: 1}, InvalidTypeError, "key of metadata to be a string, got 1"),
        ({"": 1}, InvalidArgumentError, "keys are not empty"),
        ({"#x": 1}, InvalidArgumentError, "do not start with '#'"),
        ({"$x": 1}, InvalidArgumentError, "do not start with '#', '[$]'"),
        ({"chroma:document": 1}, InvalidArgumentError, "or 'chroma:'; rename it"),
        ({"\ud800": 1}, InvalidArgumentError, "lone surrogate"),
        ({"a": "\ud800"}, InvalidArgumentError, r"metadata\['a'\] is .* lone surrogate"),
        ({"a": ["\ud800"]}, InvalidArgumentError, r"metadata\['a'\]\[0\] is .* lone surrogate"),
        ({"a": float("nan")}, InvalidArgumentError, r"metadata\['a'\] is nan: metadata numbers are finite"),
        ({"a": [1.0, float("inf")]}, InvalidArgumentError, r"metadata\['a'\]\[1\] is inf"),
        ({"a": np.float32("nan")}, InvalidArgumentError, "nan"),
        ({"a": 2**2000}, InvalidArgumentError, "integer of 2001 bits"),
        ({"a": []}, InvalidArgumentError, "non-empty list; leave the key out"),
        ({"a": [1, "x"]}, InvalidArgumentError, "list of the same type"),
        ({"a": [1, 1.5]}, InvalidArgumentError, "list of the same type"),
        ({"a": [True, 1]}, InvalidArgumentError, "list of the same type"),
        ({"a": [None]}, InvalidTypeError, "str, int, float, bool or a list"),
        ({"a": [[1]]}, InvalidTypeError, "str, int, float, bool or a list"),
        ({"a": {"b": 1}}, InvalidTypeError, "str, int, float, bool or a list"),
        ({"a": b"bytes"}, InvalidTypeError, "which is a bytes; convert it"),
        ({"a": object}, InvalidTypeError, "which is a type"),
        ({"a": np.array([[1]])}, InvalidTypeError, "str, int, float, bool or a list"),
    ],
)
def test_what_is_no_metadata_is_refused(value: Any, error: type[OchreError], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_metadata(value)


def test_a_message_names_the_record() -> None:
    with pytest.raises(InvalidArgumentError, match=r"metadatas\[1\]\['a'\] is nan"):
        parse_metadatas([None, {"a": float("nan")}], 2)
    with pytest.raises(InvalidArgumentError, match="Unequal lengths: metadatas has 1 entries and ids has 2"):
        parse_metadatas([{"a": 1}], 2)


@pytest.mark.parametrize(
    ("value", "error"),
    [({"a": [1]}, InvalidTypeError), ({"a": SparseVector([1], [1.0])}, InvalidTypeError), ({}, InvalidArgumentError)],
)
def test_a_collections_metadata_holds_scalars(value: Any, error: type[OchreError]) -> None:
    assert parse_collection_metadata(None) is None
    assert parse_collection_metadata({"a": 1, "b": None}) == {"a": 1, "b": None}
    with pytest.raises(error):
        parse_collection_metadata(value)


@given(st.dictionaries(st.text(max_size=2) | st.integers(), nested, max_size=3) | nested)
def test_anything_is_accepted_or_refused_in_our_words(value: Any) -> None:
    for parse, *rest in ((parse_metadata,), (parse_metadatas, 1), (parse_texts, "uris", 1), (parse_ids,)):
        assert len(refusal(parse, value, *rest) or "") < 800


# -- merging --------------------------------------------------------------------------------------------------------

keys = st.sampled_from("abcd")
values = st.integers(0, 2) | st.booleans() | st.text(max_size=1) | st.lists(st.integers(0, 2), min_size=1, max_size=2)
metadata = st.none() | st.dictionaries(keys, values, min_size=1)
patches = st.none() | st.dictionaries(keys, st.none() | values)


@given(metadata, patches)
def test_given_keys_replace_none_deletes_and_others_stay(old: Any, patch: Any) -> None:
    merged = merge_metadata(old, patch)
    expected = {**(old or {}), **(patch or {})}
    assert merged == ({key: value for key, value in expected.items() if value is not None} or None)


@given(metadata, patches)
def test_merging_twice_is_merging_once(old: Any, patch: Any) -> None:
    once = merge_metadata(old, patch)
    assert merge_metadata(once, patch) == once


@given(metadata, patches, patches)
def test_two_patches_in_turn_are_one_with_the_later_first(old: Any, first: Any, second: Any) -> None:
    both = {**(first or {}), **(second or {})}
    assert merge_metadata(merge_metadata(old, first), second) == merge_metadata(old, both)


@given(metadata, patches)
def test_merging_leaves_its_arguments_alone(old: Any, patch: Any) -> None:
    before = repr((old, patch))
    merge_metadata(old, patch)
    assert repr((old, patch)) == before


def test_sparse_vectors_are_stored_in_their_wire_form() -> None:
    vector = SparseVector([1], [0.5])
    assert merge_metadata({"a": 1}, {"b": vector}) == {"a": 1, "b": vector.to_dict()}
