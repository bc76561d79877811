"""Kill, full disk, torn write, corrupt file: nothing acknowledged is lost, nothing half-written is shown."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import numpy as np
import pytest

from ochre.errors import CorruptError, FormatVersionError, InvalidDimensionError, StorageError, StorageFullError
from ochre.local import pages
from ochre.local.arena import HEADER_BYTES, arena_path
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, GetRecords, QueryRecords, WriteRecords
from tests.local.conftest import DIMENSION, add, make_collection, vectors_of

KILLED = """
import sys
from pathlib import Path
from uuid import UUID
from ochre.local.engine import LocalEngine
from ochre.model.requests import DeleteRecords
from tests.local.conftest import add
engine = LocalEngine.open(Path(sys.argv[1]))
n = int(sys.argv[3])
while True:
    add(engine, UUID(sys.argv[2]), range(n, n + 7))
    print(n + 7, flush=True)
    n += 7
"""


def test_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, run_script) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    engine.close()
    randomness = random.Random(7)
    acknowledged = 0
    for _ in range(12):
        writer = run_script(KILLED, tmp_path / "db", collection, acknowledged)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first, writer.stderr.read() if writer.stderr else ""
        time.sleep(randomness.uniform(0, 0.05))
        writer.kill()
        rest = writer.communicate()[0].split("\n")
        acknowledged = max([int(first), *(int(line) for line in rest[:-1] if line)])
        engine = LocalEngine.open(tmp_path / "db")
        count = engine.count(CountRecords(collection))
        assert count % 7 == 0, "a call is there whole or not at all"
        assert count >= acknowledged
        acknowledged = count
        reply = engine.query(QueryRecords(collection, vectors_of(range(count)), n_results=1))
        assert [batch.ids for batch in reply.batches] == [[f"id{n}"] for n in range(count)]
        assert engine.count(CountRecords(collection, parse_filters({"n": {"$gte": 0}}, None))) == count
        engine.close()


def test_vectors_beyond_the_committed_end_are_overwritten(engine: LocalEngine, collection: UUID) -> None:
    """A crash between the arena's write and SQLite's commit leaves bytes that nobody ever reads."""
    add(engine, collection, range(3))
    path = arena_path(engine._folder, collection)
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 3 * DIMENSION * 4)
        file.write(b"\xff" * DIMENSION * 4 * 5)
    assert engine.get(GetRecords(collection)).ids == ["id0", "id1", "id2"]
    add(engine, collection, range(3, 6))
    stored = engine.get(GetRecords(collection, include=frozenset({"embeddings"}))).vectors
    assert stored is not None
    assert np.array_equal(stored, vectors_of(range(6)))


def test_a_failing_write_changes_nothing(engine: LocalEngine, collection: UUID, monkeypatch) -> None:
    from ochre.local import catalog

    add(engine, collection, range(5))
    before = engine.get(GetRecords(collection, include=frozenset({"documents", "embeddings", "metadatas"})))

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalog, "save_progress", fail)
    for kind in ("add", "upsert", "update"):
        with pytest.raises(StorageFullError, match="changed nothing"):
            add(engine, collection, range(3, 8), kind)
    monkeypatch.undo()
    after = engine.get(GetRecords(collection, include=frozenset({"documents", "embeddings", "metadatas"})))
    assert (after.ids, after.documents, after.metadatas) == (before.ids, before.documents, before.metadatas)
    assert np.array_equal(after.vectors, before.vectors)  # type: ignore[arg-type]
    add(engine, collection, range(5, 8))
    assert engine.count(CountRecords(collection)) == 8


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from uuid import UUID
from ochre.errors import StorageError
from ochre.local.engine import LocalEngine
from tests.local.conftest import add
engine = LocalEngine.open(Path(sys.argv[1]))
collection = UUID(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
n = 0
try:
    while n < 10_000_000:
        add(engine, collection, range(n, n + 1000))
        n += 1000
        print(n, flush=True)
except StorageError as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("limit", [2_000_000, 3_000_000, 5_000_000])
def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path, run_script, limit: int) -> None:
    pytest.importorskip("resource", reason="file-size limits stand in for a full disk; this platform has none")
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    engine.close()
    writer = run_script(FULL_DISK, tmp_path / "db", collection, limit)
    output, errors = writer.communicate(timeout=120)
    *counts, name = output.split()
    assert name == "StorageFullError", (output, errors)
    engine = LocalEngine.open(tmp_path / "db")
    assert engine.count(CountRecords(collection)) == int(counts[-1])
    stored = engine.get(GetRecords(collection, include=frozenset({"embeddings"}))).vectors
    assert stored is not None
    assert np.array_equal(stored, vectors_of(range(int(counts[-1]))))
    add(engine, collection, range(int(counts[-1]), int(counts[-1]) + 10))
    engine.close()


def test_a_torn_log_write_is_rolled_back(tmp_path: Path) -> None:
    """Cutting a write-ahead log that is not on the disk yet leaves a database with whole calls only."""
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    for first in range(0, 50, 5):
        add(engine, collection, range(first, first + 5))
    shutil.copytree(tmp_path / "db", tmp_path / "copy")
    engine.close()
    log = tmp_path / "copy" / "ochre.sqlite3-wal"
    whole = log.read_bytes()
    used = len(whole.rstrip(b"\0"))
    counts = set()
    for cut in range(used, 0, -max(used // 25, 1)):
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        shutil.copytree(tmp_path / "copy", tmp_path / "torn")
        (tmp_path / "torn" / "ochre.sqlite3-shm").unlink(missing_ok=True)
        (tmp_path / "torn" / "ochre.commits").unlink()  # nothing was acknowledged
        (tmp_path / "torn" / "ochre.sqlite3-wal").write_bytes(whole[:cut])
        torn = LocalEngine.open(tmp_path / "torn")
        names = [info.id for info in torn.list_collections("default_tenant", "default_database")]
        if collection in names:
            batch = torn.get(GetRecords(collection, include=frozenset({"embeddings", "documents"})))
            assert len(batch.ids) % 5 == 0
            assert batch.ids == [f"id{n}" for n in range(len(batch.ids))]
            if batch.ids:
                assert np.array_equal(batch.vectors, vectors_of(range(len(batch.ids))))  # type: ignore[arg-type]
            counts.add(len(batch.ids))
        torn.close()
    assert len(counts) > 3, "the cuts must have hit different calls"


def test_a_missing_vector_file_is_named(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.close()
    arena_path(tmp_path / "db", collection).unlink()
    engine = LocalEngine.open(tmp_path / "db")
    with pytest.raises(CorruptError, match=r"\.f32 is missing.*restore"):
        engine.query(QueryRecords(collection, vectors_of([1])))
    assert engine.get(GetRecords(collection, include=frozenset({"documents"}))).documents == [
        f"document {n}" for n in range(5)
    ]
    engine.close()


def test_a_short_vector_file_is_an_error_and_no_crash(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(5))
    engine.close()
    path = arena_path(tmp_path / "db", collection)
    path.write_bytes(path.read_bytes()[: HEADER_BYTES + 3 * DIMENSION * 4])
    engine = LocalEngine.open(tmp_path / "db")
    with pytest.raises(CorruptError, match="were committed"):
        engine.query(QueryRecords(collection, vectors_of([1])))
    engine.close()


def test_another_collections_vector_file_is_refused(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    one, two = make_collection(engine, "one"), make_collection(engine, "two")
    add(engine, one, range(5))
    add(engine, two, range(5))
    engine.close()
    shutil.copy(arena_path(tmp_path / "db", one), arena_path(tmp_path / "db", two))
    engine = LocalEngine.open(tmp_path / "db")
    with pytest.raises(CorruptError, match="does not begin"):
        engine.query(QueryRecords(two, vectors_of([1])))
    engine.close()


def test_a_damaged_database_file_is_an_error(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    add(engine, make_collection(engine), range(500))
    engine.close()
    path = tmp_path / "db" / "ochre.sqlite3"
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged|cannot be used"):
        LocalEngine.open(tmp_path / "db")


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "ochre.sqlite3"))
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(FormatVersionError, match="another program"):
        LocalEngine.open(tmp_path)


@pytest.mark.parametrize("mode", ["w", "r"])
def test_a_folder_of_chromas_is_not_made_a_database_of_ours(tmp_path: Path, mode: Any) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"SQLite format 3\0")
    with pytest.raises(FormatVersionError, match="ochre migrate-chroma"):
        LocalEngine.open(tmp_path, mode=mode)
    assert [path.name for path in tmp_path.iterdir()] == ["chroma.sqlite3"]


def test_a_database_of_ours_beside_one_of_chromas_is_opened(tmp_path: Path) -> None:
    LocalEngine.open(tmp_path).close()
    (tmp_path / "chroma.sqlite3").write_bytes(b"SQLite format 3\0")
    LocalEngine.open(tmp_path).close()


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    LocalEngine.open(tmp_path).close()
    connection = pages.connect(str(tmp_path / "ochre.sqlite3"))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(FormatVersionError, match="format 99.*newer release"):
        LocalEngine.open(tmp_path)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(StorageError, match="path"):
        LocalEngine.open(tmp_path / "file")


def test_vectors_without_an_owner_are_removed_when_the_folder_is_opened(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    add(engine, make_collection(engine), range(5))
    engine.close()
    orphan = tmp_path / "db" / "vectors" / "00000000-0000-4000-8000-000000000000.f32"
    orphan.write_bytes(b"left over")
    LocalEngine.open(tmp_path / "db").close()
    assert not orphan.exists()
    assert len(list(orphan.parent.iterdir())) == 1


def test_a_first_write_that_failed_does_not_fix_the_dimension(
    engine: LocalEngine, collection: UUID, monkeypatch
) -> None:
    from ochre.local import catalog

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalog, "save_progress", fail)
    with pytest.raises(StorageFullError):
        add(engine, collection, range(3))
    monkeypatch.undo()
    engine.write(WriteRecords(collection, "add", ["a"], np.ones((1, 3), np.float32)))
    assert engine.query(QueryRecords(collection, np.ones((1, 3), np.float32))).distances == [[0.0]]
    with pytest.raises(InvalidDimensionError, match="dimension of 3, got 8"):
        add(engine, collection, range(3))


def test_an_index_that_fell_behind_the_log_is_rebuilt(tmp_path: Path, monkeypatch) -> None:
    from ochre.local import log

    monkeypatch.setattr(log, "RETAINED_CHANGES", 5)
    monkeypatch.setattr(log, "_PURGE_EVERY", 3)
    writer, reader = LocalEngine.open(tmp_path / "db"), LocalEngine.open(tmp_path / "db")
    collection = make_collection(writer)
    add(writer, collection, [0])
    filter_ = parse_filters({"even": True}, None)
    assert reader.count(CountRecords(collection, filter_)) == 1
    for n in range(1, 30):
        add(writer, collection, [n])
    assert reader.count(CountRecords(collection, filter_)) == 15
    assert reader.query(QueryRecords(collection, vectors_of([29]), n_results=1)).batches[0].ids == ["id29"]
    with apsw.Connection(str(tmp_path / "db" / "ochre.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM changes").get < 10
    connection.close()
    writer.close()
    reader.close()
