"""Vectors as users hand them over: shapes, types, no copies where none are needed; sparse vectors."""

from __future__ import annotations

import array
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ochre.errors import InvalidArgumentError, InvalidDimensionError, InvalidTypeError, OchreError
from ochre.model.vectors import MAX_DIMENSION, SparseVector, parse_matrix
from tests.model.conftest import nested, refusal

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        tuple(map(tuple, ROWS)),
        [np.array(row) for row in ROWS],
        [np.array(row, np.float16) for row in ROWS],
        (np.array([1, 2, 3], np.int8), np.array([4, 5, 6], np.uint64)),
        *(np.array(ROWS, dtype) for dtype in ("f2", "f4", "f8", ">f4", "i1", "i8", "u2")),
        np.asfortranarray(np.array(ROWS, np.float32)),
        np.array([*ROWS[0], 0, *ROWS[1], 0], np.float32).reshape(2, 4)[:, :3],
        [[np.float32(1), 2, 3.0], [4, np.int64(5), 6]],
        [array.array("d", row) for row in ROWS],
    ],
)
def test_whatever_holds_numbers_becomes_one_matrix(value: Any) -> None:
    matrix = parse_matrix(value)
    assert matrix.dtype == np.float32
    assert matrix.dtype.isnative
    assert matrix.flags.c_contiguous
    assert matrix.tolist() == ROWS


@pytest.mark.parametrize("value", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), range(1, 3), [np.array(1.0), np.array(2.5)]])
def test_one_vector_counts_as_a_list_of_one(value: Any) -> None:
    assert parse_matrix(value).shape == (1, 2)


def test_a_float32_array_is_taken_as_it_is() -> None:
    given_ = np.array(ROWS, np.float32)
    assert np.shares_memory(parse_matrix(given_), given_)
    assert np.shares_memory(parse_matrix(given_[0]), given_)


def test_numbers_are_rounded_to_float32_and_small_ones_kept() -> None:
    values = [0.1, 1e-45, -0.0, 3.4028234e38, 2**70]
    assert parse_matrix([values]).tobytes() == np.array([values], np.float32).tobytes()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([], InvalidArgumentError, "is empty: an embedding per record is needed"),
        (np.empty((0, 3)), InvalidArgumentError, "is empty"),
        ([[]], InvalidDimensionError, "dimension 0: an embedding has 1 to"),
        (np.empty((2, 0)), InvalidDimensionError, "dimension 0"),
        (np.zeros((1, MAX_DIMENSION + 1), np.float32), InvalidDimensionError, f"dimension {MAX_DIMENSION + 1}"),
        ([[1], [1, 2]], InvalidDimensionError, r"vectors of dimension \[1, 2\]"),
        ([np.ones(2), np.ones(3)], InvalidDimensionError, r"\[1\] has dimension 3 but embeddings\[0\] has 2"),
        ([[[1.0]]], InvalidDimensionError, "has 3 dimensions"),
        (np.array(1.0), InvalidDimensionError, "has 0 dimensions"),
        ([np.ones((2, 2))], InvalidTypeError, r"\[0\] is not a 1-D array"),
        ([np.ones(2), [1, 2]], InvalidTypeError, r"\[1\] is not a 1-D array"),
        (None, InvalidTypeError, "is a NoneType"),
        ("text", InvalidTypeError, "is a str"),
        (b"bytes", InvalidTypeError, "is a bytes"),
        ({"a": 1}, InvalidTypeError, "is a dict"),
        (5, InvalidTypeError, "is a int"),
        (iter(ROWS), InvalidTypeError, "iterator"),
        (["text"], InvalidTypeError, "holds <U4 values"),
        ([["1", "2"]], InvalidTypeError, "holds <U1 values"),
        ([[1, None]], InvalidTypeError, "not a list of lists of numbers"),
        ([None], InvalidTypeError, "not a list of lists of numbers"),
        ([[1, 2], 3], InvalidTypeError, "not a list of lists of numbers"),
        ([{1, 2}], InvalidTypeError, "not a list of lists of numbers"),
        ([[1j]], InvalidTypeError, "complex128"),
        ([[True, False]], InvalidTypeError, "holds a bool"),
        ([[1.0, np.True_]], InvalidTypeError, "holds a bool"),
        (np.array([[True]]), InvalidTypeError, "holds bool values"),
        ([np.array([True])], InvalidTypeError, "holds bool values"),
        (np.array([["a"]], object), InvalidTypeError, "holds object values"),
        (np.array([["2020"]], "M8[Y]"), InvalidTypeError, "datetime64"),
        ([[1.0, float("nan")]], InvalidArgumentError, r"\[0\] holds NaN or infinity"),
        ([[1.0, 2.0], [float("inf"), -float("inf")]], InvalidArgumentError, r"\[1\] holds NaN or infinity"),
        ([[1e39]], InvalidArgumentError, "beyond float32"),
        ([[10**400]], InvalidArgumentError, "beyond float32"),
        (np.array([[1e300]]), InvalidArgumentError, "beyond float32"),
    ],
)
def test_what_is_no_matrix_is_refused(value: Any, error: type[OchreError], message: str) -> None:
    with pytest.raises(error, match=f"^embeddings.*{message}"):
        parse_matrix(value)


