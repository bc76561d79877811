"""A collection's derived state in this process: what is made of its records, with the sequence number it reflects.

The lock is held while the state catches up and while masks are made of it, never during a scan of vectors or text.
What leaves the lock is immutable: a roster, masks, a view of the text index, an array of lengths.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ochre.errors import CorruptError
from ochre.local import archive, log, segments
from ochre.local.archive import Archive
from ochre.local.arena import Arena
from ochre.local.catalog import CollectionRow
from ochre.local.extents import Verified
from ochre.local.index.base import Change, DerivedIndex, Ordinals
from ochre.local.index.columns import Columns
from ochre.local.index.exact import Exact
from ochre.local.index.graph import Graph
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.local.index.text import TextIndex, TextView
from ochre.local.index.trigrams import unpacked
from ochre.local.log import Appended
from ochre.local.segments import Segment
from ochre.local.session import Session
from ochre.model.filters import And, DocumentLeaf, Filter, MetadataLeaf, Not, Or, leaves
from ochre.model.requests import OrderKey
from ochre.model.vectors import Space

LOGGER = logging.getLogger("ochre.index")

_COMPACT_ABOVE = 10_000  # deleted records in the roster, when they outnumber the others, that make it worth a rebuild
_CHECKPOINT_BLOCK = 2048  # records whose metadata is parsed in one go: queries of other threads wait meanwhile


class StaleSnapshotError(Exception):
    """The snapshot is older than the state, which another thread moved on: take a new snapshot."""


Opened = TypeVar("Opened")

OnDamage = Callable[[CollectionRow, Segment], None]


class View:
    """What one read needs of the state, consistent with one snapshot.

    Attributes:
        roster: the records.
        masks: where each part of the filter that asks for metadata alone holds, by the part's `id` (parts about 1 and
            about True are equal); the largest such parts are there.
        order: per key of the ordering, the ranks of all positions.
        text: what the text index knows.
    """

    def __init__(self, roster: Roster, masks: dict[int, Mask], order: list[Positions], text: TextView) -> None:
        self.roster = roster
        self.masks = masks
        self.order = order
        self.text = text


class Vectors:
    """One arena, and what this process has worked out about its rows.

    Attributes:
        exact: their lengths.
        verified: which of them have been compared with their checksums.
    """

    def __init__(self, arena: Arena, space: Space) -> None:
        self.arena = arena
        self.exact = Exact(space)
        self.verified = Verified()

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        return self.exact.weight + self.verified.weight


class CollectionState:
    """The derived state of one collection."""

    def __init__(self, folder: Path, row: CollectionRow, on_damage: OnDamage = lambda _row, _segment: None) -> None:
        """Begin empty; `on_damage` is told of a published segment that cannot be used."""
        self._folder = folder
        self._on_damage = on_damage
        self._lock = threading.RLock()
        self._applied = -1
        self._roster = Roster.of(np.empty(0, np.int64), np.empty(0, np.int64))
        self._columns = Columns()
        self._text = TextIndex()
        self._indexes: list[DerivedIndex] = [self._columns, self._text]
        self._vectors: Vectors | None = None
        self._vectors_head = 0
        self._space = row.info.configuration.space
        self._opening = threading.Lock()
        self._graph: tuple[str, Graph | None] = ("", None)  # by the name of its segment
        self._adopted = ""  # the name of the text index's segment
        self._tried = ""  # the name of the checkpoint's segment

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
                known = self._vectors = Vectors(arena, self._space)
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
            if filter_ is not None and any(isinstance(leaf, DocumentLeaf) for leaf in leaves(filter_)):
                self._take_up_text(session, row)
            self._columns.load([*wanted, *(key.key for key in order_by)], source)
            masks = {id(part): self._columns.mask(part) for part in _metadata_parts(filter_)}
            order = [self._columns.column(key.key).ranks() for key in order_by]
            return View(self._roster, masks, order, self._text.view)

    def follow(self, session: Session, row: CollectionRow, appended: Appended) -> None:
        """Take over what a write of this process added, if it is all that the state lacks of the session's snapshot."""
        with self._lock:
            if self._applied != appended.head or row.info.head != appended.head + 1:
                return
            self._applied = -1  # if anything fails on the way, the next read starts anew
            self._change(appended.ordinals, (appended.ordinals, appended.slots), _SnapshotSource(session, row))
            self._applied = row.info.head
        vectors = self.vectors(row)
        vectors.verified.written(appended.slots)
        vectors.exact.follow(vectors.arena.rows(row.next_slot), int(appended.slots[0]))

    def _take_up_text(self, session: Session, row: CollectionRow) -> None:
        """Answer from the published text index, if that is not done already and the change log reaches back to it."""
        segment = segments.published(session, row).get("text")
        if segment is None or segment.name == self._adopted:
            return
        runs = log.changes_since(session, row, segment.sequence)
        if runs is None:
            return
        self._adopted = segment.name
        found = self._opened(row, segment, _archive)
        if found is not None:
            self._text.adopt(unpacked(found.arrays), _union(runs), self._roster)

    def checkpoint(
        self, session: Session, row: CollectionRow, watch: Callable[[], None] = lambda: None
    ) -> tuple[archive.Arrays, dict[str, Any]]:
        """Catch up with the session's snapshot, and return what an archive for `restore` holds: arrays and the rest.

        They are of the roster, the columns of all keys and the vectors' lengths. Whoever asks has the state for
        himself: others would wait until every record's metadata was read. `watch` is called on the way, and may raise.

        Raises:
            StaleSnapshotError: the state is ahead of the snapshot. CorruptError: a vector is damaged.
        """
        source = _SnapshotSource(session, row, _CHECKPOINT_BLOCK, watch)
        with self._lock:
            self._catch_up(session, row, source)
            columns, meta = self._columns.packed(source)
            arrays = self._roster.packed() | columns
            if row.info.dimension is not None:
                vectors = self.vectors(row)
                arena = vectors.arena.rows(row.next_slot)
                slots = np.sort(arrays["slots"])  # a damaged vector would leave a wrong length behind
                unknown = slots[np.searchsorted(slots, vectors.exact.measured) :]
                vectors.verified.check(session, row, arena, unknown)
                arrays["lengths"] = vectors.exact.extend(arena)
            return arrays, meta

    def restore(self, row: CollectionRow, checkpoint: Archive, sequence: int) -> None:
        """Begin with a checkpoint of this collection, made at that sequence number; none of its arrays is read yet."""
        arrays = checkpoint.arrays
        with self._lock:
            self._applied = -1
            self._roster = Roster.restored(arrays)
            self._rebuild_indexes()
            self._columns.restore(self._roster, arrays, checkpoint.meta)
            if "lengths" in arrays:
                self.vectors(row).exact.restore(arrays["lengths"])
            self._applied = sequence

    def _take_up_checkpoint(self, session: Session, row: CollectionRow) -> None:
        """Begin with the published checkpoint, unless that has been tried before."""
        segment = segments.published(session, row).get("checkpoint")
        if segment is None or segment.name == self._tried:
            return
        self._tried = segment.name
        found = self._opened(row, segment, _archive)
        if found is not None:
            self.restore(row, found, segment.sequence)

    def graph(self, session: Session, row: CollectionRow) -> Graph | None:
        """Return the vector index that is published for the session's snapshot, None if there is none to use."""
        segment = segments.published(session, row).get("graph")
        if segment is None:
            return None
        name, graph = self._graph
        if name != segment.name:
            with self._opening:
                name, graph = self._graph
                if name != segment.name:
                    graph = self._opened(row, segment, lambda path, own: _graph(path, own, row))
                    self._graph = (segment.name, graph)
        return graph

    def _opened(self, row: CollectionRow, segment: Segment, how: Callable[[Path, Segment], Opened]) -> Opened | None:
        """Open a published segment, or report that it cannot be used."""
        try:
            return how(segments.path_of(self._folder, row, segment), segment)
        except (CorruptError, OSError) as error:
            # One that is gone was replaced after our snapshot, or deleted, which anybody may.
            level = logging.WARNING if segments.path_of(self._folder, row, segment).exists() else logging.INFO
            LOGGER.log(
                level, "the %s index %s cannot be used and will be built anew: %s", segment.kind, segment.name, error
            )
            self._on_damage(row, segment)
            return None

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, what lies in mapped files left out."""
        vectors = 0 if self._vectors is None else self._vectors.weight
        return self._roster.weight + self._columns.weight + vectors

    def shed(self) -> None:
        """Forget what filters and orderings asked for."""
        with self._lock:
            self._columns.shed()

    def close(self) -> None:
        """Release the arena's handles."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.arena.close()
                self._vectors = None
            self._graph = ("", None)

    def _catch_up(self, session: Session, row: CollectionRow, source: _SnapshotSource) -> None:
        head = row.info.head
        if self._applied == head:
            return
        if self._applied > head:
            raise StaleSnapshotError
        if self._applied < 0:
            self._take_up_checkpoint(session, row)
        applied, self._applied = self._applied, -1  # if anything fails on the way, the next read starts anew
        runs = log.changes_since(session, row, applied) if applied >= 0 else None
        if runs is None or self._mostly_dead():
            self._roster = Roster.of(*log.slots(session, row, None))
            self._rebuild_indexes()
        elif runs:  # there are none right after a checkpoint was taken up
            changed = _union(runs)
            self._change(changed, log.slots(session, row, changed), source)
        self._applied = head

    def _rebuild_indexes(self) -> None:
        for index in self._indexes:
            index.rebuild(self._roster)
        self._adopted = ""

    def _change(self, changed: Ordinals, present: tuple[Ordinals, Ordinals], source: _SnapshotSource) -> None:
        """Bring roster and indexes up to date; `present` are the ordinals and slots of those changed that exist."""
        self._roster, delta = self._roster.updated(changed, *present)
        for index in self._indexes:
            index.apply(Change(changed, self._roster, delta), source)

    def _mostly_dead(self) -> bool:
        return self._roster.dead > max(_COMPACT_ABOVE, self._roster.count)


class _SnapshotSource:
    """The records of one snapshot, for the indexes."""

    def __init__(
        self, session: Session, row: CollectionRow, block: int = log.BLOCK, watch: Callable[[], None] = lambda: None
    ) -> None:
        self._session = session
        self._row = row
        self._block = block
        self._watch = watch

    def metadata(self, ordinals: Ordinals, keys: Sequence[str] = ()) -> Iterator[tuple[Ordinals, bytes]]:
        for block in log.metadata_blocks(self._session, self._row, ordinals, keys, self._block):
            self._watch()
            yield block


def _archive(path: Path, segment: Segment) -> Archive:
    return archive.open_archive(path, segment.kind, segment.digest)


def _graph(path: Path, segment: Segment, row: CollectionRow) -> Graph:
    archive.verify(path, segment.digest)
    return Graph.open(path, row.info.configuration.space)


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
    parts = [np.arange(first, last + 1, dtype=np.int64) for first, last in runs] or [np.empty(0, np.int64)]
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
