"""Around the import itself: the folders it takes and makes, other programs, embedding anew, progress, memory."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import apsw
import pytest

import ochre
from ochre.embedding import registry
from ochre.errors import (
    AlreadyExistsError,
    CorruptError,
    InvalidArgumentError,
    NotFoundError,
    OchreError,
    StorageError,
)
from ochre.migrate import examine, from_chroma
from tests.migrate.builder import SourceFolder, vector_of
from tests.migrate.conftest import Importing


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def filled(folder: SourceFolder, count: int = 5) -> Path:
    things = folder.collection("things")
    things.fill(range(count))
    things.file()
    things.index()
    return folder.close()


# -- the folders ----------------------------------------------------------------------------------------------------


def test_a_folder_without_chromas_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has no chroma.sqlite3: expected the folder"):
        from_chroma(tmp_path / "nothing", tmp_path / "made")


@pytest.mark.parametrize("what", ["folder", "file", "left over"])
def test_what_is_there_is_not_overwritten(source: SourceFolder, tmp_path: Path, what: str) -> None:
    path = filled(source)
    if what == "folder":
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "mine.txt").write_text("mine")
    else:
        (tmp_path / ("made" if what == "file" else "made.left-over.jsonl")).write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(AlreadyExistsError):
        from_chroma(path, tmp_path / "made")
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("content", [b"", None], ids=["no bytes", "no tables"])
def test_a_file_without_tables_is_no_import_of_nothing(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "chroma").mkdir()
    file = tmp_path / "chroma" / "chroma.sqlite3"
    if content is None:
        connection = apsw.Connection(str(file))
        connection.execute("CREATE TABLE other (x)")
        connection.close()
    else:
        file.write_bytes(content)
    with pytest.raises(CorruptError, match="has no table of collections: nothing can be read"):
        from_chroma(tmp_path / "chroma", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_is_taken_and_missing_parents_are_made(source: SourceFolder, tmp_path: Path) -> None:
    path = filled(source)
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "some" / "where"):
        assert from_chroma(str(path), str(target)).records == 5
        with ochre.PersistentClient(target) as client:
            assert client.get_collection("things").count() == 5


@pytest.mark.parametrize("target", [".", "inside", "..", "link"])
def test_folders_inside_each_other_are_refused(source: SourceFolder, tmp_path: Path, target: str) -> None:
    path = filled(source)
    before = files_of(tmp_path)
    with pytest.raises(InvalidArgumentError, match="lie inside each other"):
        from_chroma(path, path / target if target != "link" else path)
    assert files_of(tmp_path) == before


def test_the_folder_is_not_changed(source: SourceFolder, tmp_path: Path) -> None:
    path = filled(source)
    before = files_of(path)
    from_chroma(path, tmp_path / "made")
    examine(path)
    assert files_of(path) == before


def test_an_import_that_fails_leaves_nothing(source: SourceFolder, tmp_path: Path) -> None:
    source.collection("hopeless").add("a", None, "written down before")
    path = filled(source, 1000)

    def stop(what: str, done: int, total: int | None) -> None:
        if what == "things":
            assert len(list(tmp_path.iterdir())) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_chroma(path, tmp_path / "made", progress=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["chroma"]


def test_no_file_of_left_overs_is_made_when_there_are_none(source: SourceFolder, tmp_path: Path) -> None:
    report = from_chroma(filled(source), tmp_path / "made")
    assert report.left_over is None
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["chroma", "made"]


# -- other programs -------------------------------------------------------------------------------------------------


def copied(path: Path, target: Path) -> Path:
    """Copy a folder as a program that was killed leaves it: without the shared memory of its log."""
    return shutil.copytree(path, target, ignore=shutil.ignore_patterns("*-shm"))


def test_a_write_that_was_cut_off_is_rolled_back_in_a_copy(
    source: SourceFolder, importing: Importing, tmp_path: Path
) -> None:
    path = filled(source, 500)
    other = apsw.Connection(str(path / "chroma.sqlite3"))
    other.execute("PRAGMA cache_size=1; BEGIN IMMEDIATE; UPDATE embedding_metadata SET string_value='half written'")
    killed = copied(path, tmp_path / "killed")
    other.close()
    before = files_of(killed)
    assert b"half written" in before["chroma.sqlite3"]
    assert "chroma.sqlite3-journal" in before
    assert importing(killed).get()["documents"] == [f"document {n}" for n in range(500)]
    assert files_of(killed) == before


def test_a_log_beside_the_file_counts(source: SourceFolder, importing: Importing, tmp_path: Path) -> None:
    path = filled(source)
    other = apsw.Connection(str(path / "chroma.sqlite3"))
    other.execute("PRAGMA journal_mode=WAL").fetchall()
    other.execute("UPDATE embedding_metadata SET string_value='in the log'")
    killed = copied(path, tmp_path / "killed")
    other.close()
    before = files_of(killed)
    assert b"in the log" not in before["chroma.sqlite3"]
    assert importing(killed).get()["documents"] == ["in the log"] * 5
    assert files_of(killed) == before


def test_a_file_that_changes_while_it_is_copied_is_told(
    source: SourceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(source)
    apsw.Connection(str(path / "chroma.sqlite3")).execute("PRAGMA journal_mode=WAL").fetchall()
    copy = shutil.copyfile

    def meanwhile(source: Path, target: Path) -> None:
        copy(source, target)
        with (path / "chroma.sqlite3-wal").open("ab") as log:
            log.write(b"more")

    monkeypatch.setattr(shutil, "copyfile", meanwhile)
    with pytest.raises(StorageError, match="changes while it is copied: stop the program"):
        from_chroma(path, tmp_path / "made")


def test_a_program_that_is_about_to_write_does_no_harm(source: SourceFolder, importing: Importing) -> None:
    path = filled(source)
    other = apsw.Connection(str(path / "chroma.sqlite3"))
    other.execute("BEGIN IMMEDIATE; UPDATE embedding_metadata SET string_value='not committed'")
    made = importing(path)
    other.close()
    assert made.get()["documents"] == [f"document {n}" for n in range(5)]
    assert made.report.complete


def test_a_file_that_is_locked_for_good_is_told(
    source: SourceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(source)
    monkeypatch.setattr("ochre.migrate.chroma.folder.PATIENCE", 0)
    other = apsw.Connection(str(path / "chroma.sqlite3"))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="stop the program that has it open"):
        from_chroma(path, tmp_path / "made")
    other.close()


def test_a_program_that_writes_meanwhile_is_told(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.fill(range(5))
    things.file()
    things.index()

    def write(what: str, done: int, total: int | None) -> None:
        (things.index_folder / "link_lists.bin").write_bytes(b"new")

    made = importing(source, progress=write)
    assert made.report.troubles == ["another program wrote to the folder meanwhile: stop it and import anew"]
    assert not made.report.complete


# -- embedding anew -------------------------------------------------------------------------------------------------


class Lengths(ochre.EmbeddingFunction):
    """Embeds a text as its length, four times; refuses to embed the text "no"."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: list[Any]) -> Any:
        if "no" in input:
            raise OchreError("the model does not answer")
        return [[float(len(text))] * 4 for text in input]

    @staticmethod
    def name() -> str:
        return "lengths"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> ochre.EmbeddingFunction:
        return Lengths()


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._classes, "lengths", Lengths)


