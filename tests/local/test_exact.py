"""Exact search against brute force in float64: every space, every way of reading the arena, awkward numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.local.index.exact import Exact, distance
from ochre.model.vectors import SPACES

spaces = st.sampled_from(SPACES)
awkward = st.sampled_from([0.0, 1.0, -1.0, 3.0, 1e-3, 1e3, 1e-20, 1e20, 3e38, -3e38, 1e-38, 1e-45, 2.0**-149])
tame = st.floats(-4, 4, width=32)


@st.composite
def searches(draw: st.DrawFn) -> tuple[Any, ...]:
    """An arena with repeated rows, candidates of it, query vectors (some of them rows), and a count."""
    dimension = draw(st.integers(1, 9))
    row = st.lists(draw(st.sampled_from([awkward, tame])), min_size=dimension, max_size=dimension)
    distinct = draw(st.lists(row, min_size=1, max_size=8))
    arena = np.array([draw(st.sampled_from(distinct)) for _ in range(draw(st.integers(1, 30)))], np.float32)
    shape = draw(st.sampled_from(["all", "line", "most", "few"]))
    slots = np.arange(len(arena))
    if shape == "line":
        start = draw(st.integers(0, len(arena) - 1))
        slots = slots[start : start + draw(st.integers(1, len(arena)))]
    elif shape != "all":
        share = {"most": 0.8, "few": 0.1}[shape]
        random = np.random.default_rng(draw(st.integers(0, 99)))
        slots = np.flatnonzero(random.random(len(arena)) < share)
        slots = random.permutation(slots) if draw(st.booleans()) else slots  # updated records have later slots
    queries = np.array(draw(st.lists(row | st.sampled_from(distinct), min_size=1, max_size=3)), np.float32)
    return arena, slots, queries, draw(st.integers(0, len(arena) + 2))


def brute(arena: Any, slots: Any, query: Any, space: Any, count: int) -> list[tuple[float, int]]:
    """The definition: float64 throughout, rounded to float32 at the end, ordered by distance and then insertion."""
    found = []
    for place, slot in enumerate(slots.tolist()):
        a, b = arena[slot].astype(np.float64), query.astype(np.float64)
        with np.errstate(over="ignore"):
            if space == "l2":
                exact = np.einsum("i,i->", a - b, a - b)
            elif space == "ip":
                exact = 1.0 - np.einsum("i,i->", a, b)
            else:
                norms = np.sqrt(np.einsum("i,i->", a, a) * (b @ b))
                exact = np.clip(1.0 - np.einsum("i,i->", a, b) / norms, 0.0, 2.0) if norms > 0 else 1.0
            found.append((float(np.float32(exact)), place))
    return sorted(found)[:count]


def nearest(arena: Any, slots: Any, queries: Any, space: Any, count: int) -> list[list[tuple[float, int]]]:
    exact = Exact(space)
    found = exact.nearest(arena, exact.extend(arena), slots, queries, count)
    return [list(zip(distances.tolist(), chosen.tolist(), strict=True)) for chosen, distances in found]


@given(searches(), spaces)
def test_the_answer_is_that_of_brute_force(search: tuple[Any, ...], space: Any) -> None:
    arena, slots, queries, count = search
    expected = [brute(arena, slots, query, space, count) for query in queries]
    assert nearest(arena, slots, queries, space, count) == expected


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 8, 16, 31, 64, 70, 384])
def test_random_vectors_of_any_dimension(space: Any, dimension: int) -> None:
    random = np.random.default_rng(dimension)
    arena = random.standard_normal((500, dimension)).astype(np.float32)
    queries = random.standard_normal((40, dimension)).astype(np.float32)
    everything = np.arange(500)
    for slots in (everything, everything[100:400], everything[::2], everything[::50], random.permutation(500)):
        for found, query in zip(nearest(arena, slots, queries, space, 7), queries, strict=True):
            exact = distance(arena[slots], query, space).astype(np.float32)
            order = np.lexsort((np.arange(len(slots)), exact))[:7]
            assert found == list(zip(exact[order].tolist(), order.tolist(), strict=True))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dimension", [*range(1, 40), 384])
def test_equal_vectors_are_at_equal_distances_wherever_they_lie(space: Any, dimension: int) -> None:
    """Otherwise the last bit, not insertion, would decide among duplicates; a unit vector's cosine shows that bit."""
    random = np.random.default_rng(dimension)
    for copies in (2, 3, 5, 9, 31):
        vector = random.standard_normal(dimension)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        arena = np.repeat(vector[np.newaxis], copies, axis=0)
        (found,) = nearest(arena, np.arange(copies), vector[np.newaxis], space, copies)
        assert [place for _, place in found] == list(range(copies))
        assert len({far for far, _ in found}) == 1


@pytest.mark.parametrize("nearer", [[1e30, 0.0], [0.0, -1e38]])
def test_distances_beyond_float32_tie_at_infinity_and_insertion_decides(nearer: list[float]) -> None:
    arena = np.array([[3e38, 0.0], nearer], np.float32)
    (found,) = nearest(arena, np.arange(2), np.array([[0.0, 3e38]], np.float32), "l2", 1)
    assert found == [(float("inf"), 0)]


@pytest.mark.parametrize(("space", "other"), [("l2", 0.0), ("cosine", -1e-25)])
def test_vectors_whose_products_vanish_in_float32_are_compared_all_the_same(space: Any, other: float) -> None:
    arena = np.array([[1e-25], [other]], np.float32)
    (found,) = nearest(arena, np.arange(2), arena[:1], space, 1)
    assert found == [(0.0, 0)]


@pytest.mark.parametrize("space", SPACES)
def test_near_ties_are_settled_in_float64(space: Any) -> None:
    """A thousand rows that float32 arithmetic cannot order."""
    random = np.random.default_rng(5)
    base = random.standard_normal(128).astype(np.float32) * 100
    arena = np.nextafter(np.repeat(base[np.newaxis], 1000, axis=0), np.float32(0), dtype=np.float32)
    arena = np.where(random.random(arena.shape) < 0.5, base, arena).astype(np.float32)
    query = base[np.newaxis]
    assert nearest(arena, np.arange(1000), query, space, 10) == [brute(arena, np.arange(1000), base, space, 10)]


def test_lengths_are_worked_out_once_and_in_float64() -> None:
    arena = np.array([[3e38, 3e38], [1e-45, 0], [3, 4]], np.float32)
    exact = Exact("l2")
    first = exact.extend(arena[:2])
    assert np.allclose(exact.extend(arena), np.linalg.norm(arena.astype(np.float64), axis=1), rtol=1e-12)
    assert len(first) == 2
    assert len(exact.extend(arena[:2])) == 2, "whoever holds an older snapshot gets no more than it knows"
    assert np.shares_memory(exact.extend(arena), exact.extend(arena)), "not worked out again"


class Overtaken(Exact):
    """Another thread, with an older snapshot, puts its shorter array in the place of ours right away."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value[:8] if name == "_lengths" else value)


def test_a_thread_with_an_older_snapshot_does_not_shorten_the_lengths_of_another() -> None:
    assert len(Overtaken("l2").extend(np.ones((64, 4), np.float32))) == 64
