"""The elements of array values, by element: which positions hold an array with it.

Those of a checkpoint lie sorted by element, so that looking one up reads no others; those added since are a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.local.index.dictionary import Codes, Dictionary
from ochre.local.index.roster import Mask, Positions
from ochre.model.records import Scalar


class Elements:
    """Pairs of a position and the number of an element; an element's text in the dictionary tells its type, too."""

    def __init__(self, stored: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Begin empty, or with what `packed` returned."""
        self._texts = Dictionary(stored)
        self._stored: NDArray[np.int64] = np.empty(0, np.int64) if stored is None else stored["positions"]
        self._starts: NDArray[np.int64] = np.zeros(1, np.int64) if stored is None else stored["starts"]
        self._overruled: Mask | None = None  # by position: what is stored of it does not hold any more
        self._positions = np.empty(0, np.int64)
        self._codes: Codes = np.empty(0, np.int32)

    @property
    def distinct(self) -> int:
        """How many different elements it has seen."""
        return len(self._texts)

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, what lies in a checkpoint left out."""
        return self._texts.weight + self._positions.nbytes + self._codes.nbytes

    def add(self, positions: Positions, arrays: list[list[Scalar]]) -> None:
        """Add the elements of arrays at `positions`, which hold none."""
        lengths = [len(array) for array in arrays]
        number = self._texts.number
        codes = [number(_tagged(item)) for array in arrays for item in array]
        self._positions = np.concatenate([self._positions, np.repeat(positions, lengths)])
        self._codes = np.concatenate([self._codes, np.array(codes, np.int32)])

    def remove(self, positions: Positions) -> None:
        """Forget the elements at `positions`."""
        if self._positions.size:
            kept = ~np.isin(self._positions, positions)
            self._positions, self._codes = self._positions[kept], self._codes[kept]
        if self._stored.size:
            if self._overruled is None:
                self._overruled = np.zeros(int(self._stored.max()) + 1, np.bool_)
            self._overruled[positions[positions < len(self._overruled)]] = True

    def having(self, operand: Scalar) -> Positions:
        """Return the positions of arrays with an element equal to `operand` and of its type, some of them twice."""
        code = self._texts.find(_tagged(operand))
        if code is None:
            return self._positions[:0]
        added: Positions = self._positions[self._codes == code]
        if code + 1 >= len(self._starts):
            return added
        stored: Positions = self._stored[self._starts[code] : self._starts[code + 1]]
        if self._overruled is not None:
            stored = stored[~self._overruled[stored]]
        found: Positions = np.concatenate([stored, added])
        return found

    def packed(self, places: Positions) -> dict[str, NDArray[Any]]:
        """Return arrays of the elements, with positions moved to `places`; those at negative places are left out."""
        stored = self._stored if self._overruled is None else np.where(self._overruled[self._stored], -1, self._stored)
        positions = np.concatenate([stored, self._positions]).astype(np.int64)
        codes = np.concatenate([np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)), self._codes])
        positions = np.where(positions < 0, -1, places[positions])
        codes, positions = codes[positions >= 0], positions[positions >= 0]
        used = np.unique(codes)
        texts, renumbered = self._texts.packed(used)
        codes = renumbered[codes]
        order = np.lexsort((positions, codes))
        starts = np.searchsorted(codes[order], np.arange(len(used) + 1))
        return {**texts, "positions": positions[order], "starts": starts.astype(np.int64)}


def _tagged(value: Scalar) -> str:
    """Return a text that no value of another type has, and no other value of its type."""
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, bool):
        return f"b{value:d}"
    return f"i{value}" if isinstance(value, int) else f"f{value + 0.0!r}"  # the zeros are one
