"""Metadata columns: per key, the values of all records as typed arrays, so that a filter becomes a boolean mask.

A column is built when a filter first names its key, and kept up to date from then on. Scalars lie in arrays by
position; the elements of arrays lie in one long list of (position, element) pairs.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.local.index.base import Change, Source
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.model.filters import And, ArrayContains, Compare, Comparison, Filter, In, MetadataLeaf, Not, Or
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


_KEPT = 64
"""Columns kept at once; the least used go first, and are read again when they are asked for."""


class Columns:
    """The columns of a collection that filters and orderings have asked for."""

    def __init__(self) -> None:
        self._columns: OrderedDict[str, Column] = OrderedDict()
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
            self._fill(self._columns, source.metadata(change.changed))
        for key in [key for key, column in self._columns.items() if column.wasteful]:
            del self._columns[key]

    def load(self, keys: Iterable[str], source: Source) -> None:
        """Build the columns of `keys` that do not exist yet, in one pass over the records that have one of them."""
        wanted = dict.fromkeys(keys)
        missing = {key: Column(len(self._roster)) for key in wanted if key not in self._columns}
        if missing:
            self._fill(missing, source.metadata(self._roster.ordinals, list(missing)))
            self._columns.update(missing)
        for key in wanted:
            self._columns.move_to_end(key)
        while len(self._columns) > max(_KEPT, len(wanted)):
            self._columns.popitem(last=False)

    def column(self, key: str) -> Column:
        """Return a column that `load` has built."""
        return self._columns[key]

    def mask(self, filter_: Filter) -> Mask:
        """Return which positions a filter without document leaves holds for; deleted records may be among them."""
        if isinstance(filter_, And | Or):
            every = isinstance(filter_, And)
            mask = np.full(len(self._roster), every, np.bool_)
            for part in filter_.parts if every else _joined(filter_.parts):
                if every:
                    mask &= self.mask(part)
                else:
                    mask |= self.mask(part)
            return mask
        if isinstance(filter_, Not):
            return ~self.mask(filter_.part)
        assert isinstance(filter_, MetadataLeaf)
        column = self._columns[filter_.key]
        if isinstance(filter_, Compare):
            return column.compare(filter_.comparison, filter_.operand)
        if isinstance(filter_, In):
            return column.among(filter_.operands)
        return column.contains(filter_.operand) if isinstance(filter_, ArrayContains) else column.exists()

    def _fill(self, columns: Mapping[str, Column], blocks: Iterable[tuple[NDArray[np.int64], bytes]]) -> None:
        decode = _decoder(tuple(columns))
        for block, text in blocks:
            positions = self._roster.positions(block)
            for column, values in zip(columns.values(), decode(text), strict=True):
                column.set(positions, values)


def _joined(parts: Iterable[Filter]) -> list[Filter]:
    """Make one `In` of the equalities with one key: applications write long `$or`s of them."""
    operands: dict[str, list[Scalar]] = {}
    others: list[Filter] = []
    for part in parts:
        if isinstance(part, Compare) and part.comparison == "eq":
            operands.setdefault(part.key, []).append(part.operand)
        else:
            others.append(part)
    return [*others, *(In(key, tuple(values)) for key, values in operands.items())]


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
    """The values of one key. Arrays for a type are made when the first value of that type comes.

    Arrays have spare room behind the last position, all zeros, so that a record more does not copy them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kinds = np.zeros(count, np.int8)
        self._ints: NDArray[np.int64] | None = None
        self._floats: NDArray[np.float64] | None = None
        self._codes: NDArray[np.int32] | None = None
        self._code_of: dict[str, int] = {}
        self._strings: list[str] = []
        self._elements = _Elements()
        self._ranks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def wasteful(self) -> bool:
        """Whether it remembers many more strings than there are records: values that were replaced since."""
        return max(len(self._strings), self._elements.distinct) > 2 * self._count + 1000

    def resize(self, count: int) -> None:
        """Make room for positions up to `count`."""
        if count <= self._count:
            return
        self._ranks = None
        self._count = count
        if count > len(self._kinds):
            room = count + count // 2
            self._kinds = _grown(self._kinds, room)
            self._ints, self._floats, self._codes = (
                None if array is None else _grown(array, room) for array in (self._ints, self._floats, self._codes)
            )

    def clear(self, positions: Positions) -> None:
        """Forget the values at `positions`."""
        if positions.size:
            self._ranks = None
            self._kinds[positions] = _ABSENT
            self._elements.remove(positions)

    def set(self, positions: Positions, values: list[Any]) -> None:
        """Store values of the metadata at `positions`, which hold none; None is absent."""
        kinds = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.int8, len(values))
        if not kinds.any():
            return
        self._ranks = None
        self._kinds[positions] = kinds
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            picked = values if len(chosen) == len(values) else [values[index] for index in chosen.tolist()]
            self._store(kind, positions[chosen], picked)

    def _store(self, kind: int, positions: Positions, values: list[Any]) -> None:
        if kind in {_BOOL, _INT}:
            if self._ints is None:
                self._ints = np.zeros(len(self._kinds), np.int64)
            self._ints[positions] = np.array(values, np.int64)
        elif kind == _FLOAT:
            if self._floats is None:
                self._floats = np.zeros(len(self._kinds), np.float64)
            self._floats[positions] = values
        elif kind == _STRING:
            if self._codes is None:
                self._codes = np.zeros(len(self._kinds), np.int32)
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
        present: Mask = self._kinds[: self._count] != _ABSENT
        return present

    def compare(self, comparison: Comparison, operand: Scalar) -> Mask:
        """Return where the value compares so with `operand`: by value among numbers, else only with its own type."""
        if isinstance(operand, bool | str):
            return self.among([operand])
        return self._numbers(
            lambda ints: _compare_ints(ints, comparison, operand),
            lambda floats: _compare_floats(floats, comparison, operand),
        )

    def among(self, operands: Iterable[Scalar]) -> Mask:
        """Return where the value equals one of `operands`."""
        mask = self._nowhere()
        flags = {operand for operand in operands if isinstance(operand, bool)}
        texts = [code for text in operands if isinstance(text, str) and (code := self._code_of.get(text)) is not None]
        numbers = [number for number in operands if not isinstance(number, bool | str)]
        if flags:
            mask |= self._typed(_BOOL, self._ints, lambda array: _member(array, [int(flag) for flag in flags]))
        if texts:
            mask |= self._typed(_STRING, self._codes, lambda array: _member(array, texts))
        if numbers:
            whole = [int(number) for number in numbers if _fits_int(number)]
            exact = [float(number) for number in numbers if _fits_float(number)]
            mask |= self._numbers(lambda ints: _member(ints, whole), lambda floats: _member(floats, exact))
        return mask

    def contains(self, operand: Scalar) -> Mask:
        """Return where the value is an array with an element equal to `operand` and of its type."""
        mask = self._nowhere()
        mask[self._elements.having(operand)] = True
        return mask

    def _numbers(
        self, ints: Callable[[NDArray[np.int64]], Mask], floats: Callable[[NDArray[np.float64]], Mask]
    ) -> Mask:
        return self._typed(_INT, self._ints, ints) | self._typed(_FLOAT, self._floats, floats)

    def _typed(self, kind: int, array: NDArray[Any] | None, test: Callable[[NDArray[Any]], Mask]) -> Mask:
        if array is None:
            return self._nowhere()
        mask: Mask = (self._kinds[: self._count] == kind) & test(array[: self._count])
        return mask

    def _nowhere(self) -> Mask:
        return np.zeros(self._count, np.bool_)

    # -- ordering -----------------------------------------------------------------------------------------------

    def ranks(self) -> NDArray[np.int64]:
        """Return a number a position that orders as the values do: bools, numbers, strings; -1 where there is none."""
        if self._ranks is None:
            ranks = np.full(len(self), -1, np.int64)
            start = 0
            for members in ((_BOOL,), (_INT, _FLOAT), (_STRING,)):
                chosen = np.flatnonzero(np.isin(self._kinds[: self._count], members))
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

    @property
    def distinct(self) -> int:
        """How many different elements it has seen."""
        return len(self._code_of)

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


def _grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    grown = np.zeros(room, array.dtype)
    grown[: len(array)] = array
    return grown


def _fits_int(number: float) -> bool:
    """Tell whether a 64-bit integer can equal the number."""
    return math.isfinite(number) and INT_MIN <= number <= INT_MAX and number == int(number)


def _fits_float(number: float) -> bool:
    """Tell whether a float can equal the number."""
    try:
        return float(number) == number
    except OverflowError:
        return False


def _member(array: NDArray[Any], values: list[Any]) -> Mask:
    if len(values) == 1:
        same: Mask = array == values[0]
        return same
    return np.isin(array, np.array(values, array.dtype))


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
