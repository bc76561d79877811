"""Metadata columns: per key, the values of all records as typed arrays, so that a filter becomes a boolean mask.

A column is built when a filter first names its key, and kept up to date from then on. Scalars lie in arrays by
position; the elements of arrays lie in one long list of (position, element) pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.local.index.base import Change, Source
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.model.filters import ArrayContains, Compare, Comparison, Exists, In, MetadataLeaf
from ochre.model.records import INT_MAX, INT_MIN, Scalar

_ABSENT, _BOOL, _INT, _FLOAT, _STRING, _ARRAY, _SPARSE = range(7)
_KINDS: dict[type, int] = {
    type(None): _ABSENT,
    bool: _BOOL,
    int: _INT,
    float: _FLOAT,
    str: _STRING,
    list: _ARRAY,
    dict: _SPARSE,
}


class Columns:
    """The columns of a collection that filters and orderings have asked for."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}
        self._roster = Roster.of(np.empty(0, np.int64), np.empty(0, np.int64))

    def rebuild(self, roster: Roster) -> None:
        """Forget every column; each is read again when it is next asked for."""
        self._columns.clear()
        self._roster = roster

    def apply(self, change: Change, source: Source) -> None:
        """Take over one change in the columns that exist."""
        self._roster = change.roster
        for column in self._columns.values():
            column.resize(len(change.roster))
            column.clear(change.delta.moved)
        if self._columns:
            self._fill(self._columns, change.changed, source)

    def load(self, keys: Iterable[str], source: Source) -> None:
        """Build the columns of `keys` that do not exist yet, in one pass over the records."""
        missing = {key: Column(len(self._roster)) for key in keys if key not in self._columns}
        if missing:
            self._fill(missing, self._roster.ordinals, source)
            self._columns.update(missing)

    def column(self, key: str) -> Column:
        """Return a column that `load` has built."""
        return self._columns[key]

    def mask(self, leaf: MetadataLeaf) -> Mask:
        """Return which positions the leaf holds for; deleted records may be among them."""
        column = self._columns[leaf.key]
        if isinstance(leaf, Compare):
            return column.compare(leaf.comparison, leaf.operand)
        if isinstance(leaf, In):
            return column.among(leaf.operands)
        if isinstance(leaf, ArrayContains):
            return column.contains(leaf.operand)
        assert isinstance(leaf, Exists)
        return column.exists()

    def _fill(self, columns: dict[str, Column], ordinals: NDArray[np.int64], source: Source) -> None:
        decode = _decoder(tuple(columns))
        for block, text in source.metadata(ordinals):
            positions = self._roster.positions(block)
            for column, values in zip(columns.values(), decode(text), strict=True):
                column.set(positions, values)


@lru_cache(maxsize=256)
def _decoder(keys: tuple[str, ...]) -> Callable[[bytes], list[list[Any]]]:
    """Return a function from a JSON array of objects to the values of each key, None where it is absent."""
    names = [f"key_{index}" for index in range(len(keys))]
    try:
        # Decoding into a struct of just these keys skips all others without building them.
        shape = msgspec.defstruct("Row", [(n, Any, None) for n in names], rename=dict(zip(names, keys, strict=True)))
        read = msgspec.json.Decoder(list[shape]).decode  # type: ignore[valid-type]  # a type made at run time
        return lambda text: _transposed(read(text), [attrgetter(name) for name in names])
    except ValueError:  # a key that needs escaping in JSON cannot be a field's name
        getters = [lambda row, key=key: row.get(key) for key in keys]
        return lambda text: _transposed(msgspec.json.decode(text), getters)


def _transposed(rows: list[Any], getters: Sequence[Callable[[Any], Any]]) -> list[list[Any]]:
    return [list(map(getter, rows)) for getter in getters]


