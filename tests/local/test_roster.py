"""The roster against a dict, under random histories; and rosters of old snapshots, which later ones leave alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index.roster import Roster

# One step of catching up: how many records were inserted (and which of those are gone again), replaced and deleted.
steps = st.lists(
    st.tuples(st.integers(0, 6), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30))),
    max_size=8,
)


def array(values: Any) -> np.ndarray:
    return np.array(sorted(values), np.int64)


def content(roster: Roster) -> dict[int, int]:
    live = roster.live
    return dict(zip(roster.ordinals[live].tolist(), roster.slots[live].tolist(), strict=True))


class History:
    """Records as a dict of ordinal to slot, and the rosters that followed them."""

    def __init__(self, initial: int) -> None:
        self.records = {ordinal: ordinal for ordinal in range(initial)}
        self.next_ordinal = self.next_slot = initial
        self.rosters = [Roster.of(np.arange(initial), np.arange(initial))]
        self.contents = [dict(self.records)]

    def step(self, inserted: int, lost: set[int], replaced: set[int], deleted: set[int]) -> Any:
        replaced, deleted = replaced & self.records.keys(), deleted & self.records.keys()
        new = set(range(self.next_ordinal, self.next_ordinal + inserted))
        gone = {ordinal for ordinal in new if ordinal - self.next_ordinal in lost}
        changed = new | replaced | deleted
        for ordinal in sorted((replaced | new) - deleted - gone):
            self.records[ordinal] = self.next_slot
            self.next_slot += 1
        for ordinal in deleted:
            del self.records[ordinal]
        self.next_ordinal += inserted
        there = array(changed & self.records.keys())
        slots = np.array([self.records[ordinal] for ordinal in there.tolist()], np.int64)
        roster, delta = self.rosters[-1].updated(array(changed), there, slots)
        self.rosters.append(roster)
        self.contents.append(dict(self.records))
        return delta, (replaced | deleted), len(new - gone)


@given(st.integers(0, 5), steps)
def test_a_roster_follows_any_history(initial: int, steps: list[Any]) -> None:
    history = History(initial)
    for step in steps:
        history.step(*step)
        roster = history.rosters[-1]
        assert content(roster) == history.records
        assert roster.count == len(history.records)
        assert roster.dead == len(roster) - roster.count
        assert (np.diff(roster.ordinals) > 0).all()


@given(st.integers(0, 5), steps)
def test_a_roster_goes_through_a_checkpoint_at_any_time(initial: int, steps: list[Any]) -> None:
    history = History(initial)
    for step in steps:
        history.step(*step)
        arrays = history.rosters[-1].packed()
        for stored in arrays.values():
            stored.flags.writeable = False
        history.rosters[-1] = roster = Roster.restored(arrays)
        assert content(roster) == history.records
        assert roster.dead == 0
        slots = np.arange(history.next_slot + 2)
        assert roster.at(slots).tolist() == Roster.of(roster.ordinals, roster.slots).at(slots).tolist()


@given(st.integers(0, 5), steps)
def test_older_rosters_stay_as_they_were(initial: int, steps: list[Any]) -> None:
    """Generations share memory: whoever still reads an old snapshot must not see what came later."""
    history = History(initial)
    for step in steps:
        history.step(*step)
    for roster, expected in zip(history.rosters, history.contents, strict=True):
        assert content(roster) == expected


@given(st.integers(0, 5), steps)
def test_the_delta_names_what_moved_and_counts_what_came(initial: int, steps: list[Any]) -> None:
    history = History(initial)
    for step in steps:
        before = history.rosters[-1]
        delta, moved, added = history.step(*step)
        assert delta.added == added == len(history.rosters[-1]) - len(before)
        assert before.ordinals[delta.moved].tolist() == sorted(moved)


@given(st.integers(0, 5), steps, st.integers(0, 40), st.none() | st.integers(0, 40))
def test_pages_are_slices_of_the_living(initial: int, steps: list[Any], offset: int, limit: int | None) -> None:
    history = History(initial)
    for step in steps:
        history.step(*step)
    roster = history.rosters[-1]
    expected = sorted(history.records)[offset:][:limit]
    assert roster.ordinals[roster.page(offset, limit)].tolist() == expected


@given(st.integers(0, 5), steps, st.lists(st.integers(0, 60)))
def test_positions_finds_ordinals_in_any_order(initial: int, steps: list[Any], wanted: list[int]) -> None:
    history = History(initial)
    for step in steps:
        history.step(*step)
    roster = history.rosters[-1]
    place = {ordinal: position for position, ordinal in enumerate(roster.ordinals.tolist())}
    found = roster.positions(np.array(wanted, np.int64))
    assert found.tolist() == [place.get(ordinal, -1) for ordinal in wanted]


def test_appending_does_not_copy_every_time() -> None:
    """Writes of single records must not cost a copy of the roster each."""
    history = History(1000)
    history.step(1, set(), set(), set())
    grown = history.rosters[-1]
    for _ in range(100):
        history.step(1, set(), set(), set())
        assert np.shares_memory(grown.ordinals, history.rosters[-1].ordinals)
        assert np.shares_memory(grown.slots, history.rosters[-1].slots)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.lists(st.integers(0, 30), max_size=4), st.lists(st.integers(0, 30), max_size=3)
        ),
        max_size=6,
    ),
    st.integers(0, 40),
)
def test_slots_lead_back_to_positions(steps: list[tuple[int, list[int], list[int]]], below: int) -> None:
    slots: dict[int, int] = {}
    roster = Roster.of(np.empty(0, np.int64), np.empty(0, np.int64))
    next_ordinal = next_slot = 0
    for added, updated, deleted in steps:
        changed = {*range(next_ordinal, next_ordinal + added)}
        for ordinal in [*updated, *range(next_ordinal, next_ordinal + added)]:
            if ordinal in slots or (ordinal >= next_ordinal and ordinal < next_ordinal + added):
                slots[ordinal], next_slot = next_slot, next_slot + 1
                changed.add(ordinal)
        next_ordinal += added
        for ordinal in deleted:
            if slots.pop(ordinal, None) is not None:
                changed.add(ordinal)
        exist = sorted(changed & slots.keys())
        roster, _ = roster.updated(
            np.array(sorted(changed), np.int64),
            np.array(exist, np.int64),
            np.array([slots[o] for o in exist], np.int64),
        )
    owner = {slot: ordinal for ordinal, slot in slots.items()}
    places = roster.at(np.arange(next_slot + 2))
    assert [int(roster.ordinals[p]) if p >= 0 else None for p in places] == [owner.get(s) for s in range(next_slot + 2)]
    chosen = roster.live & (roster.ordinals % 2 == 0)
    expected = [owner.get(slot, 1) % 2 == 0 for slot in range(below)]
    assert roster.selected(chosen, below).tolist() == expected
