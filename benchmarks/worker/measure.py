"""Clocks, memory and descriptors of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BUDGET = 60.0
"""Seconds after which a case is asked no more: slow ones get fewer repeats, never fewer than five."""


def timed(call: Callable[[int], Any], repeats: int, warm: int = 3) -> dict[str, float]:
    """Return the wall time of a call in milliseconds: `p50`, `p99`, and of how many `repeats`."""
    end = time.perf_counter() + BUDGET
    for number in range(warm):
        call(number)
    times: list[float] = []
    for number in range(repeats):
        start = time.perf_counter()
        if start > end and number >= 5:
            break
        call(number)
        times.append(time.perf_counter() - start)
    return spread(times)


def spread(seconds: list[float]) -> dict[str, float]:
    """Return middle and slow end of some wall times, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50": float(p50), "p99": float(p99), "repeats": len(seconds)}


def memory() -> dict[str, float]:
    """Return the memory of this process in megabytes: resident, and the part of it that no other could share.

    Mapped files can be shared, whether anybody does now or not.

    Linux tells precisely; elsewhere psutil does, if it is there.
    """
    rollup = Path("/proc/self/smaps_rollup")
    if rollup.exists():
        lines = [line.split() for line in rollup.read_text(encoding="ascii").splitlines()[1:]]
        kilobytes = {line[0].removesuffix(":"): int(line[1]) for line in lines}
        return {"resident_mb": kilobytes["Rss"] / 1024, "private_mb": kilobytes["Anonymous"] / 1024}
    try:
        import psutil
    except ImportError:
        return {}
    full = psutil.Process().memory_full_info()
    return {"resident_mb": full.rss / 2**20, "private_mb": full.uss / 2**20}


def peak() -> float | None:
    """Return the most memory this process was resident with, in megabytes, where Linux tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) / 1024


def descriptors() -> int | None:
    """Return how many files this process has open, where the platform tells."""
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else None
