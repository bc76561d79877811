"""The search for the nearest records: a plan is chosen and carried out, and the answer is put in order.

Whatever finds the candidates, the distances reported are computed in float64 from the arena.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ochre.local import plan
from ochre.local.index.exact import Exact, distance
from ochre.local.index.graph import Bits, Graph, measurable
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.local.plan import Plan, Situation
from ochre.model.configuration import Configuration
from ochre.model.vectors import Matrix

_SPARE = 8  # candidates handed over beyond one and a half times those wanted: their order is not the final one
_FURTHER = 1.125  # times `ef_search`: makes up for what the graph's codes lose

Distances = NDArray[np.float32]
Verify = Callable[[NDArray[np.int64]], None]

Found = tuple[Positions, Distances]
"""Positions and distances, by distance and then insertion."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The records that may be answered.

    Attributes:
        roster: of the snapshot.
        mask: which of its positions; None for every record that exists.
        count: how many they are.
    """

    roster: Roster
    mask: Mask | None
    count: int

    @classmethod
    def everything(cls, roster: Roster) -> Candidates:
        """Take all records."""
        return cls(roster, None, roster.count)

    @classmethod
    def of(cls, roster: Roster, mask: Mask) -> Candidates:
        """Take the records of a mask."""
        return cls(roster, mask, int(np.count_nonzero(mask)))

    def positions(self) -> Positions:
        """Return their positions, ascending."""
        return self.roster.page(0, None) if self.mask is None else np.flatnonzero(self.mask)

    def beyond(self, slot: int) -> Positions:
        """Return the positions of those whose vectors lie at `slot` or behind it."""
        roster = self.roster
        mask = roster.live if self.mask is None else self.mask
        if roster.inverse is None:
            return np.flatnonzero(mask[slot:]) + slot
        return np.flatnonzero(mask & (roster.slots >= slot))

    def bits(self, below: int) -> Bits | None:
        """Return which of the slots `below` are theirs, packed; None if all are."""
        roster = self.roster
        if self.mask is None and roster.inverse is None and not roster.dead and len(roster) >= below:
            return None
        mask = roster.live if self.mask is None else self.mask
        return np.packbits(roster.selected(mask, below), bitorder="little")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found, and how.

    Attributes:
        found: one for each query vector.
        compared: records whose distance was computed exactly, for the average query vector.
    """

    found: list[Found]
    plan: Plan
    compared: int


class Search:
    """One snapshot's vectors and what helps to search them."""

    def __init__(
        self, configuration: Configuration, arena: Matrix, exact: Exact, graph: Graph | None, verify: Verify
    ) -> None:
        """Prepare; `verify` raises for slots whose vectors are damaged, before they are compared."""
        self._configuration = configuration
        self._arena = arena
        self._exact = exact
        self._graph = graph
        self._verify = verify

    def nearest(self, candidates: Candidates, queries: Matrix, count: int) -> Outcome:
        """Return the `count` nearest candidates of each query vector `(q, d)`."""
        graph = self._graph if measurable(queries) else None
        tail = np.empty(0, np.int64) if graph is None else candidates.beyond(graph.slots)
        if len(tail) == candidates.count:
            graph = None  # whatever it covers was replaced or deleted
        situation = Situation(
            records=candidates.roster.count,
            matches=candidates.count,
            dimension=self._arena.shape[1],
            wanted=min(count, candidates.count),
            index=None if graph is None else graph.kind,
            tail=len(tail),
        )
        chosen = plan.choose(situation)
        if chosen.name in {"graph", "lists", "codes"}:
            assert graph is not None
            return self._approximate(graph, chosen, candidates, tail, queries, situation.wanted)
        found = self._compare(candidates.roster, candidates.positions(), queries, count)
        return Outcome(found, chosen, candidates.count)

    def _compare(
        self, roster: Roster, positions: Positions, queries: Matrix, count: int, first: int = 0
    ) -> list[Found]:
        """Compare the records at `positions`, whose slots are not below `first`, exactly."""
        lengths = self._exact.extend(self._arena, first)
        slots = roster.slots[positions]
        self._verify(slots)
        found = self._exact.nearest(self._arena[first:], lengths, slots - first if first else slots, queries, count)
        return [(positions[chosen], distances) for chosen, distances in found]

    def _approximate(
        self, graph: Graph, chosen: Plan, candidates: Candidates, tail: Positions, queries: Matrix, wanted: int
    ) -> Outcome:
        """Let the index or its codes find candidates, and compare those and the tail exactly."""
        roster = candidates.roster
        bits = candidates.bits(graph.slots)
        covered = candidates.count - len(tail)
        enough = min(wanted, covered)
        handed = min(wanted * 3 // 2 + _SPARE, covered)
        threads = self._configuration.hnsw.threads
        if chosen.name == "codes":
            assert bits is not None  # not everything matches
            lists = graph.scan(queries, handed, bits, threads)
        else:
            lists = graph.search(queries, handed, self._effort(candidates), bits, threads)
            lists = [
                slots if len(slots) >= enough else self._rest(graph, query, handed, bits)
                for query, slots in zip(queries, lists, strict=True)
            ]
        nothing: Found = (np.empty(0, np.int64), np.empty(0, np.float32))
        newer = self._compare(roster, tail, queries, wanted, graph.slots) if len(tail) else [nothing] * len(queries)
        found = [
            self._merged(roster, query, slots, others, wanted)
            for query, slots, others in zip(queries, lists, newer, strict=True)
        ]
        return Outcome(found, chosen, len(tail) + sum(map(len, lists)) // max(len(lists), 1))

    def _rest(self, graph: Graph, query: Matrix, handed: int, bits: Bits | None) -> NDArray[np.int64]:
        """Find candidates for a query that the index led astray: an answer is never short of records that match."""
        everything = np.full((graph.slots + 7) // 8, 255, np.uint8)
        return graph.scan(query[None], handed, everything if bits is None else bits)[0]

    def _effort(self, candidates: Candidates) -> int:
        """Return how hard the index should look: the fewer of what it meets may be answered, the harder."""
        spann = self._configuration.spann
        if spann is not None:
            return spann.search_nprobe
        return int(self._configuration.hnsw.ef_search * _FURTHER * candidates.roster.count / candidates.count)

    def _merged(self, roster: Roster, query: Matrix, slots: NDArray[np.int64], newer: Found, wanted: int) -> Found:
        self._verify(slots)
        positions = roster.at(slots)
        with np.errstate(over="ignore"):
            distances = distance(self._arena[slots], query, self._configuration.space).astype(np.float32)
        if len(newer[0]):
            positions = np.concatenate([positions, newer[0]])
            distances = np.concatenate([distances, newer[1]])
        order = np.lexsort((positions, distances))[:wanted]
        return positions[order], distances[order]
