"""Damaged folders: what can be recovered is, the rest is told and written down."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ochre.errors import CorruptError
from ochre.migrate import from_chroma
from tests.migrate.builder import (
    INDEX_PAGE,
    LAYOUTS,
    TABLE_PAGE,
    UPDATE,
    UPSERT,
    Layout,
    SourceCollection,
    SourceFolder,
    damage_page,
    vector_of,
)
from tests.migrate.conftest import Importing

ALL = {f"id{n}": vector_of(n) for n in range(20)}


def indexed(folder: SourceFolder, space: str = "l2", count: int = 20) -> SourceCollection:
    """A collection whose records are all in the index, and only the last one in the queue."""
    things = folder.collection("things", space)
    things.fill(range(count))
    things.file()
    things.index()
    return things


def shorten(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


# -- the index ------------------------------------------------------------------------------------------------------


def test_a_pickle_that_breaks_off_loses_the_vectors_it_does_not_name(
    source: SourceFolder, importing: Importing
) -> None:
    things = indexed(source)
    shorten(things.index_folder / "index_metadata.pickle", 180)
    made = importing(source)
    vectors = made.vectors()
    assert 3 < len(vectors) < 20
    assert vectors.items() <= ALL.items()
    lost = [id_ for id_ in ALL if id_ not in vectors]
    assert made.counts() == {"no_vector": (len(lost), lost[:10])}
    assert made.report.collections[0].troubles == ["index_metadata.pickle breaks off or is damaged"]
    assert not made.report.complete


def test_what_has_no_vector_is_written_down_with_all_it_has(source: SourceFolder, importing: Importing) -> None:
    things = indexed(source)
    things.write(UPDATE, "id3", **{"chroma:uri": "file:///3"})
    (things.index_folder / "index_metadata.pickle").unlink()
    made = importing(source)
    assert made.vectors() == {"id19": vector_of(19)}  # it was still in the queue
    left_over = made.left_over()
    assert [line["id"] for line in left_over] == [f"id{n}" for n in range(19)]
    assert left_over[3] == {
        "reason": "not imported: no vector, neither in the index nor in the queue",
        "tenant": "default_tenant",
        "database": "default_database",
        "collection": "things",
        "id": "id3",
        "document": "document 3",
        "uri": "file:///3",
        "metadata": {"n": 3},
        "embedding": None,
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_index_is_made_up_for_by_a_queue_that_was_kept(
    tmp_path: Path, importing: Importing, layout: Layout
) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    things = folder.collection("things", "cosine")
    things.fill(range(20))
    things.write(UPSERT, "id3", vector_of(33))
    things.file()
    things.index(purge=False)
    for file in things.index_folder.iterdir():
        file.unlink()
    things.index_folder.rmdir()
    made = importing(folder)
    assert made.vectors() == ALL | {"id3": vector_of(33)}
    assert made.report.complete


def test_an_index_that_is_behind_gives_way_to_the_queue(source: SourceFolder, importing: Importing) -> None:
    things = indexed(source)
    old = {file: file.read_bytes() for file in things.index_folder.iterdir()}
    things.write(UPDATE, "id3", vector_of(33))
    things.fill(range(20, 22))
    things.file()
    things.index(purge=False)
    for file, data in old.items():
        file.write_bytes(data)
    assert importing(source).vectors() == ALL | {"id3": vector_of(33)} | {f"id{n}": vector_of(n) for n in (20, 21)}


def test_vectors_that_the_file_does_not_have_any_more_are_told(source: SourceFolder, importing: Importing) -> None:
    things = indexed(source)
    shorten(things.index_folder / "data_level0.bin", 5 * 156 + 30)
    made = importing(source)
    assert sorted(made.vectors()) == ["id0", "id1", "id19", "id2", "id3", "id4"]
    assert made.counts()["no_vector"][0] == 14
    assert made.report.collections[0].troubles[0] == "data_level0.bin has 5 of 20 vectors"


@pytest.mark.parametrize("data", [None, b"", b"\xff" * 100], ids=["missing", "empty", "nonsense"])
def test_an_index_without_its_header_is_read(source: SourceFolder, importing: Importing, data: bytes | None) -> None:
    header = indexed(source).index_folder / "header.bin"
    header.unlink()
    if data is not None:
        header.write_bytes(data)
    made = importing(source)
    assert made.vectors() == ALL
    assert made.report.collections[0].troubles == ["header.bin is missing or damaged"]


def test_rows_that_two_labels_claim_are_not_used(source: SourceFolder, importing: Importing) -> None:
    things = indexed(source)
    file = things.index_folder / "data_level0.bin"
    rows = bytearray(file.read_bytes())
    rows[156:312] = rows[:156]
    file.write_bytes(rows)
    assert importing(source).counts()["no_vector"] == (2, ["id0", "id1"])


@pytest.mark.parametrize("data", [None, b"\0" * 8, b"\xff" * 80], ids=["missing", "short", "nonsense"])
def test_vectors_of_cosine_space_without_their_lengths_keep_their_direction(
    source: SourceFolder, importing: Importing, data: bytes | None
) -> None:
    lengths = indexed(source, "cosine").index_folder / "length.bin"
    lengths.unlink()
    if data is not None:
        lengths.write_bytes(data)
    made = importing(source)
    expected = np.array(vector_of(3)) / np.linalg.norm(vector_of(3))
    np.testing.assert_allclose(made.vectors()["id3"], expected, rtol=1e-6)
    assert made.vectors()["id19"] == vector_of(19)
    assert made.counts() == {"without_length": (19, [f"id{n}" for n in range(10)])}


def test_a_hostile_pickle_does_not_run(source: SourceFolder, importing: Importing, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "executed"),)

    things = indexed(source)
    (things.index_folder / "index_metadata.pickle").write_bytes(pickle.dumps(Evil()))
    made = importing(source)
    assert not (tmp_path / "executed").exists()
    assert re.fullmatch(r"index_metadata.pickle asks for '(posix|nt).mkdir'; it is not read",
                        made.report.collections[0].troubles[0])  # fmt: skip
    assert made.counts()["no_vector"][0] == 19


def test_records_that_the_index_has_and_the_tables_have_not_were_deleted(
    source: SourceFolder, importing: Importing
) -> None:
    indexed(source)
    source.execute("DELETE FROM embeddings WHERE embedding_id='id3'")
    made = importing(source)
    assert "id3" not in made.vectors()
    assert made.counts() == {"unlisted": (1, ["id3"])}
    assert made.report.complete


# -- vectors and records --------------------------------------------------------------------------------------------


def test_vectors_that_no_collection_can_hold_are_told_and_written_down(
    source: SourceFolder, importing: Importing
) -> None:
    things = source.collection("things")
    things.fill(range(2))
    things.add("short", [1.0, 2.0], "short one")
    things.add("nan", [1.0, float("nan"), 3.0, 4.0])
    things.add("cut")
    source.execute("UPDATE embeddings_queue SET vector=x'0102' WHERE id='cut'")
    made = importing(source)
    assert sorted(made.vectors()) == ["id0", "id1"]
    assert made.counts() == {
        "wrong_dimension": (1, ["short"]),
        "not_finite": (1, ["nan"]),
        "no_vector": (1, ["cut"]),
    }
    short, nan, _ = made.left_over()
    assert (short["id"], short["document"], short["embedding"]) == ("short", "short one", [1.0, 2.0])
    assert nan["embedding"] == [1.0, "nan", 3.0, 4.0]


def test_metadata_that_breaks_a_rule_is_cut_and_written_down(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.add("a", vector_of(1), "text", good=1, **{"#bad": 2, "endless": float("inf")})
    made = importing(source)
    assert made.get()["metadatas"] == [{"good": 1}]
    assert made.counts() == {"metadata_cut": (1, ["a"])}
    (line,) = made.left_over()
    assert line["metadata"] == {"#bad": 2, "endless": "inf"}


def test_a_record_that_breaks_a_rule_takes_no_other_with_it(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.fill(range(3))
    things.add("", vector_of(5), "without an id")
    things.fill(range(3, 6))
    made = importing(source)
    assert list(made.vectors()) == [f"id{n}" for n in range(6)]
    assert made.counts() == {"refused": (1, [""])}
    assert "non-empty string" in made.left_over()[0]["reason"]


def test_text_that_is_not_utf8_comes_over_with_marks(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.fill(range(2))
    things.file()
    source.execute("UPDATE embedding_metadata SET string_value=CAST(x'61ff62' AS TEXT) WHERE string_value='document 1'")
    assert importing(source).get()["documents"] == ["document 0", "a\ufffdb"]


# -- the SQLite file ------------------------------------------------------------------------------------------------


def test_a_damaged_page_of_documents_costs_only_what_is_on_it(source: SourceFolder, importing: Importing) -> None:
    indexed(source, count=900)
    damage_page(source.close() / "chroma.sqlite3", "document 500", TABLE_PAGE)
    made = importing(source)
    found = made.get()
    assert found["ids"] == [f"id{n}" for n in range(900)]
    lost = [n for n, document in enumerate(found["documents"]) if document is None]
    assert 500 in lost
    assert len(lost) < 200
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert all(document in {None, f"document {n}"} for n, document in enumerate(found["documents"]))
    told = {line["id"]: line["reason"] for line in made.left_over()}
    assert made.counts() == {"unread": (len(told), list(told)[:10])}
    assert {f"id{n}" for n in lost} <= told.keys()
    assert {n for n, metadata in enumerate(found["metadatas"]) if metadata is None} <= {int(id_[2:]) for id_ in told}
    assert told["id500"].endswith("cannot be read: document, n")
    assert made.report.troubles[0].startswith("the table embedding_metadata is damaged (")
    assert made.report.troubles[1].startswith("of the table embedding_metadata, what is between the rows ")
    assert len(made.report.troubles) == 2


def test_a_damaged_page_of_records_is_made_up_for_by_the_index_of_the_table(
    source: SourceFolder, importing: Importing
) -> None:
    things = indexed(source, count=900)
    things.write(UPDATE, "id501", vector_of(33), "changed")
    damage_page(source.close() / "chroma.sqlite3", "id500", TABLE_PAGE)
    made = importing(source)
    assert made.vectors() == {f"id{n}": vector_of(33 if n == 501 else n) for n in range(900)}
    assert made.get(ids=["id500", "id501"])["documents"] == ["document 500", "changed"]
    assert made.report.collections[0].complete


def test_records_of_which_no_row_is_left_come_with_their_vector(source: SourceFolder, importing: Importing) -> None:
    indexed(source, count=900)
    file = source.close() / "chroma.sqlite3"
    damage_page(file, "id500", TABLE_PAGE)
    damage_page(file, "id500", INDEX_PAGE)
    made = importing(source)
    assert made.vectors() == {f"id{n}": vector_of(n) for n in range(900)}
    count, first = made.counts()["bare"]
    assert 10 < count < 200
    lost = {line["document"] for line in made.left_over()}
    assert len(lost) == count
    assert {f"document {id_[2:]}" for id_ in first} <= lost
    assert {line["id"] for line in made.left_over()} == {None}


def test_a_damaged_index_of_a_table_costs_nothing(source: SourceFolder, importing: Importing) -> None:
    indexed(source, count=300)
    damage_page(source.close() / "chroma.sqlite3", "id250", INDEX_PAGE)
    made = importing(source)
    assert made.get()["documents"] == [f"document {n}" for n in range(300)]
    assert made.report.collections[0].complete


def test_metadata_that_is_lost_with_the_index_of_its_table_is_told_as_far_as_it_can_be(
    source: SourceFolder, importing: Importing
) -> None:
    indexed(source, count=900)
    file = source.close() / "chroma.sqlite3"
    damage_page(file, "document 500", TABLE_PAGE)
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    for place in range(size, len(data), size):
        if data[place] == INDEX_PAGE and b"chroma:document" in data[place : place + size]:
            data[place : place + size] = b"\xa5" * size
    file.write_bytes(data)
    made = importing(source)
    assert len(made.vectors()) == 900
    assert "which records have lost metadata cannot be told in full" in made.report.troubles
    assert not made.report.complete


@pytest.mark.parametrize("table", ["max_seq_id", "segment_metadata", "collection_metadata", "databases", "tenants"])
@pytest.mark.parametrize("how", ["DELETE FROM {}", "DROP TABLE {}"])
def test_a_table_that_is_lost_costs_no_records(
    source: SourceFolder, importing: Importing, table: str, how: str
) -> None:
    things = indexed(source)
    things.write(UPDATE, "id3", vector_of(33), "changed")
    source.execute(how.format(table))
    made = importing(source)
    assert made.vectors() == ALL | {"id3": vector_of(33)}
    assert made.get(ids=["id3"])["documents"] == ["changed"]


def test_what_is_in_the_queue_outlives_its_segments(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.fill(range(5))
    things.file()
    source.execute("DELETE FROM segments")
    made = importing(source)
    assert made.get()["documents"] == [f"document {n}" for n in range(5)]
    assert "its metadata segment is not known" in made.report.collections[0].troubles


@pytest.mark.parametrize("length", [10, 99, 5000])
def test_a_file_whose_beginning_is_damaged_is_refused_with_a_reason(
    source: SourceFolder, tmp_path: Path, length: int
) -> None:
    indexed(source)
    file = source.close() / "chroma.sqlite3"
    file.write_bytes(b"\x5a" * length + file.read_bytes()[length:])
    with pytest.raises(CorruptError, match="is damaged where its tables are listed"):
        from_chroma(source.path, tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chroma"]