@pytest.mark.usefixtures("lengths")
def test_documents_without_a_vector_are_embedded_anew_in_their_place(
    source: SourceFolder, importing: Importing
) -> None:
    things = source.collection("things", function="lengths")
    things.add("a", vector_of(1), "first")
    things.add("b", None, "lost")
    things.add("c", None)
    things.add("d", vector_of(4), "fourth")
    things.add("e", None, "no")
    made = importing(source, re_embed=True)
    assert made.vectors() == {"a": vector_of(1), "b": [4.0] * 4, "d": vector_of(4)}
    assert made.counts() == {"no_vector": (2, ["c", "e"])}
    assert made.left_over()[1]["reason"].endswith(": the model does not answer")


def test_a_function_that_is_not_registered_embeds_nothing(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things", function="unheard-of")
    things.add("a", vector_of(1), "first")
    things.add("b", None, "lost")
    made = importing(source, re_embed=True)
    assert list(made.vectors()) == ["a"]
    assert "is not registered here" in made.left_over()[0]["reason"]


# -- size -----------------------------------------------------------------------------------------------------------


def test_progress_counts_the_records_of_each_collection(source: SourceFolder, importing: Importing) -> None:
    source.collection("few").fill(range(3))
    source.collection("many").fill(range(2300))
    told: list[tuple[str, int, int | None]] = []
    importing(source, progress=lambda *step: told.append(step))
    assert told == [("few", 3, 3), ("many", 1000, 2300), ("many", 2000, 2300), ("many", 2300, 2300)]


def test_memory_does_not_grow_with_the_documents(source: SourceFolder, tmp_path: Path) -> None:
    things = source.collection("things")
    for number in range(3000):
        things.add(f"id{number}", vector_of(number), "word " * 4000)
    things.file()
    path = source.close()
    tracemalloc.start()
    try:
        from_chroma(path, tmp_path / "made")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000  # the documents are 60 MB
