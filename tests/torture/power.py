"""The power-loss simulation: what the disk may hold when the power goes, made of the record of all writes.

Brought to the disk is what a file had when it was last synced. Of what was written since, each write may be there, or
not, or half of it; names change when their folder is synced, or by then. The folder must open, and hold what had been
acknowledged: all of it with `synchronous="full"`, and with `normal` all but some of the last calls.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ochre.errors import OchreError
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import DeleteRecords
from tests.torture.content import PLACE, Content, content, create, of_folder, quiet, write
from tests.torture.disk import DISK, Effect
from tests.torture.report import Tally

CALLS = 30
CUTS = 40
SECTOR = 512

Synchronous = Literal["full", "normal"]


@dataclass(slots=True)
class Record:
    """A run: all effects in order, and after how many of them each state was acknowledged."""

    effects: list[Effect] = field(default_factory=list)
    states: list[Content] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    def state(self, engine: LocalEngine) -> None:
        """Note what the database holds now."""
        self.acknowledged.append(len(self.effects))
        self.states.append(content(engine))


def sweep(place: Path, tally: Tally, randomness: random.Random, rounds: int) -> None:
    """Record runs, and cut the power at random moments of each."""
    done = 0
    while done < rounds:
        synchronous: Synchronous = "normal" if done // CUTS % 4 == 3 else "full"
        record = _recorded(place / "run", random.Random(randomness.random()), synchronous)
        for _ in range(min(CUTS, rounds - done)):
            at, chance = randomness.randrange(len(record.effects) + 1), random.Random(randomness.random())
            what = f"{synchronous}, after effect {at} of {len(record.effects)}"
            tally.round(_cut(record, place, at, chance, synchronous), what)
            done += 1


def _recorded(folder: Path, randomness: random.Random, synchronous: Synchronous) -> Record:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record = Record(states=[{}], acknowledged=[0])
    DISK.watch(folder, record.effects.append)
    engine = LocalEngine.open(folder, quiet(synchronous=synchronous))
    try:
        create(engine)
        record.state(engine)
        for version in range(1, CALLS):
            _call(engine, randomness, version)
            record.state(engine)
    finally:
        engine.close()
        DISK.rest()
    return record


def _call(engine: LocalEngine, randomness: random.Random, version: int) -> None:
    """Do something, after which the database holds something else, or the same."""
    things = randomness.choice(engine.list_collections(*PLACE)).id
    start = randomness.randrange(60)
    numbers = range(start, start + randomness.choice([1, 3, 20, 150]))
    calls: list[Callable[[], object]] = [
        lambda: write(engine, things, "upsert", numbers, version),
        lambda: write(engine, things, "upsert", numbers, version),
        lambda: write(engine, things, "update", numbers, version),
        lambda: engine.delete(DeleteRecords(things, ids=[f"id{n}" for n in numbers])),
        lambda: engine.delete(DeleteRecords(things, filter=parse_filters({"n": {"$gte": start}}, None), erase=True)),
        lambda: create(engine, f"more-{version}"),
        engine.maintain,
        engine.vacuum,
    ]
    randomness.choices(calls, weights=[8, 8, 4, 3, 1, 2, 2, 1])[0]()


def _cut(
    record: Record, place: Path, at: int, randomness: random.Random, synchronous: Synchronous
) -> Callable[[], None]:
    def run() -> None:
        after = place / "after"
        shutil.rmtree(after, ignore_errors=True)
        _Platter(place / "run", record.effects[:at], randomness).write(after)
        sure = sum(effects <= at for effects in record.acknowledged) - 1
        possible = record.states[sure : sure + 2] if synchronous == "full" else record.states[: sure + 2]
        try:
            found = of_folder(after)
        except OchreError as error:
            raise AssertionError(f"{error}") from error
        assert found in possible, "what was acknowledged is not there"

    return run


class _Platter:
    """What the disk holds of a folder after some effects."""

    def __init__(self, folder: Path, effects: list[Effect], randomness: random.Random) -> None:
        self._prefix = f"{folder.resolve()}/"
        self._randomness = randomness
        self._synced: dict[str, bytes] = {}
        self._pending: dict[str, list[Effect]] = {}
        self._ways = randomness.choice(["nothing", "everything", "some", "the first", "torn"])
        for effect in effects:
            self._happens(effect)

    def write(self, folder: Path) -> None:
        """Make the folder as it would be found."""
        folder.mkdir()
        for path in {*self._synced, *self._pending}:
            name = path.removeprefix(self._prefix)
            data = self._applied(self._synced.get(path, b""), self._kept(self._pending.get(path, [])))
            if data is None or name.startswith("index/") or name.endswith("-shm"):
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    def _happens(self, effect: Effect) -> None:
        path = effect.path
        if effect.kind == "sync":
            data = self._applied(self._synced.get(path, b""), self._pending.pop(path, []))
            if data is None:
                self._synced.pop(path, None)
            else:
                self._synced[path] = data
        elif effect.kind == "folder":
            for own in [each for each in self._pending if os.path.dirname(each) == path]:
                self._settle_names(own)
        elif effect.kind != "replace":
            self._pending.setdefault(path, []).append(effect)

    def _settle_names(self, path: str) -> None:
        """A folder was synced: of a file that was deleted, that is certain now."""
        pending = self._pending[path]
        gone = max((n for n, each in enumerate(pending) if each.kind == "delete"), default=None)
        if gone is not None:
            self._synced.pop(path, None)
            self._pending[path] = pending[gone + 1 :]

    def _kept(self, pending: list[Effect]) -> list[Effect]:
        """Choose what of the writes since the last sync is there."""
        if self._ways == "nothing" or not pending:
            return []
        if self._ways == "everything":
            return pending
        if self._ways == "some":
            return [each for each in pending if self._randomness.random() < 0.5]
        kept = pending[: self._randomness.randrange(len(pending) + 1)]
        if self._ways == "torn" and kept and kept[-1].kind == "write" and len(kept[-1].data) > SECTOR:
            last = kept[-1]
            length = self._randomness.randrange(len(last.data) // SECTOR) * SECTOR
            kept = [*kept[:-1], Effect("write", last.path, last.offset, last.data[:length])]
        return kept

    def _applied(self, data: bytes, effects: list[Effect]) -> bytes | None:
        """Return what a file holds after some effects, None if it is gone."""
        result: bytearray | None = bytearray(data)
        for effect in effects:
            if effect.kind == "delete":
                result = None
                continue
            result = bytearray() if result is None else result
            if effect.kind == "truncate":
                result = result[: effect.offset].ljust(effect.offset, b"\0")
            else:
                end = effect.offset + len(effect.data)
                result[len(result) :] = bytes(max(effect.offset - len(result), 0))
                result[effect.offset : end] = effect.data
        return None if result is None else bytes(result)
