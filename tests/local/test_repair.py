"""The repair: all that can be read is in the new folder, all that cannot is listed, and the old folder is untouched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from ochre.errors import AlreadyExistsError, CorruptError, FormatVersionError, NotFoundError, StorageError
from ochre.local import pages
from ochre.local import repair as module
from ochre.local.arena import arena_path
from ochre.local.check import check
from ochre.local.engine import LocalEngine
from ochre.local.repair import repair
from ochre.model.configuration import Configuration
from ochre.model.requests import CreateCollection, DeleteRecords, GetRecords, WriteRecords
from tests.formats import make
from tests.local.conftest import add, vectors_of
from tests.local.damage import bytes_of
from tests.local.test_extents import spoil

ALL = [f"id{n}" for n in range(300)]


def ids_in(folder: Path, collection: UUID) -> list[str]:
    engine = LocalEngine.open(folder)
    try:
        return list(engine.get(GetRecords(collection, include=make.EVERYTHING)).ids)
    finally:
        engine.close()


def flip(folder: Path, place: Callable[[bytes], int]) -> None:
    file = folder / "ochre.sqlite3"
    data = bytearray(file.read_bytes())
    data[place(data)] ^= 1
    file.write_bytes(data)


def blank(folder: Path, start: int, count: int) -> None:
    file = folder / "ochre.sqlite3"
    data = bytearray(file.read_bytes())
    data[start : start + count] = bytes(count)
    file.write_bytes(data)


def root_of(folder: Path, name: str) -> int:
    """The number of the page a table or an index begins at."""
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    number = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name=?", (name,)).get
    connection.close()
    return int(number)


def test_a_whole_folder_is_copied_to_the_last_bit(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path / "db")
    make.fill(engine)
    expected = make.describe(engine)
    engine.close()
    result = repair(tmp_path / "db", tmp_path / "new")
    assert (result.saved, result.lost, result.losses) == (30, 0, [])
    copy = LocalEngine.open(tmp_path / "new")
    assert repr(make.describe(copy)) == repr(expected)
    assert [info.id for info in copy.list_collections("acme", "stock")]
    copy.close()


def test_a_record_whose_vector_is_damaged_is_listed_with_all_else_it_has(
    tmp_path: Path, closed: tuple[Path, UUID]
) -> None:
    folder, collection = closed
    spoil(folder, collection, 7)
    result = repair(folder, tmp_path / "new")
    assert ids_in(tmp_path / "new", collection) == [id_ for id_ in ALL if id_ != "id7"]
    assert result.losses == [
        {
            "collection": str(collection),
            "name": "things",
            "id": "id7",
            "saved": False,
            "reason": "its vector is damaged",
            "count": 1,
            "metadata": {"n": 7, "even": False},
            "uri": None,
            "document": "document 7",
        }
    ]


def test_the_records_of_a_damaged_page_are_listed(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    flip(folder, lambda data: data.index(b"document 123") + 3)
    result = repair(folder, tmp_path / "new")
    saved = ids_in(tmp_path / "new", collection)
    assert (result.saved, result.lost) == (len(saved), 300 - len(saved))
    assert sorted([*saved, *(loss["id"] for loss in result.losses)]) == sorted(ALL)
    assert len(saved) > 200
    (loss,) = [loss for loss in result.losses if loss["id"] == "id123"]
    assert (loss["document"], loss["metadata"]) == ("doctment 123", {"n": 123, "even": False})
    assert "may be wrong" in loss["reason"]


@pytest.mark.parametrize("name", ["records", "records_by_id", "extents", "changes", "commits", "tenants"])
def test_a_damaged_page_that_holds_no_records_costs_no_record(
    tmp_path: Path, closed: tuple[Path, UUID], name: str
) -> None:
    """The root of the table of records is one: SQLite cannot reach a single record then."""
    folder, collection = closed
    number = root_of(folder, name)
    flip(folder, lambda data: number * 4096 - 100)
    assert not check(folder).whole
    result = repair(folder, tmp_path / "new")
    assert ids_in(tmp_path / "new", collection) == ALL
    assert (result.saved, result.lost) == (300, 0)


@pytest.mark.parametrize("place", [0, 17, 20, 30, 101, 300])
def test_a_damaged_first_page_costs_no_record(tmp_path: Path, closed: tuple[Path, UUID], place: int) -> None:
    folder, collection = closed
    flip(folder, lambda data: place)
    result = repair(folder, tmp_path / "new")
    assert ids_in(tmp_path / "new", collection) == ALL
    assert result.lost == 0
    assert bool(result.losses) == (place > 24), "what every file begins with is known, and needs no trust"


def test_rows_of_pages_that_may_be_unused_are_taken_and_told(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    """The first page and the map of pages behind it: nothing is left that tells deleted rows from the others."""
    folder, collection = closed
    engine = LocalEngine.open(folder)
    engine.delete(DeleteRecords(collection, ids=ALL[:200]))
    engine.close()
    blank(folder, 4000, 200)
    result = repair(folder, tmp_path / "new")
    assert {*ALL[200:]} <= {*ids_in(tmp_path / "new", collection)}
    assert any("may be deleted ones" in loss["reason"] and loss["saved"] for loss in result.losses)


def test_of_records_with_one_id_on_pages_that_may_be_unused_the_newest_is_taken(
    tmp_path: Path, closed: tuple[Path, UUID]
) -> None:
    folder, collection = closed
    engine = LocalEngine.open(folder)
    for start in (0, 100):
        again = ALL[start : start + 100]
        engine.delete(DeleteRecords(collection, ids=again))
        engine.write(WriteRecords(collection, "add", again, vectors_of(range(100)), documents=["a new document"] * 100))
    engine.create_collection(CreateCollection("default_tenant", "default_database", "other", None, Configuration()))
    engine.close()
    blank(folder, 4000, 200)
    result = repair(folder, tmp_path / "new")
    engine = LocalEngine.open(tmp_path / "new")
    found = engine.get(GetRecords(collection, include=frozenset({"documents"})))
    engine.close()
    assert result.saved == len(found.ids)
    documents = dict(zip(found.ids, found.documents or [], strict=True))
    assert {documents[id_] for id_ in ALL[:200]} == {"a new document"}
    told = {loss["name"] for loss in result.losses if "may be deleted ones" in loss["reason"]}
    assert told == {"things"}


def test_settings_from_a_damaged_page_are_taken_and_told(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    flip(folder, lambda data: data.index(b"things") + 1)
    result = repair(folder, tmp_path / "new")
    assert ids_in(tmp_path / "new", collection) == ALL
    assert result.lost == 0
    reasons = [loss["reason"] for loss in result.losses if loss["saved"] and loss["id"] is None]
    assert reasons == ["its name and settings come from a damaged page: look at them"]


def test_a_databases_name_from_a_damaged_page_is_told_and_costs_no_checksum(
    tmp_path: Path, closed: tuple[Path, UUID]
) -> None:
    folder, collection = closed
    spoil(folder, collection, 299)  # the last ones' checksums are in the collection's row
    flip(folder, lambda data: root_of(folder, "databases") * 4096 - 15)
    result = repair(folder, tmp_path / "new")
    assert result.saved == 299
    (name, vector) = result.losses
    assert (name["saved"], vector["id"], vector["reason"]) == (True, "id299", "its vector is damaged")
    assert "of tenant 'default_tenant' comes from a damaged page: look at it" in name["reason"]


def test_counters_from_a_damaged_page_are_not_relied_on(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    connection = sqlite3.connect(folder / "ochre.sqlite3")  # which writes the page without its checksum
    connection.execute("UPDATE collections SET dimension=5, next_slot=3, next_ordinal=0, records=310, tail=x'00'")
    connection.commit()
    connection.close()
    result = repair(folder, tmp_path / "new")
    assert ids_in(tmp_path / "new", collection) == ALL
    assert (result.saved, result.lost) == (300, 10)


def test_a_lost_record_has_the_id_that_the_index_knows(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, _ = closed
    flip(folder, lambda data: data.index(b'{"n":123,') - 2)  # the id's last byte; the slot is between
    assert "id123" in [loss["id"] for loss in repair(folder, tmp_path / "new").losses]


def test_checksums_that_are_lost_cost_no_record_and_are_told(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, _ = closed
    number = root_of(folder, "extents")
    flip(folder, lambda data: number * 4096 - 100)
    result = repair(folder, tmp_path / "new")
    told = [loss["id"] for loss in result.losses if "the checksum of its vector is lost" in loss["reason"]]
    assert told == ALL[:288]  # those of the last twelve are in the collection's row


@pytest.mark.parametrize("damage", ["missing", "header", "short"])
def test_a_damaged_vector_file_gives_what_it_has(tmp_path: Path, closed: tuple[Path, UUID], damage: str) -> None:
    folder, collection = closed
    path = arena_path(folder, collection)
    data = path.read_bytes()
    path.unlink()
    if damage == "header":
        path.write_bytes(bytes(64) + data[64:])
    elif damage == "short":
        path.write_bytes(data[: 64 + 100 * 32 + 5])
    result = repair(folder, tmp_path / "new")
    saved = {"missing": 0, "header": 300, "short": 100}[damage]
    assert ids_in(tmp_path / "new", collection) == ALL[:saved]
    assert [loss["id"] for loss in result.losses] == ALL[saved:]


def test_commits_that_are_missing_are_told(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, _ = closed
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    connection.execute("UPDATE commits SET number=1")
    connection.close()
    result = repair(folder, tmp_path / "new")
    assert [loss["reason"] for loss in result.losses] == ["the last 2 commits are lost, with all that they changed"]
    assert result.saved == 300


def test_a_file_that_another_program_wrote_to_is_taken_on_trust(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    connection = sqlite3.connect(folder / "ochre.sqlite3")
    connection.execute("UPDATE records SET document='theirs' WHERE id='id9'")
    connection.commit()
    connection.close()
    assert repair(folder, tmp_path / "careful").lost > 0
    result = repair(folder, tmp_path / "trusting", trust_pages=True)
    assert (result.saved, result.lost) == (300, 0)
    engine = LocalEngine.open(tmp_path / "trusting")
    documents = engine.get(GetRecords(collection, ids=["id8", "id9"], include=make.EVERYTHING)).documents
    assert documents == ["document 8", "theirs"]
    engine.close()


def test_trust_goes_as_far_as_pages_that_sqlite_does_not_reach(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    start = (root_of(folder, "records") - 1) * 4096
    blank(folder, start, 4096)
    flip(folder, lambda data: data.index(b"document 123") + 3)
    result = repair(folder, tmp_path / "new", trust_pages=True)
    assert ids_in(tmp_path / "new", collection) == ALL
    assert (result.saved, result.lost) == (300, 0)


def test_the_damaged_folder_keeps_every_byte(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    spoil(folder, collection, 7)
    flip(folder, lambda data: 300)
    before = bytes_of(folder)
    repair(folder, tmp_path / "new")
    assert bytes_of(folder) == before
    assert {path.name for path in tmp_path.iterdir()} == {"db", "new"}


def test_what_else_is_in_the_folder_comes_along(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    """Without its keys a server would let everybody in."""
    folder, _ = closed
    (folder / "keys").mkdir()
    (folder / "keys" / "one.json").write_bytes(b"a key")
    (folder / "note.txt").write_bytes(b"a note")
    repair(folder, tmp_path / "new")
    assert (tmp_path / "new" / "keys" / "one.json").read_bytes() == b"a key"
    assert (tmp_path / "new" / "note.txt").read_bytes() == b"a note"


def test_a_folder_that_is_being_written_to_is_not_repaired(
    tmp_path: Path, closed: tuple[Path, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, collection = closed
    engine = LocalEngine.open(folder)
    whole = module.names_by_key

    def meanwhile(*arguments):
        add(engine, collection, range(1000, 1500))
        return whole(*arguments)

    monkeypatch.setattr(module, "names_by_key", meanwhile)
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    connection.execute("UPDATE collections SET records=301")  # so that the repair looks for the last one
    connection.close()
    with pytest.raises(StorageError, match="was written to meanwhile: stop what uses it"):
        repair(folder, tmp_path / "new")
    engine.close()
    assert not (tmp_path / "new").exists()


def test_what_a_later_release_wrote_is_left_to_that_release(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    connection = pages.connect(str(closed[0] / "ochre.sqlite3"))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(FormatVersionError, match="format 99.*newer release"):
        repair(closed[0], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_database_without_a_version_is_damaged_and_can_be_repaired(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    folder, collection = closed
    connection = pages.connect(str(folder / "ochre.sqlite3"))
    connection.execute("PRAGMA user_version=0")
    connection.close()
    with pytest.raises(CorruptError, match="no format version.*ochre repair"):
        LocalEngine.open(folder)
    assert repair(folder, tmp_path / "new").lost == 0
    assert ids_in(tmp_path / "new", collection) == ALL


def test_an_existing_folder_is_never_written_into(tmp_path: Path, closed: tuple[Path, UUID]) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(AlreadyExistsError, match="exists already: name a folder that does not"):
        repair(closed[0], tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_without_a_database_cannot_be_repaired(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no ochre.sqlite3"):
        repair(tmp_path, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
