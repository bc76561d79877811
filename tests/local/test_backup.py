"""Backups: one committed state, brought up to date in place, whatever happens meanwhile, wherever it is broken off."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ochre.errors import AlreadyExistsError, BusyError, CorruptError, InvalidArgumentError, StorageError
from ochre.local import backup as module
from ochre.local import catalog, pages
from ochre.local.arena import HEADER_BYTES, arena_path
from ochre.local.check import check
from ochre.local.engine import LocalEngine
from ochre.local.hold import Hold
from ochre.local.leaves import Leaves
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords, WriteRecords
from ochre.settings import Settings
from tests.formats import make
from tests.local.conftest import DIMENSION, add, make_collection, publish_checkpoint, vectors_of

FAST = Settings(synchronous="off")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db", FAST)
    yield engine
    engine.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def described(engine: LocalEngine) -> str:
    """All that a database holds, as JSON."""
    rows = engine._look(catalog.all_collections)
    found = [
        [
            [info.tenant, info.database, info.name, info.metadata, info.configuration.to_dict(), info.dimension],
            make._columns(engine.get(GetRecords(info.id, include=make.EVERYTHING))),
        ]
        for info in (row.info for row in rows)
    ]
    return json.dumps(found)


def stored(folder: Path) -> str:
    """All that a folder holds, read without a trace."""
    engine = LocalEngine.open(folder, mode="r")
    try:
        return described(engine)
    finally:
        engine.close()


def numbers(engine: LocalEngine, collection: UUID) -> list[int]:
    """The numbers of the records, each of which has the vector of its number."""
    found = [int(id_[2:]) for id_ in engine.get(GetRecords(collection)).ids]
    nearest = engine.query(QueryRecords(collection, vectors_of(found), n_results=1)) if found else None
    assert nearest is None or [batch.ids[0] for batch in nearest.batches] == [f"id{n}" for n in found]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def vector_bytes(count: int) -> int:
    return count * DIMENSION * 4


# -- what it holds --------------------------------------------------------------------------------------------------


def test_a_backup_is_a_folder_with_all_that_was_there(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    report = engine.backup(target)
    assert stored(target) == described(engine)
    assert (report.collections, report.records) == (8, 30)
    assert report.bytes == report.written == sum(
        path.stat().st_size for path in [target / "ochre.sqlite3", *(target / "vectors").iterdir()]
    )  # fmt: skip


def test_a_second_backup_writes_only_the_new_vectors(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(100))
    first = engine.backup(target)
    add(engine, collection, range(100, 130))
    second = engine.backup(target)
    texts = (target / "ochre.sqlite3").stat().st_size
    assert first.written == texts + HEADER_BYTES + vector_bytes(100)
    assert second.written == texts + vector_bytes(30)
    assert second.bytes == texts + HEADER_BYTES + vector_bytes(130)
    assert stored(target) == described(engine)


def test_a_backup_of_an_empty_database_is_empty(engine: LocalEngine, target: Path) -> None:
    make_collection(engine)
    engine.backup(target)
    assert stored(target) == described(engine)


def test_what_was_deleted_leaves_the_backup_as_well(engine: LocalEngine, target: Path) -> None:
    kept, gone = make_collection(engine, "kept"), make_collection(engine, "gone")
    add(engine, kept, range(5))
    add(engine, gone, range(5))
    engine.backup(target)
    engine.delete_collection("gone", "default_tenant", "default_database")
    engine.delete(DeleteRecords(kept, ids=["id1"]))
    engine.backup(target)
    assert stored(target) == described(engine)
    assert [path.stem for path in (target / "vectors").iterdir()] == [str(kept)]


def test_a_client_that_only_reads_can_make_a_backup(tmp_path: Path, engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.close()
    (tmp_path / "db" / "ochre.hold").unlink()
    before = contents(tmp_path / "db")
    reader = LocalEngine.open(tmp_path / "db", mode="r")
    reader.backup(target)
    assert stored(target) == described(reader)
    reader.close()
    assert contents(tmp_path / "db") == before


# -- others go on ---------------------------------------------------------------------------------------------------


def test_a_backup_made_while_others_write_is_one_committed_state(engine: LocalEngine, target: Path) -> None:
    """The writer adds ten records to the one collection, then to the other: the first is ahead by ten, or by none."""
    one, other = make_collection(engine, "one"), make_collection(engine, "other")
    done, failures, started = threading.Event(), [], threading.Event()

    def write() -> None:
        try:
            for first in range(0, 2000, 10):
                for collection in (one, other):
                    add(engine, collection, range(first, first + 10))
                started.set()
                if done.is_set():
                    return
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    started.wait()
    copies = []
    for _ in range(5):
        engine.backup(target)
        copy = LocalEngine.open(target, mode="r")
        copies.append((numbers(copy, one), numbers(copy, other)))
        copy.close()
    done.set()
    writer.join()
    assert failures == []
    for ahead, behind in copies:
        assert ahead == list(range(len(ahead)))
        assert behind == list(range(len(behind)))
        assert len(ahead) - len(behind) in (0, 10)
    counts = [len(ahead) for ahead, _ in copies]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_collection_deleted_meanwhile_is_there_until_the_backup_is_made(
    tmp_path: Path, engine: LocalEngine, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LocalEngine.open(tmp_path / "db", FAST)
    collections = [make_collection(engine, name) for name in ("a", "b")]
    for collection in collections:
        add(engine, collection, range(5))
    copy_arena = module._Copy._copy_arena
    names = iter(["b"])

    def copy(self: Any, row: Any) -> None:
        for name in names:
            other.delete_collection(name, "default_tenant", "default_database")
            assert arena_path(tmp_path / "db", collections[1]).exists()
        copy_arena(self, row)

    monkeypatch.setattr(module._Copy, "_copy_arena", copy)
    engine.backup(target)
    assert stored(target) == described(engine)
    assert not arena_path(tmp_path / "db", collections[1]).exists()
    other.close()


def test_a_folder_that_vectors_are_removed_from_is_not_copied(engine: LocalEngine, target: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with Hold(engine._folder).removing(), pytest.raises(BusyError, match="try again when it is done"):
        engine.backup(target)


def test_two_backups_to_one_folder_at_once_are_refused(engine: LocalEngine, target: Path, monkeypatch) -> None:
    engine.backup(target)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with Hold(target).removing(), pytest.raises(BusyError):
        engine.backup(target)


def test_a_backup_that_waited_for_another_goes_on_from_what_that_one_made(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    engine.backup(target)
    add(engine, collection, range(10))
    while_another_backs_up(engine, target, engine.backup).result(30)
    assert stored(target) == described(engine)


def while_another_backs_up(engine: LocalEngine, target: Path, act: Callable[[Path], Any]) -> Future[Any]:
    """Begin `act` on the target while another has the hold on it, and makes a backup there; return what comes of it."""
    waiting = threading.Event()
    read = module._read_marker

    def watched(target: Path) -> Any:
        found = read(target)
        waiting.set()
        return found

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as threads:
        patch.setattr(module, "_read_marker", watched)
        with Hold(target).removing():
            late = threads.submit(act, target)
            assert waiting.wait(10)
            patch.setattr(module, "_read_marker", read)
            marker = read(target) or module._Marker([])
            module._write_marker(target, marker)
            module._Copy(engine._file, target).make(marker)
    return late


DOCUMENTS = frozenset({"documents"})


@pytest.mark.parametrize("make_it", [LocalEngine.backup, LocalEngine.snapshot])
def test_a_copy_may_be_larger_than_what_sqlite_keeps_in_memory(engine: LocalEngine, target: Path, make_it: Any) -> None:
    collection = make_collection(engine)
    count = 20_000
    columns = [f"id{n}" for n in range(count)], vectors_of(range(count)), [f"{'words ' * 60}{n}" for n in range(count)]
    engine.write(WriteRecords(collection, "add", *columns))
    make_it(engine, target)
    reader = LocalEngine.open(target, mode="r")
    assert reader.get(GetRecords(collection, ids=["id19999"], include=DOCUMENTS)).documents == [f"{'words ' * 60}19999"]
    reader.close()


def test_a_reader_of_the_backup_goes_on_while_it_is_renewed(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.backup(target)
    reader = LocalEngine.open(target, mode="r")
    assert numbers(reader, collection) == list(range(5))
    add(engine, collection, range(5, 10))
    engine.backup(target)
    assert numbers(reader, collection) == list(range(10))
    reader.close()


# -- broken off -----------------------------------------------------------------------------------------------------


def broken_off(source: Path, target: Path, step: int, make_it: Callable[[LocalEngine, Path], Any]) -> bool:
    """Make a copy in a child process that is gone before its `step`-th step; tell whether it came to its end."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    steps = iter(range(1, step))

    def counted(operation: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            if next(steps, None) is None:
                os._exit(1)
            return operation(*arguments, **options)

        return run

    try:
        for name in ("sync_file", "sync_path", "sync_folder", "_connect", "_check_sound", "_read", "make_folder"):
            setattr(module, name, counted(getattr(module, name)))
        for name in ("replace", "unlink"):
            setattr(Path, name, counted(getattr(Path, name)))
        engine = LocalEngine.open(source, mode="r")
        make_it(engine, target)
        os._exit(0)
    finally:
        os._exit(2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_backup_killed_at_any_step_leaves_the_previous_one_and_is_resumed(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    engine.backup(target)
    old = stored(target)
    grown = make_collection(engine, "grown")
    add(engine, grown, range(5))
    engine.delete_collection("l2-things", "default_tenant", "default_database")
    new = described(engine)
    engine.close()
    for step in range(1, 200):
        copy = target.with_name("copy")
        shutil.copytree(target, copy)
        finished = broken_off(engine._folder, copy, step, LocalEngine.backup)
        assert stored(copy) in ((new,) if finished else (old, new)), f"step {step}"
        again = LocalEngine.open(engine._folder, mode="r")
        again.backup(copy)
        again.close()
        assert stored(copy) == new
        shutil.rmtree(copy)
        if finished:
            break
    assert 10 < step < 199


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("make_it", [LocalEngine.backup, LocalEngine.restore])
def test_a_first_copy_killed_at_any_step_is_no_database_and_is_resumed(
    engine: LocalEngine, target: Path, make_it: Any
) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(5))
    whole = described(engine)
    engine.close()
    for step in range(1, 100):
        finished = broken_off(engine._folder, target, step, make_it)
        if not (target / "ochre.sqlite3").exists():
            assert not finished
            with pytest.raises(StorageError):
                LocalEngine.open(target, mode="r")
            again = LocalEngine.open(engine._folder, mode="r")
            make_it(again, target)
            again.close()
        assert stored(target) == whole
        if finished:
            break
        shutil.rmtree(target)
    assert 5 < step < 99


# -- what is no backup ----------------------------------------------------------------------------------------------


def a_database(target: Path, engine: LocalEngine) -> None:
    LocalEngine.open(target).close()


def other_things(target: Path, engine: LocalEngine) -> None:
    target.mkdir()
    (target / "notes").write_text("mine")


def a_file(target: Path, engine: LocalEngine) -> None:
    target.write_text("mine")


def a_backup_that_was_written_to(target: Path, engine: LocalEngine) -> None:
    engine.backup(target)
    other = LocalEngine.open(target)
    make_collection(other, "more")
    other.close()


def a_backup_of_another_history(target: Path, engine: LocalEngine) -> None:
    """The database was put back to an earlier state, and went another way from there."""
    (info,) = engine.list_collections("default_tenant", "default_database")
    earlier = target.with_name("earlier")
    engine.backup(earlier)
    add(engine, info.id, range(100, 110))
    engine.backup(target)
    engine.close()
    shutil.rmtree(engine._folder)
    reader = LocalEngine.open(earlier, mode="r")
    reader.restore(engine._folder)
    reader.close()
    engine.__init__(engine._folder, FAST)
    add(engine, info.id, range(200, 210))


def a_damaged_backup(target: Path, engine: LocalEngine) -> None:
    engine.backup(target)
    (path,) = (target / "vectors").iterdir()
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 5)
        file.write(b"\xff")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (a_database, "is not empty and no backup.*name a new folder"),
        (other_things, "is not empty and no backup .it has notes."),
        (a_file, "is a file"),
        (a_backup_that_was_written_to, "was written to after it was made: nothing was changed"),
        (a_backup_of_another_history, "damaged, or of another history"),
        (a_damaged_backup, "damaged, or of another history"),
    ],
)
def test_what_is_no_backup_of_this_database_is_left_as_it_is(
    engine: LocalEngine, target: Path, prepare: Any, message: str
) -> None:
    add(engine, make_collection(engine), range(10))
    prepare(target, engine)
    before = target.read_bytes() if target.is_file() else contents(target)
    with pytest.raises(InvalidArgumentError, match=message):
        engine.backup(target)
    assert (target.read_bytes() if target.is_file() else contents(target)) == before


