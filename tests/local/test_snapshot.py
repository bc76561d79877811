"""Snapshots: a whole database in one file, opened as it is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ochre.errors import AlreadyExistsError, CorruptError, ReadOnlyError, StorageError, StorageFullError
from ochre.local import pages
from ochre.local import snapshot as module
from ochre.local.check import check
from ochre.local.database import Database
from ochre.local.engine import LocalEngine
from ochre.local.leaves import Leaves
from ochre.model.requests import GetRecords, QueryRecords, WriteRecords
from ochre.settings import Settings
from tests.formats import make
from tests.local.conftest import add, make_collection, vectors_of
from tests.local.test_backup import contents, described, stored


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db", Settings(synchronous="off"))
    yield engine
    engine.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "x.ochre"


def test_a_snapshot_is_one_file_with_all_that_was_there(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    expected = make.describe(engine)
    report = engine.snapshot(target)
    engine.close()
    shutil.rmtree(engine._folder)
    assert [path.name for path in target.parent.iterdir()] == ["x.ochre"]
    assert (report.collections, report.records) == (8, 30)
    assert report.bytes == report.written == target.stat().st_size
    opened = LocalEngine.open(target, mode="r")
    assert make.describe(opened) == expected
    opened.close()


def test_reading_a_snapshot_writes_nothing(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    before, date = target.read_bytes(), target.stat().st_mtime_ns
    assert stored(target) == described(engine)
    assert (target.read_bytes(), target.stat().st_mtime_ns) == (before, date)
    assert sorted(path.name for path in target.parent.iterdir()) == ["db", "x.ochre"]


def test_a_snapshot_is_never_written(engine: LocalEngine, target: Path) -> None:
    engine.snapshot(target)
    opened = LocalEngine.open(target, mode="r")
    with pytest.raises(ReadOnlyError, match="is a snapshot, which is never written"):
        make_collection(opened)
    opened.close()


def test_a_snapshot_is_the_state_it_was_made_of(engine: LocalEngine, target: Path, monkeypatch) -> None:
    """Vectors that come while it is written are not in it, and collections that go are."""
    kept, gone = make_collection(engine, "kept"), make_collection(engine, "gone")
    add(engine, kept, range(5))
    add(engine, gone, range(5))
    expected = described(engine)
    name_arenas = module._name_arenas

    def meanwhile(partial: Path) -> Any:
        add(engine, kept, range(5, 10))
        engine.delete_collection("gone", "default_tenant", "default_database")
        return name_arenas(partial)

    monkeypatch.setattr(module, "_name_arenas", meanwhile)
    engine.snapshot(target)
    assert stored(target) == expected
    assert [path.stem for path in (engine._folder / "vectors").iterdir()] == [str(kept)]


def test_any_program_reads_the_catalog_of_a_snapshot(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    connection = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert connection.execute("SELECT count(*) FROM records").get == 30
    assert connection.execute("PRAGMA journal_mode").get == "delete"
    connection.close()


def test_a_snapshot_is_checked_as_a_folder_is(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    assert check(target) == check(engine._folder)
    assert sorted(path.name for path in target.parent.iterdir()) == ["db", "x.ochre"]


def test_damage_to_a_snapshot_is_named_by_record(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(10))
    engine.snapshot(target)
    data = bytearray(target.read_bytes())
    data[data.index(vectors_of([7]).tobytes())] ^= 1
    target.write_bytes(data)
    assert [(finding.kind, finding.id) for finding in check(target).findings] == [("vector", "id7")]
    opened = LocalEngine.open(target, mode="r")
    with pytest.raises(CorruptError, match="of the records 'id7'"):
        opened.query(QueryRecords(collection, vectors_of([1])))
    opened.close()


def test_pages_of_a_snapshot_have_their_checksums(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    connection = pages.connect(str(target), apsw.SQLITE_OPEN_READONLY)
    count = connection.execute("PRAGMA page_count").get
    assert pages.compares(connection)
    connection.close()
    with Leaves(target) as found:
        assert [number for number in found.damaged() if number <= count] == []


def test_what_is_there_is_not_overwritten(engine: LocalEngine, target: Path) -> None:
    target.write_text("mine")
    with pytest.raises(AlreadyExistsError, match="name a new file, or remove this one"):
        engine.snapshot(target)
    assert target.read_text() == "mine"


def test_a_snapshot_that_fails_leaves_nothing(engine: LocalEngine, target: Path, monkeypatch) -> None:
    add(engine, make_collection(engine), range(5))

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "sync_file", full)
    with pytest.raises(StorageError):
        engine.snapshot(target)
    assert [path.name for path in target.parent.iterdir()] == ["db"]


def test_what_a_killed_snapshot_left_is_no_obstacle(engine: LocalEngine, target: Path) -> None:
    target.with_name("x.ochre.partial").write_text("half")
    engine.snapshot(target)
    assert stored(target) == described(engine)


@pytest.mark.parametrize("bytes_kept", [0.5, 0.99])
def test_a_snapshot_that_is_cut_is_damaged(engine: LocalEngine, target: Path, bytes_kept: float) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(1000))
    engine.snapshot(target)
    content = target.read_bytes()
    target.write_bytes(content[: int(len(content) * bytes_kept)])
    with pytest.raises(CorruptError):
        opened = LocalEngine.open(target, mode="r")
        try:
            opened.query(QueryRecords(collection, vectors_of([1])))
        finally:
            opened.close()


def test_vectors_that_are_lost_are_an_error(engine: LocalEngine, target: Path) -> None:
    add(engine, make_collection(engine), range(5))
    next((engine._folder / "vectors").iterdir()).unlink()
    with pytest.raises(CorruptError, match="is missing: restore it from a backup"):
        engine.snapshot(target)


def test_vectors_that_are_damaged_are_an_error(engine: LocalEngine, target: Path) -> None:
    add(engine, make_collection(engine), range(5))
    (path,) = (engine._folder / "vectors").iterdir()
    path.write_bytes(path.read_bytes().replace(vectors_of([3]).tobytes(), vectors_of([4]).tobytes()))
    with pytest.raises(CorruptError, match="of the records 'id3'"):
        engine.snapshot(target)
    assert [path.name for path in target.parent.iterdir()] == ["db"]


@pytest.mark.parametrize("content", [b"", b"something else", bytes(5000)])
def test_a_file_of_another_kind_is_no_snapshot(target: Path, content: bytes) -> None:
    target.write_bytes(content)
    for use in (lambda place: LocalEngine.open(place, mode="r"), check):
        with pytest.raises(StorageError, match="since it is no snapshot: name a folder"):
            use(target)
    assert target.read_bytes() == content


def test_the_file_of_a_folder_is_no_snapshot(engine: LocalEngine) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.close()
    opened = LocalEngine.open(engine._folder / "ochre.sqlite3", mode="r")
    with pytest.raises(CorruptError, match="is no snapshot.*open its folder"):
        opened.query(QueryRecords(collection, vectors_of([1])))
    opened.close()


def test_a_folder_is_made_of_a_snapshot(engine: LocalEngine, target: Path, tmp_path: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    opened = LocalEngine.open(target, mode="r")
    opened.restore(tmp_path / "restored")
    opened.close()
    assert stored(tmp_path / "restored") == described(engine)
    writable = LocalEngine.open(tmp_path / "restored")
    for info in writable.list_collections("acme", "stock"):
        writable.write(WriteRecords(info.id, "add", ["later"], vectors_of([1])[:, :3]))
        assert "later" in writable.get(GetRecords(info.id)).ids
    writable.close()


def test_a_snapshot_of_a_snapshot_is_the_same(engine: LocalEngine, target: Path, tmp_path: Path) -> None:
    make.fill(engine)
    engine.snapshot(target)
    opened = LocalEngine.open(target, mode="r")
    opened.snapshot(tmp_path / "y.ochre")
    opened.close()
    assert stored(tmp_path / "y.ochre") == described(engine)


def test_a_client_that_only_reads_can_make_a_snapshot(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.close()
    before = contents(engine._folder)
    reader = LocalEngine.open(engine._folder, mode="r")
    reader.snapshot(target)
    assert stored(target) == described(reader)
    reader.close()
    assert contents(engine._folder) == before


def test_a_full_disk_is_named(
    engine: LocalEngine, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageFullError(f"no room to write in {engine._folder}")

    monkeypatch.setattr(Database, "copy_into", fail)
    with pytest.raises(StorageFullError, match=f"no room to write in {re.escape(str(tmp_path))}:"):
        engine.snapshot(target)
