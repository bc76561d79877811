"""A schema beside a configuration: which of them counts, and what they must not both say."""

from __future__ import annotations

from typing import Any

import pytest

from ochre.errors import InvalidArgumentError
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.schema import Schema, parse_schema, with_schema

COSINE = Configuration(Hnsw(space="cosine"))
DEFAULT = {"type": "known", "name": "default", "config": {}}
WORDS = {"type": "known", "name": "words", "config": {}}
LETTERS = {"type": "known", "name": "letters", "config": {}}
OFF = {"a": {"int": {"int_inverted_index": {"enabled": False}}}}


def vector(key: str = "#embedding", **config: Any) -> dict[str, Any]:
    """A schema whose vector index has settings, under a key or in the defaults (an empty key)."""
    entry = {"float_list": {"vector_index": {"enabled": bool(key), "config": config}}}
    return {"defaults": {}, "keys": {key: entry}} if key else {"defaults": entry, "keys": {}}


@pytest.mark.parametrize(
    ("schema", "configuration", "expected"),
    [
        (None, COSINE, COSINE),
        (vector(), COSINE, COSINE),
        (vector(space="cosine"), Configuration(), COSINE),
        (vector(space="cosine"), COSINE, COSINE),
        (vector(key="", space="cosine"), Configuration(), COSINE),
        (vector(embedding_function=WORDS), Configuration(Hnsw(), DEFAULT), Configuration(Hnsw(), WORDS)),
        (vector(embedding_function=DEFAULT), Configuration(Hnsw(), WORDS), Configuration(Hnsw(), WORDS)),
        (vector(embedding_function=WORDS), Configuration(Hnsw(), WORDS), Configuration(Hnsw(), WORDS)),
    ],
)
def test_what_one_of_the_two_says_counts(schema: Any, configuration: Configuration, expected: Configuration) -> None:
    assert with_schema(schema, configuration) == (Schema(), expected)


@pytest.mark.parametrize(
    ("schema", "configuration", "words"),
    [
        (vector(space="ip"), COSINE, "both choose index settings"),
        ({"defaults": {}, "keys": OFF}, COSINE, "both choose index settings"),
        (vector(embedding_function=WORDS), Configuration(Hnsw(), LETTERS), "different embedding functions"),
    ],
)
def test_what_both_say_differently_is_refused(schema: Any, configuration: Configuration, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        with_schema(schema, configuration)


def test_the_source_of_vectors_is_the_document_and_nobody_asks_in_the_defaults() -> None:
    parse_schema(vector(source_key="#document"))
    parse_schema(vector(key="", source_key="title"))
    with pytest.raises(InvalidArgumentError, match="the source_key of a vector_index is 'title'"):
        parse_schema(vector(source_key="title"))
