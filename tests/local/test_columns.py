"""Columns against plain Python: random histories of values, and every leaf of a filter over them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index import columns as module
from ochre.local.index.base import Change
from ochre.local.index.column import Column
from ochre.local.index.columns import Columns
from ochre.local.index.roster import Roster, RosterDelta
from ochre.model.filters import ArrayContains, Compare, Exists, In, Or
from ochre.model.records import INT_MAX, INT_MIN

EDGES = (
    *(0, 1, -1, 2, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, INT_MAX - 1, INT_MAX, INT_MIN, INT_MIN + 1),
    *(0.0, -0.0, 0.5, -0.5, 1.0, 1.5, -1.0, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 1e300, -1e300, 5e-324),
)
numbers = st.sampled_from(EDGES) | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
operands = numbers | st.sampled_from([float("inf"), float("-inf")])
texts = st.sampled_from(["", "a", "b", "B", "é", "日本", "nul\0", "\U0001f600", "\uffff"])
scalars = numbers | st.booleans() | texts
arrays = st.one_of(
    *(st.lists(kind, min_size=1, max_size=3) for kind in (st.integers(-2, 2), st.booleans(), texts)),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1.5]), min_size=1, max_size=3),
)
SPARSE = {"#type": "sparse_vector", "indices": [1], "values": [1.0], "tokens": None}
values = st.one_of(st.none(), scalars, scalars, arrays, st.just(SPARSE))


def equal(value: Any, operand: Any) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool) or isinstance(value, str) or isinstance(operand, str):
        return type(value) is type(operand) and value == operand
    return isinstance(value, int | float) and value == operand


def compares(value: Any, comparison: str, operand: Any) -> bool:
    if comparison == "eq":
        return equal(value, operand)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    answers = {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}
    return answers[comparison]


def holds(leaf: Compare | In | ArrayContains | Exists, value: Any) -> bool:
    """The meaning of a leaf, in Python's own exact arithmetic."""
    if isinstance(leaf, Exists):
        return value is not None
    if isinstance(leaf, Compare):
        return compares(value, leaf.comparison, leaf.operand)
    if isinstance(leaf, In):
        return any(equal(value, operand) for operand in leaf.operands)
    return isinstance(value, list) and any(type(i) is type(leaf.operand) and i == leaf.operand for i in value)


leaves = st.one_of(
    st.builds(Compare, st.just("k"), st.just("eq"), scalars),
    st.builds(Compare, st.just("k"), st.sampled_from(["gt", "gte", "lt", "lte"]), operands),
    st.builds(In, st.just("k"), st.lists(numbers, min_size=1, max_size=4).map(tuple)),
    st.builds(In, st.just("k"), st.lists(texts, min_size=1, max_size=12).map(tuple)),
    st.builds(In, st.just("k"), st.lists(st.booleans(), min_size=1, max_size=2).map(tuple)),
    st.builds(ArrayContains, st.just("k"), scalars),
    st.just(Exists("k")),
)


class Records:
    """A source whose records are a dict of position to metadata; ordinals are positions."""

    def __init__(self) -> None:
        self.metadatas: dict[int, dict[str, Any]] = {}

    def metadata(self, ordinals: np.ndarray, keys: Sequence[str] = ()) -> Iterator[tuple[np.ndarray, bytes]]:
        there = [ordinal for ordinal in ordinals.tolist() if ordinal in self.metadatas]
        for part in (there[:2], there[2:]):
            if part:
                yield np.array(part), json.dumps([self.metadatas[ordinal] for ordinal in part]).encode()


def roster_of(count: int) -> Roster:
    return Roster.of(np.arange(count), np.arange(count))


def stored(column: dict[int, Any], count: int) -> list[Any]:
    return [column.get(position) for position in range(count)]


steps = st.lists(
    st.tuples(
        st.lists(values, max_size=4),  # appended
        st.dictionaries(st.integers(0, 8), values, max_size=3),  # replaced, or with None taken away
    ),
    max_size=6,
)


