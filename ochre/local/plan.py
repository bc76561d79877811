"""The planner: how a query's candidates are compared with its vectors, and why.

Exact comparison costs by the number of candidates, codes do at a fraction of it, and the index hardly does at all, as
long as a fair share of what it meets on its way may be answered. So few candidates are compared exactly, more by their
codes, and the index serves when everything, or much of it, is a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXACT_NUMBERS = 2**22
"""Numbers (candidates times dimensions) in a line up to which exact comparison is as quick as any other."""

PICKED_NUMBERS = 2**20
"""The same where candidates have to be picked out among others."""

INDEX_SHARE = 0.25
"""Share of the records that must be candidates for the index to serve: below it, too much of its way leads nowhere."""

_MANY_RESULTS = 0.1  # of the candidates wanted: more is no longer a search for the nearest

Name = Literal["nothing", "scan", "scan matches", "codes", "graph", "lists"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the planner goes by.

    Attributes:
        records: of the collection.
        matches: candidates: records that passed ids and filter.
        dimension: of the vectors.
        wanted: nearest records asked for.
        index: the kind of the vector index, if there is one and it may be used.
        tail: candidates that the index does not cover.
    """

    records: int
    matches: int
    dimension: int
    wanted: int
    index: Literal["graph", "lists"] | None = None
    tail: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A strategy and the reason for it, in a sentence."""

    name: Name
    reason: str


def needs_index(records: int, dimension: int) -> bool:
    """Tell whether a collection is so large that an index makes its queries quicker."""
    return records * dimension > EXACT_NUMBERS


def choose(situation: Situation) -> Plan:
    """Choose how to find the nearest among the candidates."""
    matches, records = situation.matches, situation.records
    if not matches:
        return Plan("nothing", "no record matches")
    if situation.index is None or _few(situation):
        return _exact(situation)
    share = matches / records
    tail = f"; {situation.tail} newer ones are compared exactly" if situation.tail else ""
    if share < INDEX_SHARE:
        return Plan("codes", f"{matches} of {records} records match ({share:.1%}): their codes are compared{tail}")
    if matches == records:
        return Plan(situation.index, f"all {records} records are candidates: the index leads to the nearest{tail}")
    return Plan(
        situation.index,
        f"{matches} of {records} records match ({share:.1%}): the index leads to the nearest of them{tail}",
    )


def _few(situation: Situation) -> bool:
    limit = EXACT_NUMBERS if situation.matches == situation.records else PICKED_NUMBERS
    if situation.matches * situation.dimension <= limit:
        return True
    return situation.wanted > situation.matches * _MANY_RESULTS


def _exact(situation: Situation) -> Plan:
    matches, records = situation.matches, situation.records
    if matches == records:
        return Plan("scan", f"all {records} records are candidates: each is compared exactly")
    share = matches / records
    return Plan("scan matches", f"{matches} of {records} records match ({share:.1%}): only those are compared, exactly")
