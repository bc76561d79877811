"""`python -m benchmarks`: both systems, one run, one table."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import chroma_model, data, table
from benchmarks.cases import GETS, QUERIES, matches

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("worker.py")
CHROMA = "chromadb==1.5.9"


def main() -> None:
    """Measure, print, and write the figures as JSON if asked to."""
    options = _options()
    pythons = {"ochre": Path(sys.executable), "chroma": options.chroma_python or _environment()}
    chroma_model.provide()
    with tempfile.TemporaryDirectory(prefix="ochre-bench-", dir=options.scratch) as name:
        scratch = Path(name)
        wordnet = data.load(options.data, options.records)
        data.store(wordnet, scratch / "data")
        figures = {system: _measure(system, python, scratch, options) for system, python in pythons.items()}
    for measured in figures.values():
        measured["recall"] = _recalls(wordnet, measured["reads"].pop("found"))
    figures["import_ms"] = _import_times(pythons)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    table.show(figures, options.records or len(wordnet.records))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    folder = Path(os.environ.get("OCHRE_BENCH_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=folder, help="the folder with the WordNet files")
    parser.add_argument("--records", type=int, help="use only so many records")
    parser.add_argument("--model-records", type=int, default=2000, help="documents to embed with the default model")
    parser.add_argument("--chroma-python", type=Path, help="a Python that has chromadb (default: one is made)")
    parser.add_argument("--scratch", type=Path, help="where to put the databases (default: the temporary folder)")
    parser.add_argument("--crash", action="store_true", help="also kill writers in a loop")
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    return parser.parse_args()


def _environment() -> Path:
    """Make Chroma's own environment, once."""
    folder = ROOT / ".venv-chroma"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", CHROMA], check=True)
    return python


def _measure(system: str, python: Path, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run every phase of one system, each in a process of its own."""
    source = str(scratch / "data")

    def run(phase: str, folder: str, **arguments: Any) -> dict[str, Any]:
        print(f"{system}: {phase}", file=sys.stderr, flush=True)
        return _worker(
            python, system, phase, {"folder": str(scratch / f"{system}-{folder}"), "data": source, **arguments}
        )

    measured = {"bulk": run("bulk", "main")}
    measured["disk_mb"] = sum(p.stat().st_size for p in (scratch / f"{system}-main").rglob("*") if p.is_file()) / 2**20
    measured["cold"] = run("cold", "main")
    measured["reads"] = run("reads", "main", gets=GETS, queries=QUERIES)
    measured["single"] = run("single", "main")
    measured["during"] = run("during", "during")
    shutil.rmtree(scratch / f"{system}-main")
    measured["model"] = run("model", "model", count=options.model_records)
    measured["processes"] = run("processes", "shared")
    if options.crash:
        measured["kills"] = run("kills", "kills", times=10)
    return measured


def _worker(python: Path, system: str, phase: str, arguments: dict[str, Any]) -> dict[str, Any]:
    command = [str(python), str(WORKER), system, phase, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    raise SystemExit(f"{system}: {phase} failed\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _recalls(wordnet: data.Data, found: dict[str, list[list[str]]]) -> dict[str, float]:
    """Return, per query case, the share of the true ten nearest that was found."""
    recalls = {}
    for name, answers in found.items():
        rows = np.flatnonzero([matches(QUERIES[name], record) for record in wordnet.records])
        truth = data.true_neighbours(wordnet, rows, 10)[: len(answers)]
        hits = sum(len(set(mine) & set(true)) for mine, true in zip(answers, truth, strict=True))
        recalls[name] = hits / sum(map(len, truth))
    return recalls


def _import_times(pythons: dict[str, Path]) -> dict[str, float]:
    """Return what an import adds to the start of Python, in milliseconds."""
    modules = {"ochre": ("ochre", "ochre"), "chromadb": ("chroma", "chromadb"), "numpy": ("chroma", "numpy")}
    times = {}
    for name, (system, module) in modules.items():
        bare = _median_start(pythons[system], "pass")
        times[name] = _median_start(pythons[system], f"import {module}") - bare
    return times


def _median_start(python: Path, code: str) -> float:
    times = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([str(python), "-c", code], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:]) * 1000


if __name__ == "__main__":
    main()
