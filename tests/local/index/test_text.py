"""The text index of a collection: what it knows, and what it leaves to the tail."""

from __future__ import annotations

import numpy as np
import pytest

from ochre.local.index.base import Change, Source
from ochre.local.index.roster import Roster, RosterDelta
from ochre.local.index.text import TextIndex
from ochre.model.filters import DocumentContains, DocumentContainsAnyCase, DocumentLeaf, DocumentMatches
from tests.local.index.conftest import segments_of

DOCUMENTS = ["a red fox", "a Red wine", "green paint", "", "Straße"]
NOTHING = np.empty(0, np.int64)
PLENTY = 1000


class NoSource(Source):
    """The index reads nothing when records change."""


def roster(ordinals: list[int]) -> Roster:
    return Roster.of(np.array(ordinals, np.int64), np.array(ordinals, np.int64))


def index_of(documents: list[str], part_bytes: int = 20) -> TextIndex:
    index = TextIndex()
    index.adopt(segments_of(documents, part_bytes), NOTHING, roster(list(range(len(documents)))))
    return index


def moved(index: TextIndex, positions: list[int], count: int) -> None:
    places = np.array(positions, np.int64)
    index.apply(Change(places, roster(list(range(count))), RosterDelta(places, 0)), NoSource())


@pytest.mark.parametrize(
    ("leaf", "sure", "unsure"),
    [
        (DocumentContains("red"), [0], []),
        (DocumentContains("e"), [0, 1, 2, 4], []),
        (DocumentContains(""), [0, 1, 2, 3, 4], []),
        (DocumentContains("a" * 1000), [], []),
        (DocumentContainsAnyCase("RED"), [0, 1], []),
        (DocumentContainsAnyCase("STRASSE"), [], [4]),
        (DocumentContainsAnyCase(""), [0, 1, 2, 3, 4], []),
        (DocumentMatches("red|paint"), [0, 2], []),
        (DocumentMatches("(red|paint)"), [], [0, 2]),
        (DocumentMatches("[pf][ao]int"), [2], []),
        (DocumentMatches("(?i)red.*w"), [], [1]),
        (DocumentMatches("a .*wine"), [], [1]),
    ],
)
def test_what_the_index_says_about_a_leaf(leaf: DocumentLeaf, sure: list[int], unsure: list[int]) -> None:
    found = index_of(DOCUMENTS).view.find(leaf, PLENTY)
    assert found is not None
    assert (sorted(found.sure), sorted(found.unsure)) == (sure, unsure)


@pytest.mark.parametrize(("documents", "unsure"), [(["ab", "ab cd", "cd"], [1]), (["ab", "ab cd", "cd" * 30], [0, 1])])
def test_literals_narrow_each_other_unless_one_is_everywhere(documents: list[str], unsure: list[int]) -> None:
    found = index_of(documents, part_bytes=1000).view.find(DocumentMatches("ab.*cd"), PLENTY)
    assert found is not None
    assert found.unsure.tolist() == unsure


def test_a_long_text_is_left_to_be_read_where_it_begins() -> None:
    documents = ["x" * 300, "x" * 200]
    found = index_of(documents).view.find(DocumentContains("x" * 250), PLENTY)
    assert found is not None
    assert (found.sure.tolist(), found.unsure.tolist()) == ([], [0, 1])


def test_an_index_without_segments_says_nothing() -> None:
    assert TextIndex().view.find(DocumentContains("red"), PLENTY) is None


def test_a_pattern_that_needs_nothing_leaves_all_open() -> None:
    assert index_of(DOCUMENTS).view.find(DocumentMatches("^.{5}$"), PLENTY) is None


def test_a_look_at_too_much_is_declined() -> None:
    view = index_of(["red red", "red"]).view
    assert view.find(DocumentContains("red"), 3) is not None
    assert view.find(DocumentContains("red"), 2) is None


def test_records_that_changed_are_of_the_tail_and_older_views_stay_as_they_were() -> None:
    index = index_of(DOCUMENTS)
    before = index.view
    moved(index, [1, 7], 8)  # the last was added after the build, and changed again
    assert index.view.known.tolist() == [True, False, True, True, True]
    assert before.known.all()


def test_records_that_changed_between_build_and_adoption_are_of_the_tail() -> None:
    index = TextIndex()
    index.adopt(segments_of(DOCUMENTS), np.array([0, 2]), roster([0, 1, 3, 4]))
    assert index.view.known.tolist() == [False, True, True, True]


def test_documents_of_records_that_are_gone_are_not_found() -> None:
    index = TextIndex()
    index.adopt(segments_of(DOCUMENTS), np.array([0]), roster([1, 2, 3, 4]))
    found = index.view.find(DocumentContains("e"), PLENTY)
    assert found is not None
    assert found.sure.tolist() == [0, 1, 3]


def test_a_new_roster_ends_what_is_known() -> None:
    index = index_of(DOCUMENTS)
    index.rebuild(roster([0, 2]))
    assert index.view.find(DocumentContains("red"), PLENTY) is None
