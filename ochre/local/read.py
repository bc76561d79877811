"""Reading records: get, count, query and scan over one snapshot, in terms of ordinals and positions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.errors import NotFoundError
from ochre.local import log, plan
from ochre.local.catalog import CollectionRow
from ochre.local.index.graph import Graph
from ochre.local.index.roster import Positions
from ochre.local.log import Ordinals
from ochre.local.matching import matches, matching
from ochre.local.plan import Situation
from ochre.local.search import Candidates, Found, Outcome, Search
from ochre.local.session import Session
from ochre.local.state import CollectionState, View
from ochre.model.filters import Filter
from ochre.model.requests import (
    CountRecords,
    Cursor,
    DeleteRecords,
    Explanation,
    Field,
    GetRecords,
    OrderKey,
    QueryRecords,
    QueryReply,
    RecordBatch,
    ScanRecords,
    ScanReply,
)
from ochre.model.text import preview
from ochre.model.vectors import Matrix, SparseVector

_SCAN_STEP = 4096
"""Records that a scan with a filter looks at first."""


class Reader:
    """One snapshot of one collection, and the questions asked of it."""

    def __init__(self, session: Session, row: CollectionRow, state: CollectionState) -> None:
        self._session = session
        self._row = row
        self._state = state

    # -- selecting ----------------------------------------------------------------------------------------------

    def select(self, request: GetRecords | DeleteRecords) -> Ordinals:
        """Return the ordinals that a get or a delete is about, in order and within its page."""
        offset = request.offset if isinstance(request, GetRecords) else 0
        order_by = request.order_by if isinstance(request, GetRecords) else ()
        stop = None if request.limit is None else offset + request.limit
        if request.ids is not None and request.filter is None and not order_by:
            return self._find(request.ids)[offset:stop]
        view = self._view(request.filter, order_by)
        if request.ids is None and request.filter is None and not order_by:
            return view.roster.ordinals[view.roster.page(offset, request.limit)]
        within = None if request.ids is None else self._within(view, request.ids)
        positions = matching(self._session, self._row, view, request.filter, within)
        return view.roster.ordinals[_ordered(positions, view, order_by)[offset:stop]]

    def get(self, request: GetRecords) -> RecordBatch:
        """Return the records that a get asks for."""
        if request.ids is None or request.filter is not None or request.order_by:
            return self.fetch(self.select(request), request.include)
        names = _names(request.include)
        rows = sorted(log.fetch_ids(self._session, self._row, dict.fromkeys(request.ids), ["key", *names]))
        stop = None if request.limit is None else request.offset + request.limit
        return self._batch(names, [row[1:] for row in rows[request.offset : stop]])

    def count(self, request: CountRecords) -> int:
        """Return how many records match."""
        if request.filter is None:
            return self._row.records
        view = self._view(request.filter)
        return len(matching(self._session, self._row, view, request.filter))

    def scan(self, request: ScanRecords) -> ScanReply:
        """Return the next records of a walk."""
        cursor = request.cursor or Cursor(-1, self._row.next_ordinal)
        view = self._view(request.filter)
        ordinals = view.roster.ordinals
        start = int(np.searchsorted(ordinals, cursor.after, side="right"))
        stop = int(np.searchsorted(ordinals, cursor.until, side="left"))
        found = np.empty(0, np.int64)
        step = max(4 * request.batch_size, _SCAN_STEP)  # so that a filter on documents reads no more than it must
        while start < stop and len(found) <= request.batch_size:
            within = np.arange(start, min(start + step, stop))
            found = np.concatenate([found, matching(self._session, self._row, view, request.filter, within)])
            start, step = start + step, 2 * step
        chosen = ordinals[found[: request.batch_size]]
        more = len(found) > request.batch_size
        return ScanReply(self.fetch(chosen, request.include), Cursor(int(chosen[-1]), cursor.until) if more else None)

    def _view(self, filter_: Filter | None, order_by: Sequence[OrderKey] = ()) -> View:
        self._row.info.schema.check(filter_)
        return self._state.view(self._session, self._row, filter_, order_by)

    def _find(self, ids: Sequence[str]) -> Ordinals:
        found = log.find(self._session, self._row, ids)
        return np.unique(np.fromiter(found.values(), np.int64, len(found)))

    def _within(self, view: View, ids: Sequence[str]) -> Positions:
        return view.roster.positions(self._find(ids))

    # -- fetching -----------------------------------------------------------------------------------------------

    def fetch(self, ordinals: Ordinals, include: frozenset[Field]) -> RecordBatch:
        """Return the records at `ordinals`, in that order."""
        names = _names(include)
        return self._batch(names, log.fetch(self._session, self._row, ordinals, names))

    def _batch(self, names: list[str], rows: list[tuple[Any, ...]]) -> RecordBatch:
        columns: dict[str, Any] = (
            dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
        )
        return RecordBatch(
            ids=list(columns["id"]),
            vectors=self._vectors(columns["slot"]) if "slot" in columns else None,
            documents=list(columns["document"]) if "document" in columns else None,
            metadatas=_metadatas(columns["metadata"]) if "metadata" in columns else None,
            uris=list(columns["uri"]) if "uri" in columns else None,
        )

    def _vectors(self, slots: Sequence[int]) -> Matrix:
        if self._row.info.dimension is None:
            return np.empty((0, 0), np.float32)
        vectors, chosen = self._state.vectors(self._row), np.array(slots, np.int64)
        arena = vectors.arena.rows(self._row.next_slot)
        vectors.verified.check(self._session, self._row, arena, chosen)
        return arena[chosen]

    # -- querying -----------------------------------------------------------------------------------------------

    def query(self, request: QueryRecords) -> QueryReply:
        """Return the nearest records that match, for each query vector."""
        clock = _Clock()
        dimension = self._row.info.dimension
        if dimension is None:
            nothing: Found = (np.empty(0, np.int64), np.empty(0, np.float32))
            outcome = Outcome([nothing] * len(request.vectors), plan.choose(Situation(0, 0, 1, 0)), 0)
            return self._reply(request, outcome, 0, clock)
        log.check_dimension(dimension, request.vectors)
        view = self._view(request.filter)
        candidates = self._candidates(view, request)
        clock.lap("filter")
        vectors = self._state.vectors(self._row)
        arena = vectors.arena.rows(self._row.next_slot)

        def verify(slots: NDArray[np.int64]) -> None:
            vectors.verified.check(self._session, self._row, arena, slots)

        search = Search(self._row.info.configuration, arena, vectors.exact, self._graph(request), verify)
        outcome = search.nearest(candidates, request.vectors, request.n_results)
        clock.lap("search")
        found = [(view.roster.ordinals[positions], distances) for positions, distances in outcome.found]
        if request.max_distance is not None:
            near = [distances <= request.max_distance for _, distances in found]
            found = [(chosen[kept], distances[kept]) for (chosen, distances), kept in zip(found, near, strict=True)]
        return self._reply(request, replace(outcome, found=found), candidates.count, clock)

    def _graph(self, request: QueryRecords) -> Graph | None:
        return None if request.exact else self._state.graph(self._session, self._row)

    def _candidates(self, view: View, request: QueryRecords) -> Candidates:
        within = None
        if request.ids is not None:
            known = log.find(self._session, self._row, request.ids)
            missing = next((id_ for id_ in request.ids if id_ not in known), None)
            if missing is not None and request.filter is None:
                raise NotFoundError(
                    f"Error finding id: {preview(missing)} is not in the collection; leave it out of ids"
                )
            within = view.roster.positions(np.fromiter(known.values(), np.int64, len(known)))
        elif request.filter is None:
            return Candidates.everything(view.roster)
        return Candidates.of(view.roster, matches(self._session, self._row, view, request.filter, within))

    def _reply(self, request: QueryRecords, outcome: Outcome, matching: int, clock: _Clock) -> QueryReply:
        batches = self._batches([ordinals for ordinals, _ in outcome.found], request.include)
        clock.lap("fetch")
        explanation = None
        if request.explain:
            chosen = outcome.plan
            explanation = Explanation(
                chosen.name,
                chosen.reason,
                self._row.records,
                matching,
                outcome.compared,
                self._row.info.head,
                clock.seconds,
            )
        return QueryReply(batches, [distances.tolist() for _, distances in outcome.found], explanation)

    def _batches(self, lists: list[Ordinals], include: frozenset[Field]) -> list[RecordBatch]:
        """Fetch several lists of records, each record once."""
        if len(lists) == 1:
            return [self.fetch(lists[0], include)]
        together = np.unique(np.concatenate(lists)) if lists else np.empty(0, np.int64)
        batch = self.fetch(together, include)
        return [_picked(batch, np.searchsorted(together, ordinals)) for ordinals in lists]


_COLUMN_OF: dict[Field, str] = {"embeddings": "slot", "documents": "document", "metadatas": "metadata", "uris": "uri"}


def _names(include: frozenset[Field]) -> list[str]:
    return ["id", *(_COLUMN_OF[field] for field in _COLUMN_OF if field in include)]


def _ordered(positions: Positions, view: View, order_by: Sequence[OrderKey]) -> Positions:
    """Sort positions by the keys in turn, then by insertion; those without a key's value come last either way."""
    if not order_by:
        return positions
    columns: list[NDArray[Any]] = [positions]
    for key, ranks in zip(reversed(order_by), reversed(view.order), strict=True):
        own = ranks[positions]
        absent = own < 0
        columns += [-own if key.descending else own, absent]
    return positions[np.lexsort(columns)]


def _metadatas(texts: Sequence[str | None]) -> list[dict[str, Any] | None]:
    joined = ",".join("null" if text is None else text for text in texts)
    metadatas: list[dict[str, Any] | None] = msgspec.json.decode(f"[{joined}]")
    if '"#type"' in joined:
        for metadata in metadatas:
            for key, value in (metadata or {}).items():
                if isinstance(value, dict):
                    assert metadata is not None
                    metadata[key] = SparseVector.from_dict(value)
    return metadatas


def _picked(batch: RecordBatch, rows: NDArray[np.int64]) -> RecordBatch:
    indices = rows.tolist()

    def column(values: list[Any] | None) -> list[Any] | None:
        return None if values is None else [values[index] for index in indices]

    return RecordBatch(
        ids=[batch.ids[index] for index in indices],
        vectors=None if batch.vectors is None else batch.vectors[rows] if indices else batch.vectors[:0],
        documents=column(batch.documents),
        metadatas=column(batch.metadatas),
        uris=column(batch.uris),
    )


class _Clock:
    """Wall time by stage, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
