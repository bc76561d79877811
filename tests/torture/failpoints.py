"""The failpoint sweep: at every effect on the disk in turn, the process is killed, or the disk fails.

After each the folder must open, and hold what it held before the operation or what it holds after it, whole; after it,
if the operation had returned. A disk that fails once, or is full from then on, is an error of ours, and the engine goes
on working.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import apsw

from ochre.errors import OchreError
from ochre.local.engine import LocalEngine
from tests.torture.content import content, create, of_folder, quiet, write
from tests.torture.disk import DISK, KILLED, Effect, Policy
from tests.torture.operations import FOLDER, OPERATIONS, Operation, check_beside, do, prepare
from tests.torture.report import Tally

WAYS = ("die", "die in the middle", "error", "full")


def sweep(place: Path, tally: Tally, randomness: random.Random, rounds: int) -> None:
    """Go through all operations, effects and ways to fail; of more than `rounds`, take some at random."""
    points = list(_points(place))
    chosen = sorted(randomness.sample(range(len(points)), min(rounds, len(points))))
    for number in chosen:
        operation, at, way = points[number]
        tally.round(_Round(place, operation, at, way).run, f"{operation.name}, {way} at effect {at}", way[:3] == "die")


def _points(place: Path) -> Iterator[tuple[Operation, int, str]]:
    """Make the folders that operations begin with, and count what each does to the disk."""
    for operation in OPERATIONS:
        base = place / "bases" / operation.name
        prepare(base, operation)
        for at in range(1, _effects(place, base, operation) + 1):
            for way in WAYS:
                yield operation, at, way


def _effects(place: Path, base: Path, operation: Operation) -> int:
    """Do an operation to its end; keep what it comes to, and return what it did to the disk, as a number."""
    work, count = place / "work", place / "count"
    _fresh(base, work)
    seen = itertools.count(1)

    def record(effect: Effect) -> None:
        count.write_text(str(next(seen)), encoding="utf-8")

    assert _child(lambda: _act(work, operation, record)) == 0
    after = place / "after" / operation.name
    after.parent.mkdir(exist_ok=True)
    work.rename(after)
    return int(count.read_text(encoding="utf-8"))


class _Round:
    """One operation, that fails at one place in one way."""

    def __init__(self, place: Path, operation: Operation, at: int, way: str) -> None:
        self._place = place
        self._work = place / "work"
        self._operation = operation
        self._at = at
        self._way = way
        self._seen = 0

    def run(self) -> None:
        """Do it in a child; see what is left."""
        name = self._operation.name
        before, after = (of_folder(self._place / kind / name / FOLDER) for kind in ("bases", "after"))
        _fresh(self._place / "bases" / name, self._work)
        ended = _child(lambda: _act(self._work, self._operation, self._policy))
        assert ended in (0, KILLED, REFUSED), f"the process ended with {ended}"
        found = of_folder(self._work / FOLDER)
        if ended == REFUSED:
            extra = found.pop("after the error", None)
            assert extra is not None or self._way == "full", "what was written after the error is gone"
        assert found in ((after,) if ended == 0 else (before, after)), "neither what it was nor what it becomes"
        check_beside(self._work, before)

    def _policy(self, effect: Effect) -> int | None:
        self._seen += 1
        if self._seen < self._at or (self._seen > self._at and self._way != "full"):
            return None
        if self._way == "die":
            return 0
        if self._way == "die in the middle":
            return len(effect.data) // 2
        if self._way == "error":
            raise OSError(errno.EIO, "Input/output error")
        if effect.kind in ("write", "truncate"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return None


REFUSED = 8


def _act(work: Path, operation: Operation, policy: Policy) -> int:
    """Do an operation while the disk does as `policy` says; in a child process, whose exit code this is."""
    DISK.watch(work, policy)
    ended = 0
    engine: LocalEngine | None = None
    try:
        engine = LocalEngine.open(work / FOLDER, quiet())
        do(work, operation, engine)
    except (OchreError, SystemError):  # the latter is how apsw tells of a VFS that fails where it takes no exception
        ended = REFUSED
    if engine is None:
        DISK.rest()
        engine = LocalEngine.open(work / FOLDER, quiet())
    if ended:
        _go_on(engine)
    with suppress(apsw.Error):  # SQLite takes no notice of what fails in a close; our VFS tells all the same
        engine.close()
    return ended


def _go_on(engine: LocalEngine) -> None:
    """After an error: what can be read is what it was or becomes, and writing works, if the disk does."""
    content(engine)
    try:
        write(engine, create(engine, "after the error"), "add", range(3))
    except OchreError:
        DISK.rest()  # the disk is full; reading goes on
        content(engine)


def _child(act: Callable[[], int]) -> int:
    """Run something in a child process; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        os._exit(act())
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _fresh(base: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
