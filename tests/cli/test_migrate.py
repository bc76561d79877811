"""`ochre migrate-chroma`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import ochre as package
from tests.cli.conftest import Ochre
from tests.migrate.builder import SourceFolder, vector_of


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceFolder]:
    folder = SourceFolder(tmp_path / "chroma")
    yield folder
    folder.close()


def test_a_folder_is_imported_and_the_report_is_printed(ochre: Ochre, source: SourceFolder, tmp_path: Path) -> None:
    source.collection("notes", "cosine").fill(range(3))
    done = ochre("migrate-chroma", str(source.close()), str(tmp_path / "made"))
    assert done == (
        0,
        "imported: 3 records in 1 collection\ndefault_tenant/default_database/notes: 3 records, cosine\n",
        "",
    )
    with package.PersistentClient(tmp_path / "made") as client:
        assert client.get_collection("notes").count() == 3


def test_what_was_not_imported_is_printed_and_is_exit_code_1(
    ochre: Ochre, source: SourceFolder, tmp_path: Path
) -> None:
    notes = source.collection("my notes")
    notes.add("a", vector_of(1))
    for number in range(12):
        notes.add(f"b{number}", None, "lost")
    done = ochre("migrate-chroma", str(source.close()), str(tmp_path / "made"))
    assert (done.code, done.err) == (1, "")
    assert done.out == (
        "imported: 1 record in 1 collection\n"
        "default_tenant/default_database/my-notes (was default_tenant/default_database/my notes): 1 record, l2\n"
        "  ! 12 not imported: no vector, neither in the index nor in the queue: "
        "b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, ...\n"
        f"what was not imported is in {tmp_path / 'made.left-over.jsonl'}\n"
    )
    lines = (tmp_path / "made.left-over.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"b{number}" for number in range(12)]


@pytest.mark.parametrize("destination", [[], ["made"]])
def test_a_dry_run_writes_nothing(
    ochre: Ochre, source: SourceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: list[str]
) -> None:
    source.collection("notes").fill(range(3))
    source.close()
    monkeypatch.chdir(tmp_path)
    done = ochre("migrate-chroma", "chroma", *destination, "--dry-run")
    assert (done.code, done.out.splitlines()[0]) == (0, "to import: 3 records in 1 collection")
    assert [path.name for path in tmp_path.iterdir()] == ["chroma"]


def test_a_missing_destination_is_a_wrong_command(ochre: Ochre, source: SourceFolder) -> None:
    done = ochre("migrate-chroma", str(source.close()))
    assert done.code == 2
    assert "DEST is missing" in done.err


def test_documents_are_embedded_anew_on_demand(
    ochre: Ochre, source: SourceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ochre.embedding import registry
    from tests.migrate.test_transfer import Lengths

    monkeypatch.setitem(registry._classes, "lengths", Lengths)
    source.collection("notes", function="lengths").add("a", None, "lost")
    done = ochre("migrate-chroma", str(source.close()), str(tmp_path / "made"), "--re-embed")
    assert (done.code, done.out.splitlines()[0]) == (0, "imported: 1 record in 1 collection")


def test_a_folder_that_is_none_of_chromas_is_told(ochre: Ochre, tmp_path: Path) -> None:
    done = ochre("migrate-chroma", str(tmp_path / "nothing"), str(tmp_path / "made"))
    assert done.code == 1
    assert "has no chroma.sqlite3" in done.err
