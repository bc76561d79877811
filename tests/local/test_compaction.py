"""Erasure, vacuum and compaction: nothing is left of what was deleted, and nobody notices but by the space."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ochre.errors import BusyError, ReadOnlyError, StorageFullError
from ochre.local import compaction, log
from ochre.local.arena import HEADER_BYTES, Arena, arena_path
from ochre.local.check import check
from ochre.local.database import Database
from ochre.local.engine import LocalEngine
from ochre.local.hold import Hold
from ochre.local.index.graph import StoppedError
from ochre.local.leaves import Leaves
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, QueryRecords, WriteRecords
from ochre.settings import Settings
from tests.local.conftest import DIMENSION, Script, add, make_collection, vectors_of
from tests.local.test_backup import contents, described, numbers, stored

FAST = Settings(synchronous="off", busy_timeout=0.05)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db", FAST)
    yield engine
    engine.close()


@pytest.fixture
def collection(engine: LocalEngine) -> UUID:
    return make_collection(engine)


SECRETS = ("Sesame-id", "Sesame-text", "Sesame-value", "Sesame-uri")


def add_secret(engine: LocalEngine, collection: UUID, number: int, length: int = 1) -> list[bytes]:
    """Add a record of its own; return what only it has."""
    words = [f"{word}-{number}" for word in SECRETS]
    id_, text, value, uri = words
    vector = np.random.default_rng(number).standard_normal((1, 8)).astype(np.float32)
    request = WriteRecords(collection, "add", [id_], vector, [text * length], [{"k": value * length}], [uri])
    engine.write(request)
    return [*(word.encode() for word in words), vector[0, :3].tobytes()]


def found(folder: Path, secrets: list[bytes]) -> dict[str, list[bytes]]:
    """Which files hold which of the secrets."""
    return {
        name: hits
        for name, content in contents(folder).items()
        if (hits := [secret for secret in secrets if secret in content])
    }


# -- nothing is left ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3000], ids=["short", "long"])
def test_an_erased_record_is_in_no_file_any_more(engine: LocalEngine, collection: UUID, length: int) -> None:
    add(engine, collection, range(500))
    secrets = add_secret(engine, collection, 1, length)
    add(engine, collection, range(500, 1000))
    assert {hit for hits in found(engine._folder, secrets).values() for hit in hits} == set(secrets)
    assert engine.delete(DeleteRecords(collection, ids=[secrets[0].decode()], erase=True)) == 1
    assert found(engine._folder, secrets) == {}
    assert numbers(engine, collection) == list(range(1000))


def replaced(engine: LocalEngine, collection: UUID, id_: str) -> None:
    engine.write(WriteRecords(collection, "upsert", [id_], vectors_of([1]), ["new"], [{"k": "new"}], ["new"]))
    engine.delete(DeleteRecords(collection, ids=[id_]))


def deleted(engine: LocalEngine, collection: UUID, id_: str) -> None:
    engine.delete(DeleteRecords(collection, ids=[id_]))


def deleted_with_its_collection(engine: LocalEngine, collection: UUID, id_: str) -> None:
    engine.delete_collection("things", "default_tenant", "default_database")


@pytest.mark.parametrize("how", [replaced, deleted, deleted_with_its_collection])
def test_a_vacuum_leaves_nothing_of_what_was_deleted(engine: LocalEngine, collection: UUID, how: Any) -> None:
    other = make_collection(engine, "other")
    add(engine, other, range(100))
    add(engine, collection, range(500))
    secrets = add_secret(engine, collection, 1)
    how(engine, collection, secrets[0].decode())
    assert found(engine._folder, secrets)
    engine.vacuum()
    assert found(engine._folder, secrets) == {}
    assert numbers(engine, other) == list(range(100))


def test_records_that_moved_between_pages_leave_nothing_behind(engine: LocalEngine, collection: UUID) -> None:
    """Pages are split as they fill, and what was copied out of one stays in its unused part."""
    order = np.random.default_rng(7).permutation(600).tolist()
    secrets = {number: add_secret(engine, collection, 10_000 + number, 3) for number in order}
    gone = order[::3]
    engine.delete(DeleteRecords(collection, ids=[secrets[number][0].decode() for number in gone], erase=True))
    assert found(engine._folder, [secret for number in gone for secret in secrets[number]]) == {}
    kept = [secrets[number] for number in order if number not in set(gone)]
    assert set(engine.get(GetRecords(collection)).ids) == {words[0].decode() for words in kept}


def test_space_is_given_back(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(20))
    engine.vacuum()
    small = sum(len(content) for content in contents(engine._folder).values())
    add(engine, collection, range(20, 5000))
    engine.delete(DeleteRecords(collection, filter=parse_filters({"n": {"$gte": 20}}, None)))
    report = engine.vacuum()
    assert report.before > 4 * small
    assert report.after == sum(len(content) for content in contents(engine._folder).values())
    assert report.after < 1.2 * small


def test_a_collection_without_records_is_vacuumed_and_filled_again(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, filter=parse_filters({"n": {"$gte": 0}}, None), erase=True))
    assert numbers(engine, collection) == []
    assert engine.query(QueryRecords(collection, vectors_of([1]))).batches[0].ids == []
    assert list((engine._folder / "vectors").iterdir()) == []
    assert check(engine._folder).whole
    engine.backup(engine._folder.with_name("backup"))
    add(engine, collection, range(10, 20))
    assert numbers(engine, collection) == list(range(10, 20))


def test_a_vacuum_without_anything_to_do_moves_no_vectors(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    engine.vacuum()
    assert arena_path(engine._folder, collection).exists()


def test_pages_and_vectors_keep_their_checksums(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(500))
    engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(1, 500, 3)], erase=True))
    engine.close()
    with Leaves(engine._folder / "ochre.sqlite3") as pages:
        assert pages.damaged() == []
    assert check(engine._folder).findings == []
    (path,) = (engine._folder / "vectors").iterdir()
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 2 * DIMENSION * 4] ^= 1  # of the third record that is left
    path.write_bytes(data)
    assert [finding.id for finding in check(engine._folder).findings] == ["id3"]


def test_old_arenas_are_removed(engine: LocalEngine, collection: UUID) -> None:
    for first in (0, 10, 20):
        add(engine, collection, range(first, first + 10))
        engine.delete(DeleteRecords(collection, ids=[f"id{first}"]))
        engine.vacuum()
    (path,) = (engine._folder / "vectors").iterdir()
    assert path.stem.startswith(f"{collection}-")
    LocalEngine.open(engine._folder).close()
    assert path.exists()


# -- nobody notices -------------------------------------------------------------------------------------------------


def test_other_handles_follow_the_move(tmp_path: Path, engine: LocalEngine, collection: UUID) -> None:
    others = [LocalEngine.open(tmp_path / "db", FAST), LocalEngine.open(tmp_path / "db", FAST, mode="r")]
    add(engine, collection, range(100))
    add(engine, collection, range(10, 60), kind="upsert")  # their vectors lie behind the others' now
    for other in others:
        assert numbers(other, collection) == list(range(100))
    engine.delete(DeleteRecords(collection, filter=parse_filters({"even": True}, None), erase=True))
    odd = list(range(1, 100, 2))
    for other in others:
        assert numbers(other, collection) == odd
    add(others[0], collection, range(100, 110))
    for handle in (engine, *others):
        assert numbers(handle, collection) == [*odd, *range(100, 110)]
    assert described(engine) == stored(tmp_path / "db")
    for other in others:
        other.close()


def test_a_reader_with_an_older_state_reads_again(engine: LocalEngine, collection: UUID, monkeypatch) -> None:
    """Between its look at the catalog and its look at the vectors, those moved and the old ones were removed."""
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, ids=["id0"]))
    rows, moved = Arena.rows, []

    def meanwhile(self: Arena, count: int) -> Any:
        if not moved:
            moved.append(True)
            monkeypatch.setattr(Arena, "rows", rows)
            assert compaction.compact(engine._file, collection, 1.0)
        return rows(self, count)

    monkeypatch.setattr(Arena, "rows", meanwhile)
    nearest = engine.query(QueryRecords(collection, vectors_of([3]), n_results=1)).batches
    assert nearest[0].ids == ["id3"]
    assert moved


def test_queries_and_writes_go_on_while_vectors_move(tmp_path: Path, engine: LocalEngine, collection: UUID) -> None:
    patient = LocalEngine.open(tmp_path / "db", Settings(synchronous="off"))
    reader = LocalEngine.open(tmp_path / "db", FAST, mode="r")
    add(patient, collection, range(100))
    done, strange, fresh = threading.Event(), [], iter(range(1000, 100_000))

    def ask(handle: LocalEngine) -> None:
        reply = handle.query(QueryRecords(collection, vectors_of([77]), n_results=1))
        if (reply.batches[0].ids, reply.distances[0]) != (["id77"], [0.0]):
            strange.append(reply)

    def repeat(operation: Any) -> None:
        try:
            while not done.is_set():
                operation()
        except BaseException as error:
            strange.append(error)

    operations = [lambda: ask(patient), lambda: ask(reader), lambda: add(patient, collection, [next(fresh)])]
    threads = [threading.Thread(target=repeat, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    try:
        for number in range(15):
            patient.delete(DeleteRecords(collection, ids=[f"id{number}"]))
            patient.vacuum()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert strange == []
    assert [n for n in numbers(patient, collection) if n < 1000] == list(range(15, 100))
    patient.close()
    reader.close()


def test_others_write_while_vectors_are_copied(tmp_path: Path, engine: LocalEngine, collection: UUID) -> None:
    """What they add follows, what they delete may come along, and what they replace is not mixed up."""
    add(engine, collection, range(100))
    engine.delete(DeleteRecords(collection, ids=[f"id{n}" for n in range(60)]))
    other = LocalEngine.open(tmp_path / "db", FAST)
    copied = []

    def meanwhile() -> None:
        add(other, collection, range(100, 130))
        add(other, collection, range(70, 75), kind="upsert")
        other.delete(DeleteRecords(collection, ids=["id80", "id101"]))
        copied.append(True)

    assert compaction.compact(engine._file, collection, 1.0, watch=meanwhile)
    assert copied == [True]
    kept = [n for n in range(60, 130) if n not in (80, 101)]
    for handle in (engine, other):
        assert numbers(handle, collection) == kept
    assert check(tmp_path / "db").findings == []
    assert compaction.compact(engine._file, collection, 1.0)
    with engine._file.read() as session:
        assert log.catalog.get_collection(session, collection).next_slot == len(kept)
    other.close()


def test_a_move_that_is_given_up_changes_nothing(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, ids=["id1"]))
    before = described(engine)

    def enough() -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        compaction.compact(engine._file, collection, 1.0, watch=enough)
    assert described(engine) == before
    assert os.listdir(engine._folder / "vectors") == [f"{collection}.f32"]


def test_a_move_that_gets_no_turn_to_write_changes_nothing(
    tmp_path: Path, engine: LocalEngine, collection: UUID
) -> None:
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, ids=["id1"]))
    other = Database(tmp_path / "db", FAST)
    with other.write(), pytest.raises(BusyError):
        compaction.compact(engine._file, collection, 0.05)
    assert os.listdir(engine._folder / "vectors") == [f"{collection}.f32"]
    other.close()


MOVER = """
import os, sys
from pathlib import Path
from uuid import UUID
from ochre.local import catalog, compaction, log
from ochre.local.database import Database
from ochre.settings import Settings
place, collection, step = Path(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3]