def take_step(column: Column, appended: list[Any], given_: dict[int, Any]) -> dict[int, Any]:
    """Append and replace values; return those that are new, by position."""
    count = len(column)
    column.resize(count + len(appended))
    replaced = {position: value for position, value in given_.items() if position < count}
    column.clear(np.array(list(replaced), np.int64))
    new = replaced | dict(enumerate(appended, count))
    column.set(np.array(list(new), np.int64), list(new.values()))
    return new


@given(steps, st.lists(leaves, min_size=1, max_size=5))
def test_every_leaf_means_what_plain_python_says_after_any_history(steps: list[Any], asked: list[Any]) -> None:
    column, model = Column(0), {}
    for appended, given_ in steps:
        new = take_step(column, appended, given_)
        model |= new
    expected = stored(model, len(column))
    columns = Columns()
    columns._columns["k"] = column
    for leaf in asked:
        assert columns.mask(leaf).tolist() == [holds(leaf, value) for value in expected], leaf


def in_checkpoint(column: Column, live: np.ndarray) -> Column:
    """The column as it comes out of a checkpoint, whose arrays are read-only."""
    arrays = column.packed(live)
    for array in arrays.values():
        array.flags.writeable = False
    return Column.restored(arrays)


@given(steps, st.lists(leaves, min_size=1, max_size=5), st.data())
def test_a_column_that_went_through_checkpoints_means_the_same(steps: list[Any], asked: list[Any], data: Any) -> None:
    """Deleted records leave with the checkpoint, and positions move together."""
    column, model = Column(0), list[Any]()
    for appended, given_ in steps:
        new = take_step(column, appended, given_)
        model = [new.get(position, value) for position, value in enumerate(model)] + appended
        if data.draw(st.booleans()):
            live = np.array([data.draw(st.booleans()) or not given_ for _ in model], np.bool_)
            column = in_checkpoint(column, live)
            model = [value for value, kept in zip(model, live, strict=True) if kept]
    columns = Columns()
    columns._columns["k"] = column
    for leaf in asked:
        assert columns.mask(leaf).tolist() == [holds(leaf, value) for value in model], leaf
    check_ranks(column, model)


@pytest.mark.parametrize("comparison", ["eq", "gt", "gte", "lt", "lte"])
def test_numbers_compare_exactly_at_every_edge(comparison: Any) -> None:
    present = [*EDGES, True, False, "1", [1], None]
    column = Column(len(present))
    column.set(np.arange(len(present)), present)
    for operand in (*EDGES, float("inf"), float("-inf")):
        expected = [compares(value, comparison, operand) for value in present]
        assert column.compare(comparison, operand).tolist() == expected, operand


def place(value: Any) -> Any:
    """Where a value stands in an ordering: bools, numbers, strings; None for what has no place."""
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, int | float):
        return 1, value
    return (2, value) if isinstance(value, str) else None


@given(st.lists(values, max_size=12))
def test_ranks_order_as_the_values_do(given_: list[Any]) -> None:
    column = Column(len(given_))
    column.set(np.arange(len(given_)), given_)
    check_ranks(column, given_)


def check_ranks(column: Column, given_: list[Any]) -> None:
    ranks = column.ranks().tolist()
    for rank, value in zip(ranks, given_, strict=True):
        assert (rank < 0) == (place(value) is None)
        for other, another in zip(ranks, given_, strict=True):
            if rank >= 0 and other >= 0:
                assert (rank < other) == (place(value) < place(another))


def test_ranks_follow_a_change() -> None:
    column = Column(2)
    column.set(np.arange(2), [1, 2])
    assert column.ranks().tolist() == [0, 1]
    column.clear(np.array([0]))
    column.set(np.array([0]), [3])
    assert column.ranks().tolist() == [1, 0]
    column.clear(np.array([0]))
    assert column.ranks().tolist() == [-1, 0]
    column.resize(3)
    assert column.ranks().tolist() == [-1, 0, -1]


