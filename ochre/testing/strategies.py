"""Random data for property tests: everything a record may hold, and every filter over it.

Values come from small pools, so that random filters match something and random writes meet the records of earlier ones;
the pools hold the awkward cases: 64-bit edges, integral floats, negative zero, NUL, other scripts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ochre.model.filters import Filter, parse_filters
from ochre.model.records import INT_MAX, INT_MIN
from ochre.model.vectors import SPACES, Matrix

DIMENSION = 3

KEYS = ("n", "name", "flag", "tags", "mixed", 'a "quoted" key', "ключ")
INTEGERS = (0, 1, -1, 2, 7, 2**53, 2**53 + 1, INT_MAX, INT_MIN)
FLOATS = (0.0, -0.0, 1.0, 1.5, -2.5, 7.0, 0.1, 2.0**53, 1e300, -1e-300, 9.2233720368547758e18)
STRINGS = ("", "a", "b", "red", "Red", "réd", "日本語", "nul\0inside", "1", "true", "%_", "x" * 300)
WORDS = ("red", "green", "Blue", "日本語", "a\nb", "50%", "under_score", "nul\0", "ß")

ids = st.one_of(
    st.integers(0, 7).map(lambda n: f"id{n}"), st.sampled_from(["ид", "日本", "with space", "nul\0id", "i" * 500, "%"])
)
scalars = st.one_of(
    st.booleans(), st.sampled_from(INTEGERS), st.sampled_from(FLOATS), st.sampled_from(STRINGS), st.integers(-3, 3)
)
numbers = st.one_of(st.sampled_from(INTEGERS), st.sampled_from(FLOATS), st.integers(-3, 3))
arrays = st.one_of(
    st.lists(st.sampled_from(STRINGS), min_size=1, max_size=4),
    st.lists(st.sampled_from(INTEGERS), min_size=1, max_size=4),
    st.lists(st.sampled_from(FLOATS), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
keys = st.sampled_from(KEYS[:2]) | st.sampled_from(KEYS)  # two of them often, so that changes meet
values = st.one_of(scalars, scalars, arrays)
metadatas = st.none() | st.dictionaries(keys, values, min_size=1, max_size=4)
patches = st.one_of(
    st.none(), st.dictionaries(keys, st.none() | values, min_size=1, max_size=4), st.just(dict.fromkeys(KEYS))
)
documents = st.none() | st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
uris = st.none() | st.sampled_from(["", "file:///a", "b.png"])
spaces = st.sampled_from(SPACES)

_lengths = st.sampled_from([0.0, 1.0, 3.0])
_coordinates = st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5, 3.0, 100.0, -0.25, 1e-3, 1e3])


@st.composite
def matrices(draw: st.DrawFn, count: int, dimension: int = DIMENSION) -> Matrix:
    """Draw vectors `(count, dimension)`, with zero vectors and repeats among them."""
    row = st.lists(_coordinates, min_size=dimension, max_size=dimension) | _lengths.map(lambda n: [n] * dimension)
    return np.array(draw(st.lists(row, min_size=count, max_size=count)), np.float32).reshape(count, dimension)


@st.composite
def batches(draw: st.DrawFn, *, patch: bool = False, unique: bool = True) -> dict[str, Any]:
    """Draw the columns of a write: `ids`, `vectors`, `documents`, `metadatas`, `uris`."""
    names = draw(st.lists(ids, min_size=1, max_size=6, unique=unique))
    count = len(names)

    def column(entries: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | st.lists(entries, min_size=count, max_size=count))

    return {
        "ids": names,
        "vectors": draw(matrices(count)),
        "documents": column(documents),
        "metadatas": column(patches if patch else metadatas),
        "uris": column(uris),
    }


def _leaf() -> st.SearchStrategy[dict[str, Any]]:
    equality = st.tuples(st.sampled_from(["$eq", "$ne", "$contains", "$not_contains"]), scalars)
    ordering = st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers)
    same_type = st.one_of(
        st.lists(st.sampled_from(STRINGS), min_size=1, max_size=12),
        st.lists(st.sampled_from(INTEGERS), min_size=1, max_size=4),
        st.lists(st.sampled_from(FLOATS), min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=1, max_size=2),
    )
    member = st.tuples(st.sampled_from(["$in", "$nin"]), same_type)
    presence = st.tuples(st.just("$exists"), st.booleans())
    condition = st.one_of(equality, ordering, member, presence).map(lambda pair: dict([pair]))
    return st.tuples(keys, st.one_of(scalars, condition)).map(lambda pair: dict([pair]))


_document_leaf = st.one_of(
    st.tuples(
        st.sampled_from(["$contains", "$not_contains", "$icontains", "$not_icontains"]),
        st.sampled_from([*WORDS, "e", "d g", "BLUE", "S", "SS"]),
    ),
    st.tuples(
        st.sampled_from(["$regex", "$not_regex"]), st.sampled_from(["^red", "(?i)blue", r"\w+ \w+", "^$", "日.語"])
    ),
).map(lambda pair: dict([pair]))


def _joined(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    branches = st.lists(children, min_size=2, max_size=3)
    return st.tuples(st.sampled_from(["$and", "$or"]), branches).map(lambda pair: dict([pair]))


wheres = st.recursive(_leaf() | _document_leaf.map(lambda leaf: {"#document": leaf}), _joined, max_leaves=5)
where_documents = st.recursive(_document_leaf, _joined, max_leaves=3)


@st.composite
def filters(draw: st.DrawFn) -> Filter | None:
    """Draw a parsed filter, or None."""
    return parse_filters(draw(st.none() | wheres), draw(st.none() | where_documents))
