"""Opening to read only: nothing is written, and every read is fresh, whatever lies beside the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochre.errors import ClosedError, CorruptError, FormatVersionError, ReadOnlyError, StorageError
from ochre.local import backup, pages, readonly
from ochre.local.check import check
from ochre.local.database import Database
from ochre.local.engine import LocalEngine
from ochre.local.readonly import Situation
from ochre.model.filters import parse_filters
from ochre.model.requests import CountRecords, DeleteRecords, GetRecords, ModifyCollection, QueryRecords
from ochre.settings import Settings
from tests.local.conftest import Script, add, make_collection, vectors_of

WRITER = """
import os, sys
from pathlib import Path
from uuid import UUID
from ochre.local.engine import LocalEngine
from tests.local.conftest import add
engine = LocalEngine.open(Path(sys.argv[1]))
print("open", flush=True)
for line in sys.stdin:
    if line == "die\\n":
        os._exit(0)
    add(engine, UUID(sys.argv[2]), [int(line)])
    print("done", flush=True)
engine.close()
"""


class Writer:
    """Another process that writes to the folder."""

    def __init__(self, run_script: Script, folder: Path, collection: Any) -> None:
        self._process = run_script(WRITER, folder, collection)
        assert self._answer() == "open"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def add(self, number: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def close(self) -> None:
        assert self._process.communicate()[1] == ""

    def kill(self) -> None:
        self._process.communicate("die\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def collection(folder: Path) -> Any:
    """One of ten records, in a folder that nobody has open."""
    engine = LocalEngine.open(folder)
    collection = make_collection(engine)
    add(engine, collection, range(10))
    engine.close()
    return collection


@pytest.fixture
def reader(folder: Path, collection: Any) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(folder, mode="r")
    yield engine
    engine.close()


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def ids(engine: LocalEngine, collection: Any) -> list[str]:
    """Read everything in each of the ways there are; they agree."""
    found = engine.get(GetRecords(collection)).ids
    assert engine.count(CountRecords(collection)) == len(found)
    assert engine.count(CountRecords(collection, parse_filters({"n": {"$gte": 0}}, None))) == len(found)
    numbers = [int(id_[2:]) for id_ in found]
    nearest = engine.query(QueryRecords(collection, vectors_of(numbers), n_results=1)).batches
    assert [batch.ids[0] for batch in nearest] == found
    return found


def situation(engine: LocalEngine) -> Situation:
    with engine._file.read() as session:
        assert isinstance(session, readonly.ReadOnlySession)
        return session.situation


def numbered(*numbers: int) -> list[str]:
    return [f"id{n}" for n in [*range(10), *numbers]]


# -- a folder at rest -----------------------------------------------------------------------------------------------


def test_a_folder_at_rest_is_read_and_not_a_byte_or_a_date_changes(folder: Path, collection: Any) -> None:
    before = contents(folder)
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered()
    assert engine.list_collections("default_tenant", "default_database")[0].id == collection
    assert situation(engine) is Situation.FROZEN
    engine.close()
    assert contents(folder) == before


@pytest.mark.parametrize(
    "write",
    [
        lambda engine, collection: add(engine, collection, [10]),
        lambda engine, collection: engine.delete(DeleteRecords(collection, ids=["id1"])),
        lambda engine, collection: engine.modify_collection(ModifyCollection(collection, name="other")),
        lambda engine, collection: make_collection(engine, "more"),
        lambda engine, collection: engine.delete_collection("things", "default_tenant", "default_database"),
        lambda engine, collection: engine.create_tenant("more"),
        lambda engine, collection: engine.create_database("more", "default_tenant"),
        lambda engine, collection: engine.delete_database("default_database", "default_tenant"),
        lambda engine, collection: engine.reset(),
    ],
)
def test_every_write_is_an_error_of_its_own_kind(folder: Path, collection: Any, write: Any) -> None:
    engine = LocalEngine.open(folder, Settings(allow_reset=True), mode="r")
    with pytest.raises(ReadOnlyError, match="was opened to be read only: nothing was changed"):
        write(engine, collection)
    assert ids(engine, collection) == numbered()
    engine.close()


def test_a_folder_that_is_not_there_is_not_made(folder: Path) -> None:
    with pytest.raises(StorageError, match="there is no database at"):
        LocalEngine.open(folder, mode="r")
    assert not folder.exists()


def test_vectors_without_an_owner_are_left_where_they_are(folder: Path, collection: Any) -> None:
    orphan = folder / "vectors" / "00000000-0000-0000-0000-000000000000.f32"
    orphan.touch()
    LocalEngine.open(folder, mode="r").close()
    assert orphan.exists()


@pytest.mark.parametrize("missing", [1, 100, 4000])
def test_a_file_that_ends_within_a_page_is_refused(folder: Path, collection: Any, missing: int) -> None:
    """SQLite would take what is missing for zeros, and rows made of them for rows."""
    os.truncate(folder / "ochre.sqlite3", (folder / "ochre.sqlite3").stat().st_size - missing)
    with pytest.raises(CorruptError, match=f"ends {4096 - missing} bytes into a page"):
        LocalEngine.open(folder, mode="r")


def test_a_file_whose_header_denies_checksums_is_refused(folder: Path, collection: Any) -> None:
    data = bytearray((folder / "ochre.sqlite3").read_bytes())
    data[20] = 0
    (folder / "ochre.sqlite3").write_bytes(data)
    with pytest.raises(CorruptError, match="its pages have no checksums"):
        LocalEngine.open(folder, mode="r")


def test_a_file_of_another_program_is_refused(folder: Path, collection: Any) -> None:
    other = pages.connect(str(folder / "ochre.sqlite3"))
    other.execute("PRAGMA application_id=1")
    other.close()
    with pytest.raises(FormatVersionError, match="another program"):
        LocalEngine.open(folder, mode="r")


def test_a_closed_reader_says_so(folder: Path, collection: Any) -> None:
    engine = LocalEngine.open(folder, mode="r")
    engine.close()
    engine.close()
    with pytest.raises(ClosedError):
        engine.get(GetRecords(collection))


# -- others write ---------------------------------------------------------------------------------------------------


def test_every_read_sees_what_another_process_has_written(
    folder: Path, collection: Any, reader: LocalEngine, run_script: Script
) -> None:
    assert ids(reader, collection) == numbered()
    writer = Writer(run_script, folder, collection)
    for number in range(10, 20):
        writer.add(number)
        assert ids(reader, collection) == numbered(*range(10, number + 1))
    assert situation(reader) is Situation.LIVE
    writer.close()
    assert ids(reader, collection) == numbered(*range(10, 20))


def test_writers_that_come_and_go_are_followed(
    folder: Path, collection: Any, reader: LocalEngine, run_script: Script
) -> None:
    for number in (10, 11, 12):
        writer = Writer(run_script, folder, collection)
        writer.add(number)
        assert ids(reader, collection) == numbered(*range(10, number + 1))
        writer.kill() if number == 11 else writer.close()
        assert ids(reader, collection) == numbered(*range(10, number + 1))


def test_a_write_in_the_middle_of_a_read_is_noticed(
    folder: Path, collection: Any, reader: LocalEngine, run_script: Script
) -> None:
    """A file at rest is read without SQLite's care for writers: whoever was overtaken reads again."""
    answers = []

    def ask(session: Any) -> int:
        count = session.execute("SELECT count(*) FROM records").get
        if not answers:
            writer = Writer(run_script, folder, collection)
            writer.add(10)
            writer.close()
        answers.append(count)
        return count

    assert reader._look(ask) == 11
    assert answers == [10, 11]


