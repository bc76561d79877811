"""The planner says what is done and why."""

from __future__ import annotations

import pytest

from ochre.local import plan
from ochre.local.plan import Situation


@pytest.mark.parametrize(
    ("situation", "name", "reason"),
    [
        (Situation(0, 0, 384, 0), "nothing", "no record matches"),
        (Situation(10, 0, 384, 0), "nothing", "no record matches"),
        (Situation(10, 10, 384, 3), "scan", "all 10 records are candidates: each is compared exactly"),
        (
            Situation(1000, 55, 384, 3),
            "scan matches",
            "55 of 1000 records match (5.5%): only those are compared, exactly",
        ),
        (
            Situation(100_000, 100_000, 384, 10, "graph", 7),
            "graph",
            "all 100000 records are candidates: the index leads to the nearest; 7 newer ones are compared exactly",
        ),
        (
            Situation(100_000, 50_000, 384, 10, "lists"),
            "lists",
            "50000 of 100000 records match (50.0%): the index leads to the nearest of them",
        ),
        (
            Situation(100_000, 6_000, 384, 10, "graph"),
            "codes",
            "6000 of 100000 records match (6.0%): their codes are compared",
        ),
        (Situation(100_000, 300, 384, 10, "graph"), "scan matches", None),
        (Situation(100_000, 100_000, 384, 50_000, "graph"), "scan", None),
        (Situation(100_000, 100_000, 384, 10), "scan", None),
    ],
)
def test_a_plan_has_a_name_and_a_reason(situation: Situation, name: str, reason: str | None) -> None:
    chosen = plan.choose(situation)
    assert chosen.name == name
    assert reason in {None, chosen.reason}


@pytest.mark.parametrize(
    ("records", "dimension", "needed"), [(10_000, 384, False), (12_000, 384, True), (2**22, 1, False)]
)
def test_only_a_large_collection_needs_an_index(records: int, dimension: int, needed: bool) -> None:
    assert plan.needs_index(records, dimension) is needed
