"""`python -m benchmarks`: all systems, one run, one table."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chroma_model, data, results, rows, table
from benchmarks.cases import EFFORTS, QUERIES
from benchmarks.systems import TITLES, FailedError, System, system

PARTS = ("cold", "reads", "effort", "selectivity", "profile", "single", "busy", "model", "processes", "raw")
COLD_STARTS = 5
KILLS = 10


def main() -> None:
    """Measure, print, and add the figures to a JSON file if asked to."""
    options = _options()
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ochre-bench-", dir=options.scratch) as name:
        scratch = Path(name)
        wordnet = data.load(options.data, options.records, scratch / "data")
        print("true neighbours", file=sys.stderr, flush=True)
        truth = _truth(wordnet)
        systems = [system(each, options.pythons.get(each)) for each in options.systems]
        figures = results.about(wordnet.count, systems)
        for each in systems:
            run = _Run(each, wordnet, truth, scratch, options)
            figures[each.name] = run.figures
            run.all()
            failures += run.failures
            if options.out:
                results.write(options.out, figures)
    table.show(figures, (row for make in rows.TABLES.values() for row in make(figures)))
    failures += _disagreements(figures)
    if failures:
        raise SystemExit("\n".join(["", "These figures are missing, or do not compare:", *failures]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="the folder with the WordNet files")
    parser.add_argument(
        "--records", "--scale", type=int, help="how many: fewer than WordNet has, or more, made of its vectors turned"
    )
    parser.add_argument("--systems", type=_names, default=["ochre", "chroma", "lancedb"], help="ochre,chroma,lancedb")
    parser.add_argument(
        "--only", type=_names, default=list(PARTS), help=f"parts to measure: {','.join(PARTS)}, or none"
    )
    parser.add_argument("--limit", type=float, default=7200, help="seconds that a phase may take")
    parser.add_argument("--model-records", type=int, default=2000, help="documents to embed with the default model")
    parser.add_argument(
        "--many", type=int, nargs="?", const=10_000, help="also make so many collections of 100 records"
    )
    parser.add_argument("--crash", action="store_true", help="also kill writers in a loop")
    parser.add_argument("--chroma-python", type=Path, help="a Python that has chromadb (default: one is made)")
    parser.add_argument("--lancedb-python", type=Path, help="a Python that has lancedb (default: one is made)")
    parser.add_argument("--scratch", type=Path, help="where to put the databases (default: the temporary folder)")
    parser.add_argument("--out", type=Path, help="add the figures to this JSON file, under the number of records")
    options = parser.parse_args()
    unknown = {*options.systems, *options.only} - {*TITLES, *PARTS, "none"}
    if unknown:
        parser.error(
            f"there is no {', '.join(sorted(unknown))}: systems are {', '.join(TITLES)}, parts {', '.join(PARTS)}"
        )
    options.pythons = {"chroma": options.chroma_python, "lancedb": options.lancedb_python}
    return options


def _names(text: str) -> list[str]:
    return text.split(",")


def _truth(wordnet: data.Data) -> dict[str, list[list[str]]]:
    cases = {**QUERIES, **wordnet.filters_by_share()}
    return data.true_neighbours(wordnet, {name: wordnet.mask(arguments) for name, arguments in cases.items()})


def _disagreements(figures: dict[str, Any]) -> list[str]:
    """Tell where the systems returned different numbers of records: then their times compare different work."""
    rows = {name: figures[name]["reads"]["rows"] for name in TITLES if "reads" in figures.get(name, {})}
    return [
        f"{case}: {', '.join(f'{TITLES[name]} returned {counts[case]} records' for name, counts in rows.items())}"
        for case in next(iter(rows.values()), {})
        if len({counts[case] for counts in rows.values()}) > 1
    ]


class _Run:
    """One system's phases; what fails is noted, and the rest goes on.

    Attributes:
        figures: what was measured, by phase.
        failures: what failed or took too long, in words.
    """

    def __init__(
        self,
        measured: System,
        wordnet: data.Data,
        truth: dict[str, list[list[str]]],
        scratch: Path,
        options: argparse.Namespace,
    ) -> None:
        self.figures: dict[str, Any] = {}
        self.failures: list[str] = []
        self._system, self._data, self._truth, self._scratch = measured, wordnet, truth, scratch
        self._options = options

    def all(self) -> None:
        """Run what was asked for. Phases that only read come before those that add."""
        main = self._folder("main")
        self._note("bulk", lambda: self._phase("bulk", main, limit=self._options.limit))
        bulk = self.figures.get("bulk", {"complete": False})
        if bulk["complete"]:
            self.figures["disk_mb"] = _size(main)
            for part in ("cold", "reads", "effort", "selectivity", "profile", "single", "busy"):
                self._part(part, main)
        elif "records" in bulk:
            reached = f"{bulk['records']:,} of {self._data.count:,} records were added in time"
            self.failures.append(f"{self._system.name}: {reached}; what needs all of them is left out")
        shutil.rmtree(main, ignore_errors=True)
        for part in ("model", "processes", "raw"):
            self._part(part, self._folder(part))
        if self._options.crash:
            self._note("kills", lambda: self._phase("kills", self._folder("kills"), times=KILLS))
        if self._options.many:
            self._note("many", self._many)

    def _part(self, part: str, folder: Path) -> None:
        measures: dict[str, Callable[[Path], Any]] = {
            "cold": self._cold,
            "reads": lambda folder: self._recalled(self._phase("reads", folder)),
            "effort": self._effort,
            "selectivity": lambda folder: self._recalled(
                self._phase("selectivity", folder, filters=self._data.filters_by_share())
            ),
            "busy": lambda folder: self._phase("busy", folder, limit=self._options.limit),
            "model": self._model,
            "raw": lambda _: self._raw(),
        }
        own = {"profile": ("ochre",), "raw": ("ochre",), "model": ("ochre", "chroma")}
        if part in self._options.only and self._system.name in own.get(part, (self._system.name,)):
            measure = measures.get(part, lambda folder: self._phase(part, folder))
            self._note(part, lambda: measure(folder))

    def _note(self, name: str, measure: Callable[[], Any]) -> None:
        try:
            self.figures[name] = measure()
        except FailedError as error:
            print(error, file=sys.stderr, flush=True)
            self.failures.append(str(error))

    def _folder(self, name: str) -> Path:
        return self._scratch / f"{self._system.name}-{name}"

    def _phase(self, phase: str, folder: Path, **arguments: Any) -> dict[str, Any]:
        limit = self._options.limit * 2  # those that know the limit stop by themselves, and tell how far they came
        return self._system.run(phase, limit, folder=str(folder), data=str(self._data.folder), **arguments)

    def _cold(self, folder: Path) -> dict[str, float]:
        starts = [self._phase("cold", folder) for _ in range(COLD_STARTS)]
        return {name: statistics.median(start[name] for start in starts) for name in starts[0]}

    def _effort(self, folder: Path) -> dict[str, Any]:
        """Start a process for each effort: only a new one takes note in Chroma. The last puts back the usual effort."""
        efforts = [*(effort for effort in EFFORTS if effort != 100), 100]
        measured = {effort: self._recalled(self._phase("effort", folder, effort=effort)) for effort in efforts}
        return {str(effort): measured[effort] for effort in EFFORTS}

    def _model(self, folder: Path) -> dict[str, Any]:
        chroma_model.provide()
        return self._phase("model", folder, count=self._options.model_records)

    def _raw(self) -> dict[str, Any]:
        raw = self._system.run("raw", self._options.limit * 2, data=str(self._data.folder))
        raw["effort"] = {effort: self._recalled(measured) for effort, measured in raw["effort"].items()}
        return raw

    def _many(self) -> dict[str, Any]:
        folder = self._folder("many")
        made = self._phase("make", folder, collections=self._options.many, limit=self._options.limit)
        return {"make": made, "use": self._phase("use", folder), "disk_mb": _size(folder)}

    def _recalled(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Put recall in the place of what was found."""
        found = measured.pop("found")
        return {**measured, "recall": {name: data.recall(ids, self._truth[name]) for name, ids in found.items()}}


def _size(folder: Path) -> float:
    """Return what a folder takes on the disk, in megabytes: holes in files take nothing."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(getattr(each, "st_blocks", -(-each.st_size // 512)) * 512 for each in found) / 2**20


if __name__ == "__main__":
    main()
