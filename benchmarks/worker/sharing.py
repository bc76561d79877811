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

from benchmarks.worker.stores import open_store, vectors

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


def made(system: str, folder: str) -> dict[str, Any]:
    """Make the collection that all share."""
    open_store(system, folder).create("shared")
    return {}


def _make(system: str, folder: str) -> None:
    """Make it in a process of its own, which keeps nothing open."""
    subprocess.run(command(system, "made", folder=folder), check=True, capture_output=True)


def processes(system: str, folder: str, data: str) -> dict[str, Any]:
    """Let four processes write 3,000 records each; then look for a sample of them by their own vectors."""
    _make(system, folder)
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
    _make(system, folder)
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
        check = command(system, "counter", folder=folder, data=data, acknowledged=acknowledged)
        counted = result(subprocess.run(check, capture_output=True, text=True, check=False).stdout)
        if counted is None:
            return {"survived": number, "of": times, "why": "could not be read"}
        if counted["count"] < acknowledged:
            lost = acknowledged - counted["count"]
            return {"survived": number, "of": times, "why": f"{lost:,} of {acknowledged:,} records lost"}
        if counted["missing"]:
            return {"survived": number, "of": times, "why": f"{counted['missing']} of 100 vectors not found"}
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


def counter(system: str, folder: str, data: str, acknowledged: int) -> dict[str, Any]:
    """Count, and look for a hundred of the acknowledged records by their own vectors."""
    things, embeddings = open_store(system, folder).get("shared"), vectors(data)
    sample = random.Random(3).sample(range(acknowledged), min(100, acknowledged))
    rows = [n % len(embeddings) for n in sample]
    found = [things.query(np.array(embeddings[row : row + 1]))[0] for row in rows]
    # Records beyond the data's end have the vectors of others, so any of them will do.
    near = [{int(id_.removeprefix("id")) % len(embeddings) for id_ in ids} for ids in found]
    missing = sum(row not in own for row, own in zip(rows, near, strict=True))
    return {"count": things.count(), "missing": missing}


def fresh(system: str, folder: str, data: str, calls: int) -> dict[str, Any]:
    """Read in this process while another writes; count the reads that did not see what was acknowledged before them."""
    _make(system, folder)
    reader = open_store(system, folder, consistent=True).get("shared")
    arguments = command(system, "stepwise", folder=folder, data=data, calls=calls)
    writer = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert writer.stdin is not None
    assert writer.stdout is not None
    stale = done = 0
    for call in range(1, calls + 1):
        writer.stdin.write("go\n")
        writer.stdin.flush()
        if writer.stdout.readline() != "done\n":
            return {"stale": stale, "of": done, "why": "the second process could not write"}
        done = call
        stale += reader.count() < call * 50
    writer.wait()
    return {"stale": stale, "of": done, "why": ""}


def stepwise(system: str, folder: str, data: str, calls: int) -> dict[str, Any]:
    """Add fifty records whenever told to."""
    things, embeddings = open_store(system, folder).get("shared"), vectors(data)
    for call in range(calls):
        sys.stdin.readline()
        start = call * 50
        rows = [n % len(embeddings) for n in range(start, start + 50)]
        things.add([f"id{n}" for n in range(start, start + 50)], np.array(embeddings[rows]))
        print("done", flush=True)
    return {}