@pytest.mark.parametrize("where", [".", "inside", ".."])
def test_a_backup_lies_outside_of_what_it_copies(engine: LocalEngine, where: str) -> None:
    with pytest.raises(InvalidArgumentError, match="lie one in the other"):
        engine.backup(engine._folder / where)


def test_a_backup_that_was_only_opened_is_still_one(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.backup(target)
    opened = LocalEngine.open(target)
    assert numbers(opened, collection) == list(range(5))
    opened.close()
    add(engine, collection, range(5, 10))
    engine.backup(target)
    assert stored(target) == described(engine)


# -- damage ---------------------------------------------------------------------------------------------------------


def vectors_lost(folder: Path) -> None:
    next((folder / "vectors").iterdir()).unlink()


def vectors_cut(folder: Path) -> None:
    os.truncate(next((folder / "vectors").iterdir()), 100)


def vector_changed(folder: Path) -> None:
    path = next((folder / "vectors").iterdir())
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 15 * DIMENSION * 4] ^= 1  # of one that the backup does not have yet
    path.write_bytes(data)


def rows_lost(folder: Path) -> None:
    """Zero the pages of the records, which the catalog alone does not show."""
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name='records_by_id'").get
    connection.close()
    with (folder / "ochre.sqlite3").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))


@pytest.mark.parametrize("damage", [vectors_lost, vectors_cut, vector_changed, rows_lost])
def test_a_damaged_database_is_an_error_and_the_backup_stays_what_it_was(
    engine: LocalEngine, target: Path, damage: Any
) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(10))
    engine.backup(target)
    before = stored(target)
    add(engine, collection, range(10, 20))
    engine.close()
    damage(engine._folder)
    reader = LocalEngine.open(engine._folder, mode="r")
    with pytest.raises(CorruptError):
        reader.backup(target)
    reader.close()
    assert stored(target) == before
    assert check(target).whole


