"""The table of figures: one row a case, both systems, the ratio, and what it was meant to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        ochre, chroma: the figures.
        unit: theirs.
        higher: whether more is better.
        goal: the ratio to reach; or, as a text, a goal for the figure itself.
    """

    case: str
    ochre: float
    chroma: float
    unit: str
    higher: bool = False
    goal: float | str | None = None
    met: bool | None = None

    @property
    def ratio(self) -> float:
        """How many times better Ochre is."""
        ours, theirs = max(self.ochre, 1e-9), max(self.chroma, 1e-9)
        return ours / theirs if self.higher else theirs / ours


def rows(figures: dict[str, Any]) -> Iterator[Row]:
    """Turn figures into rows."""
    o, c = figures["ochre"], figures["chroma"]

    def rate(part: dict[str, Any]) -> float:
        return float(part["records"] / part["seconds"])

    yield Row("bulk add, batches of 5,000", rate(o["bulk"]), rate(c["bulk"]), "records/s", higher=True, goal=50.0)
    yield Row(
        "bulk add, until everything is indexed",
        o["bulk"]["records"] / o["bulk"]["indexed_seconds"],
        c["bulk"]["records"] / c["bulk"]["indexed_seconds"],
        "records/s",
        higher=True,
        goal=5.0,
    )
    for name in ("p50", "p99"):
        yield Row(f"{name} of queries during a bulk add", o["during"][f"{name}_ms"], c["during"][f"{name}_ms"], "ms")
    yield Row("one durable add", o["single"]["ms"], c["single"]["ms"], "ms", goal=10.0)
    count = o["reads"]["ms"]["count"] * 1000
    yield Row("count", count, c["reads"]["ms"]["count"] * 1000, "µs", goal="under 20 µs", met=count < 20)
    for name, ms in o["reads"]["ms"].items():
        if name != "count":
            goal = 100.0 if name.startswith("query ") else 8.0
            goal = 50.0 if name.startswith("get") else 10.0 if name.startswith("get by") else goal
            yield Row(name, ms, c["reads"]["ms"][name], "ms", goal=goal)
    for name, recall in o["recall"].items():
        met = recall >= (c["recall"][name] - 0.005 if name == "query" else 0.99)
        yield Row(
            f"recall of {name}",
            recall,
            c["recall"][name],
            "",
            higher=True,
            goal="as Chroma's" if name == "query" else "0.99",
            met=met,
        )
    yield Row(
        "documents through the default model", rate(o["model"]), rate(c["model"]), "records/s", higher=True, goal=8.0
    )
    imports = figures["import_ms"]
    allowed = max(150.0, (imports["numpy"] + imports["chromadb"]) / 3)
    yield Row(
        "import",
        imports["ochre"],
        imports["chromadb"],
        "ms",
        goal=f"under {allowed:.0f} ms",
        met=imports["ochre"] < allowed,
    )
    for name, key in (
        ("open and first answer, new process", "first_answer_ms"),
        ("first filtered query", "filtered_ms"),
    ):
        yield Row(name, o["cold"][key], c["cold"][key], "ms", goal=6.0)
    for name, key in (("memory after 100 queries", "rss_mb"), ("of it anonymous", "anonymous_mb")):
        if key in o["cold"]:
            yield Row(name, o["cold"][key], c["cold"][key], "MB", goal=2.0)
    if "peak_mb" in o["bulk"]:
        yield Row("peak memory of the bulk add", o["bulk"]["peak_mb"], c["bulk"]["peak_mb"], "MB", goal=2.0)
    yield Row("size on disk", o["disk_mb"], c["disk_mb"], "MB")
    yield Row("4 writing processes, 12,000 records", o["processes"]["seconds"], c["processes"]["seconds"], "s")


def show(figures: dict[str, Any], records: int) -> None:
    """Print the table."""
    table = Table(title=f"Ochre and chromadb 1.5.9, {records:,} records of WordNet, 384 dimensions, cosine")
    table.add_column("case")
    for name in ("Ochre", "Chroma", "times better", "goal"):
        table.add_column(name, justify="right")
    for row in rows(figures):
        table.add_row(
            row.case, _number(row.ochre, row.unit), _number(row.chroma, row.unit), f"{row.ratio:,.3g}", _goal(row)
        )
    console = Console(width=120)
    console.print(table)
    for system in ("ochre", "chroma"):
        shared = figures[system]["processes"]
        console.print(
            f"{system}: four writing processes: {shared['count']} of 12,000 records counted, {shared['missing']} of "
            f"200 not found by their own vector, {shared['failed_writers']} writers failed"
        )
        if "kills" in figures[system]:
            kills = figures[system]["kills"]
            console.print(
                f"{system}: kill -9 of a writer: survived {kills['survived']} of {kills['of']} {kills['why']}"
            )


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    if isinstance(row.goal, str):
        return f"{row.goal} {'✓' if row.met else '✗'}"
    return f"{row.goal:g} times {'✓' if row.ratio >= row.goal else '✗'}"


def _number(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 3
    return f"{value:,.{digits}f} {unit}".strip()