def test_damage_seen_by_an_overtaken_read_is_no_damage(
    folder: Path, collection: Any, reader: LocalEngine, run_script: Script
) -> None:
    import apsw

    tries = []

    def ask(session: Any) -> int:
        tries.append(session.situation)
        if len(tries) == 1:
            Writer(run_script, folder, collection).kill()
            raise apsw.CorruptError
        return session.execute("SELECT count(*) FROM records").get

    assert reader._look(ask) == 10
    assert tries == [Situation.FROZEN, Situation.LIVE]


@pytest.mark.parametrize(
    ("make", "part"),
    [(LocalEngine.snapshot, (Database, "copy_into")), (LocalEngine.backup, (backup._Copy, "_copy_sqlite"))],
)
def test_a_copy_during_which_others_begin_to_write_is_made_anew(
    folder: Path,
    collection: Any,
    reader: LocalEngine,
    run_script: Script,
    monkeypatch: pytest.MonkeyPatch,
    make: Any,
    part: Any,
) -> None:
    copy, tries = getattr(*part), []

    def meanwhile(*arguments: Any) -> Any:
        if not tries:
            writer = Writer(run_script, folder, collection)
            writer.add(10)
            writer.kill()
        tries.append(arguments)
        return copy(*arguments)

    monkeypatch.setattr(*part, meanwhile)
    make(reader, folder.with_name("copy"))
    assert len(tries) == 2
    made = LocalEngine.open(folder.with_name("copy"), mode="r")
    assert ids(made, collection) == numbered(10)
    made.close()


