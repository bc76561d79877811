"""Reading around damage: what can be read of a folder whose SQLite file is damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import apsw

from ochre.local.catalog import CollectionRow
from ochre.local.leaves import Leaves
from ochre.local.session import Session

Gap = tuple[int, int]
"""First and last key of a range that cannot be read."""

DAMAGE = (apsw.CorruptError, apsw.IOError, apsw.NotADBError, apsw.SQLError)
"""What SQLite raises where a file is damaged; the last when it does not find the tables."""

RECORDS = (
    "SELECT key, collection, id, slot, metadata, uri, document FROM records WHERE key BETWEEN ? AND ? ORDER BY key"
)


def rows_around_damage(session: Session, sql: str, first: int, last: int, gaps: list[Gap]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that `sql` finds between two keys, its first column, ascending; add what is unreadable to `gaps`.

    A range that fails is halved until what fails is one key.
    """
    ranges = [(first, last)]
    while ranges:
        low, high = ranges.pop()
        reached = low - 1
        try:
            for row in session.execute(sql, (low, high)):
                reached = _next_key(row, reached, high)
                yield row
        except DAMAGE:
            low = reached + 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            elif gaps and gaps[-1][1] == low - 1:
                gaps[-1] = (gaps[-1][0], high)
            else:
                gaps.append((low, high))


def _next_key(row: tuple[Any, ...], reached: int, last: int) -> int:
    """Return a row's key; one that does not follow from what was asked for is of a page that nothing vouches for."""
    key = int(row[0])
    if not reached < key <= last:
        raise apsw.CorruptError(f"key {key} after key {reached}")
    return key


def names_by_key(session: Session, row: CollectionRow, wanted: Callable[[int], bool]) -> dict[int, str]:
    """Return the ids of the records with the wanted keys, as far as the index by id tells them."""
    found: dict[int, str] = {}
    sql = "SELECT key, id FROM records INDEXED BY records_by_id WHERE collection=? ORDER BY id"
    with contextlib.suppress(*DAMAGE):  # the index is damaged from there on
        for key, id_ in session.execute(sql, (row.key,)):
            assert isinstance(key, int)
            if wanted(key):
                found[key] = str(id_)
    return dict(sorted(found.items()))


class Source:
    """The rows of a damaged file: through SQLite as far as that goes, from the pages after that.

    Attributes:
        session: a session on the file.
        doubtful: the tables whose rows were taken from pages with wrong checksums.
    """

    def __init__(self, session: Session, leaves: Leaves, *, trust: bool) -> None:
        """Read a file that nobody writes; with `trust`, take pages with wrong checksums as they are."""
        self.session = session
        self.doubtful: set[str] = set()
        self._leaves = leaves
        self._trust = trust
        if trust:
            session.execute("PRAGMA checksum_verification=OFF").get  # noqa: B018  (reading runs it)

    def catalog(self, table: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a table with an integer key, its first column; from damaged pages if there is no other."""
        try:
            return list(self.session.execute(f"SELECT {','.join(columns)} FROM {table} ORDER BY key"))  # noqa: S608  (our own names)
        except DAMAGE:
            self.doubtful.add(table)
            found = self._leaves.rows(len(columns), 0, 1 << 32, trust=True)
            return [(key, *values[1:]) for key, values in found if len(values) == len(columns)]

    def rows(self, sql: str, columns: int, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that `sql` finds between two keys, its first column, ascending.

        A row has fewer than `columns` values where a page that it continues on is damaged.
        """
        reached = first - 1
        try:
            for row in self.session.execute(sql, (first, last)):
                reached = _next_key(row, reached, last)
                yield row
        except DAMAGE:
            for key, values in self._leaves.rows(columns, reached + 1, last, trust=self._trust):
                yield (key, *values[1:])

    def doubtful_rows(self, columns: int, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows between two keys as the pages have them, those with wrong checksums included."""
        for key, values in self._leaves.rows(columns, first, last, trust=True):
            yield (key, *values[1:])

    def newest(self, sql: str, columns: int, first: int, last: int) -> dict[Any, int] | None:
        """Return the greatest key of each id, the third column, where rows may have been deleted or changed since.

        None where the map of pages in use is whole.
        """
        if not self._leaves.map_damaged:
            return None
        return {row[2]: row[0] for row in self.rows(sql, columns, first, last) if len(row) > 2}

    @property
    def unsure(self) -> bool:
        """Whether rows were among those yielded, since this was last made False, that may be no more, or others now."""
        return self._leaves.unsure

    @unsure.setter
    def unsure(self, value: bool) -> None:
        self._leaves.unsure = value

    def tenants(self) -> list[str]:
        """Return the tenants' names, as far as they can be read."""
        names: list[str] = []
        with contextlib.suppress(*DAMAGE):
            for (name,) in self.session.execute("SELECT name FROM tenants"):
                names.append(str(name))
        return names
