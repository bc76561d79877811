"""Pages with checksums: a damaged page is an error for its reader, and nobody else's SQLite is changed."""

from __future__ import annotations

from pathlib import Path

import apsw
import apsw.sqlite_extra
import pytest

from ochre.errors import CorruptError, StorageError
from ochre.local import pages
from ochre.local.engine import LocalEngine
from ochre.model.requests import GetRecords
from tests.local.conftest import add, make_collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    engine = LocalEngine.open(tmp_path / "db")
    add(engine, make_collection(engine), range(500))
    engine.close()
    return tmp_path / "db"


def test_a_flipped_bit_in_a_document_is_an_error_and_no_answer(folder: Path) -> None:
    file = folder / "ochre.sqlite3"
    data = bytearray(file.read_bytes())
    data[data.index(b"document 321") + 3] ^= 1
    file.write_bytes(data)
    engine = LocalEngine.open(folder)
    (info,) = engine.list_collections("default_tenant", "default_database")
    with pytest.raises(CorruptError, match="does not have the checksum it was written with.*ochre check.*ochre repair"):
        engine.get(GetRecords(info.id, ids=["id321"], include=frozenset({"documents"})))
    assert engine.get(GetRecords(info.id, ids=["id3"], include=frozenset({"documents"}))).documents == ["document 3"]
    engine.close()


@pytest.mark.parametrize("place", [16, 18, 20, 24, 28, 52, 100])
def test_a_damaged_header_is_refused(folder: Path, place: int) -> None:
    """Byte 20 says that there are checksums: without it nothing would be compared."""
    file = folder / "ochre.sqlite3"
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)
    with pytest.raises(StorageError, match="damaged"):
        LocalEngine.open(folder)


def test_a_header_that_denies_checksums_is_refused_although_the_log_has_the_right_one(folder: Path) -> None:
    """Otherwise folding that log into the file would write pages without checksums."""
    engine = LocalEngine.open(folder)
    with engine._file.write() as session:
        session.execute("PRAGMA user_version=1")  # page 1 is in the log now
    data = bytearray((folder / "ochre.sqlite3").read_bytes())
    data[20] = 0
    log = (folder / "ochre.sqlite3-wal").read_bytes()
    engine.close()
    (folder / "ochre.sqlite3").write_bytes(data)
    (folder / "ochre.sqlite3-wal").write_bytes(log)
    with pytest.raises(CorruptError, match="by the header"):
        LocalEngine.open(folder)


@pytest.mark.parametrize("kept", [4095, 4097, -1, -4000])
def test_a_file_that_ends_within_a_page_is_refused(folder: Path, kept: int) -> None:
    """SQLite takes what is missing for zeros, and compares no checksum then."""
    file = folder / "ochre.sqlite3"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CorruptError, match="damaged"):
        LocalEngine.open(folder)


def test_a_last_page_that_a_power_cut_tore_comes_back_from_the_log(folder: Path, tmp_path: Path) -> None:
    engine = LocalEngine.open(folder)
    (info,) = engine.list_collections("default_tenant", "default_database")
    size = (folder / "ochre.sqlite3").stat().st_size
    add(engine, info.id, range(500, 800))
    log = (folder / "ochre.sqlite3-wal").read_bytes()
    engine.close()  # folds the log into the file
    file = folder / "ochre.sqlite3"
    whole = file.read_bytes()
    file.write_bytes(whole[: size + 4096 + 1000])
    (folder / "ochre.sqlite3-wal").write_bytes(log)
    engine = LocalEngine.open(folder)
    assert len(engine.get(GetRecords(info.id, include=frozenset({"documents"}))).ids) == 800
    engine.close()


def test_other_users_of_sqlite_keep_their_ways(tmp_path: Path) -> None:
    pages.connect(str(tmp_path / "ours")).close()
    assert apsw.vfs_names()[0] != "cksmvfs"


def test_an_apsw_without_the_extension_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise apsw.sqlite_extra.NotAvailable("cksumvfs is not included")

    monkeypatch.setattr(apsw, "vfs_names", lambda: ["unix"])
    monkeypatch.setattr(apsw.sqlite_extra, "load", missing)
    with pytest.raises(StorageError, match="comes without SQLite's checksums.*install a wheel"):
        pages.connect(str(tmp_path / "ours"))
