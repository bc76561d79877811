"""What several processes on one folder cost each other: writing side by side, and seeing what another wrote."""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from multiprocessing import RawArray, RawValue
from pathlib import Path
from typing import Any

from ochre.local.engine import LocalEngine
from ochre.model.requests import CountRecords
from tests.torture.content import PLACE, create, quiet, write

BATCHES = {1: 3000, 50: 4000, 1000: 200}
"""Records a call, and how many calls are made in all."""

COMMITS = 300


def measure(place: Path) -> dict[str, str]:
    """Return throughput of four writers and of one, and the delay until a reader sees a commit."""
    found = {}
    for batch in BATCHES:
        alone, together = (_writing(place / f"{batch}-{writers}", writers, batch) for writers in (1, 4))
        found[f"records a second in calls of {batch}, one writer and four"] = f"{alone:,.0f} and {together:,.0f}"
    middle, worst = _delay(place / "delay")
    return {**found, "until a reader sees a commit, ms (median, worst)": f"{middle:.2f}, {worst:.2f}"}


def _opened(folder: Path) -> LocalEngine:
    return LocalEngine.open(folder, quiet())


def _new(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    engine = _opened(folder)
    create(engine)
    engine.close()


def _writing(folder: Path, writers: int, batch: int) -> float:
    """Write so many calls in all; return records a second."""
    _new(folder)
    ready, go = RawArray(ctypes.c_int, writers), RawValue(ctypes.c_int, 0)
    children = [
        _fork(lambda writer=writer: _write(folder, batch, range(writer, BATCHES[batch], writers), writer, ready, go))
        for writer in range(writers)
    ]
    while sum(ready) < writers:
        time.sleep(0.001)
    start = time.perf_counter()
    go.value = 1
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return BATCHES[batch] * batch / (time.perf_counter() - start)


def _write(folder: Path, batch: int, calls: range, writer: int, ready: Any, go: Any) -> None:
    engine = _opened(folder)
    things = engine.get_collection("things", *PLACE).id
    ready[writer] = 1
    while not go.value:
        time.sleep(0.0005)
    for call in calls:
        write(engine, things, "add", range(call * batch, (call + 1) * batch))
    engine.close()


def _delay(folder: Path) -> tuple[float, float]:
    """Let a reader look all the time; return how long after a commit it saw it, in milliseconds."""
    _new(folder)
    seen, done = RawArray(ctypes.c_double, COMMITS), RawValue(ctypes.c_int, 0)
    child = _fork(lambda: _watch(folder, seen, done))
    engine = _opened(folder)
    things = engine.get_collection("things", *PLACE).id
    committed = []
    for number in range(COMMITS):
        write(engine, things, "add", [number])
        committed.append(time.monotonic())
        time.sleep(0.002)
    os.waitpid(child, 0)
    engine.close()
    delays = [max(at - own, 0.0) * 1000 for own, at in zip(committed, seen, strict=True)]
    return statistics.median(delays), max(delays)


def _watch(folder: Path, seen: Any, done: Any) -> None:
    engine = _opened(folder)
    things = engine.get_collection("things", *PLACE).id
    known = 0
    while known < COMMITS:
        count = engine.count(CountRecords(things))
        now = time.monotonic()
        for number in range(known, count):
            seen[number] = now
        known = count
    done.value = 1
    engine.close()


def _fork(act: Any) -> int:
    child = os.fork()
    if child:
        return child
    try:
        act()
        os._exit(0)
    finally:
        os._exit(1)
