"""Metadata columns: per key, the values of all records as typed arrays, so that a filter becomes a boolean mask.

A column is built when a filter first names its key, and kept up to date from then on. It is built from the records'
metadata, or taken from a checkpoint and brought up to date by the metadata of the records that changed since.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.local.index.base import Change, Ordinals, Source
from ochre.local.index.column import Column
from ochre.local.index.roster import Mask, Roster
from ochre.model.filters import And, ArrayContains, Compare, Filter, In, MetadataLeaf, Not, Or
from ochre.model.records import Scalar

_KEPT = 64
"""Columns kept at once; the least used go first, and are read again when they are asked for."""

BUDGET_BYTES = 256 * 1024 * 1024
"""Memory that columns may take while a checkpoint is made of them; the largest are left out of it."""

_PREFIX = "columns"
_NOTES = 256  # changes after which they are put together


class Columns:
    """The columns of a collection that filters and orderings have asked for."""

    def __init__(self) -> None:
        self._columns: OrderedDict[str, Column] = OrderedDict()
        self._roster = Roster.of(np.empty(0, np.int64), np.empty(0, np.int64))
        self._stored: _Stored | None = None

    def rebuild(self, roster: Roster) -> None:
        """Forget every column; each is read again when it is next asked for."""
        self._columns.clear()
        self._roster = roster
        self._stored = None

    def restore(self, roster: Roster, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Begin with what `packed` returned, for a roster that has the same records; nothing is read yet."""
        self.rebuild(roster)
        self._stored = _Stored(len(roster), arrays, meta)

    def packed(self, source: Source) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Build the columns of all keys there are, and return the records that exist as arrays for a checkpoint.

        What is beyond `BUDGET_BYTES` is left out, and will be built from the records as ever.

        Returns:
            The arrays, and what `restore` must know about them.
        """
        columns, left_out = self._load_all(source)
        arrays = {
            f"{_PREFIX}.{number}.{name}": array
            for number, column in enumerate(columns.values())
            for name, array in column.packed(self._roster.live).items()
        }
        return arrays, {"keys": list(columns), "left_out": sorted(left_out)}

    def apply(self, change: Change, source: Source) -> None:
        """Take over one change in the columns that exist."""
        self._roster = change.roster
        if self._stored is not None and not self._stored.note(change.changed):
            self._stored = None
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
        missing = [key for key in wanted if key not in self._columns]
        if missing:
            self._columns.update(self._built(missing, source))
        for key in wanted:
            self._columns.move_to_end(key)
        while len(self._columns) > max(_KEPT, len(wanted)):
            self._columns.popitem(last=False)

    def column(self, key: str) -> Column:
        """Return a column that `load` has built."""
        return self._columns[key]

    @property
    def weight(self) -> int:
        """About how many bytes of memory they take, what lies in a checkpoint left out."""
        return sum(column.weight for column in list(self._columns.values()))

    def shed(self) -> None:
        """Forget the columns; each is taken from the checkpoint or read again when it is next asked for."""
        self._columns.clear()

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

    def _built(self, keys: Sequence[str], source: Source) -> dict[str, Column]:
        stored = self._stored
        ready = {} if stored is None else {key: self._taken_up(stored, key) for key in keys if stored.knows(key)}
        if stored is not None and ready and stored.changed.size:
            self._fill(ready, source.metadata(stored.changed, list(ready)))
        fresh = {key: Column(len(self._roster)) for key in keys if key not in ready}
        if fresh:
            self._fill(fresh, source.metadata(self._roster.ordinals, list(fresh)))
        return ready | fresh

    def _taken_up(self, stored: _Stored, key: str) -> Column:
        """Return a stored column without the values of the records that changed since."""
        column = stored.column(key)
        column.resize(len(self._roster))
        positions = self._roster.positions(stored.changed)
        column.clear(positions[positions >= 0])
        return column

    def _load_all(self, source: Source) -> tuple[dict[str, Column], set[str]]:
        """Build the columns of all keys, in one pass over the records; return them and the keys of those left out."""
        stored, left_out, ordinals = self._stored, set[str](), self._roster.ordinals
        columns: dict[str, Column] = {}
        if stored is not None:
            left_out |= stored.left_out
            ordinals = stored.changed
            columns |= {key: self._taken_up(stored, key) for key in stored.keys}
        for block, text in source.metadata(ordinals):
            positions = self._roster.positions(block)
            for key, (rows, values) in _by_key(text).items():
                if key not in left_out:
                    column = columns.get(key)
                    if column is None:
                        column = columns[key] = Column(len(self._roster))
                    column.set(positions[rows], values)
            for key in _heaviest(columns):
                left_out.add(key)
                del columns[key]
        return columns, left_out

    def _fill(self, columns: Mapping[str, Column], blocks: Iterable[tuple[NDArray[np.int64], bytes]]) -> None:
        decode = _decoder(tuple(columns))
        for block, text in blocks:
            positions = self._roster.positions(block)
            for column, values in zip(columns.values(), decode(text), strict=True):
                column.set(positions, values)


class _Stored:
    """The columns of a checkpoint, and the records that changed since.

    Attributes:
        keys: of the columns that are there.
        left_out: keys of which nothing is known; records had no others.
    """

    def __init__(self, count: int, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        self.keys: dict[str, int] = {key: number for number, key in enumerate(meta["keys"])}
        self.left_out = set(meta["left_out"])
        self._changed = [np.empty(0, np.int64)]
        self._count = count
        self._arrays = arrays

    def note(self, changed: Ordinals) -> bool:
        """Add changed records; return whether it is still quicker to read those than all."""
        self._changed.append(changed)
        return len(self._changed) < _NOTES or len(self.changed) <= self._count

    @property
    def changed(self) -> Ordinals:
        """The ordinals of the records that changed, ascending."""
        self._changed = [np.unique(np.concatenate(self._changed))]
        return self._changed[0]

    def knows(self, key: str) -> bool:
        """Tell whether it has all values of a key; there may be none."""
        return key not in self.left_out

    def column(self, key: str) -> Column:
        """Return the values of a key as they were."""
        if key not in self.keys:
            return Column(self._count)
        prefix = f"{_PREFIX}.{self.keys[key]}."
        return Column.restored({n[len(prefix) :]: self._arrays[n] for n in self._arrays if n.startswith(prefix)})


def _heaviest(columns: Mapping[str, Column]) -> list[str]:
    """Return the keys of columns to leave out, so that the others are within the budget."""
    weights = {key: column.weight for key, column in columns.items()}
    total, found = sum(weights.values()), []
    for key in sorted(weights, key=weights.__getitem__, reverse=True):
        if total <= BUDGET_BYTES:
            break
        total -= weights[key]
        found.append(key)
    return found


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


def _by_key(text: bytes) -> dict[str, tuple[list[int], list[Any]]]:
    """Turn a JSON array of objects into the values of each key, and the numbers of the objects that have them."""
    found: dict[str, tuple[list[int], list[Any]]] = {}
    for number, row in enumerate(msgspec.json.decode(text)):
        for key, value in row.items():
            pair = found.get(key)
            if pair is None:
                pair = found[key] = ([], [])
            pair[0].append(number)
            pair[1].append(value)
    return found


def _transposed(rows: list[Any], getters: Sequence[Callable[[Any], Any]]) -> list[list[Any]]:
    return [list(map(getter, rows)) for getter in getters]
