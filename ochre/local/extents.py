"""The checksums of a collection's vectors, in SQLite: a row per extent of neighbouring slots, a checksum per slot.

They are written in the transaction that commits the vectors; those of the last slots, which do not fill an extent, are
in the collection's own row, so that a small write touches no page that it would not touch anyway. A process compares a
vector with its checksum the first time it has to do with one that it did not write; a committed slot never changes, so
once is enough.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import apsw
import numpy as np
from numpy.typing import NDArray

from ochre.errors import CorruptError, OchreError
from ochre.local.catalog import CollectionRow
from ochre.local.checksums import BYTES, Checksums, checksums
from ochre.local.session import Session
from ochre.model.text import preview
from ochre.model.vectors import Matrix

SPAN = 32
"""Slots of an extent: its checksums take 256 bytes."""

_AT_ONCE = 256  # extents compared at a time: bounds the copy of rows that are not neighbours
_NAMED = 5

ALL = "SELECT key, checksums FROM extents WHERE key BETWEEN ? AND ? ORDER BY key"

Slots = NDArray[np.int64]


def append(session: Session, row: CollectionRow, vectors: Matrix) -> bytes:
    """Store the checksums of vectors (n, d) that are being written from `row.next_slot` on, as far as extents are full.

    Returns:
        The checksums of the last, started extent: the collection's new `tail`.

    Raises:
        CorruptError: the collection's tail is not that of its last slots.
    """
    extent, started = divmod(row.next_slot, SPAN)
    if len(row.tail) != started * BYTES:
        raise CorruptError(
            f"the checksums of collection {preview(row.info.name)} [{row.info.id}] do not reach its last vector: "
            "nothing was changed; see `ochre check`, and restore the folder from a backup or use `ochre repair`"
        )
    return _store(session, row, extent, row.tail + checksums(vectors).tobytes())


def _store(session: Session, row: CollectionRow, extent: int, data: bytes) -> bytes:
    """Store checksums from an extent on, as far as extents are full; return the rest."""
    step = SPAN * BYTES
    full = len(data) // step * step
    if full:
        rows = ((row.first_key + n, data[start : start + step]) for n, start in enumerate(range(0, full, step), extent))
        session.executemany("INSERT INTO extents (key, checksums) VALUES (?,?)", rows)
    return data[full:]


def rebuild(session: Session, row: CollectionRow, living: Slots) -> bytes:
    """Store the checksums that the slots `living`, ascending, have now as those of the first slots of all.

    Returns:
        The checksums of the last, started extent: the collection's new `tail`.

    Raises:
        CorruptError: some have none.
    """
    numbers, there = _of(session, row, living)
    if not there.all():
        raise damage(session, row, living[~there])
    session.execute("DELETE FROM extents WHERE key BETWEEN ? AND ?", (row.first_key, row.last_key))
    return _store(session, row, 0, numbers.tobytes())


def stored(session: Session, row: CollectionRow, extents: Slots) -> tuple[Checksums, NDArray[np.bool_]]:
    """Return the checksums of all slots of the extents, `(n * SPAN,)`, and which of them are there."""
    numbers = np.zeros((len(extents), SPAN), "<u8")
    there = np.zeros((len(extents), SPAN), np.bool_)
    keys = np.ascontiguousarray(extents + row.first_key)
    found = session.execute(
        "SELECT e.key, e.checksums FROM carray(?) w CROSS JOIN extents e ON e.key = w.value", (apsw.carray(keys),)
    )
    places = {key: place for place, key in enumerate(keys.tolist())}
    for key, data in [*found, (row.first_key + row.next_slot // SPAN, row.tail)]:
        if key not in places:
            continue  # the tail's, and nobody asked
        assert isinstance(key, int)
        assert isinstance(data, bytes)
        own = np.frombuffer(data, "<u8", min(len(data) // BYTES, SPAN))
        numbers[places[key], : len(own)] = own
        there[places[key], : len(own)] = True
    return numbers.ravel(), there.ravel()


def differing(session: Session, row: CollectionRow, arena: Matrix, slots: Slots) -> Iterator[tuple[Slots, Slots]]:
    """Compare rows of the arena with their checksums; yield (compared slots, those that differ), part by part.

    `slots` ascend.
    """
    extents = slots // SPAN
    whole = np.unique(extents)
    for start in range(0, len(whole), _AT_ONCE):
        part = whole[start : start + _AT_ONCE]
        own = slots[np.searchsorted(extents, part[0]) : np.searchsorted(extents, part[-1], side="right")]
        numbers, there = _of(session, row, own)
        side_by_side = own[-1] - own[0] == len(own) - 1
        rows = arena[own[0] : own[-1] + 1] if side_by_side else arena[own]
        yield own, own[~(there & (checksums(rows) == numbers))]


def check_used(session: Session, row: CollectionRow, arena: Matrix, slots: Slots) -> None:
    """Compare rows of the arena with their checksums; `slots` ascend. Those that no record uses may be damaged.

    Raises:
        CorruptError: others are; the records are named.
    """
    for _, bad in differing(session, row, arena, slots):
        if len(bad) and owners(session, row, bad):
            raise damage(session, row, bad)


def _of(session: Session, row: CollectionRow, slots: Slots) -> tuple[Checksums, NDArray[np.bool_]]:
    """Return the checksums of slots (ascending), and of which there are any."""
    if not len(slots):
        return np.empty(0, "<u8"), np.empty(0, np.bool_)
    extents = slots // SPAN
    whole = np.unique(extents)
    numbers, there = stored(session, row, whole)
    places = np.searchsorted(whole, extents) * SPAN + slots % SPAN
    return numbers[places], there[places]


class Verified:
    """Which vectors of one arena this process has compared with their checksums. Threads may share it."""

    def __init__(self) -> None:
        self._known = np.zeros(0, np.bool_)
        self._all_below = 0

    @property
    def weight(self) -> int:
        """How many bytes of memory it takes."""
        return self._known.nbytes

    def written(self, slots: Slots) -> None:
        """Note that this process wrote the rows at `slots`, neighbours, and has committed them."""
        known = self._known
        if len(known) <= slots[-1]:
            known = self._known = np.concatenate([known, np.zeros(int(slots[-1]) + 1 - len(known), np.bool_)])
        known[slots] = True
        if self._all_below == slots[0]:
            self._all_below = int(slots[-1]) + 1

    def check(self, session: Session, row: CollectionRow, arena: Matrix, slots: Slots) -> None:
        """Compare those of the rows at `slots` that were not compared before.

        Raises:
            CorruptError: some differ; the records are named.
        """
        if row.next_slot <= self._all_below:
            return
        known = self._known
        if len(known) < row.next_slot:  # a thread may replace what another is marking: that costs a second look
            known = self._known = np.concatenate([known, np.zeros(row.next_slot - len(known), np.bool_)])
        fresh = np.unique(slots[~known[slots]])
        if not len(fresh):
            return
        damaged = []
        for compared, bad in differing(session, row, arena, fresh):
            damaged.append(bad)
            known[compared] = True
            known[bad] = False
        bad = np.concatenate(damaged)
        if len(bad):
            raise damage(session, row, bad)
        if len(fresh) == row.next_slot or bool(known[: row.next_slot].all()):
            self._all_below = row.next_slot


def damage(session: Session, row: CollectionRow, slots: Slots) -> CorruptError:
    """Return the error about damaged vectors, which names their records."""
    names = [f"those in slots {slots[:_NAMED].tolist()}"]
    with contextlib.suppress(apsw.Error, OchreError):  # what names them may be damaged as well
        names = [preview(id_) for id_ in owners(session, row, slots)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return CorruptError(
        f"stored vectors of collection {preview(row.info.name)} [{row.info.id}] are damaged, of the records "
        f"{', '.join(names[:_NAMED])}{more}: their bytes do not have the checksums they were stored with; "
        "`ochre check` lists all damage; restore the folder from a backup, or save the rest with `ochre repair`"
    )


def owners(session: Session, row: CollectionRow, slots: Slots) -> list[str]:
    """Return the ids of the records whose vectors are in these slots, in insertion order."""
    wanted = apsw.carray(np.ascontiguousarray(slots))
    sql = "SELECT id FROM records WHERE key BETWEEN ? AND ? AND slot IN (SELECT value FROM carray(?)) ORDER BY key"
    return [str(id_) for (id_,) in session.execute(sql, (row.first_key, row.last_key, wanted))]
