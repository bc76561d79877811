"""Needles in any case: no document that has the text is missed, whatever folding makes of a character."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index import needles
from tests.local.index import conftest
from tests.local.index.conftest import segments_of


def looked_up(document: str, text: str, *beside: str) -> tuple[bool, bool]:
    """Whether a document, with others beside it, is surely found for a text in any case, and whether it may be."""
    (segment,) = segments_of([document, *beside])
    needle, other = needles.caseless(text)
    spelled = bool(segment.lists(needle).documents()[0])
    apart = other is not None and bool(segment.lists(other).documents()[0])
    return spelled and needle.exact, spelled or apart


@given(conftest.texts, st.data())
def test_folding_is_foreseen(document: str, data) -> None:
    pieces = st.sampled_from(conftest.slices(document) or [""])
    changed = pieces.map(str.upper) | pieces.map(str.lower) | pieces.map(str.casefold) | pieces.map(str.swapcase)
    text = data.draw(changed | conftest.patterns)
    holds = text.casefold() in document.casefold()
    sure, possible = looked_up(document, text)
    assert sure <= holds <= possible


@pytest.mark.parametrize(
    ("text", "document", "found"),
    [
        ("Whale", "a wHALe", (True, True)),
        ("whale", "a whirl", (False, False)),
        ("STRASSE", "Straße", (False, True)),
        ("house", "ß", (False, False)),
        ("ns", "nß", (False, True)),
        ("kelvin", "\u212aelvin", (False, True)),
        ("日本", "日本語", (True, True)),
        ("ПРИВЕТ", "привет", (False, True)),
        ("", "anything", (True, True)),
    ],
)
def test_what_is_sure_and_what_is_possible(text: str, document: str, found: tuple[bool, bool]) -> None:
    assert looked_up(document, text) == found


def test_the_rest_of_another_spelling_is_not_taken_for_the_text() -> None:
    # U+0440 is d1 80, its capital d0 a0; a window that ends between the two bytes allows d1 a0, another letter, too.
    text, document = "\u0430\u0440\u0430", "\u0430\u0460\u0430"
    assert looked_up(document, text, "\u0470\u0440\u0430 " * 3) == (False, True)


@pytest.mark.parametrize("folded", [False, True])
def test_of_a_long_text_only_the_beginning_is_looked_for(folded: bool) -> None:
    text = "long text " * 1000
    needle = needles.caseless(text)[0] if folded else needles.plain(text)
    assert len(needle.windows) < 200
    assert not needle.exact


def test_no_character_folds_to_nothing_and_none_beyond_the_table_folds() -> None:
    for code in range(sys.maxunicode + 1):
        fold = chr(code).casefold()
        assert fold == chr(code) if code >= needles._CASED else fold
