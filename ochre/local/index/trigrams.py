"""Where every three bytes stand in a set of documents: arrays that answer what a text occurs in without reading one.

The UTF-8 bytes of the documents lie behind each other, each document followed by two bytes that UTF-8 does not use, so
nothing occurs across two of them. The offset of every byte stands in the list of the *trigram* that begins there: the
number that the byte makes with the next two. The lists, each ascending, lie behind each other in one array, by trigram.
A text occurs where the lists of its trigrams, each shifted by the trigram's place in the text, meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.local.index.needles import Needle
from ochre.local.index.roster import Mask, Ordinals

PART_BYTES = 1 << 24
"""Text that one part covers, 16 MiB; a longer document makes a part of its own."""

_CHUNK = 1 << 19  # offsets sorted at once
_END = b"\xff\xff"
_FAR_SMALLER = 8  # how many times longer a list must be than another for a search in it to beat sorting both

Offsets = NDArray[np.uint32]
Numbers = NDArray[np.uint32]
Counts = NDArray[np.int64]


def build(documents: Iterable[tuple[int, str]], part_bytes: int = PART_BYTES) -> Iterator[dict[str, NDArray[Any]]]:
    """Index documents, in parts of up to `part_bytes` of text, and yield the arrays of each.

    A part takes a little over four bytes a byte of text, and while it is made about twelve: 0.2 GB for a full one.

    Args:
        documents: (ordinal, document) pairs, the ordinals ascending.
        part_bytes: where a part ends.

    Yields:
        `trigrams`: the distinct ones, ascending, `(t,)` uint32;
        `starts`: where the list of each begins in `offsets`, and where the last ends, `(t + 1,)` uint32;
        `offsets`: the lists, `(bytes,)` uint32;
        `documents`: the offset at which each document begins, `(n,)` uint32;
        `ordinals`: the records they belong to, ascending, `(n,)` int64.
    """
    ordinals: list[int] = []
    texts: list[bytes] = []
    size = 0
    for ordinal, document in documents:
        text = document.encode()
        if ordinals and size + len(text) > part_bytes:
            yield _part(ordinals, texts)
            ordinals, texts, size = [], [], 0
        ordinals.append(ordinal)
        texts.append(text)
        size += len(text) + len(_END)
    if ordinals:
        yield _part(ordinals, texts)


def _part(ordinals: list[int], texts: list[bytes]) -> dict[str, NDArray[Any]]:
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + len(_END))
    texts.append(b"")  # so that the last one has its end too
    joined = np.frombuffer(_END.join(texts), np.uint8)
    texts.clear()
    last = len(joined) - len(_END)
    chunks = [_sorted(joined, start, min(start + _CHUNK, last)) for start in range(0, last, _CHUNK)]
    return {
        **_merged(chunks),
        "documents": np.concatenate(([0], ends[:-1])).astype(np.uint32),
        "ordinals": np.array(ordinals, np.int64),
    }


def _sorted(text: NDArray[np.uint8], start: int, stop: int) -> tuple[Numbers, Counts, Offsets]:
    """Return the trigrams that begin in a stretch of text, ascending, the length of the list of each, and the lists."""
    first = text[start:stop]
    numbers = first.astype(np.uint64)
    for step in (1, 2):
        numbers <<= np.uint64(8)
        numbers |= text[start + step : stop + step]
    offsets = np.flatnonzero(first != _END[0])
    keys = numbers[offsets]
    keys <<= np.uint64(32)
    keys |= (offsets + start).astype(np.uint64)
    keys.sort()
    numbers = keys >> np.uint64(32)
    fresh = np.ones(len(keys), np.bool_)
    fresh[1:] = numbers[1:] != numbers[:-1]
    firsts = np.flatnonzero(fresh)
    return numbers[firsts].astype(np.uint32), np.diff(firsts, append=len(keys)), keys.astype(np.uint32)


def _merged(chunks: list[tuple[Numbers, Counts, Offsets]]) -> dict[str, NDArray[Any]]:
    """Join the lists of chunks that follow on each other."""
    nothing = (np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.uint32))
    numbers, counts, _ = map(np.concatenate, zip(*(chunks or [nothing]), strict=True))
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(counts[order])
    begins = np.empty(len(numbers), np.int64)
    begins[order] = ends - counts[order]
    offsets = np.empty(int(counts.sum()), np.uint32)
    taken = 0
    while chunks:
        own, lengths, found = chunks.pop(0)
        shifts = begins[taken : taken + len(own)] - (np.cumsum(lengths) - lengths)
        offsets[np.repeat(shifts, lengths) + np.arange(len(found))] = found
        taken += len(own)
    trigrams, firsts = np.unique(numbers[order], return_index=True)
    starts = np.append(begins[order][firsts], len(offsets)).astype(np.uint32)
    return {"trigrams": trigrams, "starts": starts, "offsets": offsets}


class TextSegment:
    """The arrays of one part, which may be mapped and read-only.

    Attributes:
        ordinals: the records whose documents it covers, ascending, `(n,)`.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `build` has yielded."""
        self.ordinals: Ordinals = arrays["ordinals"]
        self._trigrams: Numbers = arrays["trigrams"]
        self._starts: NDArray[np.uint32] = arrays["starts"]
        self._offsets: Offsets = arrays["offsets"]
        self._documents: Offsets = arrays["documents"]

    def lists(self, needle: Needle) -> Lists:
        """Find the lists that a needle is about, without reading them."""
        ranges = np.array([range_ for window in needle.windows for range_ in window], np.uint32).reshape(-1, 2)
        bounds = self._starts[np.searchsorted(self._trigrams, ranges.ravel())].reshape(-1, 2).astype(np.int64)
        ends = np.cumsum([len(window) for window in needle.windows], dtype=np.int64)
        return Lists(self, np.split(bounds, ends[:-1]) if len(ends) else [])

    def merged(self, bounds: NDArray[np.int64]) -> Offsets:
        """Return the offsets of some lists `(k, 2)` in one, ascending."""
        found = [self._offsets[start:end] for start, end in bounds.tolist() if end > start]
        if len(found) == 1 and len(bounds) == 1:
            return found[0]
        joined = np.concatenate(found) if found else np.empty(0, np.uint32)
        joined.sort()
        return joined

    def owners(self, offsets: Offsets) -> Mask:
        """Return in which documents the offsets lie, `(n,)` bool."""
        mask = np.zeros(len(self.ordinals), np.bool_)
        mask[np.searchsorted(self._documents, offsets, side="right") - 1] = True
        return mask


class Lists:
    """What a segment has about one needle.

    Attributes:
        size: how many offsets there are to look at.
    """

    def __init__(self, segment: TextSegment, windows: list[NDArray[np.int64]]) -> None:
        self._segment = segment
        self._windows = windows
        self._sizes = [int((bounds[:, 1] - bounds[:, 0]).sum()) for bounds in windows]
        self.size = min(self._sizes, default=len(segment.ordinals))

    def documents(self) -> Mask:
        """Return which documents the needle is found in, `(n,)` bool."""
        if not self._windows:
            return np.ones(len(self._segment.ordinals), np.bool_)
        return self._segment.owners(self._occurrences())

    def _occurrences(self) -> Offsets:
        """Return where all windows stand at their distances, beginning with the rarest."""
        rarest = self._sizes.index(self.size)
        found = self._segment.merged(self._windows[rarest]) - np.uint32(rarest)  # below 0 it wraps, and is not found
        last = len(self._windows) - 1
        cover = {*range(0, last, 3), last} - {rarest}
        for shift in sorted(cover, key=self._sizes.__getitem__):
            if not len(found):
                break
            found = _common(found + np.uint32(shift), self._segment.merged(self._windows[shift])) - np.uint32(shift)
        return found


def _common(few: Offsets, many: Offsets) -> Offsets:
    """Return what two lists, each without repeats, have in common."""
    if len(few) * _FAR_SMALLER < len(many):
        places = np.searchsorted(many, few)
        places[places == len(many)] = 0
        common: Offsets = few[many[places] == few]
        return common
    joined = np.concatenate([few, many])
    joined.sort()
    twice: Offsets = joined[1:][joined[1:] == joined[:-1]]
    return twice


def packed(parts: Iterable[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Put the arrays of several parts under one roof, named by the number of their part."""
    return {f"{number}.{name}": array for number, part in enumerate(parts) for name, array in part.items()}


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> list[TextSegment]:
    """Undo `packed`."""
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        number, _, own = name.partition(".")
        parts.setdefault(number, {})[own] = array
    return [TextSegment(part) for part in parts.values()]
