"""The table of figures: one row a case, all systems, the ratios, and what was to be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.systems import TITLES

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        values: the figure of each system, None where there is none.
        unit: theirs.
        higher: whether more is better.
        goal: what was to be reached, in words; empty where nothing was.
        met: whether it was.
    """

    case: str
    values: dict[str, float | None]
    unit: str
    higher: bool = False
    goal: str = ""
    met: bool | None = None

    def times(self, other: str) -> float | None:
        """Tell how many times better Ochre is than another system."""
        ours, theirs = self.values.get("ochre"), self.values.get(other)
        if not ours or not theirs:
            return None
        return ours / theirs if self.higher else theirs / ours

    def cells(self) -> list[str]:
        """Return the row in words: case, figures, ratios, goal."""
        figures = [number(self.values.get(name), self.unit) for name in TITLES]
        ratios = [_ratio(self.times(name)) for name in TITLES if name != "ochre"]
        mark = "" if self.met is None else " ✓" if self.met else " ✗"
        return [self.case, *figures, *ratios, self.goal + mark]


HEAD = ["case", *TITLES.values(), "times Chroma", "times LanceDB", "goal"]


def at(figures: Figures, *path: str) -> Any:
    """Look up a figure, or None."""
    value: Any = figures
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def row(
    figures: Figures,
    case: str,
    pick: Callable[[Figures], float | None],
    unit: str,
    *,
    higher: bool = False,
    times: float | None = None,
) -> Row:
    """Make a row of one figure a system; `times` says how many times better than Chroma's ours is to be."""
    found = Row(case, {name: pick(figures.get(name, {})) for name in TITLES}, unit, higher)
    ratio = found.times("chroma")
    if times is None or ratio is None:
        return found
    return Row(case, found.values, unit, higher, f"{times:g} times Chroma", ratio >= times)


def bounded(made: Row, goal: str, met: bool | None) -> Row:
    """Give a row a goal that is not a ratio to Chroma."""
    if met is None:
        return made
    return Row(made.case, made.values, made.unit, made.higher, goal, met)


def rate(*path: str, seconds: str = "seconds") -> Callable[[Figures], float | None]:
    """Return what reads records a second."""

    def read(measured: Figures) -> float | None:
        part = at(measured, *path)
        if not part or not part.get(seconds) or not part.get("records"):
            return None
        return float(part["records"] / part[seconds])

    return read


def figure(*path: str) -> Callable[[Figures], float | None]:
    """Return what reads one figure."""
    return lambda measured: at(measured, *path)


def number(value: float | None, unit: str = "") -> str:
    """Write a figure with three digits or so; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,} {unit}".strip()
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size > 1 else 3
    return f"{value:,.{digits}f} {unit}".strip()


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def show(figures: Figures, rows: Iterable[Row]) -> None:
    """Print the table of a run."""
    from rich.console import Console
    from rich.table import Table

    versions = ", ".join(f"{TITLES[name]} {version}" for name, version in figures["about"]["versions"].items())
    records = figures["about"]["records"]
    table = Table(title=f"{versions}: {records:,} records of WordNet, 384 dimensions, cosine")
    for title in HEAD:
        table.add_column(title, justify="left" if title == "case" else "right")
    for each in rows:
        table.add_row(*each.cells())
    console = Console(width=140)
    console.print(table)
    for name, title in TITLES.items():
        shared = at(figures, name, "processes")
        if shared:
            told = (
                "and a new process could not count and find afterwards"
                if shared["count"] is None
                else f"{shared['count']} of 12,000 records counted, {shared['missing']} of 200 not found by own vector"
            )
            console.print(f"{title}: four writing processes, {shared['failed_writers']} of them failed, {told}")
        kills = at(figures, name, "kills")
        if kills:
            console.print(f"{title}: kill -9 of a writer: survived {kills['survived']} of {kills['of']} {kills['why']}")
