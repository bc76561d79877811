"""`ochre check` and `ochre repair`: what they print, where it goes, and with which exit code they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ochre as package
from tests.cli.conftest import Ochre


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with package.PersistentClient(tmp_path / "db") as client:
        notes = client.create_collection("notes", embedding_function=None)
        notes.add(ids=["a", "b", "c"], embeddings=[[1.0], [2.0], [3.0]], documents=["x", "ü", "z"])
    return tmp_path / "db"


def spoil(folder: Path) -> None:
    """Flip a bit of the second vector."""
    (path,) = (folder / "vectors").iterdir()
    data = bytearray(path.read_bytes())
    data[64 + 4] ^= 1
    path.write_bytes(data)


def test_a_whole_folder_is_exit_code_0(ochre: Ochre, folder: Path) -> None:
    assert ochre("check", str(folder)) == (
        0,
        "1 collections, 3 records and 3 vectors were looked at\nno damage\n",
        "",
    )


def test_damage_is_a_line_each_and_exit_code_1(ochre: Ochre, folder: Path) -> None:
    spoil(folder)
    done = ochre("check", str(folder))
    assert (done.code, done.err) == (1, "")
    first, _, last = done.out.splitlines()
    assert first.startswith("damaged: collection 'notes' [")
    assert "record 'b': its vector does not have the checksum it was stored with" in first
    assert last == "1 findings: see `ochre repair`"


def test_a_report_for_programs_is_one_json_object(ochre: Ochre, folder: Path) -> None:
    assert json.loads(ochre("check", str(folder), "--json").out)["whole"] is True
    spoil(folder)
    done = ochre("check", str(folder), "--json")
    assert done.code == 1
    assert [finding["id"] for finding in json.loads(done.out)["findings"]] == ["b"]


def test_a_folder_without_a_database_is_an_error(ochre: Ochre, tmp_path: Path) -> None:
    for command in ("check", "repair"):
        done = ochre(command, str(tmp_path))
        assert (done.code, done.out) == (1, "")
        assert "holds no ochre.sqlite3" in done.err


def test_a_repair_without_losses_is_exit_code_0(ochre: Ochre, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "db-repaired"
    assert ochre("repair", str(folder)) == (0, f"{target}\n3 records saved, 0 losses\n", "")
    assert {path.name for path in tmp_path.iterdir()} == {"db", "db-repaired"}
    assert ochre("check", str(target)).code == 0


def test_losses_are_listed_beside_the_new_folder(ochre: Ochre, folder: Path, tmp_path: Path) -> None:
    spoil(folder)
    done = ochre("repair", str(folder), "--into", str(tmp_path / "new"))
    listed = tmp_path / "new.lost.jsonl"
    assert done == (1, f"{tmp_path / 'new'}\n2 records saved, 1 losses\n{listed}\n", "")
    (line,) = listed.read_text(encoding="utf-8").splitlines()
    assert (json.loads(line)["id"], json.loads(line)["document"]) == ("b", "ü")
