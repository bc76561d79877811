"""The rows that a damaged SQLite file still holds, read from its pages one by one, without the tree above them.

The rows of a table are in its leaf pages, and SQLite reaches those through the pages above: where one of these is
damaged, hundreds of leaves are out of its reach, though nothing is wrong with them. Here each page speaks for itself:
its checksum says that it is whole, and SQLite's map of pages that it is in use. https://sqlite.org/fileformat2.html
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from ochre.local.pages import PAGE_BYTES, RESERVED_BYTES

HEADER = b"SQLite format 3\0" + struct.pack(">H6B", PAGE_BYTES, 2, 2, RESERVED_BYTES, 64, 32, 32)
"""How every file of ours begins."""

_USABLE = PAGE_BYTES - RESERVED_BYTES
_MAPPED = _USABLE // 5 + 1  # pages from one page of the map to the next
_IN_USE = (1, 5)  # in the map: the root, and any other page, of a tree
_MOST_LOCAL = _USABLE - 35
_LEAST_LOCAL = (_USABLE - 12) * 32 // 255 - 23
_LEAF = 0x0D
_INTEGERS = (0, 1, 2, 3, 4, 6, 8)  # bytes, by serial type

Row = tuple[int, list[Any]]
"""A row's key and its values; fewer than the table has columns where a page of a long row is damaged."""


def mend(path: Path) -> None:
    """Write what SQLite has to find before it reads a copy of a damaged file: the header, and room for all pages.

    Pages that are missing become zeros, which are no rows.
    """
    with path.open("r+b") as file:
        page = HEADER + file.read(PAGE_BYTES)[len(HEADER) :]
        file.seek(0)
        file.write(HEADER)
        length = int.from_bytes(page[28:32], "big") * PAGE_BYTES
        if _checksum(page[:_USABLE].ljust(_USABLE, b"\0")) == page[_USABLE:] and file.seek(0, os.SEEK_END) < length:
            file.truncate(length)