def test_reading_a_live_folder_writes_nothing(folder: Path, collection: Any, run_script: Script) -> None:
    writer = Writer(run_script, folder, collection)
    writer.add(10)
    before = contents(folder)
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered(10)
    engine.close()
    assert contents(folder) == before
    writer.close()


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_writer_in_the_same_process_is_not_hindered(
    folder: Path, collection: Any, run_script: Script, reader_first: bool
) -> None:
    """Within a process SQLite has one map of the log's index; a reader's would be read-only."""
    killed(folder, collection, run_script)  # what it leaves makes the reader a live one
    if reader_first:
        reader = LocalEngine.open(folder, mode="r")
        assert ids(reader, collection) == numbered(10)
        assert situation(reader) is Situation.LIVE
    writer = LocalEngine.open(folder)
    if not reader_first:
        reader = LocalEngine.open(folder, mode="r")
    for number in (11, 12):
        add(writer, collection, [number])
        assert ids(reader, collection) == numbered(*range(10, number + 1))
        reader._file.make_way()  # its next session is a new one
    writer.close()
    assert ids(reader, collection) == numbered(10, 11, 12)
    reader.close()


def test_a_read_while_a_writer_of_the_same_process_opens_does_not_hinder_it(
    folder: Path, collection: Any, run_script: Script, reader: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(folder, collection, run_script)
    connect = Database._connect

    def overtaken(self: Database, cache: int) -> Any:
        assert ids(reader, collection) == numbered(10)
        return connect(self, cache)

    monkeypatch.setattr(Database, "_connect", overtaken)
    writer = LocalEngine.open(folder)
    monkeypatch.undo()
    add(writer, collection, [11])
    assert ids(reader, collection) == numbered(10, 11)
    writer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_reading(folder: Path, collection: Any, reader: LocalEngine, run_script: Script) -> None:
    assert ids(reader, collection) == numbered()
    writer = Writer(run_script, folder, collection)
    writer.add(10)
    child = os.fork()
    if not child:
        os._exit(0 if ids(reader, collection) == numbered(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.add(11)
    assert ids(reader, collection) == numbered(10, 11)
    writer.close()


# -- what a crash or a copy left ------------------------------------------------------------------------------------


def killed(folder: Path, collection: Any, run_script: Script) -> None:
    writer = Writer(run_script, folder, collection)
    writer.add(10)
    writer.kill()
    assert (folder / "ochre.sqlite3-wal").stat().st_size


def test_a_log_that_a_killed_writer_left_is_read(folder: Path, collection: Any, run_script: Script) -> None:
    killed(folder, collection, run_script)
    before = contents(folder)
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered(10)
    engine.close()
    assert contents(folder) == before


def test_a_log_without_its_index_is_read_aside(
    folder: Path, collection: Any, run_script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a folder may lack the index, and a read-only medium has no room for one."""
    killed(folder, collection, run_script)
    (folder / "ochre.sqlite3-shm").unlink()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = contents(folder)
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered(10)
    assert situation(engine) is Situation.ASIDE
    writer = Writer(run_script, folder, collection)
    writer.add(11)
    assert ids(engine, collection) == numbered(10, 11)
    assert situation(engine) is Situation.LIVE
    writer.close()
    engine.close()
    assert before.keys() <= contents(folder).keys()
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("index", [True, False], ids=["live", "aside"])
def test_a_page_that_a_power_cut_left_to_the_log_is_taken_from_there(
    folder: Path, collection: Any, tmp_path: Path, index: bool
) -> None:
    """With the log's index, whoever opens the folder to write takes it; until then it is not known to be there."""
    writer = LocalEngine.open(folder)
    add(writer, collection, range(10, 100))
    cut = shutil.copytree(folder, tmp_path / "cut", ignore=None if index else shutil.ignore_patterns("*-shm"))
    writer.close()
    with (cut / "ochre.sqlite3").open("ab") as file:  # a page that is in the log
        file.write(b"begun")
    if index:
        with pytest.raises(StorageError, match="ends 5 bytes into a page.*open the folder once without mode='r'"):
            LocalEngine.open(cut, mode="r")
        assert [note.kind for note in check(cut).notes] == ["page"]
        LocalEngine.open(cut).close()
    assert check(cut).whole
    engine = LocalEngine.open(cut, mode="r")
    assert ids(engine, collection) == numbered(*range(10, 100))
    engine.close()


PROBE = """
import sys
import apsw
file = apsw.VFSFile("", sys.argv[1], [apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_MAIN_DB, 0])
file.xLock(apsw.SQLITE_LOCK_SHARED)
file.xLock(apsw.SQLITE_LOCK_EXCLUSIVE)
"""


@pytest.mark.parametrize("log", [False, True], ids=["frozen", "aside"])
def test_nobody_can_tidy_up_behind_a_readers_back(folder: Path, collection: Any, run_script: Script, log: bool) -> None:
    if log:
        killed(folder, collection, run_script)
        (folder / "ochre.sqlite3-shm").unlink()
    engine = LocalEngine.open(folder, mode="r")
    assert situation(engine) is (Situation.ASIDE if log else Situation.FROZEN)
    assert "BusyError" in run_script(PROBE, folder / "ochre.sqlite3").communicate()[1]
    engine.close()
    assert run_script(PROBE, folder / "ochre.sqlite3").communicate()[1] == ""


def test_an_empty_log_without_an_index_is_none(folder: Path, collection: Any) -> None:
    (folder / "ochre.sqlite3-wal").touch()
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered()
    assert situation(engine) is Situation.FROZEN
    engine.close()


def test_a_log_that_has_no_more_than_its_header_is_none(folder: Path, collection: Any, run_script: Script) -> None:
    """SQLite cannot read it without the right to write; a kill at that moment must not close the folder to readers."""
    killed(folder, collection, run_script)
    header = (folder / "ochre.sqlite3-wal").read_bytes()[:32]
    LocalEngine.open(folder).close()
    (folder / "ochre.sqlite3-wal").write_bytes(header)
    (folder / "ochre.sqlite3-shm").write_bytes(bytes(32768))
    before = contents(folder)
    engine = LocalEngine.open(folder, mode="r")
    assert ids(engine, collection) == numbered(10)
    engine.close()
    assert contents(folder) == before


READER = """
import sys
from pathlib import Path
from uuid import UUID
from ochre.local.engine import LocalEngine
from ochre.model.requests import CountRecords
engine = LocalEngine.open(Path(sys.argv[1]), mode="r")
print(engine.count(CountRecords(UUID(sys.argv[2]))), flush=True)
for line in sys.stdin:
    print(engine.count(CountRecords(UUID(sys.argv[2]))), flush=True)
engine.close()
"""


def can_mount() -> bool:
    probe = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    return shutil.which("unshare") is not None and not subprocess.run(probe, capture_output=True).returncode


@pytest.mark.skipif(not can_mount(), reason="mounting takes Linux with user namespaces")
@pytest.mark.parametrize("state", ["live", "killed and copied"])
def test_a_read_only_file_system_is_read_and_followed(
    folder: Path, collection: Any, run_script: Script, tmp_path: Path, state: str
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    writer = None
    if state == "live":
        writer = Writer(run_script, folder, collection)
        writer.add(10)
    else:
        killed(folder, collection, run_script)
        (folder / "ochre.sqlite3-shm").unlink()
    mount = f'mount --bind "{folder}" "{mounted}" && mount -o remount,bind,ro "{mounted}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", READER, str(mounted), str(collection)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        expected = 11
        assert int(process.stdout.readline()) == expected
        writer = writer or Writer(run_script, folder, collection)
        for number in (11, 12):
            writer.add(number)
            expected += 1
            process.stdin.write("\n")
            process.stdin.flush()
            assert int(process.stdout.readline()) == expected
        process.stdin.close()
        assert process.wait() == 0
    writer.close()


@pytest.mark.skipif(not can_mount(), reason="mounting takes Linux with user namespaces")
def test_opening_a_read_only_file_system_to_write_names_the_way_out(folder: Path, collection: Any) -> None:
    script = "import sys, ochre; ochre.PersistentClient(sys.argv[1])"
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    done = subprocess.run([*command, sys.executable, "-c", script, str(folder)], capture_output=True, text=True)
    assert "StorageError" in done.stderr
    assert "open it with mode='r'" in done.stderr


@pytest.mark.skipif(not can_mount(), reason="mounting takes Linux with user namespaces")
@pytest.mark.parametrize("log", [False, True], ids=["at rest", "with a log"])
def test_a_read_only_file_system_is_checked(folder: Path, collection: Any, run_script: Script, log: bool) -> None:
    if log:
        killed(folder, collection, run_script)
        (folder / "ochre.sqlite3-shm").unlink()
    script = "import sys, pathlib; from ochre.local.check import check; print(check(pathlib.Path(sys.argv[1])))"
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    done = subprocess.run([*command, sys.executable, "-c", script, str(folder)], capture_output=True, text=True)
    assert f"records={10 + log}, vectors={10 + log}, findings=[], notes=[]" in done.stdout, done.stderr
