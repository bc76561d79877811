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

CALLS = 400
COMMITS = 300
BATCH = 50


def measure(place: Path) -> dict[str, str]:
    """Return throughput of four writers and of one, and the delay until a reader sees a commit."""
    alone, together = (_writing(place / str(writers), writers) for writers in (1, 4))
    middle, worst = _delay(place / "delay")
    return {
        "records a second, one writer": f"{alone:,.0f}",
        "four": f"{together:,.0f}",
        "until a reader sees a commit, ms (median, worst)": f"{middle:.2f}, {worst:.2f}",
    }


def _opened(folder: Path) -> LocalEngine:
    return LocalEngine.open(folder, quiet())


def _new(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    engine = _opened(folder)
    create(engine)
    engine.close()


def _writing(folder: Path, writers: int) -> float:
    """Write so many calls in all; return records a second."""
    _new(folder)
    ready, go = RawArray(ctypes.c_int, writers), RawValue(ctypes.c_int, 0)
    children = [_fork(lambda writer=writer: _write(folder, writer, writers, ready, go)) for writer in range(writers)]
    while sum(ready) < writers:
        time.sleep(0.001)
    start = time.perf_counter()
    go.value = 1
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return CALLS * BATCH / (time.perf_counter() - start)


def _write(folder: Path, writer: int, writers: int, ready: Any, go: Any) -> None:
    engine = _opened(folder)
    things = engine.get_collection("things", *PLACE).id
    ready[writer] = 1
    while not go.value:
        time.sleep(0.0005)
    for call in range(writer, CALLS, writers):
        write(engine, things, "add", range(call * BATCH, (call + 1) * BATCH))
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