def test_the_least_used_columns_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2)
    source, columns = Records(), Columns()
    columns.rebuild(roster_of(1))
    source.metadatas = {0: {"a": 1, "b": 2, "c": 3}}
    columns.load(["a"], source)
    columns.load(["b"], source)
    columns.load(["a"], source)
    columns.load(["c"], source)
    assert list(columns._columns) == ["a", "c"]
    columns.load(["a", "b", "c"], source)
    assert [columns.mask(Exists(key)).tolist() for key in "abc"] == [[True]] * 3, "all that one filter names"


def test_a_column_that_remembers_too_many_old_strings_is_read_again() -> None:
    source, columns = Records(), Columns()
    columns.rebuild(roster_of(1))
    columns.load(["seen"], source)
    for number in range(1100):
        source.metadatas[0] = {"seen": f"at {number}"}
        columns.apply(Change(np.array([0]), roster_of(1), RosterDelta(np.array([0]), 0)), source)
    assert "seen" not in columns._columns
    columns.load(["seen"], source)
    assert columns.mask(Compare("seen", "eq", "at 1099")).tolist() == [True]


def test_a_long_or_of_equalities_is_one_look_at_the_column(monkeypatch: pytest.MonkeyPatch) -> None:
    source, columns = Records(), Columns()
    columns.rebuild(roster_of(4))
    source.metadatas = {0: {"k": 1}, 1: {"k": "1"}, 2: {"k": 2.0}, 3: {"other": True}}
    columns.load(["k", "other"], source)
    looks = []
    among = Column.among
    monkeypatch.setattr(Column, "among", lambda self, operands: looks.append(operands) or among(self, operands))
    parts = [Compare("k", "eq", operand) for operand in (1, 2, "x", 1.5)] + [Compare("other", "eq", True)]
    assert columns.mask(Or(tuple(parts))).tolist() == [True, False, True, True]
    assert len(looks) == 2


@given(steps, st.integers(0, 6))
def test_a_column_loaded_late_equals_one_kept_up_to_date(steps: list[Any], late: int) -> None:
    """A column is built whenever a filter first names its key; from then on changes keep it right."""
    source, columns, count = Records(), Columns(), 0
    for number, (appended, replaced) in enumerate(steps):
        if number == late:
            columns.load(["k"], source)
        moved = [position for position in replaced if position < count]
        changed = dict.fromkeys(moved) | dict(enumerate(appended, count))
        changed |= {position: replaced[position] for position in moved}
        for position, value in changed.items():
            source.metadatas.pop(position, None)
            if value is not None:
                source.metadatas[position] = {"other": 1, "k": value}
        count += len(appended)
        delta = RosterDelta(np.array(moved, np.int64), len(appended))
        columns.apply(Change(np.array(sorted(changed), np.int64), roster_of(count), delta), source)
    columns.load(["k"], source)
    fresh = Columns()
    fresh.rebuild(roster_of(count))
    fresh.load(["k"], source)
    for leaf in (Exists("k"), Compare("k", "gte", 0), In("k", ("a", "")), ArrayContains("k", True)):
        assert columns.mask(leaf).tolist() == fresh.mask(leaf).tolist()
    assert columns.column("k").ranks().tolist() == fresh.column("k").ranks().tolist()


@pytest.mark.parametrize(
    "key", ["plain", 'a "quoted" key', "back\\slash", "new\nline", "ключ", "nul\0", "self", "__class__"]
)
def test_a_key_may_be_any_text(key: str) -> None:
    source, columns = Records(), Columns()
    source.metadatas = {0: {key: 1}, 1: {"other": 1}}
    columns.rebuild(roster_of(2))
    columns.load([key, "other"], source)
    assert columns.mask(Compare(key, "eq", 1)).tolist() == [True, False]
    assert columns.mask(Exists("other")).tolist() == [False, True]