class Column:
    """The values of one key. Arrays for a type are made when the first value of that type comes."""

    def __init__(self, count: int) -> None:
        self._kinds = np.zeros(count, np.int8)
        self._ints: NDArray[np.int64] | None = None
        self._floats: NDArray[np.float64] | None = None
        self._codes: NDArray[np.int32] | None = None
        self._code_of: dict[str, int] = {}
        self._strings: list[str] = []
        self._elements = _Elements()
        self._ranks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._kinds)

    def resize(self, count: int) -> None:
        """Make room for positions up to `count`."""
        extra = count - len(self._kinds)
        if extra > 0:
            self._ranks = None
            self._kinds = np.concatenate([self._kinds, np.zeros(extra, np.int8)])
            self._ints = _padded(self._ints, extra)
            self._floats = _padded(self._floats, extra)
            self._codes = _padded(self._codes, extra)

    def clear(self, positions: Positions) -> None:
        """Forget the values at `positions`."""
        if positions.size:
            self._ranks = None
            self._kinds[positions] = _ABSENT
            self._elements.remove(positions)

    def set(self, positions: Positions, values: list[Any]) -> None:
        """Store values of the metadata at `positions`, which hold none; None is absent."""
        self._ranks = None
        kinds = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.int8, len(values))
        self._kinds[positions] = kinds
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            picked = values if len(chosen) == len(values) else [values[index] for index in chosen.tolist()]
            self._store(kind, positions[chosen], picked)

    def _store(self, kind: int, positions: Positions, values: list[Any]) -> None:
        if kind in {_BOOL, _INT}:
            if self._ints is None:
                self._ints = np.zeros(len(self), np.int64)
            self._ints[positions] = np.array(values, np.int64)
        elif kind == _FLOAT:
            if self._floats is None:
                self._floats = np.zeros(len(self), np.float64)
            self._floats[positions] = values
        elif kind == _STRING:
            if self._codes is None:
                self._codes = np.zeros(len(self), np.int32)
            self._codes[positions] = np.fromiter(map(self._code, values), np.int32, len(values))
        elif kind == _ARRAY:
            self._elements.add(positions, values)

    def _code(self, text: str) -> int:
        code = self._code_of.get(text)
        if code is None:
            code = self._code_of[text] = len(self._strings)
            self._strings.append(text)
        return code

    # -- filters ------------------------------------------------------------------------------------------------

    def exists(self) -> Mask:
        """Return where the key is present."""
        present: Mask = self._kinds != _ABSENT
        return present

    def compare(self, comparison: Comparison, operand: Scalar) -> Mask:
        """Return where the value compares so with `operand`: by value among numbers, else only with its own type."""
        if isinstance(operand, bool):
            return self._typed(_BOOL, self._ints, operand)
        if isinstance(operand, str):
            code = self._code_of.get(operand)
            return self._nowhere() if code is None else self._typed(_STRING, self._codes, code)
        mask = self._nowhere()
        if self._ints is not None:
            mask |= (self._kinds == _INT) & _compare_ints(self._ints, comparison, operand)
        if self._floats is not None:
            mask |= (self._kinds == _FLOAT) & _compare_floats(self._floats, comparison, operand)
        return mask

    def among(self, operands: Iterable[Scalar]) -> Mask:
        """Return where the value equals one of `operands`."""
        operands = list(operands)
        if len(operands) > 8 and all(isinstance(operand, str) for operand in operands):
            codes = [code for operand in operands if (code := self._code_of.get(str(operand))) is not None]
            if self._codes is None or not codes:
                return self._nowhere()
            member: Mask = (self._kinds == _STRING) & np.isin(self._codes, np.array(codes, np.int32))
            return member
        mask = self._nowhere()
        for operand in operands:
            mask |= self.compare("eq", operand)
        return mask

    def contains(self, operand: Scalar) -> Mask:
        """Return where the value is an array with an element equal to `operand` and of its type."""
        mask = self._nowhere()
        mask[self._elements.having(operand)] = True
        return mask

    def _typed(self, kind: int, array: NDArray[Any] | None, value: int) -> Mask:
        if array is None:
            return self._nowhere()
        mask: Mask = (self._kinds == kind) & (array == value)
        return mask

    def _nowhere(self) -> Mask:
        return np.zeros(len(self._kinds), np.bool_)

    # -- ordering -----------------------------------------------------------------------------------------------

    def ranks(self) -> NDArray[np.int64]:
        """Return a number a position that orders as the values do: bools, numbers, strings; -1 where there is none."""
        if self._ranks is None:
            ranks = np.full(len(self), -1, np.int64)
            start = 0
            for members in ((_BOOL,), (_INT, _FLOAT), (_STRING,)):
                chosen = np.flatnonzero(np.isin(self._kinds, members))
                if chosen.size:
                    distinct, inverse = _ranked(self._values(chosen, self._kinds[chosen]))
                    ranks[chosen] = start + inverse
                    start += distinct
            self._ranks = ranks
        return self._ranks

    def _values(self, positions: Positions, kinds: NDArray[np.int8]) -> list[Any] | NDArray[Any]:
        present = set(np.unique(kinds).tolist())
        if present <= {_BOOL, _INT}:
            assert self._ints is not None
            return self._ints[positions]
        if present == {_FLOAT}:
            assert self._floats is not None
            return self._floats[positions]
        if present == {_STRING}:
            assert self._codes is not None
            return [self._strings[code] for code in self._codes[positions].tolist()]
        assert self._ints is not None
        assert self._floats is not None
        whole, fractional = self._ints[positions].tolist(), self._floats[positions].tolist()
        return [whole[i] if kind == _INT else fractional[i] for i, kind in enumerate(kinds.tolist())]


