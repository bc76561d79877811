"""The trigram index: it names the documents that hold a text, and no other."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index import needles, trigrams
from tests.local.index import conftest
from tests.local.index.conftest import segments_of


def holders(documents: list[str], text: str, part_bytes: int = trigrams.PART_BYTES) -> list[int]:
    found = []
    for segment in segments_of(documents, part_bytes):
        found += segment.ordinals[segment.lists(needles.plain(text)).documents()].tolist()
    return found


@given(conftest.documents, st.data(), st.sampled_from([1, 20, trigrams.PART_BYTES]), st.sampled_from([1, 5, 1000]))
def test_the_documents_with_a_text_are_found(documents: list[str], data, part_bytes: int, chunk: int) -> None:
    occurring = [piece for document in documents for piece in conftest.slices(document)]
    text = data.draw(st.sampled_from(occurring) | conftest.patterns if occurring else conftest.patterns)
    with mock.patch.object(trigrams, "_CHUNK", chunk):
        found = holders(documents, text, part_bytes)
    assert found == [number for number, document in enumerate(documents) if text in document]


@pytest.mark.parametrize("text", ["a", "ab", "abc", "abcd", "abcdefg", "日", "日本", "\0", "\0\0"])
def test_a_text_is_not_found_across_two_documents(text: str) -> None:
    halves = [text[: len(text) // 2], text[len(text) // 2 :]]
    assert holders([*halves, "x" + text + "x"], text) == [
        number for number in (0, 1, 2) if number == 2 or halves[number] == text
    ]


def test_trigrams_apart_from_each_other_are_not_the_text() -> None:
    text = "abcdefgh"
    apart = " ".join(text[start : start + 3] for start in range(6))
    one_wrong = [text[:place] + "x" + text[place + 1 :] for place in range(8)]
    assert holders([apart, "defghabc", *one_wrong, text], text) == [10]


def test_a_trigram_behind_all_places_of_the_next_is_not_the_text() -> None:
    assert holders(["bcd " * 20, "abc"], "abcd") == []


def test_a_part_ends_before_it_grows_too_long() -> None:
    parts = segments_of(["a" * 100, "b" * 10, "c" * 10, "d" * 100, "e"], part_bytes=25)
    assert [part.ordinals.tolist() for part in parts] == [[0], [1, 2], [3], [4]]


def test_ordinals_may_have_gaps() -> None:
    (part,) = trigrams.build([(3, "red"), (70, ""), (2**40, "redder")])
    segment = trigrams.TextSegment(part)
    assert segment.ordinals[segment.lists(needles.plain("red")).documents()].tolist() == [3, 2**40]


def test_nothing_makes_no_part() -> None:
    assert list(trigrams.build([])) == []


def test_an_index_takes_less_than_five_bytes_a_byte() -> None:
    documents = ["the quick brown fox jumps over the lazy dog " * 3] * 2000
    (part,) = trigrams.build(enumerate(documents))
    assert sum(array.nbytes for array in part.values()) < 5 * sum(map(len, documents))
    assert {name: array.dtype for name, array in part.items()} == {
        "trigrams": np.uint32,
        "starts": np.uint32,
        "offsets": np.uint32,
        "documents": np.uint32,
        "ordinals": np.int64,
    }


def test_a_rare_text_is_looked_for_by_its_rarest_trigram() -> None:
    (segment,) = segments_of(["aaab" * 50, "aaaz"])
    assert segment.lists(needles.plain("aaaz")).size == 1