def test_a_failed_load_leaves_nothing_half_loaded() -> None:
    class Failing(Records):
        def metadata(self, ordinals: np.ndarray, keys: Sequence[str] = ()) -> Iterator[tuple[np.ndarray, bytes]]:
            yield from list(super().metadata(ordinals))[:1]
            raise OSError

    source, columns = Records(), Columns()
    source.metadatas = {position: {"k": position} for position in range(5)}
    failing = Failing()
    failing.metadatas = source.metadatas
    columns.rebuild(roster_of(5))
    with pytest.raises(OSError):
        columns.load(["k"], failing)
    columns.load(["k"], source)
    assert columns.mask(Exists("k")).all()


# -- checkpoints --------------------------------------------------------------------------------------------------


class Collection:
    """Records of which the positions are the ordinals, and columns that follow them."""

    def __init__(self, metadatas: list[dict[str, Any]]) -> None:
        self.source, self.columns = Records(), Columns()
        self.source.metadatas = dict(enumerate(metadatas))
        self.roster = roster_of(len(metadatas))
        self.columns.rebuild(self.roster)

    def restart(self) -> Collection:
        """Go on from a checkpoint, in a new process as it were."""
        arrays, meta = self.columns.packed(self.source)
        self.columns = Columns()
        self.columns.restore(self.roster, arrays, meta)
        return self

    def change(self, metadatas: dict[int, dict[str, Any] | None]) -> None:
        """Insert, replace or (None) delete records."""
        count = len(self.roster)
        moved = np.array([position for position in metadatas if position < count], np.int64)
        for position, metadata in metadatas.items():
            self.source.metadatas.pop(position, None)
            if metadata is not None:
                self.source.metadatas[position] = metadata
        added = len(metadatas) - len(moved)
        self.roster = roster_of(count + added)
        change = Change(np.array(sorted(metadatas)), self.roster, RosterDelta(moved, added))
        self.columns.apply(change, self.source)

    def values(self, key: str, operands: Sequence[Any]) -> list[Any]:
        """What the column says about each record: the operand that it equals, or None."""
        self.columns.load([key], self.source)
        masks = [self.columns.mask(Compare(key, "eq", operand)).tolist() for operand in operands]
        return [
            next((o for o, mask in zip(operands, masks, strict=True) if mask[n]), None) for n in range(len(masks[0]))
        ]


class Unreadable(Records):
    """A source that nobody may ask."""

    def metadata(self, ordinals: np.ndarray, keys: Sequence[str] = ()) -> Iterator[tuple[np.ndarray, bytes]]:
        raise AssertionError


def test_a_checkpoint_has_the_columns_of_all_keys() -> None:
    collection = Collection([{"a": 1, "b": "x"}, {}, {"b": "y", "c": [1, 2]}]).restart()
    collection.source = Unreadable()
    assert collection.values("a", [1]) == [1, None, None]
    assert collection.values("b", ["x", "y"]) == ["x", None, "y"]
    collection.columns.load(["c"], collection.source)
    assert collection.columns.mask(ArrayContains("c", 2)).tolist() == [False, False, True]


def test_a_key_that_no_record_had_is_known_to_be_absent() -> None:
    collection = Collection([{"a": 1}]).restart()
    collection.source = Unreadable()
    assert collection.values("b", [1]) == [None]


def test_a_key_that_came_after_the_checkpoint_is_found() -> None:
    collection = Collection([{"a": 1}] * 3).restart()
    collection.change({3: {"b": 5}})
    assert collection.values("b", [5]) == [None, None, None, 5]


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_stored_column_follows_what_changed_since(asked_before: bool) -> None:
    collection = Collection([{"a": n, "s": f"{n}"} for n in range(6)]).restart()
    if asked_before:
        collection.values("a", [0])
    collection.change({0: {"a": 5}, 1: None, 2: {"other": 1}})
    collection.change({6: {"a": 0, "s": "new"}})
    assert collection.values("a", range(6)) == [5, None, None, 3, 4, 5, 0]
    assert collection.values("s", ["3", "new"]) == [None, None, None, "3", None, None, "new"]


def test_only_records_that_changed_are_read_for_a_stored_column() -> None:
    collection = Collection([{"a": n} for n in range(6)]).restart()
    collection.change({2: {"a": 0}})
    collection.source.metadatas = {2: {"a": 4}}
    assert collection.values("a", range(6)) == [0, 1, 4, 3, 4, 5]


