"""The protocol of embedding functions: what may be returned, what is refused, what can be remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ochre.embedding.base import EmbeddingFunction, check_signature, json_config, normalize_embeddings
from ochre.errors import InvalidArgumentError, InvalidTypeError


def returning(result: Any) -> EmbeddingFunction:
    class Returning(EmbeddingFunction):
        def __call__(self, input: list[Any]) -> Any:
            return result

    return Returning()


class Lengths(EmbeddingFunction):
    """The length of a text, twice."""

    def __call__(self, input: list[str]) -> Any:
        return [[len(text)] * 2 for text in input]


# What a function returns


@pytest.mark.parametrize(
    "result",
    [
        [[1, 2], [3, 4]],
        [[1.0, 2.0], [3.0, 4.0]],
        ((1, 2), (3, 4)),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], np.float64),
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], np.uint8),
        np.array([[1, 3], [2, 4]], np.float32).T,
        [np.array([1, 2], np.float32), np.array([3, 4], np.float32)],
        [np.array([1, 2], np.float64), [3, 4]],
        [[np.float32(1), np.int64(2)], [3, 4]],
    ],
)
def test_every_form_of_two_vectors_becomes_two_float32_arrays(result: Any) -> None:
    vectors = returning(result)(input=["a", "b"])
    assert isinstance(vectors, list)
    assert [vector.tolist() for vector in vectors] == [[1, 2], [3, 4]]
    assert all(vector.dtype == np.float32 and vector.ndim == 1 for vector in vectors)


@pytest.mark.parametrize("result", [[1, 2], (1.0, 2.0), np.array([1, 2]), [[1, 2]], [np.array([1, 2])]])
def test_one_flat_vector_does_for_one_input(result: Any) -> None:
    (vector,) = returning(result)(input=["a"])
    assert vector.tolist() == [1, 2]


def test_vectors_lie_one_after_another() -> None:
    vectors = normalize_embeddings(np.arange(6, dtype=np.float32).reshape(3, 2).T, 2, "f")
    assert vectors.flags.c_contiguous


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "returned None"),
        ({}, "returned {}"),
        (5, "returned 5"),
        ((vector for vector in [[1, 2], [3, 4]]), "returned <generator"),
        (np.float32(1), "returned np.float32"),
        (np.array(1.0), r"shape \(\)"),
        ([], r"shape \(0,\) for 2 inputs"),
        ([[], []], r"shape \(2, 0\)"),
        ([[1, 2]], r"shape \(1, 2\) for 2 inputs"),
        ([[1, 2]] * 3, r"shape \(3, 2\) for 2 inputs"),
        ([1, 2], r"shape \(2,\) for 2 inputs"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        ([[1, 2], [3]], "different lengths"),
        ([[1, 2], None], "different lengths"),
        ([[1, None], [3, 4]], "type object"),
        ([["1", "2"], ["3", "4"]], "type <U1"),
        ("ab", "type <U2"),
        ([[True, False], [True, True]], "type bool"),
        ([[1j, 2], [3, 4]], "type complex"),
        ([[float("nan"), 2], [3, 4]], "must be finite"),
        ([[1, 2], [3, float("-inf")]], "must be finite"),
        ([[1e39, 2], [3, 4]], "must be finite"),
    ],
)
def test_what_is_not_two_vectors_is_refused(result: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'Returning' returned .*{message}|'Returning' {message}"):
        returning(result)(input=["a", "b"])


# What a function is given


def test_no_inputs_give_no_vectors_and_no_call() -> None:
    assert returning(None)(input=[]) == []


@pytest.mark.parametrize("given", ["text", "", None, 5, iter(["text"])])
def test_what_is_not_a_list_of_inputs_is_refused(given: Any) -> None:
    with pytest.raises(InvalidTypeError, match="expected a list"):
        Lengths()(input=given)


def test_questions_are_embedded_as_documents_are_unless_the_function_says_otherwise() -> None:
    (vector,) = Lengths().embed_query(input=["abc"])
    assert vector.tolist() == [3, 3]


def test_a_subclass_may_call_the_function_it_refines() -> None:
    class Doubled(Lengths):
        def __call__(self, input: list[str]) -> Any:
            return [2 * vector for vector in super().__call__(input)]

    assert [vector.tolist() for vector in Doubled()(["a", "bc"])] == [[2, 2], [4, 4]]


def test_a_function_without_a_call_says_so() -> None:
    with pytest.raises(NotImplementedError, match="does not implement __call__"):
        EmbeddingFunction()(input=["a"])


# Retries


class Flaky(EmbeddingFunction):
    """Fails the given number of times."""

    def __init__(self, failures: int) -> None:
        self.failures = iter(range(failures))

    def __call__(self, input: list[str]) -> Any:
        for failure in self.failures:
            raise ConnectionError(failure)
        return [[1.0]] * len(input)


def test_retries_end_with_the_first_success() -> None:
    (vector,) = Flaky(2).embed_with_retries(["a"], attempts=3, wait=0)
    assert vector.tolist() == [1]


def test_the_last_failure_is_raised() -> None:
    with pytest.raises(ConnectionError, match="2"):
        Flaky(3).embed_with_retries(["a"], attempts=3, wait=0)


# What can be remembered


class Remembered(Lengths):
    @staticmethod
    def name() -> str:
        return "remembered"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Remembered:
        return Remembered()


def test_a_function_with_name_configuration_and_way_back_can_be_remembered() -> None:
    assert not Remembered().is_legacy()


@pytest.mark.parametrize("part", ["name", "get_config", "build_from_config"])
def test_without_one_of_the_three_a_function_cannot_be_remembered(part: str) -> None:
    namespace = {part: getattr(EmbeddingFunction, part)}
    if part != "get_config":
        namespace[part] = staticmethod(namespace[part])
    assert type("Forgotten", (Remembered,), namespace)().is_legacy()


@pytest.mark.parametrize("part", ["name", "get_config"])
def test_a_function_that_answers_not_implemented_cannot_be_remembered(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remembered, part, lambda *_: NotImplemented)
    assert Remembered().is_legacy()


def test_defaults_of_the_protocol() -> None:
    function = Lengths()
    assert function.default_space() == "l2"
    assert function.supported_spaces() == ["cosine", "l2", "ip"]
    assert function.validate_config({"a": 1}) is None
    assert function.validate_config_update({"a": 1}, {"a": 2}) is None
    assert function.is_legacy()


@pytest.mark.parametrize("config", [None, "config", ["a"]])
def test_a_configuration_that_is_no_dict_is_refused(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Remembered, "get_config", lambda self: config)
    with pytest.raises(InvalidTypeError, match="get_config of Remembered returned .*expected a dict"):
        json_config(Remembered())


# Signatures


def nearly_right(texts: list[str]) -> Any: ...
def too_much(input: list[str], extra: int = 1) -> Any: ...


def test_callables_from_input_are_accepted() -> None:
    check_signature(Lengths())
    check_signature(lambda input: [[1.0]])


@pytest.mark.parametrize("function", [nearly_right, too_much, lambda: None])
def test_other_parameters_are_refused(function: Any) -> None:
    with pytest.raises(InvalidTypeError, match=r"Expected EmbeddingFunction.__call__ to have the parameters"):
        check_signature(function)


@pytest.mark.parametrize("function", [None, "default", 5, Lengths])
def test_what_cannot_be_called_with_inputs_is_refused(function: Any) -> None:
    with pytest.raises(InvalidTypeError, match="expected an object that is called with a list of inputs"):
        check_signature(function)
