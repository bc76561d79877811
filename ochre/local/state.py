"""A collection's derived state in this process: roster, columns and lengths, with the sequence number they reflect.

The lock is held while the state catches up and while masks are made of it, never during a scan of vectors or text.
What leaves the lock is immutable: a roster, masks, an array of lengths.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ochre.local import log
from ochre.local.arena import Arena
from ochre.local.catalog import CollectionRow
from ochre.local.index.base import Change, DerivedIndex, Ordinals
from ochre.local.index.columns import Columns
from ochre.local.index.exact import Exact
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.local.session import Session
from ochre.model.filters import And, DocumentLeaf, Filter, MetadataLeaf, Not, Or, leaves
from ochre.model.requests import OrderKey

_COMPACT_ABOVE = 10_000  # deleted records in the roster, when they outnumber the others, that make it worth a rebuild


class StaleSnapshotError(Exception):
    """The snapshot is older than the state, which another thread moved on: take a new snapshot."""


class View:
    """What one read needs of the state, consistent with one snapshot.

    Attributes:
        roster: the records.
        masks: where each part of the filter that asks for metadata alone holds, by the part's `id` (parts about 1 and
            about True are equal); the largest such parts are there.
        order: per key of the ordering, the ranks of all positions.
    """

    def __init__(self, roster: Roster, masks: dict[int, Mask], order: list[Positions]) -> None:
        self.roster = roster
        self.masks = masks
        self.order = order


class Vectors:
    """One arena, and what this process has worked out about its rows."""

    def __init__(self, arena: Arena, exact: Exact) -> None:
        self.arena = arena
        self.exact = exact


class CollectionState:
    """The derived state of one collection."""

    def __init__(self, folder: Path, row: CollectionRow) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._applied = -1
        self._roster = Roster.of(np.empty(0, np.int64), np.empty(0, np.int64))
        self._columns = Columns()
        self._indexes: list[DerivedIndex] = [self._columns]
        self._vectors: Vectors | None = None
        self._vectors_head = 0
        self._space = row.info.configuration.space

    def vectors(self, row: CollectionRow) -> Vectors:
        """Return the collection's vectors, as its row names them; its dimension must be known.

        Raises:
            StaleSnapshotError: the row is older than a move of the vectors to another arena.
        """
        assert row.info.dimension is not None
        with self._lock:
            known = self._vectors
            # A dimension can change only while no row is committed: a first write that was rolled back.
            if known is None or (known.arena.name, known.arena.dimension) != (row.arena, row.info.dimension):
                if row.info.head < self._vectors_head:
                    raise StaleSnapshotError
                arena = Arena(self._folder, row.info.id, row.info.dimension, row.arena)
                known = self._vectors = Vectors(arena, Exact(self._space))
                self._vectors_head = row.info.head
            return known

    def view(
        self, session: Session, row: CollectionRow, filter_: Filter | None = None, order_by: Iterable[OrderKey] = ()
    ) -> View:
        """Catch up with the session's snapshot and return what a read of it needs.

        Raises:
            StaleSnapshotError: the state is ahead of the snapshot.
        """
        order_by = list(order_by)
        wanted = [] if filter_ is None else [leaf.key for leaf in leaves(filter_) if isinstance(leaf, MetadataLeaf)]
        source = _SnapshotSource(session, row)
        with self._lock:
            self._catch_up(session, row, source)
            self._columns.load([*wanted, *(key.key for key in order_by)], source)
            masks = {id(part): self._columns.mask(part) for part in _metadata_parts(filter_)}
            order = [self._columns.column(key.key).ranks() for key in order_by]
            return View(self._roster, masks, order)

    def close(self) -> None:
        """Release the arena's handles."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.arena.close()
                self._vectors = None

    def _catch_up(self, session: Session, row: CollectionRow, source: _SnapshotSource) -> None:
        head = row.info.head
        if self._applied == head:
            return
        if self._applied > head:
            raise StaleSnapshotError
        applied, self._applied = self._applied, -1  # if anything fails on the way, the next read starts anew
        runs = log.changes_since(session, row, applied) if applied >= 0 else None
        if runs is None or self._mostly_dead():
            self._roster = Roster.of(*log.slots(session, row, None))
            for index in self._indexes:
                index.rebuild(self._roster)
        else:
            self._apply(session, row, source, _union(runs))
        self._applied = head

    def _apply(self, session: Session, row: CollectionRow, source: _SnapshotSource, changed: Ordinals) -> None:
        self._roster, delta = self._roster.updated(changed, *log.slots(session, row, changed))
        for index in self._indexes:
            index.apply(Change(changed, self._roster, delta), source)

    def _mostly_dead(self) -> bool:
        return self._roster.dead > max(_COMPACT_ABOVE, self._roster.count)


class _SnapshotSource:
    """The records of one snapshot, for the indexes."""

    def __init__(self, session: Session, row: CollectionRow) -> None:
        self._session = session
        self._row = row

    def metadata(self, ordinals: Ordinals, keys: Sequence[str] = ()) -> Iterator[tuple[Ordinals, bytes]]:
        return log.metadata_blocks(self._session, self._row, ordinals, keys)


def _metadata_parts(filter_: Filter | None) -> Iterator[Filter]:
    """Yield the largest parts of a filter without document leaves."""
    if filter_ is None:
        return
    if not any(isinstance(leaf, DocumentLeaf) for leaf in leaves(filter_)):
        yield filter_
    elif isinstance(filter_, And | Or):
        for part in filter_.parts:
            yield from _metadata_parts(part)
    elif isinstance(filter_, Not):
        yield from _metadata_parts(filter_.part)


def _union(runs: list[tuple[int, int]]) -> Ordinals:
    """Return the ordinals of all runs, ascending, each once."""
    parts = [np.arange(first, last + 1, dtype=np.int64) for first, last in runs]
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