def test_the_message_names_the_argument() -> None:
    with pytest.raises(InvalidTypeError, match="^query_embeddings is a str"):
        parse_matrix("x", "query_embeddings")


@given(nested)
def test_anything_is_a_finite_matrix_or_refused_in_our_words(value: Any) -> None:
    message = refusal(parse_matrix, value)
    if message is not None:
        assert message.startswith("embeddings")
        return
    matrix = parse_matrix(value)
    assert matrix.ndim == 2
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()


# -- sparse vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [None, ["a", "b"]])
def test_a_sparse_vector_survives_its_stored_form(labels: list[str] | None) -> None:
    vector = SparseVector([0, 2**32 - 1], [0.5, -1], labels)
    assert vector.to_dict() == {
        "#type": "sparse_vector", "indices": [0, 2**32 - 1], "values": [0.5, -1], "tokens": labels
    }  # fmt: skip
    assert SparseVector.from_dict(vector.to_dict()) == vector
    assert SparseVector.from_dict({"indices": [], "values": []}) == SparseVector([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, [1.0]), "indices to be a list"),
        (((1,), [1.0]), "indices to be a list"),
        (([1], 1.0), "values to be a list"),
        (([1], deque([1.0])), "values to be a list"),
        (([1], []), "must have the same length"),
        (([1], [1.0], []), "labels must have the same length"),
        (([1], [1.0], [1]), "labels must be strings"),
        (([1], [1.0], ["\ud800"]), "lone surrogate"),
        (([1.0], [1.0]), "must be integers"),
        (([True], [1.0]), "must be integers"),
        (([-1], [1.0]), "must be non-negative"),
        (([1, 1], [1.0, 1.0]), "sorted in strictly ascending order"),
        (([2, 1], [1.0, 1.0]), "sorted in strictly ascending order, got 1 after 2"),
        (([1], ["x"]), "must be numbers"),
        (([1], [True]), "must be numbers"),
        (([1], [None]), "must be numbers"),
        (([1], [float("nan")]), "must be finite"),
        (([1], [float("inf")]), "must be finite"),
    ],
)
def test_a_sparse_vector_is_checked(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        SparseVector(*arguments)


@given(nested, nested, nested)
def test_any_sparse_vector_is_valid_or_refused_in_our_words(indices: Any, values: Any, tokens: Any) -> None:
    form = {"indices": indices, "values": values, "tokens": tokens}
    message = refusal(SparseVector.from_dict, form)
    if message is None:
        assert SparseVector.from_dict(form).to_dict() == {"#type": "sparse_vector", **form}
    else:
        assert "SparseVector" in message