def test_damage_to_a_vector_that_no_record_uses_is_no_obstacle(engine: LocalEngine, target: Path) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(20))
    engine.delete(DeleteRecords(collection, ids=["id15"]))
    vector_changed(engine._folder)
    engine.backup(target)
    assert stored(target) == described(engine)


def test_a_backup_has_the_checksums_of_pages_and_vectors(engine: LocalEngine, target: Path) -> None:
    make.fill(engine)
    collection = make_collection(engine)
    for first in (0, 50):
        add(engine, collection, range(first, first + 50))
        engine.backup(target)
        assert check(target) == check(engine._folder)
        with Leaves(target / "ochre.sqlite3") as found:
            assert found.damaged() == []
        engine.delete(DeleteRecords(collection, ids=["id7"], erase=True))


def test_the_count_of_commits_in_a_backup_does_not_outlive_its_state(engine: LocalEngine, target: Path) -> None:
    """Whoever opens a backup to write may build indexes of it, and these are commits."""
    collection = make_collection(engine)
    add(engine, collection, range(10))
    engine.backup(target)
    opened = LocalEngine.open(target)
    for _ in range(20):
        publish_checkpoint(opened, collection)
    opened.close()
    add(engine, collection, range(10, 20))
    engine.backup(target)
    assert check(target).findings == []
    assert stored(target) == described(engine)