class Leaves:
    """The leaf pages of the tables of a file that nobody writes; a context manager.

    Attributes:
        map_damaged: whether a page is damaged that tells which others are in use.
        unsure: whether rows were taken from pages of which the map does not say, being damaged, that they are in use.
            Such a row may have been deleted, or changed since.
    """

    def __init__(self, path: Path) -> None:
        self.unsure = False
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._count = len(self._map) // PAGE_BYTES
        self.map_damaged = any(self._page(number) is None for number in range(2, self._count + 1, _MAPPED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._map.close()

    def rows(self, columns: int, first: int, last: int, *, trust: bool = False) -> Iterator[Row]:
        """Yield the rows with keys from `first` to `last`, ascending, of the tables that have so many columns.

        With `trust`, pages with wrong checksums are taken as they are, and what makes no sense there is left out.
        """
        found, sure = [], set[int]()
        for number in range(2, self._count + 1):
            page = self._page(number, trust=trust)
            in_use = self._in_use(number)
            if page is None or page[0] != _LEAF or in_use is False:
                continue
            rows = [row for cell in _cells(page) if (row := self._row(page, cell, columns, trust=trust)) is not None]
            keys = [key for key, _ in rows if first <= key <= last]
            if keys:
                found.append((min(keys), number, in_use))
                self.unsure = self.unsure or in_use is None
                if in_use and self.map_damaged:
                    sure.update(keys)
        for _, number, in_use in sorted(found, key=lambda each: each[:2]):
            page = self._page(number, trust=trust)
            assert page is not None
            for cell in _cells(page):
                row = self._row(page, cell, columns, trust=trust)
                if row is not None and first <= row[0] <= last and (in_use or row[0] not in sure):
                    yield row

    def damaged(self) -> list[int]:
        """Return the numbers of the pages that do not have their checksums."""
        return [number for number in range(1, self._count + 1) if self._page(number) is None]

    def _page(self, number: int, *, trust: bool = False) -> bytes | None:
        """Return a page, or None where there is no whole one."""
        if not 0 < number <= self._count:
            return None
        page = self._map[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        return page if trust or _checksum(page[:_USABLE]) == page[_USABLE:] else None

    def _in_use(self, number: int) -> bool | None:
        """Tell whether the map says that a page is in use; None where the map is damaged."""
        own = (number - 2) // _MAPPED * _MAPPED + 2
        page = self._page(own)
        if own != number and page is None:
            return None
        return page is not None and own != number and page[(number - own - 1) * 5] in _IN_USE

    def _row(self, page: bytes, cell: int, columns: int, *, trust: bool) -> Row | None:
        try:
            return self._parsed(page, cell, columns, trust=trust)
        except (IndexError, ValueError):  # of a page that is taken as it is
            return None

    def _parsed(self, page: bytes, cell: int, columns: int, *, trust: bool) -> Row | None:
        size, place = _varint(page, cell)
        key, place = _varint(page, place)
        if size > len(self._map):
            raise ValueError(size)
        payload = self._payload(page, place, size, trust=trust)
        head, place = _varint(payload, 0)
        kinds = []
        while place < head <= len(payload):
            kind, place = _varint(payload, place)
            kinds.append(kind)
        return (key, _values(payload, head, kinds)) if len(kinds) == columns else None

    def _payload(self, page: bytes, place: int, size: int, *, trust: bool) -> bytes:
        """Return the bytes of a row, as far as its pages are whole."""
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (_USABLE - 4)
        local = size if size <= _MOST_LOCAL else local if local <= _MOST_LOCAL else _LEAST_LOCAL
        parts = [page[place : place + local]]
        left = size - local
        link = page[place + local : place + local + 4]
        while left > 0:
            more = self._page(int.from_bytes(link, "big"), trust=trust)
            if more is None:
                break
            link = more[:4]
            parts.append(more[4 : 4 + min(left, _USABLE - 4)])
            left -= len(parts[-1])
        return b"".join(parts)


def _cells(page: bytes) -> list[int]:
    (count,) = struct.unpack_from(">H", page, 3)
    return list(struct.unpack_from(f">{min(count, _USABLE // 4)}H", page, 8))


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return SQLite's variable-length integer at a place, and the place after it."""
    value = 0
    for step in range(8):
        byte = data[place + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + step + 1
    return value << 8 | data[place + 8], place + 9


def _values(payload: bytes, place: int, kinds: list[int]) -> list[Any]:
    """Return the values of a row, up to the first that is cut off."""
    values: list[Any] = []
    for kind in kinds:
        size = (kind - 12) // 2 if kind >= 12 else _INTEGERS[kind] if kind < len(_INTEGERS) else 8 if kind == 7 else 0
        data = payload[place : place + size]
        if len(data) < size:
            break
        values.append(_value(kind, data))
        place += size
    return values


def _value(kind: int, data: bytes) -> Any:
    if kind >= 12:
        return data.decode() if kind % 2 else data
    if kind == 0:
        return None
    if kind == 7:
        return struct.unpack(">d", data)[0]
    return kind - 8 if kind in (8, 9) else int.from_bytes(data, "big", signed=True)


def _checksum(data: bytes) -> bytes:
    """Return what `cksumvfs` keeps at the end of a page.

    Two sums run over the words in turn: s1 += even word + s2, s2 += odd word + s1. So each word counts in both as often
    as its place says.
    """
    words = np.frombuffer(data, "<u4").astype(np.uint64)
    total = words @ _WEIGHTS  # modulo 2^64, and so modulo 2^32
    return bytes(total.astype("<u4"))


def _weights() -> Any:
    """Return how often each word of a page counts in the two sums, `(words, 2)`."""
    weights = np.zeros((_USABLE // 4, 2), np.uint64)
    one, two = np.array([1, 0], np.uint64), np.array([0, 1], np.uint64)
    for place in range(len(weights) - 2, -1, -2):
        # From the end: what adding one to s1, or to s2, before these two words are taken adds to the sums at last.
        weights[place + 1] = two
        weights[place] = one + two
        one, two = one + two, one + 2 * two
    return weights


_WEIGHTS = _weights()
