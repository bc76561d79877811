"""The planner: how a query's candidates are compared with its vectors, and why.

Today every plan is an exact scan, over all records or over those that match.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """A strategy and the reason for it, in a sentence."""

    name: str
    reason: str


def choose(records: int, matches: int) -> Plan:
    """Choose how to find the nearest among `matches` of `records` records."""
    if not matches:
        return Plan("nothing", "no record matches")
    if matches == records:
        return Plan("scan", f"all {records} records are candidates: each is compared exactly")
    share = matches / records
    return Plan("scan matches", f"{matches} of {records} records match ({share:.1%}): only those are compared, exactly")