def die(*arguments, **options):
    os._exit(9)

if step == "moved":
    compaction.log.move = die
elif step == "logged":
    move = log.move
    compaction.log.move = lambda *arguments: (move(*arguments), die())
elif step == "committed":
    compaction.remove_file = die
elif step == "compacted":
    Database.vacuum = die
compaction.vacuum(Database(place, Settings()), 1.0)
"""


@pytest.mark.parametrize("step", ["moved", "logged", "committed", "compacted"])
def test_a_vacuum_killed_at_any_step_loses_nothing(
    engine: LocalEngine, collection: UUID, run_script: Script, step: str
) -> None:
    add(engine, collection, range(20))
    engine.delete(DeleteRecords(collection, ids=["id3"]))
    before = described(engine)
    process = run_script(MOVER, engine._folder, collection, step)
    _, errors = process.communicate()
    assert process.returncode == 9, errors
    assert described(engine) == before
    engine.vacuum()
    assert described(engine) == before
    assert len(list((engine._folder / "vectors").iterdir())) == 1


def test_a_backup_follows_the_move(engine: LocalEngine, collection: UUID, tmp_path: Path) -> None:
    add(engine, collection, range(20))
    secrets = add_secret(engine, collection, 1)
    engine.backup(tmp_path / "backup")
    engine.delete(DeleteRecords(collection, ids=[secrets[0].decode()], erase=True))
    engine.backup(tmp_path / "backup")
    assert stored(tmp_path / "backup") == described(engine)
    assert not [name for name in found(tmp_path / "backup", secrets) if name.startswith("vectors")]


def test_an_index_that_had_seen_everything_begins_anew(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    with engine._file.read() as session:
        row = log.catalog.get_collection(session, collection)
    engine.delete(DeleteRecords(collection, ids=["id0"]))
    compaction.compact(engine._file, collection, 1.0)
    with engine._file.read() as session:
        moved = log.catalog.get_collection(session, collection)
        assert log.changes_since(session, moved, row.info.head) is None
        assert log.changes_since(session, moved, moved.info.head) == []
        assert session.execute("SELECT count(*) FROM changes").get == 0
    assert (moved.next_slot, moved.records) == (9, 9)


# -- when it has to wait --------------------------------------------------------------------------------------------


def test_an_erasure_that_a_backup_delays_says_so(engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    with (
        Hold(engine._folder).copying(1.0),
        pytest.raises(BusyError, match=r"1 records were deleted, but their bytes are still.*call `vacuum` later"),
    ):
        engine.delete(DeleteRecords(collection, ids=["id1"], erase=True))
    assert engine.count(CountRecords(collection)) == 9


def test_a_vacuum_that_a_backup_keeps_from_removing_vectors_says_so(engine: LocalEngine, collection: UUID) -> None:
    secrets = add_secret(engine, collection, 1)
    with Hold(engine._folder).copying(1.0):
        engine.delete_collection("things", "default_tenant", "default_database")
        with pytest.raises(BusyError, match="are being copied or checked"):
            engine.vacuum()
    engine.vacuum()
    assert found(engine._folder, secrets) == {}


def test_an_erasure_without_room_says_what_was_done(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(engine, collection, range(10))

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compaction.log, "move", full)
    with pytest.raises(StorageFullError, match="1 records were deleted, but their bytes are still in the files"):
        engine.delete(DeleteRecords(collection, ids=["id1"], erase=True))
    assert engine.count(CountRecords(collection)) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_during_a_copy_holds_on_to_nothing(engine: LocalEngine) -> None:
    done, end = os.pipe()
    with Hold(engine._folder).copying(1.0):
        child = os.fork()
        if not child:
            os.close(end)
            os.read(done, 1)  # until the parent is done
            os._exit(0)
    with Hold(engine._folder).removing():
        pass
    os.close(end)
    os.close(done)
    os.waitpid(child, 0)


def test_an_erasure_that_a_reader_delays_says_so(tmp_path: Path, engine: LocalEngine, collection: UUID) -> None:
    """The log holds what its readers may still look at."""
    other = Database(tmp_path / "db", FAST)
    secrets = add_secret(engine, collection, 1)
    with other.read() as session:
        session.execute("SELECT count(*) FROM records").fetchall()
        with pytest.raises(BusyError, match="were deleted, but their bytes are still in the files"):
            engine.delete(DeleteRecords(collection, ids=[secrets[0].decode()], erase=True))
    engine.vacuum()
    assert found(tmp_path / "db", secrets) == {}
    other.close()


def test_what_is_opened_to_read_is_not_vacuumed(tmp_path: Path, engine: LocalEngine, collection: UUID) -> None:
    add(engine, collection, range(10))
    engine.close()
    (tmp_path / "db" / "ochre.hold").unlink()
    before = contents(tmp_path / "db")
    reader = LocalEngine.open(tmp_path / "db", mode="r")
    with pytest.raises(ReadOnlyError):
        reader.vacuum()
    reader.close()
    assert contents(tmp_path / "db") == before


@pytest.mark.parametrize(("place", "name"), [(Arena, "append"), (compaction.log, "move")], ids=["copying", "naming"])
def test_a_move_that_fails_changes_nothing(
    engine: LocalEngine, collection: UUID, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    add(engine, collection, range(10))
    engine.delete(DeleteRecords(collection, ids=["id1"]))

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    before = described(engine)
    monkeypatch.setattr(place, name, full)
    with pytest.raises(StorageFullError, match="no room to write"):
        engine.vacuum()
    assert described(engine) == before
    assert os.listdir(engine._folder / "vectors") == [f"{collection}.f32"]


# -- when it is worth the while -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "records", "worth"),
    [(10, 0, False), (4096, 0, False), (4097, 0, True), (20_000, 10_000, False), (20_001, 10_000, True)],
)
def test_more_than_half_must_be_dead_and_more_than_a_few(
    engine: LocalEngine, collection: UUID, slots: int, records: int, worth: bool
) -> None:
    from dataclasses import replace

    with engine._file.read() as session:
        row = log.catalog.get_collection(session, collection)
    assert compaction.is_mostly_dead(replace(row, next_slot=slots, records=records)) is worth


def test_unused_pages_are_given_back_a_part_at_a_time(engine: LocalEngine, collection: UUID, monkeypatch) -> None:
    monkeypatch.setattr(compaction, "_RECLAIMED_PAGES", 10)
    add(engine, collection, range(5000))
    assert not compaction.reclaim_pages(engine._file)
    engine.delete(DeleteRecords(collection, filter=parse_filters({"n": {"$gte": 10}}, None)))

    def pages() -> int:
        with engine._file.read() as session:
            return session.execute("PRAGMA page_count").get

    before = pages()
    assert compaction.reclaim_pages(engine._file)
    assert pages() == before - 10
    while compaction.reclaim_pages(engine._file):
        pass
    assert pages() < before / 2
    assert numbers(engine, collection) == list(range(10))
