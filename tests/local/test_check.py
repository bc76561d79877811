"""The check: silent about what is whole, and every kind of damage named by what it hit."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from ochre.errors import BusyError, FormatVersionError, NotFoundError
from ochre.local import check as module
from ochre.local import pages
from ochre.local.arena import arena_path
from ochre.local.catalog import CollectionRow
from ochre.local.check import Report, _Check, check
from ochre.local.engine import LocalEngine
from ochre.model.requests import DeleteRecords
from ochre.settings import Settings
from tests.formats import make
from tests.local.conftest import add, make_collection
from tests.local.damage import bytes_of
from tests.local.test_extents import spoil


def change(folder: Path, sql: str) -> None:
    """Change a closed folder behind the engine's back, with right checksums of pages."""
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    connection.execute(sql)
    connection.close()


def lines(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings]


def test_what_is_whole_is_found_so(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    make.fill(engine)
    for report in (check(tmp_path / "db"), engine.close() or check(tmp_path / "db")):
        assert report.whole, lines(report)
        assert (report.collections, report.records, report.vectors, report.notes) == (8, 30, 60, [])


def test_a_check_beside_a_writer_sees_whole_states(tmp_path: Path, run_script) -> None:
    from tests.local.test_faults import KILLED

    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    writer = run_script(KILLED, tmp_path / "db", collection, 0)
    counts = []
    while len(counts) < 10 or counts[-1] == counts[0]:
        report = check(tmp_path / "db")
        assert report.whole, lines(report)
        counts.append(report.records)
    writer.kill()
    assert counts == sorted(counts)
    engine.close()


def test_a_check_changes_no_byte_and_no_date(closed: tuple[Path, UUID]) -> None:
    folder, _ = closed
    before = bytes_of(folder), folder.stat().st_mtime_ns
    check(folder)
    assert (bytes_of(folder), folder.stat().st_mtime_ns) == before


def test_a_check_begins_anew_when_somebody_begins_to_write(
    closed: tuple[Path, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, collection = closed
    read, writers = _Check.records, []

    def meanwhile(self: _Check, row: CollectionRow) -> None:
        if not writers:
            writers.append(LocalEngine.open(folder))
            add(writers[0], collection, range(300, 310))
        read(self, row)

    monkeypatch.setattr(module, "_STEPS", (meanwhile, *module._STEPS[1:]))
    assert check(folder) == Report(collections=1, records=310, vectors=310)
    writers[0].close()


def test_vectors_do_not_go_while_they_are_checked(closed: tuple[Path, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, collection = closed
    engine = LocalEngine.open(folder, Settings(busy_timeout=0.05))
    vectors, delayed = _Check.vectors, []

    def meanwhile(self: _Check, row: CollectionRow) -> None:
        with pytest.raises(BusyError) as caught:
            engine.delete(DeleteRecords(collection, ids=["id7"], erase=True))
        delayed.append(caught.value)
        vectors(self, row)

    monkeypatch.setattr(module, "_STEPS", (meanwhile,))
    assert check(folder).whole
    assert len(delayed) == 1
    engine.close()


def test_a_damaged_vector_is_named_by_record(closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    spoil(folder, collection, 7, 250)
    assert lines(check(folder)) == [
        f"collection 'things' [{collection}]: record '{id_}': its vector does not have the checksum it was stored with"
        for id_ in ("id7", "id250")
    ]


def test_a_damaged_row_is_named_by_record(closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    file = folder / "ochre.sqlite3"
    data = bytearray(file.read_bytes())
    data[data.index(b"document 123") + 3] ^= 1
    file.write_bytes(data)
    found = [finding for finding in check(folder).findings if finding.kind == "record"]
    names = [finding.id for finding in found]
    assert "id123" in names
    assert names == [f"id{n}" for n in range(int(str(names[0])[2:]), int(str(names[-1])[2:]) + 1)], "the page's records"
    assert {(finding.collection, finding.name, finding.message) for finding in found} == {
        (str(collection), "things", "its row cannot be read")
    }


@pytest.mark.parametrize(
    ("damage", "message"),
    [(Path.unlink, "is missing"), (lambda path: path.write_bytes(path.read_bytes()[:500]), "500 bytes")],
    ids=["missing", "short"],
)
def test_a_damaged_vector_file_is_named(closed: tuple[Path, UUID], damage, message: str) -> None:
    folder, collection = closed
    damage(arena_path(folder, collection))
    (line,) = lines(check(folder))
    assert message in line
    assert f"[{collection}]" in line


@pytest.mark.parametrize("place", [0, 8, 12, 16, 40, 63])
def test_every_byte_of_a_vector_files_header_counts(closed: tuple[Path, UUID], place: int) -> None:
    path = arena_path(*closed)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    (line,) = lines(check(closed[0]))
    assert "does not begin as the vectors of its collection do" in line


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE collections SET records=299", "300 records are there, the catalog counts 299"),
        ("DELETE FROM records WHERE id='id9'", "299 records are there, the catalog counts 300"),
        ("UPDATE records SET slot=300 WHERE id='id9'", "record 'id9': its vector is in slot 300, and 300 slots are"),
        ("UPDATE records SET slot=8 WHERE id='id9'", "slot 8 of the arena is named by more than one record"),
        ("UPDATE records SET metadata='[1]' WHERE id='id9'", "record 'id9': its metadata is no JSON object"),
        (
            "UPDATE records SET collection=7 WHERE id='id9'",
            "record 'id9': its row says it belongs to the collection with",
        ),
        ("UPDATE records SET key=key+1000 WHERE id='id9'", "beyond those of its collection"),
        ("UPDATE collections SET head=5", "not 5"),
        ("UPDATE changes SET last=300", "entry 1 of the change log does not follow"),
        ("DELETE FROM extents WHERE key=(SELECT max(key) FROM extents)", "the checksums are not those of 300 vectors"),
        ("UPDATE collections SET tail=x''", "the checksums are not those of 300 vectors"),
        ("DELETE FROM databases", "collection 'things' belongs to a database or a tenant that is not there"),
        ("DELETE FROM tenants", "collection 'things' belongs to a database or a tenant that is not there"),
        ("UPDATE collections SET configuration='{}'", "the collection with key 1 does not make sense"),
        ("UPDATE commits SET number=1", "1 commits are there, 3 were acknowledged: the last ones are lost"),
        ("DELETE FROM commits", "0 commits are there, 3 were acknowledged: the last ones are lost"),
    ],
)
def test_what_does_not_fit_together_is_named(closed: tuple[Path, UUID], sql: str, message: str) -> None:
    change(closed[0], sql)
    found = lines(check(closed[0]))
    assert any(message in line for line in found), found


@pytest.mark.parametrize("missing", range(100, 4096, 333))
def test_a_file_that_ends_within_a_page_is_named(closed: tuple[Path, UUID], missing: int) -> None:
    """SQLite takes what is missing for zeros, and rows made of them for rows."""
    file = closed[0] / "ochre.sqlite3"
    file.write_bytes(file.read_bytes()[:-missing])
    found = lines(check(closed[0]))
    assert f"ochre.sqlite3 ends {4096 - missing} bytes into a page" in found
    assert any("things" in line for line in found)


def test_leftovers_are_notes_and_no_damage(closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    engine = LocalEngine.open(folder)
    engine.delete(DeleteRecords(collection, ids=["id7"]))
    engine.close()
    spoil(folder, collection, 7)
    (folder / "vectors" / "00000000-0000-4000-8000-000000000000.f32").write_bytes(b"left over")
    (folder / "index" / "00000000-0000-4000-8000-000000000000").mkdir(parents=True)
    report = check(folder)
    assert report.whole
    assert [note.message for note in report.notes] == [
        "1 vectors that no record uses are damaged",
        "00000000-0000-4000-8000-000000000000.f32 holds vectors of no collection",
        "00000000-0000-4000-8000-000000000000 holds segments of no collection",
    ]


def test_a_report_is_json(closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    spoil(folder, collection, 7)
    report = json.loads(json.dumps(check(folder).to_dict()))
    assert report["whole"] is False
    assert (report["collections"], report["records"], report["vectors"]) == (1, 300, 300)
    (finding,) = report["findings"]
    assert (finding["kind"], finding["collection"], finding["name"], finding["id"]) == (
        "vector",
        str(collection),
        "things",
        "id7",
    )


def test_a_folder_without_a_database_is_not_made_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no ochre.sqlite3: name the folder"):
        check(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_damage_and_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "ochre.sqlite3").touch()
    assert lines(check(tmp_path)) == ["ochre.sqlite3 is empty: restore the folder from a backup"]
    assert (tmp_path / "ochre.sqlite3").stat().st_size == 0


def test_a_later_format_is_refused(closed: tuple[Path, UUID]) -> None:
    change(closed[0], "PRAGMA user_version=99")
    with pytest.raises(FormatVersionError, match="format 99"):
        check(closed[0])
