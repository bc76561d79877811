"""Dictionaries: the distinct texts of a column, each with a number.

A dictionary has two parts: texts of a checkpoint, sorted, that are read where they lie, and those added since.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]

_OVERHEAD_BYTES = 150  # of a text that was added: the object, its places in a list and a hash table
_SEARCHED_SHARE = 32  # a search takes as long as reading about so many texts
_RUN = 4096  # texts sorted in one go: other threads wait meanwhile


class Dictionary:
    """Distinct texts, numbered from zero. A text keeps its number."""

    def __init__(self, stored: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Begin empty, or with what `packed` returned."""
        offsets = np.zeros(1, np.int64) if stored is None else stored["offsets"]
        self._offsets: NDArray[np.int64] = offsets
        self._bytes = memoryview(b"") if stored is None else stored["bytes"].data
        self._known = len(offsets) - 1  # texts of the checkpoint
        self._added: list[str] = []
        self._codes: dict[str, int] = {}  # of those added; of all once `_decoded`
        self._decoded = not self._known
        self._searched = 0
        self._characters = 0

    def __len__(self) -> int:
        return self._known + len(self._added)

    @property
    def ordered(self) -> bool:
        """Whether the numbers order as the texts do."""
        return not self._added

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, what lies in a checkpoint left out."""
        return self._characters + _OVERHEAD_BYTES * len(self._codes)

    def find(self, text: str) -> int | None:
        """Return the number of a text, None if it is not here."""
        code = self._codes.get(text)
        if code is not None or self._decoded:
            return code
        self._searched += 1
        if self._searched > self._known // _SEARCHED_SHARE:
            self._decode()
            return self._codes.get(text)
        sought = text.encode(errors="surrogatepass")  # half a pair is never stored, but may be asked for
        place = bisect_left(range(self._known), sought, key=self._stored)
        return place if place < self._known and self._stored(place) == sought else None

    def number(self, text: str) -> int:
        """Return the number of a text, which is added if it is not here."""
        code = self.find(text)
        if code is None:
            code = self._codes[text] = len(self)
            self._added.append(text)
            self._characters += len(text)
        return code

    def texts(self) -> list[str]:
        """Return all texts by number."""
        return [self._stored(place).decode() for place in range(self._known)] + self._added

    def packed(self, used: Codes) -> tuple[dict[str, NDArray[Any]], Codes]:
        """Return arrays of the texts with the numbers `used` (ascending), and their new numbers by old ones."""
        if self.ordered and len(used) == len(self):
            stored = np.frombuffer(self._bytes, np.uint8)
            return {"bytes": stored, "offsets": self._offsets}, np.arange(len(self), dtype=np.int32)
        texts = self.texts()
        number = {texts[code]: code for code in used.tolist()}
        renumbered = np.zeros(len(texts), np.int32)
        encoded = []
        for place, text in enumerate(_sorted(number)):
            renumbered[number[text]] = place
            encoded.append(text.encode())
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "offsets": offsets}, renumbered

    def _stored(self, place: int) -> bytes:
        return bytes(self._bytes[self._offsets[place] : self._offsets[place + 1]])

    def _decode(self) -> None:
        """Make a hash table of all texts, once enough of them have been looked for."""
        self._codes = {text: code for code, text in enumerate(self.texts())}
        self._characters = sum(map(len, self._codes))
        self._decoded = True


def _sorted(texts: Iterable[str]) -> Iterable[str]:
    """Sort as `sorted` does, and let other threads run in between. UTF-8 sorts as its texts do."""
    given = list(texts)
    return heapq.merge(*(sorted(given[start : start + _RUN]) for start in range(0, len(given), _RUN)))
