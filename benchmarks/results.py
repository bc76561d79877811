"""The file of figures: one entry a size of the collection, so that runs of several sizes make one report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.systems import TITLES, System

WORDNET = 117_659


def about(records: int, systems: list[System]) -> dict[str, Any]:
    """Return the beginning of a run's figures: what was measured, and on how many cores."""
    versions = {system.name: system.version() for system in systems}
    return {"about": {"records": records, "cores": os.cpu_count(), "versions": versions}}


def read(path: Path) -> dict[int, dict[str, Any]]:
    """Return the figures of each number of records, in rising order."""
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {int(records): figures[records] for records in sorted(figures, key=int)}


def write(path: Path, figures: dict[str, Any]) -> None:
    """Put a run's figures in the place of the former ones of its size, phase by phase."""
    known = read(path)
    size = figures["about"]["records"]
    former = known.get(size, {"about": {"versions": {}}})
    measured = {name: {**former.get(name, {}), **figures[name]} for name in TITLES if name in figures}
    versions = {**former["about"]["versions"], **figures["about"]["versions"]}
    known[size] = {**former, **measured, "about": {**figures["about"], "versions": versions}}
    text = json.dumps({str(records): _rounded(known[records]) for records in sorted(known)}, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _rounded(value: Any) -> Any:
    """Keep six digits: more are noise."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def main_size(figures: dict[int, dict[str, Any]]) -> int:
    """Return the size that the tables show: WordNet's, or what comes nearest to it."""
    return max((size for size in figures if size <= WORDNET), default=min(figures))