def test_a_copy_that_is_not_sound_is_no_database(engine: LocalEngine, target: Path, monkeypatch) -> None:
    check = module._check_sound

    def unsound(connection: Any, folder: Path) -> None:
        if folder == target:
            raise CorruptError("damaged on its way")
        check(connection, folder)

    monkeypatch.setattr(module, "_check_sound", unsound)
    with pytest.raises(CorruptError, match="on its way"):
        engine.backup(target)
    assert not (target / "ochre.sqlite3").exists()


def test_a_disk_that_keeps_something_else_is_noticed(
    engine: LocalEngine, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(engine, make_collection(engine), range(10))

    def forget(file: int) -> None:
        os.lseek(file, HEADER_BYTES + 5, os.SEEK_SET)
        os.write(file, b"\xff")

    monkeypatch.setattr(module, "sync_file", forget)
    with pytest.raises(StorageError, match="does not hold what was just written to it"):
        engine.backup(target)
    assert not (target / "ochre.sqlite3").exists()


# -- restoring ------------------------------------------------------------------------------------------------------


def restored(source: Path, target: Path) -> None:
    reader = LocalEngine.open(source, mode="r")
    try:
        reader.restore(target)
    finally:
        reader.close()


def test_what_is_restored_is_a_database_of_its_own(engine: LocalEngine, target: Path, tmp_path: Path) -> None:
    make.fill(engine)
    engine.backup(target)
    restored(target, tmp_path / "restored")
    assert stored(tmp_path / "restored") == described(engine)
    opened = LocalEngine.open(tmp_path / "restored")
    collection = make_collection(opened)
    add(opened, collection, range(5))
    assert numbers(opened, collection) == list(range(5))
    opened.close()
    with pytest.raises(InvalidArgumentError, match="no backup"):
        engine.backup(tmp_path / "restored")


def test_what_is_restored_can_be_backed_up_to_where_it_came_from(
    engine: LocalEngine, target: Path, tmp_path: Path
) -> None:
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.backup(target)
    restored(target, tmp_path / "restored")
    opened = LocalEngine.open(tmp_path / "restored")
    add(opened, collection, range(5, 10))
    opened.backup(target)
    opened.close()
    copy = LocalEngine.open(target, mode="r")
    assert copy.count(CountRecords(collection)) == 10
    copy.close()


def test_a_restore_that_waited_for_a_backup_leaves_that_alone(
    engine: LocalEngine, target: Path, tmp_path: Path
) -> None:
    make_collection(engine)
    engine.backup(target)
    source = LocalEngine.open(target, mode="r")
    (tmp_path / "other").mkdir()
    with pytest.raises(AlreadyExistsError, match="restore into a new folder"):
        while_another_backs_up(engine, tmp_path / "other", source.restore).result(30)
    source.close()
    assert (tmp_path / "other" / module.MARKER).exists()


def test_nothing_is_restored_over_a_database(engine: LocalEngine, target: Path) -> None:
    engine.backup(target)
    with pytest.raises(AlreadyExistsError, match="restore into a new folder"):
        restored(target, engine._folder)