class _Elements:
    """The elements of array values, as parallel lists of positions and codes of (type, value)."""

    def __init__(self) -> None:
        self._positions = np.empty(0, np.int64)
        self._codes = np.empty(0, np.int32)
        self._code_of: dict[tuple[type, Scalar], int] = {}

    def add(self, positions: Positions, arrays: list[list[Scalar]]) -> None:
        lengths = [len(array) for array in arrays]
        codes = [self._code_of.setdefault((type(item), item), len(self._code_of)) for array in arrays for item in array]
        self._positions = np.concatenate([self._positions, np.repeat(positions, lengths)])
        self._codes = np.concatenate([self._codes, np.array(codes, np.int32)])

    def remove(self, positions: Positions) -> None:
        if self._positions.size:
            kept = ~np.isin(self._positions, positions)
            self._positions, self._codes = self._positions[kept], self._codes[kept]

    def having(self, operand: Scalar) -> Positions:
        code = self._code_of.get((type(operand), operand))
        return self._positions[:0] if code is None else self._positions[self._codes == code]


def _padded(array: NDArray[Any] | None, extra: int) -> NDArray[Any] | None:
    return None if array is None else np.concatenate([array, np.zeros(extra, array.dtype)])


def _ranked(values: list[Any] | NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """Return how many distinct values there are and the rank of each; lists are compared as Python does, exactly."""
    if isinstance(values, np.ndarray):
        distinct, inverse = np.unique(values, return_inverse=True)
        return len(distinct), inverse.astype(np.int64)
    rank = {value: index for index, value in enumerate(sorted(set(values)))}
    return len(rank), np.array([rank[value] for value in values], np.int64)


def _compare_ints(array: NDArray[np.int64], comparison: Comparison, operand: float) -> Mask:
    """Compare 64-bit integers with any number, exactly: a fraction moves to the integer bound of the same meaning."""
    if isinstance(operand, float):
        if math.isinf(operand):
            return np.full(len(array), (operand > 0) == (comparison in {"lt", "lte"}) and comparison != "eq")
        if comparison == "eq" and not operand.is_integer():
            return np.zeros(len(array), np.bool_)
        if not operand.is_integer():
            comparison = {"gt": "gt", "gte": "gt", "lt": "lte", "lte": "lte"}[comparison]  # type: ignore[assignment]
        operand = math.floor(operand)
    if not INT_MIN <= operand <= INT_MAX:
        below = operand > 0  # every stored integer is below the operand
        return np.full(len(array), comparison in ({"lt", "lte"} if below else {"gt", "gte"}))
    return _compared(array, comparison, operand)


def _compare_floats(array: NDArray[np.float64], comparison: Comparison, operand: float) -> Mask:
    """Compare floats with any number, exactly: an integer between two floats is moved to the nearer bound."""
    near = float(operand)
    if near == operand:
        return _compared(array, comparison, near)
    if comparison == "eq":
        return np.zeros(len(array), np.bool_)
    if near > operand:  # no float lies in [operand, near): x > operand exactly when x >= near
        comparison = "gte" if comparison in {"gt", "gte"} else "lt"
    else:
        comparison = "gt" if comparison in {"gt", "gte"} else "lte"
    return _compared(array, comparison, near)


def _compared(array: NDArray[Any], comparison: Comparison, operand: float) -> Mask:
    result: Mask
    if comparison == "eq":
        result = array == operand
    elif comparison == "gt":
        result = array > operand
    elif comparison == "gte":
        result = array >= operand
    elif comparison == "lt":
        result = array < operand
    else:
        result = array <= operand
    return result
