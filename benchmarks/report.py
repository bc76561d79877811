"""Writes the tables of figures in `docs/performance.md` and `README.md`, out of those stored: none is typed by hand.

`python -m benchmarks.report` writes them between their markers, `--check` only tells whether they are up to date.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator

from benchmarks import results, rows
from benchmarks.cases import EFFORTS, QUERIES
from benchmarks.systems import ROOT, TITLES
from benchmarks.table import HEAD, Figures, Row, at, number

PAGES = (ROOT / "docs" / "performance.md", ROOT / "README.md")
STORED = ROOT / "docs" / "performance" / "results.json"
MARKED = re.compile(r"(<!-- figures: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Runs = dict[int, Figures]


def main() -> None:
    """Bring the pages up to date, or tell that they are not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page is out of date")
    options = parser.parse_args()
    runs = results.read(STORED)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        filled = fill(text, runs)
        if filled != text and options.check:
            raise SystemExit(f"{page.name} is out of date: run python -m benchmarks.report")
        page.write_text(filled, encoding="utf-8", newline="\n")


def fill(text: str, runs: Runs) -> str:
    """Return a page with its tables made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{section(found['name'], runs)}\n{found[3]}", text)


def section(name: str, runs: Runs) -> str:
    """Return one part of the page."""
    if name in rows.TABLES:
        figures = runs[results.main_size(runs)]
        return _table(HEAD, (row.cells() for row in rows.TABLES[name](figures))) or "Not measured yet."
    return SECTIONS[name](runs)


def _about(runs: Runs) -> str:
    about = runs[results.main_size(runs)]["about"]
    versions = ", ".join(f"{TITLES[name]} {version}" for name, version in about["versions"].items())
    others = [size for size in runs if size != results.main_size(runs)]
    also = f" The same was measured with {_listed(others)}." if others else ""
    return f"{about['records']:,} records, {about['cores']} cores: {versions}.{also}"


def _summary(runs: Runs) -> str:
    """Return what matters most, beside Chroma."""
    figures = runs[results.main_size(runs)]
    found = {row.case: row.cells() for make in _GROWING for row in make(figures)}
    lines = [[found[case][column] for column in (0, 1, 2, 4)] for case in SUMMARY]
    return _table(["", "Ochre", "Chroma", "times better"], lines)


def _listed(sizes: list[int]) -> str:
    words = [f"{size:,}" for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _raw(runs: Runs) -> str:
    figures = runs[results.main_size(runs)]
    lines = []
    for effort in map(str, EFFORTS):
        raw, ours = at(figures, "ochre", "raw", "effort", effort), at(figures, "ochre", "effort", effort)
        if raw and ours:
            ratio = f"{ours['p50'] / raw['p50']:.2f}"
            lines.append([effort, *_timed(raw), *_timed(ours), ratio])
    head = ["`ef_search`", "raw FAISS", "recall", "Ochre, everything included", "recall", "times the raw call"]
    return _table(head, lines) or "Not measured yet."


def _timed(measured: Figures) -> list[str]:
    return [number(measured["p50"], "ms"), number(measured["recall"]["query"])]


def _profile(runs: Runs) -> str:
    profiles = at(runs[results.main_size(runs)], "ochre", "profile") or {}
    stages = list(dict.fromkeys(stage for each in profiles.values() for stage in each["stages"]))
    lines = []
    for name, each in profiles.items():
        rest = each["total"] - sum(each["stages"].values())
        inside = [number(each["stages"].get(stage)) for stage in stages]
        lines.append([name, each["plan"], f"{each['matches']:,}", number(each["total"]), *inside, number(rest)])
    return _table(["case", "plan", "matches", "ms", *stages, "around them"], lines) or "Not measured yet."


def _growth(runs: Runs) -> str:
    """Return, per case, our figure and Chroma's at each size, and how many times ours grew from first to last."""
    tables = {size: {row.case: row for make in _GROWING for row in make(figures)} for size, figures in runs.items()}
    sizes = list(runs)
    lines = []
    for case, row in tables[sizes[-1]].items():
        ours, theirs = ([_value(tables[size].get(case), name) for size in sizes] for name in ("ochre", "chroma"))
        grown = f"{ours[-1] / ours[0]:,.3g}" if ours[0] and ours[-1] else "-"
        lines.append([case, *(number(value, row.unit) for value in ours), grown, *map(number, theirs)])
    head = [*(f"Ochre, {size:,}" for size in sizes), "grew, times", *(f"Chroma, {size:,}" for size in sizes)]
    return _table(["case", *head], lines)


_GROWING = (rows.adding, rows.querying, rows.getting, rows.starting)


def _value(row: Row | None, name: str) -> float | None:
    return None if row is None else row.values.get(name)


def _larger(runs: Runs) -> str:
    """Return the whole table of the largest run, where it is larger than WordNet."""
    size = max(runs)
    if size <= results.WORDNET:
        return "Not measured yet."
    lines = (row.cells() for make in _GROWING for row in make(runs[size]))
    return f"{size:,} records.\n\n{_table(HEAD, lines)}"


def _shared(runs: Runs) -> str:
    figures = runs[results.main_size(runs)]
    lines = []
    for name, title in TITLES.items():
        shared, kills = at(figures, name, "processes"), at(figures, name, "kills")
        if shared:
            survived = f"{kills['survived']} of {kills['of']}" if kills else "-"
            counted = number(shared["count"])
            lines.append([title, counted, number(shared["missing"]), str(shared["failed_writers"]), survived])
    head = ["system", "counted of 12,000", "not found, of 200", "writers that failed", "`kill -9` survived"]
    return _table(head, lines) or "Not measured yet."


def _cases(runs: Runs) -> str:  # noqa: ARG001  (sections are called alike)
    shown = ((name, ", ".join(f"`{key}={value}`" for key, value in QUERIES[name].items())) for name in QUERIES)
    return _table(["case", "filter"], ([name, text or "none"] for name, text in shown))


SUMMARY = (
    *("bulk add, batches of 5,000", "bulk add until fully indexed", "one durable add"),
    *("documents through the default model", "4 writing processes, 12,000 records"),
    *("query", "recall of query", "query where 70 %", "query where 6 %", "recall of query where 6 %"),
    *("query where 0.1 %", "query $contains, common phrase", "query during a bulk add, p50"),
    *("query during a bulk add, p99", "count", "get by id", "get where, few match", "get page of 100 at 50,000"),
    *("get $contains, rare", "get $regex, rare", "import", "open and first query", "first filtered query"),
    *("private memory of that process", "size on disk"),
)

SECTIONS: dict[str, Callable[[Runs], str]] = {
    "about": _about,
    "summary": _summary,
    "cases": _cases,
    "raw": _raw,
    "profile": _profile,
    "growth": _growth,
    "larger": _larger,
    "shared": _shared,
}


def _table(head: list[str], lines: Iterator[list[str]] | list[list[str]]) -> str:
    """Return a table in Markdown; nothing where it would have no rows."""
    body = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body])


if __name__ == "__main__":
    main()
