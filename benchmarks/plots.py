"""Draws the plots of `docs/performance.md` out of the stored figures: `python -m benchmarks.plots`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.report import STORED, Runs
from benchmarks.systems import TITLES
from benchmarks.table import at

FOLDER = STORED.parent
COLOURS = {"ochre": "#cc7722", "chroma": "#3b6ea5", "lancedb": "#6b8e5a", "faiss": "#777777"}
GROWING = {
    "query": ("reads", "times", "query", "p50"),
    "query where 6 %": ("reads", "times", "query where 6 %", "p50"),
    "query where 50 %": ("reads", "times", "query where 50 %", "p50"),
    "query $contains, common phrase": ("reads", "times", "query $contains, common phrase", "p50"),
    "get where, few match": ("reads", "times", "get where, few match", "p50"),
    "new process: import and two queries": ("cold", "together_ms"),
}


def main() -> None:
    """Draw all plots."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and what has no meaning stays the same from one drawing to the next.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ochre", "font.size": 9, "axes.grid": True})
    mpl.rcParams.update({"grid.alpha": 0.3, "legend.frameon": False})
    runs = results.read(STORED)
    for name, draw in PLOTS.items():
        _save(draw(runs), FOLDER / f"{name}.svg")


def recall(runs: Runs) -> Any:
    """Latency against recall, a point for each size of the candidate list."""
    size = results.main_size(runs)
    figure, (axes,) = _sheet(1, 1)
    for name in TITLES:
        _curve(axes, at(runs[size], name, "effort"), TITLES[name], COLOURS[name])
    _curve(axes, at(runs[size], "ochre", "raw", "effort"), "raw FAISS", COLOURS["faiss"])
    axes.set(xlabel="recall of the ten nearest", ylabel="ms a query", yscale="log", title=f"{size:,} records")
    _finish(axes)
    return figure


def _curve(axes: Any, efforts: dict[str, Any] | None, label: str, colour: str) -> None:
    if not efforts:
        return
    recalls = [measured["recall"]["query"] for measured in efforts.values()]
    axes.plot(recalls, [measured["p50"] for measured in efforts.values()], "o-", label=label, color=colour, ms=4)
    for effort, measured in efforts.items():
        point = (measured["recall"]["query"], measured["p50"])
        axes.annotate(effort, point, textcoords="offset points", xytext=(3, 4), fontsize=7, color=colour)


def selectivity(runs: Runs) -> Any:
    """Latency against the share of records that a filter matches."""
    size = results.main_size(runs)
    figure, (axes,) = _sheet(1, 1)
    for name, title in TITLES.items():
        times = at(runs[size], name, "selectivity", "times")
        if times:
            shares = [float(share) * 100 for share in times]
            axes.plot(shares, [t["p50"] for t in times.values()], "o-", label=title, color=COLOURS[name], ms=4)
    axes.set(xlabel="records that match, %", ylabel="ms a query", xscale="log", yscale="log", title=f"{size:,} records")
    _finish(axes)
    return figure


def growth(runs: Runs) -> Any:
    """Latency of some cases against the number of records."""
    figure, sheets = _sheet(2, 3)
    for axes, (case, path) in zip(sheets, GROWING.items(), strict=True):
        for name, title in TITLES.items():
            found = {size: at(figures, name, *path) for size, figures in runs.items()}
            known = {size: value for size, value in found.items() if value}
            axes.plot(list(known), list(known.values()), "o-", label=title, color=COLOURS[name], ms=4)
        axes.set(title=case, xscale="log", yscale="log", xlim=(min(runs) / 1.5, max(runs) * 1.5))
        axes.set_xticks(list(runs), [f"{size:,}" for size in runs])
        axes.minorticks_off()
    _finish(sheets[0])
    figure.supxlabel("records")
    figure.supylabel("ms")
    return figure


PLOTS: dict[str, Callable[[Runs], Any]] = {"recall": recall, "selectivity": selectivity, "growth": growth}


def _sheet(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 if columns == 1 else 9, 4 if rows == 1 else 5.5), layout="constrained")
    sheets = [axes for line in figure.subplots(rows, columns, squeeze=False) for axes in line]
    return figure, sheets


def _finish(axes: Any) -> None:
    if axes.lines:
        axes.legend()


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
