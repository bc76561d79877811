"""Acknowledged commits: they are counted beside the database, and a database that lacks one is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ochre.errors import CorruptError
from ochre.local.acknowledged import Acknowledged
from ochre.local.engine import LocalEngine
from ochre.model.requests import CountRecords
from ochre.settings import Settings
from tests.local.conftest import add, make_collection


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A folder whose last process was killed: the newest commits are in the log alone."""
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    for n in range(20):
        add(engine, collection, [n])
    shutil.copytree(tmp_path / "db", tmp_path / "crashed", ignore=shutil.ignore_patterns("*-shm"))
    engine.close()
    return tmp_path / "crashed"


def test_the_newest_number_is_told(tmp_path: Path) -> None:
    file = Acknowledged(tmp_path)
    assert file.read() == 0
    for number in (1, 2, 9, 17, 1_000_000):
        file.write(number)
        assert Acknowledged(tmp_path).read() == number
    file.write(999_999)  # of a process that was late
    assert file.read() == 1_000_000
    file.close()


@pytest.mark.parametrize("place", range(16))
def test_an_entry_that_is_torn_or_damaged_does_not_count(tmp_path: Path, place: int) -> None:
    file = Acknowledged(tmp_path)
    for number in range(8, 16):
        file.write(number)
    file.close()
    data = bytearray(file.path.read_bytes())
    data[15 % 8 * 16 + place] ^= 0x40
    file.path.write_bytes(data)
    assert file.read() == (14 if place < 12 else 15)  # the last four bytes are no part of it
    file.path.write_bytes(data[: 7 * 16 + place])
    assert file.read() == 14


def test_each_commit_is_noted_and_a_call_that_changes_nothing_is_none(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    file = Acknowledged(tmp_path / "db")
    collection = make_collection(engine)
    before = file.read()
    add(engine, collection, [1])
    assert file.read() == before + 1
    add(engine, collection, [1])
    assert file.read() == before + 1
    engine.close()


@pytest.mark.parametrize("synchronous", ["normal", "off"])
def test_commits_that_a_power_cut_may_undo_are_not_noted(tmp_path: Path, synchronous) -> None:
    engine = LocalEngine.open(tmp_path / "db", Settings(synchronous=synchronous))
    add(engine, make_collection(engine), [1])
    engine.close()
    assert Acknowledged(tmp_path / "db").read() == 0


def flip(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    log.write_bytes(data)


def cut(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:100_000])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["flipped", "cut", "missing"])
def test_a_log_that_lost_commits_is_refused_and_left_as_it_is(crashed: Path, damage) -> None:
    log = crashed / "ochre.sqlite3-wal"
    damage(log)
    before = log.read_bytes() if log.exists() else None
    with pytest.raises(CorruptError, match=r"holds \d+ commits, 22 were acknowledged.*ochre repair"):
        LocalEngine.open(crashed)
    if before is not None:
        assert log.read_bytes() == before


def test_a_folder_that_was_killed_lacks_nothing(crashed: Path) -> None:
    engine = LocalEngine.open(crashed)
    (info,) = engine.list_collections("default_tenant", "default_database")
    assert engine.count(CountRecords(info.id)) == 20
    engine.close()


def test_a_database_file_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    LocalEngine.open(tmp_path / "db").close()
    (tmp_path / "db" / "ochre.sqlite3").unlink()
    with pytest.raises(CorruptError, match=r"holds ochre.commits, but ochre.sqlite3 is missing"):
        LocalEngine.open(tmp_path / "db")


def test_a_note_that_cannot_be_written_fails_no_commit(tmp_path: Path) -> None:
    (tmp_path / "db" / "ochre.commits").mkdir(parents=True)
    file = Acknowledged(tmp_path / "db")
    file.write(7)
    file.close()
