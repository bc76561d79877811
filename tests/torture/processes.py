"""Processes on one folder, killed at random, and a model of what they had been told.

Each worker owns groups of records, which it writes whole: every call brings one group to its next version, or deletes
it. What was begun and what was acknowledged stands in memory that all processes share, so anybody can judge what he
reads: a group is of one version, wholly, no older than the last acknowledged when the reading began, and no newer than
the last begun when it ended. Whoever takes a dead worker's place finds its last call done, or not done.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import RawArray
from pathlib import Path
from typing import Any

import numpy as np

from ochre.local import builders, compaction, plan
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords, WriteRecords
from ochre.settings import Settings
from tests.torture.content import DIMENSION, EVERYTHING, PLACE, create, of_folder
from tests.torture.report import Tally

GROUPS = 12
SIZE = 6
DELETED = 7  # every so many versions a group is deleted
FLOOR = 0.9  # recall of the graph


@dataclass(frozen=True, slots=True)
class Shared:
    """What all processes know.

    Attributes:
        begun, acknowledged: the last version of each group, `workers * GROUPS` of them.
        counts: calls done, groups judged, queries asked, nearest ones missed, mistakes.
    """

    begun: Any
    acknowledged: Any
    counts: Any

    @classmethod
    def of(cls, workers: int) -> Shared:
        """Begin with nothing."""
        size = workers * GROUPS
        return cls(RawArray(ctypes.c_long, size), RawArray(ctypes.c_long, size), RawArray(ctypes.c_long, 5 * workers))


def sweep(place: Path, tally: Tally, randomness: random.Random, seconds: float, workers: int) -> None:
    """Let workers run, and kill them again and again; judge what is left."""
    place.mkdir(parents=True)
    folder = place / "data"
    engine = LocalEngine.open(folder)
    create(engine)
    engine.close()
    shared = Shared.of(workers)
    processes: dict[int, int] = {}
    seeds = itertools.count(randomness.randrange(2**32))

    def start(worker: int) -> None:
        child = os.fork()
        if child:
            processes[worker] = child
            return
        try:
            _Worker(folder, shared, worker, workers, random.Random(next(seeds) + worker)).run()
        except BaseException:
            traceback.print_exc()
            shared.counts[5 * worker + 4] += 1
        os._exit(0)

    for worker in range(workers):
        start(worker)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(randomness.expovariate(8))
        worker = randomness.randrange(workers)
        os.kill(processes[worker], signal.SIGKILL)
        os.waitpid(processes[worker], 0)
        tally.kills += 1
        next(seeds)
        start(worker)
    for child in processes.values():
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    tally.kills += workers
    _close(folder, shared, workers, tally)


def _close(folder: Path, shared: Shared, workers: int, tally: Tally) -> None:
    """Judge all groups by what is in the folder, check it, and add up."""

    def last() -> None:
        judge = _Worker(folder, shared, 0, workers, random.Random(0))
        for number in range(workers * GROUPS):
            judge.judge(number)
        judge.engine.close()
        of_folder(folder)

    tally.round(last, "what is left at the end", killed=False)
    calls, judged, queries, missed, mistakes = (sum(shared.counts[kind::5]) for kind in range(5))
    tally.rounds = judged
    if mistakes:
        tally.losses.append(f"{mistakes} processes found what must not be")
    if missed > queries * (1 - FLOOR):
        tally.losses.append(f"{missed} of {queries} queries missed the nearest")
    tally.notes |= {"calls": str(calls), "queries": str(queries), "missed by the graph": str(missed)}


class _Worker:
    """One process, which writes its own groups and reads everybody's."""

    def __init__(self, folder: Path, shared: Shared, worker: int, workers: int, randomness: random.Random) -> None:
        builders.SMALLEST, plan.EXACT_NUMBERS, plan.PICKED_NUMBERS, compaction._FEW_SLOTS = 100, 1000, 1000, 200
        self._shared = shared
        self._worker = worker
        self._workers = workers
        self._randomness = randomness
        self.engine = LocalEngine.open(folder, Settings(synchronous="normal", busy_timeout=60))
        self._things = self.engine.get_collection("things", *PLACE).id

    def run(self) -> None:
        """Go on until killed."""
        own = range(self._worker * GROUPS, (self._worker + 1) * GROUPS)
        for number in own:  # what the one before left: its last call happened, or not
            version = self.judge(number)
            self._shared.begun[number] = self._shared.acknowledged[number] = version
        calls: list[Callable[[], object]] = [
            lambda: self._write(self._randomness.choice(own)),
            lambda: self.judge(self._randomness.randrange(self._workers * GROUPS)),
            lambda: self._nearest(self._randomness.choice(own)),
            lambda: self._text(self._randomness.choice(own)),
            self._rare,
        ]
        while True:
            self._randomness.choices(calls, weights=[10, 10, 5, 3, 0.02])[0]()

    def _write(self, number: int) -> None:
        version = self._shared.begun[number] = self._shared.acknowledged[number] + 1
        if version % DELETED == 0:
            how = {"ids": _ids(number)} if self._randomness.random() < 0.5 else {"filter": _where(number)}
            self.engine.delete(DeleteRecords(self._things, **how))
        else:
            kind: Any = "upsert" if (version - 1) % DELETED else "add"
            parts = _documents(number, version), _metadatas(number, version)
            self.engine.write(WriteRecords(self._things, kind, _ids(number), _vectors(number, version), *parts))
        self._shared.acknowledged[number] = version
        self._count(0)

    def judge(self, number: int) -> int:
        """Read a group, and see that it is whole and of a version that it may have; return the version."""
        least = self._shared.acknowledged[number]
        how = {"ids": _ids(number)} if self._randomness.random() < 0.5 else {"filter": _where(number)}
        batch = self.engine.get(GetRecords(self._things, include=EVERYTHING, **how))
        most = self._shared.begun[number]
        self._count(1)
        if not batch.ids:
            deletions = [version for version in range(least, most + 1) if version % DELETED == 0]
            assert deletions, f"group {number} is not there, and its version is {least} to {most}"
            return deletions[-1]
        assert batch.metadatas is not None
        assert batch.metadatas[0] is not None
        version = int(batch.metadatas[0]["version"])
        assert least <= version <= most, f"group {number} is of version {version}, not {least} to {most}"
        assert sorted(batch.ids) == _ids(number), f"of group {number} there is a part: {batch.ids}"
        order = np.argsort(batch.ids)
        assert batch.documents is not None
        assert batch.vectors is not None
        assert [batch.documents[n] for n in order] == _documents(number, version)
        assert [batch.metadatas[n] for n in order] == _metadatas(number, version)
        assert np.array_equal(batch.vectors[order], _vectors(number, version))
        return version

    def _nearest(self, number: int) -> None:
        """Ask for an own record by its vector: exactly it must be there; through the graph almost always."""
        version = self._shared.acknowledged[number]
        if version % DELETED == 0:
            return
        vectors = _vectors(number, version)
        exact = self._randomness.random() < 0.5
        reply = self.engine.query(QueryRecords(self._things, vectors, n_results=1, exact=exact))
        right = [batch.ids == [id_] for batch, id_ in zip(reply.batches, _ids(number), strict=True)]
        assert all(right) or not exact, f"the nearest to group {number} of version {version} are others"
        if not exact:
            self._shared.counts[5 * self._worker + 2] += len(right)
            self._shared.counts[5 * self._worker + 3] += len(right) - sum(right)

    def _text(self, number: int) -> None:
        """Look an own group up by what only it says."""
        version = self._shared.acknowledged[number]
        filter_ = parse_filters(None, {"$contains": f"group {number}, version {version}."})
        found = self.engine.count(CountRecords(self._things, filter_))
        assert found == (0 if version % DELETED == 0 else SIZE), f"{found} documents tell of version {version}"

    def _rare(self) -> None:
        if self._randomness.random() < 0.3:
            self.engine.vacuum()
        else:
            self.engine.backup(self.engine._folder.with_name(f"backup-{self._worker}"))

    def _count(self, kind: int) -> None:
        self._shared.counts[5 * self._worker + kind] += 1


def _ids(number: int) -> list[str]:
    return [f"{number:04}-{n}" for n in range(SIZE)]


def _where(number: int) -> Any:
    return parse_filters({"group": number}, None)


def _documents(number: int, version: int) -> list[str]:
    return [f"record {n} of group {number}, version {version}. " + "words " * (version % 40) for n in range(SIZE)]


def _metadatas(number: int, version: int) -> list[dict[str, Any]]:
    return [{"group": number, "version": version, "n": n} for n in range(SIZE)]


def _vectors(number: int, version: int) -> Any:
    return np.random.default_rng([number, version]).standard_normal((SIZE, DIMENSION)).astype(np.float32)
