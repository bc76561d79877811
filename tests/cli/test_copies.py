"""`ochre backup` and its neighbours: what they print and leave."""

from __future__ import annotations

from pathlib import Path

import pytest

import ochre as package
from tests.cli.conftest import Ochre


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with package.PersistentClient(tmp_path / "data") as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(ids=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 1.0]], documents=["one", "two"])
    return tmp_path / "data"


def documents(folder: Path) -> list[str]:
    with package.PersistentClient(folder) as client:
        return client.get_collection("things").get()["documents"]


def test_a_backup_is_made_and_restored(ochre: Ochre, data: Path, tmp_path: Path) -> None:
    copied = ochre("backup", str(data), str(tmp_path / "backup"))
    size = sum(path.stat().st_size for path in [tmp_path / "backup" / "ochre.sqlite3", *data.glob("vectors/*")])
    assert (copied.code, copied.err) == (0, "")
    assert copied.out.startswith("1 collections, 2 records, ")
    assert size >= int(copied.out.split()[4]) > 0
    put_back = ochre("restore", str(tmp_path / "backup"), str(tmp_path / "back"))
    assert put_back == (0, copied.out, "")
    assert documents(tmp_path / "back") == ["one", "two"]


def test_a_snapshot_is_made_and_restored(ochre: Ochre, data: Path, tmp_path: Path) -> None:
    made = ochre("snapshot", str(data), str(tmp_path / "x.ochre"))
    size = (tmp_path / "x.ochre").stat().st_size
    assert made == (0, f"1 collections, 2 records, {size} bytes, {size} written\n", "")
    assert documents(tmp_path / "x.ochre") == ["one", "two"]
    assert ochre("restore", str(tmp_path / "x.ochre"), str(tmp_path / "back")).code == 0
    assert documents(tmp_path / "back") == ["one", "two"]


def test_a_vacuum_tells_what_it_gave_back(ochre: Ochre, data: Path) -> None:
    with package.PersistentClient(data) as client:
        things = client.get_collection("things")
        things.update(ids=["a"], metadatas=[{"k": "long " * 10_000}])
        things.delete(ids=["a"])
    done = ochre("vacuum", str(data))
    assert (done.code, done.err) == (0, "")
    before, after = (int(word) for word in done.out.split() if word.isdecimal())
    assert before > after > 0
    assert documents(data) == ["two"]


def test_nothing_is_made_by_a_vacuum(ochre: Ochre, tmp_path: Path) -> None:
    done = ochre("vacuum", str(tmp_path / "nothing"))
    assert done.code == 1
    assert "there is no database at" in done.err
    assert not list(tmp_path.iterdir())


def test_a_backup_of_nothing_is_an_error(ochre: Ochre, tmp_path: Path) -> None:
    done = ochre("backup", str(tmp_path / "nothing"), str(tmp_path / "backup"))
    assert done.code == 1
    assert "there is no database at" in done.err
    assert not list(tmp_path.iterdir())
