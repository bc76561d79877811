"""Several processes on one folder, and processes that are killed."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.worker.stores import DIMENSION, open_store, vectors

RECORDS = 12_000


def command(system: str, phase: str, **arguments: Any) -> list[str]:
    """Return the command line of another phase."""
    return [sys.executable, "-m", "benchmarks.worker", system, phase, json.dumps(arguments)]


def result(output: str) -> dict[str, Any] | None:
    """Find a phase's result in what it printed."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return found
    return None


def processes(system: str, folder: str, data: str) -> dict[str, Any]:
    """Let four processes write 3,000 records each; then look for a sample of them by their own vectors."""
    open_store(system, folder).create("shared")
    commands = [command(system, "writer", folder=folder, data=data, start=start) for start in range(0, RECORDS, 3000)]
    start = time.perf_counter()
    writers = [subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for each in commands]
    failed = sum(writer.wait() != 0 for writer in writers)
    seconds = time.perf_counter() - start
    check = command(system, "checker", folder=folder, data=data)
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    checked = result(answer.stdout) or {"count": None, "missing": None}
    return {"seconds": seconds, "failed_writers": failed, **checked}


def writer(system: str, folder: str, data: str, start: int) -> dict[str, Any]:
    """Add 3,000 records in batches of 50."""
    things, embeddings = open_store(system, folder).get("shared"), vectors(data)
    for first in range(start, start + 3000, 50):
        rows = [n % len(embeddings) for n in range(first, first + 50)]
        things.add([f"id{n}" for n in range(first, first + 50)], np.array(embeddings[rows]))
    return {}


def checker(system: str, folder: str, data: str) -> dict[str, Any]:
    """Count the shared records and ask for 200 of them."""
    things, embeddings = open_store(system, folder).get("shared"), vectors(data)
    sample = random.Random(2).sample(range(min(RECORDS, len(embeddings))), 200)
    missing = sum(f"id{n}" not in things.query(np.array(embeddings[n : n + 1]))[0] for n in sample)
    return {"count": things.count(), "missing": missing}


def kills(system: str, folder: str, data: str, times: int) -> dict[str, Any]:
    """Kill a writing process again and again; stop when the folder does not open or has lost what was acknowledged."""
    open_store(system, folder).create("shared")
    acknowledged = 0
    for number in range(times):
        arguments = command(system, "endless", folder=folder, data=data, first=acknowledged)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        time.sleep(random.Random(number).uniform(0.2, 1.0))
        process.kill()
        rest = [int(text) for text in (line + process.stdout.read()).split() if text.isdigit()]
        process.wait()
        if not rest:
            return {"survived": number, "of": times, "why": "could not be opened or written"}
        acknowledged = max(rest)
        check = command(system, "counter", folder=folder)
        counted = result(subprocess.run(check, capture_output=True, text=True, check=False).stdout)
        if counted is None or counted["count"] < acknowledged:
            return {"survived": number, "of": times, "why": "lost records" if counted else "could not be read"}
        acknowledged = max(acknowledged, counted["count"])
    return {"survived": times, "of": times, "why": ""}


def endless(system: str, folder: str, data: str, first: int) -> dict[str, Any]:
    """Add records until killed, and say how far it got after each call."""
    things, embeddings = open_store(system, folder).get("shared"), vectors(data)
    for start in itertools.count(first, 50):
        rows = [n % len(embeddings) for n in range(start, start + 50)]
        things.add([f"id{n}" for n in range(start, start + 50)], np.array(embeddings[rows]))
        print(start + 50, flush=True)
    return {}


def counter(system: str, folder: str) -> dict[str, Any]:
    """Count, and answer one query."""
    things = open_store(system, folder).get("shared")
    things.query(np.ones((1, DIMENSION), np.float32))
    return {"count": things.count()}
