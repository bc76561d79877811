"""The roster: which records a collection has, in insertion order, and the arena slot of each.

A position is an index into the roster's arrays. A roster is immutable: catching up makes a new one, so whoever holds
an old one goes on reading the snapshot it belongs to. Arrays are shared between generations where they did not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ordinals = NDArray[np.int64]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]
"""One bool a position of a roster."""


@dataclass(frozen=True, slots=True)
class RosterDelta:
    """What a step of catching up did.

    Attributes:
        moved: positions whose records were replaced or deleted.
        added: how many positions were appended at the end.
    """

    moved: Positions
    added: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Records by position.

    Attributes:
        ordinals: ascending, `(n,)` int64.
        slots: rows of the arena, `(n,)` int64.
        live: False where the record was deleted, `(n,)` bool.
        dead: how many are deleted.
        inverse: the position of each slot's record, -1 where no record has the slot, `(m,)` int64, m above any slot;
            None while every slot is its own position.
    """

    ordinals: Ordinals
    slots: NDArray[np.int64]
    live: Mask
    dead: int
    inverse: Positions | None

    @classmethod
    def of(cls, ordinals: Ordinals, slots: NDArray[np.int64]) -> Roster:
        """Build a roster of records that all exist; `ordinals` ascend."""
        return cls(ordinals, slots, np.ones(len(ordinals), np.bool_), 0, _inverted(slots))

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> Roster:
        """Build the roster that `packed` returned as arrays, reading none of them."""
        ordinals, slots = arrays["ordinals"], arrays["slots"]
        return cls(ordinals, slots, np.ones(len(ordinals), np.bool_), 0, arrays.get("inverse"))

    def packed(self) -> dict[str, NDArray[Any]]:
        """Return the records that exist as arrays for a checkpoint."""
        slots = self.slots[self.live]
        inverse = _inverted(slots)
        arrays = {"ordinals": self.ordinals[self.live], "slots": slots}
        return arrays if inverse is None else arrays | {"inverse": inverse}

    def __len__(self) -> int:
        return len(self.ordinals)

    @property
    def count(self) -> int:
        """The number of records that exist."""
        return len(self.ordinals) - self.dead

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, what lies in a checkpoint left out."""
        arrays = (self.ordinals, self.slots, self.live, self.inverse)
        return sum(array.nbytes for array in arrays if array is not None and array.flags.writeable)

    def positions(self, ordinals: Ordinals) -> Positions:
        """Return the positions of `ordinals` (in any order), -1 for those not here."""
        if not len(self.ordinals):
            return np.full(len(ordinals), -1, np.int64)
        found = np.searchsorted(self.ordinals, ordinals)
        found[found == len(self.ordinals)] = 0
        found[self.ordinals[found] != ordinals] = -1
        return found

    def at(self, slots: NDArray[np.int64]) -> Positions:
        """Return the positions of the records that have these slots, -1 where none has."""
        inside = slots < (len(self) if self.inverse is None else len(self.inverse))
        found: Positions = np.where(inside, slots, -1)
        if self.inverse is not None:
            found[inside] = self.inverse[slots[inside]]
        if self.dead:
            found[(found >= 0) & ~self.live[found]] = -1
        return found

    def selected(self, mask: Mask, below: int) -> Mask:
        """Return which of the slots `below` belong to records of `mask`, `(below,)` bool."""
        result = np.zeros(below, np.bool_)
        if self.inverse is None:
            result[: len(mask)] = mask[:below]
        else:
            own = self.slots[mask]
            result[own[own < below]] = True
        return result

    def page(self, offset: int, limit: int | None) -> Positions:
        """Return the positions of the existing records from the `offset`-th on, at most `limit` of them."""
        stop = self.count if limit is None else min(offset + limit, self.count)
        if not self.dead:
            return np.arange(offset, max(stop, offset), dtype=np.int64)
        return np.flatnonzero(self.live)[offset : max(stop, offset)]

    def updated(self, changed: Ordinals, ordinals: Ordinals, slots: NDArray[np.int64]) -> tuple[Roster, RosterDelta]:
        """Return the roster after a change.

        Args:
            changed: ordinals that were inserted, replaced or deleted; ascending, without repeats.
            ordinals: those of them that exist now, ascending; the ones beyond the roster's last are new.
            slots: the arena rows of `ordinals`.
        """
        known = int(self.ordinals[-1]) if len(self) else -1
        split = int(np.searchsorted(ordinals, known, side="right"))
        moved = self.positions(changed[: np.searchsorted(changed, known, side="right")])
        moved = moved[moved >= 0]
        live, own, dead = self.live, self.slots, self.dead
        if moved.size:
            live, own = live.copy(), own.copy()
            live[moved] = False
            kept = self.positions(ordinals[:split])
            live[kept] = True
            own[kept] = slots[:split]
            dead = len(live) - int(np.count_nonzero(live))
        added = len(ordinals) - split
        extended = _extended(own, slots[split:])
        roster = Roster(
            _extended(self.ordinals, ordinals[split:]),
            extended,
            _extended(live, np.ones(added, np.bool_)),
            dead,
            self._inverse_after(extended, moved),
        )
        return roster, RosterDelta(moved, added)

    def _inverse_after(self, slots: NDArray[np.int64], moved: Positions) -> Positions | None:
        """Return the inverse of `slots`, which are those of this roster but for `moved` ones and some at the end."""
        count = len(self)
        inverse = np.arange(count) if self.inverse is None else self.inverse
        changed = moved[self.slots[moved] != slots[moved]]
        fresh = slots[count:]
        if not changed.size and np.array_equal(fresh, np.arange(len(inverse), len(inverse) + len(fresh))):
            return None if self.inverse is None else _extended(inverse, np.arange(count, len(slots)))
        grown = np.full(max(len(inverse), int(slots[changed].max(initial=-1)) + 1, int(fresh.max(initial=-1)) + 1), -1)
        grown[: len(inverse)] = inverse
        grown[self.slots[changed]] = -1
        grown[slots[changed]] = changed
        grown[fresh] = np.arange(count, len(slots))
        return grown


def _inverted(slots: NDArray[np.int64]) -> Positions | None:
    if not slots.size or np.array_equal(slots, np.arange(len(slots))):
        return None
    inverse = np.full(int(slots.max()) + 1, -1, np.int64)
    inverse[slots] = np.arange(len(slots))
    return inverse


def _extended(array: NDArray[Any], extra: NDArray[Any]) -> NDArray[Any]:
    """Append, in the spare room behind `array` if there is some: older rosters end before it and do not see it."""
    if not len(extra):
        return array
    count = len(array)
    buffer = array if array.base is None else array.base
    if len(buffer) < count + len(extra):
        buffer = np.empty(count + max(len(extra), count // 2), array.dtype)
        buffer[:count] = array
    buffer[count : count + len(extra)] = extra
    return buffer[: count + len(extra)]
