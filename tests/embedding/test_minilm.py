"""The default model: its vectors are those of another implementation, whatever company a text is embedded in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ochre.embedding.default import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from ochre.embedding.minilm import MAX_TOKENS, MiniLM, shared_model
from ochre.embedding.weights import obtain
from ochre.errors import InvalidArgumentError, InvalidTypeError

pytestmark = pytest.mark.model

DATA = Path(__file__).parent / "data"
TEXTS: list[str] = json.loads((DATA / "texts.json").read_text(encoding="utf-8"))
REFERENCE: np.ndarray = np.load(DATA / "vectors.npy")
SHORT = [index for index, text in enumerate(TEXTS) if len(text) < 70]

CLOSE = {"rtol": 0, "atol": 1e-4}
SAME = {"rtol": 0, "atol": 1e-6}
"""Other neighbours mean other sizes of matrices, whose sums round otherwise."""


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return shared_model()


@pytest.fixture(scope="module")
def vectors(model: MiniLM) -> np.ndarray:
    return model.embed(TEXTS)


# Right vectors


@pytest.mark.parametrize("index", range(len(TEXTS)), ids=[repr(text[:20]) for text in TEXTS])
def test_a_vector_is_that_of_another_implementation(vectors: np.ndarray, index: int) -> None:
    np.testing.assert_allclose(vectors[index], REFERENCE[index], **CLOSE)


def test_vectors_have_unit_length(vectors: np.ndarray) -> None:
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, **SAME)


def test_vectors_are_rows_of_384_float32(vectors: np.ndarray) -> None:
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous


def test_no_texts_make_no_rows(model: MiniLM) -> None:
    assert model.embed([]).shape == (0, 384)


@pytest.mark.parametrize("function", [DefaultEmbeddingFunction(), ONNXMiniLM_L6_V2()], ids=["default", "onnx"])
def test_both_names_stand_for_the_one_model(function: Any) -> None:
    texts = [TEXTS[index] for index in SHORT]
    np.testing.assert_allclose(function(texts), REFERENCE[SHORT], **CLOSE)


# The company of a text


@pytest.mark.parametrize("index", range(len(TEXTS)), ids=[repr(text[:20]) for text in TEXTS])
def test_a_text_alone_has_the_vector_it_has_among_others(model: MiniLM, vectors: np.ndarray, index: int) -> None:
    np.testing.assert_allclose(model.embed([TEXTS[index]])[0], vectors[index], **SAME)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_texts_makes_no_difference(model: MiniLM, vectors: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(TEXTS))
    np.testing.assert_allclose(model.embed([TEXTS[index] for index in order]), vectors[order], **SAME)


@pytest.mark.parametrize("neighbour", ["", "word " * 300], ids=["empty", "long"])
def test_the_length_of_neighbours_makes_no_difference(model: MiniLM, vectors: np.ndarray, neighbour: str) -> None:
    for index in SHORT[:5]:
        beside = model.embed([neighbour, TEXTS[index], neighbour])
        np.testing.assert_allclose(beside[1], vectors[index], **SAME)


def test_three_thousand_texts_in_one_call_have_the_vectors_they_have_in_small_ones(
    model: MiniLM, vectors: np.ndarray
) -> None:
    order = np.random.default_rng(0).choice(SHORT, 3000)
    np.testing.assert_allclose(model.embed([TEXTS[index] for index in order]), vectors[order], **SAME)


# The first 256 tokens


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog. " * 200,
        "internationalization " * 1000,
        "x" * 100_000,
        "a b " + "x" * 100_000 + " c d",
        "日本語の長い文章です" * 1000,
        "é" * 5000 + " fin",
        " " * 20_000 + "after the white space",
        "\x00" * 20_000 + "after the control characters",
        "'" * 10_000,
        "e\u0301" * 3000,
        "word\u2003" * 1000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_tokens_of_a_long_text_are_those_of_reading_all_of_it(model: MiniLM, text: str) -> None:
    assert model.tokens(text) == whole(text)


@pytest.mark.parametrize("words", range(MAX_TOKENS - 6, MAX_TOKENS))
def test_a_mark_at_the_edge_of_what_is_read_is_not_torn(model: MiniLM, words: int) -> None:
    text = ("a " * words).ljust(2043) + "[SEP] and more" * 200
    assert model.tokens(text) == whole(text)


def whole(text: str) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(obtain().tokenizer))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer.encode(text).ids


# Threads and processes


def test_threads_share_the_model(model: MiniLM, vectors: np.ndarray) -> None:
    orders = [np.random.default_rng(seed).choice(SHORT, 50) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda order: model.embed([TEXTS[index] for index in order]), orders))
    for order, result in zip(orders, results, strict=True):
        np.testing.assert_allclose(result, vectors[order], **SAME)


def test_the_process_loads_one_model(model: MiniLM) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: shared_model(), range(8))) == {model}


FORK = """
import os, signal
import numpy as np
from ochre.embedding import minilm
before = minilm.shared_model().embed(["foo"])
with minilm._lock:  # as if another thread were loading a model at the moment of the fork
    child = os.fork()
    if not child:
        signal.alarm(30)
        os._exit(0 if np.array_equal(minilm.shared_model().embed(["foo"]), before) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert np.array_equal(minilm.shared_model().embed(["foo"]), before)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_embeds_as_its_parent_does() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# What is refused


@pytest.mark.parametrize(("text", "position"), [("\ud800", 0), ("abc\udfff", 3)])
def test_a_lone_surrogate_is_refused(model: MiniLM, text: str, position: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"item 1 of the input has a lone surrogate at position {position}"):
        model.embed(["fine", text])


@pytest.mark.parametrize("item", [None, 5, b"bytes", ["text"], np.zeros((2, 2))])
def test_an_item_that_is_no_string_is_refused(model: MiniLM, item: Any) -> None:
    with pytest.raises(InvalidTypeError, match=f"item 1 of the input is {type(item).__name__}"):
        model.embed(["fine", item])


def test_hardware_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="preferred_providers names .*'NoSuchProvider'.*it has"):
        ONNXMiniLM_L6_V2(["NoSuchProvider"])(["text"])