def test_a_column_that_was_dropped_is_taken_from_the_checkpoint_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 1)
    collection = Collection([{"a": 1, "b": 2}] * 4).restart()
    collection.values("a", [1])
    collection.change({0: {"a": 3}})
    collection.values("b", [2])
    assert list(collection.columns._columns) == ["b"]
    assert collection.values("a", [1, 3]) == [3, 1, 1, 1]


@pytest.mark.parametrize("notes", [1, 1000])
def test_once_more_changed_than_was_stored_all_is_read(monkeypatch: pytest.MonkeyPatch, notes: int) -> None:
    monkeypatch.setattr(module, "_NOTES", notes)
    collection = Collection([{"a": 1}, {"a": 2}]).restart()
    for position in range(2, 8):
        collection.change({position: {"a": position}})
    assert (collection.columns._stored is None) == (notes == 1)
    assert collection.values("a", range(8)) == [1, 2, *range(2, 8)]


def test_a_checkpoint_of_a_checkpoint_reads_only_what_changed() -> None:
    collection = Collection([{"a": n, "s": f"{n}"} for n in range(6)]).restart()
    collection.change({2: {"a": 0, "new": True}})
    collection.source.metadatas = {2: {"a": 0, "new": True}}
    collection.restart()
    collection.source = Unreadable()
    assert collection.values("a", range(6)) == [0, 1, 0, 3, 4, 5]
    assert collection.values("s", ["2", "3"]) == [None, None, None, "3", None, None]
    assert collection.values("new", [True]) == [None, None, True, None, None, None]


def test_the_largest_columns_beyond_the_budget_are_left_to_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUDGET_BYTES", 5000)
    collection = Collection([{"a": n, "long": f"{n}" * 1000} for n in range(6)])
    arrays, meta = collection.columns.packed(collection.source)
    assert meta == {"keys": ["a"], "left_out": ["long"]}
    assert sum(array.nbytes for array in arrays.values()) < 5000
    collection.restart()
    collection.change({0: {"long": "x"}})
    assert collection.values("long", ["x", "2" * 1000]) == ["x", None, "2" * 1000, None, None, None]
    assert collection.columns.packed(collection.source)[1]["left_out"] == ["long"], "it stays unknown"


def test_a_checkpoint_changes_nothing_in_the_columns_it_is_made_of() -> None:
    collection = Collection([{"a": 1, "b": 2}])
    collection.values("a", [1])
    collection.columns.packed(collection.source)
    assert list(collection.columns._columns) == ["a"]


def test_elements_of_a_checkpoint_go_with_the_records_that_had_them() -> None:
    column = Column(4)
    column.set(np.arange(4), [["a", "b"], ["a"], ["b"], ["a", "c"]])
    column = in_checkpoint(column, np.array([True, True, False, True]))
    assert [column.contains(text).tolist() for text in "abc"] == [
        [True, True, True],
        [True, False, False],
        [False, False, True],
    ]
    column.clear(np.array([0, 1]))
    column.set(np.array([1]), [["c", "new"]])
    for _ in range(2):
        assert column.contains("a").tolist() == [False, False, True]
        assert column.contains("c").tolist() == [False, True, True]
        assert column.contains("b").tolist() == [False, False, False]
        assert column.contains("new").tolist() == [False, True, False]
        column = in_checkpoint(column, np.array([True, True, True]))


@pytest.mark.parametrize("through", [False, True])
def test_elements_of_different_types_are_different(through: bool) -> None:
    present = [[1], [1.0], [True], ["1"], [-0.0], ["i1"]]
    column = Column(len(present))
    column.set(np.arange(len(present)), present)
    if through:
        column = in_checkpoint(column, np.ones(len(present), np.bool_))
    for place, operand in enumerate([1, 1.0, True, "1", 0.0, "i1"]):
        assert np.flatnonzero(column.contains(operand)).tolist() == [place], operand
    assert np.flatnonzero(column.contains(-0.0)).tolist() == [4]
