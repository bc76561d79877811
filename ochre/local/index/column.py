"""One metadata column: the values of a key for all records, as typed arrays.

Scalars lie in arrays by position, of strings their numbers in a dictionary; the elements of arrays lie by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.local.index.dictionary import Codes, Dictionary
from ochre.local.index.elements import Elements
from ochre.local.index.roster import Mask, Positions
from ochre.model.filters import Comparison
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


class Column:
    """The values of one key. Arrays for a type are made when the first value of that type comes.

    Arrays have spare room behind the last position, all zeros, so that a record more does not copy them. Those of a
    checkpoint are read-only; the first change copies them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kinds = np.zeros(count, np.int8)
        self._ints: NDArray[np.int64] | None = None
        self._floats: NDArray[np.float64] | None = None
        self._codes: Codes | None = None
        self._strings = Dictionary()
        self._elements = Elements()
        self._ranks: NDArray[np.int64] | None = None

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> Column:
        """Return the column that `packed` returned as arrays, reading none of them."""
        column = cls(0)
        column._kinds = arrays["kinds"]
        column._count = len(column._kinds)
        column._ints, column._floats = arrays.get("ints"), arrays.get("floats")
        if "codes" in arrays:
            column._codes = arrays["codes"]
            column._strings = Dictionary(_named("strings", arrays))
        if "elements.positions" in arrays:
            column._elements = Elements(_named("elements", arrays))
        return column

    def packed(self, live: Mask) -> dict[str, NDArray[Any]]:
        """Return the values at the positions of `live`, which move together, as arrays for a checkpoint."""
        kept: Any = slice(self._count) if live.all() else np.flatnonzero(live)  # a slice copies nothing
        kinds = self._kinds[kept]
        present = set(np.unique(kinds).tolist())
        arrays: dict[str, NDArray[Any]] = {"kinds": kinds}
        if self._ints is not None and present & {_BOOL, _INT}:
            arrays["ints"] = self._ints[kept]
        if self._floats is not None and _FLOAT in present:
            arrays["floats"] = self._floats[kept]
        if self._codes is not None and _STRING in present:
            codes, texts = self._codes[kept], kinds == _STRING
            strings, renumbered = self._strings.packed(np.unique(codes[texts]))
            arrays["codes"] = np.where(texts, renumbered[codes], 0)
            arrays |= {f"strings.{name}": array for name, array in strings.items()}
        if _ARRAY in present:
            places = np.where(live, np.cumsum(live) - 1, -1)
            arrays |= {f"elements.{name}": array for name, array in self._elements.packed(places).items()}
        return arrays

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, what lies in a checkpoint left out."""
        arrays = (self._kinds, self._ints, self._floats, self._codes, self._ranks)
        own = sum(array.nbytes for array in arrays if array is not None and array.flags.writeable)
        return own + self._strings.weight + self._elements.weight

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
            self._kinds = _writable(self._kinds)
            self._kinds[positions] = _ABSENT
            self._elements.remove(positions)

    def set(self, positions: Positions, values: list[Any]) -> None:
        """Store values of the metadata at `positions`, which hold none; None is absent."""
        kinds = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.int8, len(values))
        if not kinds.any():
            return
        self._ranks = None
        self._kinds = _writable(self._kinds)
        self._kinds[positions] = kinds
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            picked = values if len(chosen) == len(values) else [values[index] for index in chosen.tolist()]
            self._store(kind, positions[chosen], picked)

    def _store(self, kind: int, positions: Positions, values: list[Any]) -> None:
        if kind in {_BOOL, _INT}:
            self._ints = np.zeros(len(self._kinds), np.int64) if self._ints is None else _writable(self._ints)
            self._ints[positions] = np.array(values, np.int64)
        elif kind == _FLOAT:
            self._floats = np.zeros(len(self._kinds), np.float64) if self._floats is None else _writable(self._floats)
            self._floats[positions] = values
        elif kind == _STRING:
            self._codes = np.zeros(len(self._kinds), np.int32) if self._codes is None else _writable(self._codes)
            self._codes[positions] = np.fromiter(map(self._strings.number, values), np.int32, len(values))
        elif kind == _ARRAY:
            self._elements.add(positions, values)

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
        texts = [code for text in operands if isinstance(text, str) and (code := self._strings.find(text)) is not None]
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
                    distinct, own = self._ranked(chosen, members)
                    ranks[chosen] = start + own
                    start += distinct
            self._ranks = ranks
        return self._ranks

    def _ranked(self, positions: Positions, kinds: tuple[int, ...]) -> tuple[int, NDArray[Any]]:
        """Return ranks of the values at `positions`, and a number above them."""
        if kinds == (_STRING,) and self._strings.ordered:
            assert self._codes is not None
            return len(self._strings), self._codes[positions]
        return _ranked(self._values(positions, self._kinds[positions]))

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
            texts = self._strings.texts()
            return [texts[code] for code in self._codes[positions].tolist()]
        assert self._ints is not None
        assert self._floats is not None
        whole, fractional = self._ints[positions].tolist(), self._floats[positions].tolist()
        return [whole[i] if kind == _INT else fractional[i] for i, kind in enumerate(kinds.tolist())]


def _named(part: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}.")}


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.writeable else array.copy()


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
