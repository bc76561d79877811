"""Dictionaries against a list of texts, whatever part of them a checkpoint holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index import dictionary as module
from ochre.local.index.dictionary import Dictionary

texts = st.sampled_from(["", "a", "ab", "b", "B", "é", "日本", "nul\0", "\U0001f600", "\uffff"]) | st.text(max_size=3)


def dictionary_of(given_: list[str]) -> Dictionary:
    dictionary = Dictionary()
    for text in given_:
        dictionary.number(text)
    return dictionary


def restored(dictionary: Dictionary, used: list[int] | None = None) -> Dictionary:
    arrays, _ = dictionary.packed(np.array(range(len(dictionary)) if used is None else used, np.int32))
    for array in arrays.values():
        array.flags.writeable = False
    return Dictionary(arrays)


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RUN", 3)


@given(st.lists(texts, unique=True), st.lists(texts), st.lists(texts), st.sampled_from([1, 1000]))
def test_each_text_has_one_number_and_keeps_it(
    stored: list[str], added: list[str], asked: list[str], share: int
) -> None:
    dictionary = restored(dictionary_of(stored))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SEARCHED_SHARE", share)  # by searching, and by a table of all texts
        expected = sorted(stored)
        for text in added:
            if text not in expected:
                expected.append(text)
            assert dictionary.number(text) == expected.index(text)
        for text in asked:
            assert dictionary.find(text) == (expected.index(text) if text in expected else None)
        assert dictionary.texts() == expected
        assert len(dictionary) == len(expected)


@given(st.lists(texts, unique=True), st.lists(texts, unique=True), st.data())
def test_only_the_texts_in_use_are_packed_and_they_are_sorted(
    stored: list[str], added: list[str], data: st.DataObject
) -> None:
    dictionary = restored(dictionary_of(stored))
    for text in added:
        dictionary.number(text)
    before = dictionary.texts()
    used = data.draw(st.sets(st.sampled_from(range(len(before)))) if before else st.just(set()))
    _, renumbered = dictionary.packed(np.array(sorted(used), np.int32))
    after = restored(dictionary, sorted(used))
    assert after.texts() == sorted(before[code] for code in used)
    for code in used:
        assert after.texts()[renumbered[code]] == before[code]


def test_numbers_order_as_texts_do_until_one_is_added() -> None:
    dictionary = restored(dictionary_of(["b", "a"]))
    assert dictionary.ordered
    dictionary.number("a")
    assert dictionary.ordered
    dictionary.number("0")
    assert not dictionary.ordered


def test_half_a_surrogate_pair_is_not_found() -> None:
    assert restored(dictionary_of([f"{number}" for number in range(100)])).find("\ud800") is None


def test_few_searches_read_few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = restored(dictionary_of([f"{number:04}" for number in range(1000)]))
    read: list[int] = []
    stored = Dictionary._stored
    monkeypatch.setattr(Dictionary, "_stored", lambda self, place: read.append(place) or stored(self, place))
    assert dictionary.find("0700") == 700
    assert dictionary.find("x") is None
    assert len(read) < 30


def test_many_searches_make_a_table_of_all_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = restored(dictionary_of([f"{number:04}" for number in range(1000)]))
    for number in range(200):
        dictionary.find(f"{number:04}")
    monkeypatch.setattr(Dictionary, "_stored", None)
    assert dictionary.find("0700") == 700


def test_what_lies_in_a_checkpoint_weighs_nothing_until_it_is_read() -> None:
    given_ = [f"{number:04}" for number in range(100)]
    assert restored(dictionary_of(given_)).weight == 0
    assert dictionary_of(given_).weight > 100 * 100
    assert dictionary_of(["x" * 100_000]).weight > 100_000
