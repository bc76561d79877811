"""The damage sweep: bytes of a folder are flipped, cut off or zeroed, and whatever comes of it must not be silent.

`python -m tests.local.damage --rounds 20000 --seed 1` runs it for long. After each damage the folder is checked,
repaired, and opened and read as a whole, to read only and to write. What it must come to:

- reading gives the right answers, or an error of ours; where it gives an error, the check finds damage;
- what a repair writes is what was there, and what is missing of it is listed;
- neither the check nor the repair nor opening to read only changes a byte of the damaged folder;
- damage to derived files changes no answer.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

from ochre.errors import OchreError
from ochre.local import builders, catalog, compaction
from ochre.local.arena import HEADER_BYTES
from ochre.local.check import check
from ochre.local.engine import LocalEngine
from ochre.local.repair import Repaired, repair
from ochre.model.configuration import Configuration
from ochre.model.filters import parse_filters
from ochre.model.requests import CreateCollection, DeleteRecords, GetRecords, QueryRecords
from ochre.settings import Mode, Settings
from tests.formats import make
from tests.local.conftest import DIMENSION, add, vectors_of

FAST = Settings(synchronous="off")
KINDS = ("flip", "flip", "flip", "cut", "zero")
RECORDS = 300

Content = dict[str, dict[str, tuple[bytes, str]]]


class Sweep:
    """A folder that is damaged again and again. With `hot`, all is still in the write-ahead log, as after a crash."""

    def __init__(self, folder: Path, *, hot: bool) -> None:
        self._folder = folder
        self._whole = folder / "whole"
        engine = LocalEngine.open(folder / "source")
        self._once: set[tuple[str, str, str]] = set()  # whatever any record was, but for its vector

        def write(request: Any) -> None:
            LocalEngine.write(engine, request)
            self._note(content(engine))

        with mock.patch.object(engine, "write", write):
            make.fill(engine)
            engine.create_database("large", "acme")
            things = CreateCollection("acme", "large", "things", None, Configuration())
            self._large = engine.create_collection(things).id
            add(engine, self._large, range(RECORDS))
            add(engine, self._large, range(RECORDS, 2 * RECORDS))
        engine.delete(DeleteRecords(self._large, filter=parse_filters({"n": {"$gte": RECORDS}}, None)))
        compaction.compact(engine._file, self._large)  # from now on its arena has a name of its own
        with mock.patch.object(builders, "SMALLEST", RECORDS):
            engine.maintain()
        self._answers = answers(engine, self._large)
        self._content = content(engine)
        if not hot:
            engine.close()
        shutil.copytree(folder / "source", self._whole, ignore=shutil.ignore_patterns("*-shm"))
        engine.close()
        files = [path for path in self._whole.rglob("*") if path.is_file() and path.stat().st_size]
        self._files = sorted(path.relative_to(self._whole) for path in files)
        self._main = Path("ochre.sqlite3-wal" if hot else "ochre.sqlite3")

    def _note(self, present: Content) -> None:
        for name, records in present.items():
            self._once |= {(name, id_, rest) for id_, (_, rest) in records.items()}

    def round(self, randomness: random.Random) -> str:
        """Damage the folder in one place; return what came of it."""
        folder = self._folder / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._whole, folder)
        what = self._damage(folder, randomness)
        before = bytes_of(folder)
        found = self._found(folder)
        self._repaired(folder, what)
        only_read = self._read(folder, "r")
        assert bytes_of(folder) == before, f"{what}: the folder was changed by looking at it"
        outcome = self._read(folder, "w")
        assert "wrong" not in (outcome, only_read), f"{what}: answers are wrong"
        assert outcome == only_read == "right" or found, f"{what}: reading fails, and the check finds nothing"
        return f"{what.split()[0]}: {outcome}, {'found' if found else 'not found'}"

    def _damage(self, folder: Path, randomness: random.Random) -> str:
        name = self._main if randomness.random() < 0.5 else randomness.choice(self._files)
        data = bytearray((folder / name).read_bytes())
        large = name.stem.startswith(str(self._large))
        used = HEADER_BYTES + (RECORDS if large else 7) * DIMENSION * 4 if name.suffix == ".f32" else len(data)
        place = randomness.randrange(min(used, len(data)))
        kind = randomness.choice(KINDS)
        if kind == "flip":
            data[place] ^= 1 << randomness.randrange(8)
        elif kind == "cut":
            del data[place:]
        else:
            data[place : place + 512] = bytes(len(data[place : place + 512]))
        (folder / name).write_bytes(data)
        return f"{name.suffix or name.parts[0]} {kind} of {name} at {place}"

    def _found(self, folder: Path) -> bool:
        try:
            return not check(folder).whole
        except OchreError:
            return True

    def _read(self, folder: Path, mode: Mode) -> str:
        try:
            engine = LocalEngine.open(folder, FAST, mode)
            try:
                return "right" if answers(engine, self._large) == self._answers else "wrong"
            finally:
                engine.close()
        except OchreError:
            return "refused"

    def _repaired(self, folder: Path, what: str) -> None:
        target = self._folder / "repaired"
        shutil.rmtree(target, ignore_errors=True)
        result = repair(folder, target)
        engine = LocalEngine.open(target, FAST)
        saved = content(engine)
        engine.close()
        if any("commits are lost" in loss["reason"] for loss in result.losses):
            return  # an earlier state, which is another content
        told = {loss["collection"] for loss in result.losses if "as they once were" in loss["reason"]}
        doubtful = {loss["collection"] for loss in result.losses if "settings come from" in loss["reason"]}
        for name, records in saved.items():
            assert name in self._content or name in doubtful, f"{what}: a collection out of nowhere"
            same = records.items() <= self._content.get(name, {}).items()
            once = {(name, id_, rest) for id_, (_, rest) in records.items()} <= self._once
            assert same or (name in told and once), f"{what}: repaired into something else"
        assert result.saved == sum(map(len, saved.values())), f"{what}: counted wrongly"
        missing = {
            (name, id_) for name, records in self._content.items() for id_ in records.keys() - saved.get(name, {})
        }
        assert not missing or listed(result, missing), f"{what}: lost, and not listed"


def listed(result: Repaired, missing: set[tuple[str, str]]) -> bool:
    """Whether each missing record is listed, by its id or with others."""
    named = {(loss["collection"], loss["id"]) for loss in result.losses if not loss["saved"]}
    unnamed = any(loss["id"] is None and not loss["saved"] for loss in result.losses)
    return unnamed or missing <= named


def answers(engine: LocalEngine, large: UUID) -> str:
    """All that is there, and what the derived files of the large collection are asked."""
    filters = parse_filters({"even": True}, {"$contains": "ment 7"})
    found = engine.query(QueryRecords(large, vectors_of([70]), 5, filter=filters))
    return repr((make.describe(engine), engine.get(GetRecords(large, include=make.EVERYTHING)), found))


def content(engine: LocalEngine) -> Content:
    """Every record by collection and id, its vector and the rest as a text, whatever its database is called."""
    found: Content = {}
    for row in engine._look(catalog.all_collections):
        batch: Any = engine.get(GetRecords(row.info.id, include=make.EVERYTHING))
        columns = zip(batch.ids, batch.vectors, batch.documents, batch.metadatas, batch.uris, strict=True)
        found[str(row.info.id)] = {id_: (vector.tobytes(), repr(rest)) for id_, vector, *rest in columns}
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder but SQLite's shared memory, which is no part of the data."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(rounds: int, seed: int, folder: Path, *, hot: bool) -> Counter[str]:
    """Run a sweep; return how often what came of it."""
    folder.mkdir()
    sweep, randomness = Sweep(folder, hot=hot), random.Random(seed)
    return Counter(sweep.round(randomness) for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description="Damage a folder again and again; see the module.")
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for hot in (False, True):
            print("in the log" if hot else "in the file")
            for outcome, count in sorted(
                run(options.rounds // 2, options.seed, Path(folder) / str(hot), hot=hot).items()
            ):
                print(f"  {count:6} {outcome}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
