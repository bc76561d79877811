"""The planner says what is done and why."""

from __future__ import annotations

import pytest

from ochre.local import plan


@pytest.mark.parametrize(
    ("records", "matches", "name", "reason"),
    [
        (0, 0, "nothing", "no record matches"),
        (10, 0, "nothing", "no record matches"),
        (10, 10, "scan", "all 10 records are candidates: each is compared exactly"),
        (1000, 55, "scan matches", "55 of 1000 records match (5.5%): only those are compared, exactly"),
    ],
)
def test_a_plan_has_a_name_and_a_reason(records: int, matches: int, name: str, reason: str) -> None:
    assert plan.choose(records, matches) == plan.Plan(name, reason)
