"""Sound folders of every layout come over whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ochre.migrate import examine
from tests.migrate.builder import ADD, DELETE, LAYOUTS, UPDATE, UPSERT, Layout, SourceFolder, vector_of
from tests.migrate.conftest import Importing

every_layout = pytest.mark.parametrize("layout", LAYOUTS)
every_space = pytest.mark.parametrize("space", ["l2", "cosine", "ip"])


@every_layout
@every_space
def test_records_of_the_index_and_of_the_queue_come_over_in_order(
    tmp_path: Path, importing: Importing, layout: Layout, space: str
) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    things = folder.collection("things", space)
    things.fill(range(8, 0, -1))
    things.file()
    things.index()
    things.fill(range(20, 24))
    things.file()
    made = importing(folder)
    found = made.get()
    numbers = [*range(8, 0, -1), *range(20, 24)]
    assert found["ids"] == [f"id{n}" for n in numbers]
    assert found["documents"] == [f"document {n}" for n in numbers]
    assert found["metadatas"] == [{"n": n} for n in numbers]
    np.testing.assert_allclose(found["embeddings"], [vector_of(n) for n in numbers], rtol=1e-6)
    assert made.report.complete
    assert made.client.get_collection("things").configuration_json["hnsw"]["space"] == space


@every_layout
def test_writes_that_neither_index_nor_tables_have_taken_in_count(
    tmp_path: Path, importing: Importing, layout: Layout
) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    things = folder.collection("things")
    things.fill(range(6))
    things.file()
    things.index()
    things.write(UPDATE, "id0", vector_of(100), n=-1, more="yes")
    things.write(UPDATE, "id1", document="changed", n=None)
    things.write(UPSERT, "id2", vector_of(102))
    things.write(UPSERT, "new", vector_of(103), "fresh")
    things.write(DELETE, "id3")
    things.write(DELETE, "id4")
    things.write(ADD, "id4", vector_of(104))
    things.write(ADD, "id5", vector_of(105), "of no effect")
    things.write(UPDATE, "nobody", vector_of(106))
    things.write(UPDATE, "new", s="later")
    made = importing(folder)
    found = made.get()
    assert found["ids"] == ["id0", "id1", "id2", "id5", "new", "id4"]
    assert found["documents"] == ["document 0", "changed", "document 2", "document 5", "fresh", None]
    assert found["metadatas"] == [{"n": -1, "more": "yes"}, None, {"n": 2}, {"n": 5}, {"s": "later"}, None]
    assert found["embeddings"].tolist() == [vector_of(n) for n in (100, 1, 102, 5, 103, 104)]
    assert made.report.complete


def test_a_collection_that_never_had_an_index_comes_from_the_queue(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.fill(range(3))
    things.file()
    made = importing(source)
    assert made.vectors() == {f"id{n}": vector_of(n) for n in range(3)}
    assert made.report.complete


def test_an_add_of_a_record_that_was_there_changes_nothing_even_if_the_queue_begins_with_it(
    source: SourceFolder, importing: Importing
) -> None:
    things = source.collection("things")
    things.fill(range(3))
    things.file()
    things.index()
    things.add("id0", vector_of(50))
    things.fill(range(3, 5))
    things.file()
    things.index(purge=False)
    source.execute("DELETE FROM embeddings_queue WHERE seq_id < 4")
    assert importing(source).vectors()["id0"] == vector_of(0)


def test_vectors_of_cosine_space_keep_their_length(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things", "cosine")
    things.add("long", [30.0, 40.0, 0.0, 0.0])
    things.add("zero", [0.0] * 4)
    things.add("last", [0.0, 0.0, 0.1, 0.0])
    things.file()
    things.index()
    made = importing(source)
    np.testing.assert_allclose(made.get()["embeddings"][0], [30, 40, 0, 0], rtol=1e-6)
    assert made.vectors()["zero"] == [0.0] * 4
    assert made.vectors()["last"] == np.array([0, 0, 0.1, 0], np.float32).tolist()  # still in the queue, so exact


@pytest.mark.parametrize(
    "value",
    ["text", "ütf-8 文", "", 7, -(2**63), 2.5, 1.0, True, False, ["a", "b"], [1, 2], [0.5, 2.0], [True, False]],
    ids=repr,
)
@pytest.mark.parametrize("filed", [True, False], ids=["table", "queue"])
def test_metadata_keeps_its_type(source: SourceFolder, importing: Importing, value: Any, filed: bool) -> None:
    things = source.collection("things")
    things.add("a", vector_of(1), key=value)
    if filed:
        things.file()
    (found,) = importing(source).get()["metadatas"]
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


def test_uris_come_over_and_records_may_have_nothing_but_a_vector(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.add("a", vector_of(1), **{"chroma:uri": "file:///a"})
    things.add("b", vector_of(2))
    things.file()
    found = importing(source).get()
    assert (found["uris"], found["documents"], found["metadatas"]) == (["file:///a", None], [None] * 2, [None] * 2)


def test_vectors_of_integers_are_numbers(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    things.add("a", vector_of(1))
    source.execute(
        "UPDATE embeddings_queue SET encoding='INT32', vector=?", (np.array([1, -2, 3, 4], "<i4").tobytes(),)
    )
    assert importing(source).vectors() == {"a": [1.0, -2.0, 3.0, 4.0]}


def test_sequence_numbers_of_24_bytes_are_read(tmp_path: Path, importing: Importing) -> None:
    folder = SourceFolder(tmp_path / "chroma", "0.5")
    things = folder.collection("things")
    things.fill(range(3))
    things.file()
    things.index()
    for segment, value in folder.execute("SELECT segment_id, seq_id FROM max_seq_id"):
        folder.execute("UPDATE max_seq_id SET seq_id=? WHERE segment_id=?", (value.rjust(24, b"\0"), segment))
    things.write(UPDATE, "id0", document="changed")
    assert importing(folder).get()["documents"] == ["changed", "document 1", "document 2"]


@every_layout
def test_tenants_databases_and_equal_names_in_them_come_over(
    tmp_path: Path, importing: Importing, layout: Layout
) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    places = [("default_tenant", "default_database"), ("a tenant", "shelf"), ("a tenant", "other")]
    for number, place in enumerate(places):
        folder.collection("things", place=place).add("a", vector_of(number))
    folder.database(("a tenant", "empty"))
    made = importing(folder)
    for number, place in enumerate(places):
        made.client.set_tenant(*place)
        assert made.vectors() == {"a": vector_of(number)}
    made.client.set_database("empty")
    assert made.client.count_collections() == 0


@every_layout
def test_the_metadata_of_collections_comes_over(tmp_path: Path, importing: Importing, layout: Layout) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    told = {"owner": "ann", "count": 3, "rate": 0.5} | ({} if layout == "0.4" else {"public": False})
    folder.collection("things", metadata=told)
    folder.collection("bare")
    made = importing(folder)
    assert made.client.get_collection("things").metadata == told
    assert made.client.get_collection("bare").metadata is None


@pytest.mark.parametrize("layout", ["1.0", "1.5"])
def test_settings_and_embedding_function_come_over(tmp_path: Path, importing: Importing, layout: Layout) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    chosen = {"max_neighbors": 9, "ef_construction": 77, "ef_search": 33, "sync_threshold": 50}
    folder.collection("things", "cosine", settings=chosen)
    made = importing(folder)
    settings = made.client.get_collection("things").configuration_json
    assert {name: settings["hnsw"][name] for name in chosen} == chosen
    assert settings["embedding_function"] == {"type": "known", "name": "default", "config": {}}
    assert made.report.collections[0].troubles == []


@pytest.mark.parametrize("layout", ["0.4", "0.5"])
def test_settings_in_the_metadata_of_old_releases_come_over(
    tmp_path: Path, importing: Importing, layout: Layout
) -> None:
    folder = SourceFolder(tmp_path / "chroma", layout)
    told = {"hnsw:space": "ip", "hnsw:M": 5, "hnsw:construction_ef": 77, "hnsw:search_ef": 33, "owner": "ann"}
    folder.collection("things", metadata=told)
    thing = importing(folder).client.get_collection("things")
    settings = thing.configuration_json["hnsw"]
    assert [settings[name] for name in ("space", "max_neighbors", "ef_construction", "ef_search")] == ["ip", 5, 77, 33]
    assert thing.metadata == told


def test_folders_that_name_no_embedding_function_are_marked_so(tmp_path: Path, importing: Importing) -> None:
    folder = SourceFolder(tmp_path / "chroma", "0.5")
    folder.collection("things")
    settings = importing(folder).client.get_collection("things").configuration_json
    assert settings["embedding_function"] == {"type": "legacy"}


def test_a_schema_that_switches_an_index_off_comes_over(source: SourceFolder, importing: Importing) -> None:
    off = {"string": {"string_inverted_index": {"enabled": False, "config": {}}}}
    source.collection("things", "cosine", schema_keys={"secret": off})
    made = importing(source).client.get_collection("things")
    assert made.schema["keys"]["secret"]["string"]["string_inverted_index"]["enabled"] is False
    assert made.configuration_json["hnsw"]["space"] == "cosine"


def test_settings_that_are_not_taken_are_told_and_the_space_is_kept(source: SourceFolder, importing: Importing) -> None:
    source.collection("things", "ip", settings={"ef_search": -5}, metadata={"hnsw:nonsense": 1, "owner": "ann"})
    made = importing(source)
    thing = made.client.get_collection("things")
    assert thing.configuration_json["hnsw"]["space"] == "ip"
    assert thing.metadata == {"owner": "ann"}
    (trouble,) = made.report.collections[0].troubles
    assert trouble.startswith("some of its settings were left out")


@pytest.mark.parametrize(
    ("place", "name", "now"),
    [
        (("t", "shelf"), "things", ("t-imported", "shelf", "things")),
        (("tenant", "my db!"), "things", ("tenant", "my-db", "things")),
        (("tenant", "shelf"), "..", ("tenant", "shelf", "imported")),
        (("tenant", "shelf"), "a b", ("tenant", "shelf", "a-b")),
    ],
)
def test_names_that_break_a_rule_are_changed_and_told(
    source: SourceFolder, importing: Importing, place: tuple[str, str], name: str, now: tuple[str, str, str]
) -> None:
    source.collection(name, place=place).add("a", vector_of(1))
    made = importing(source)
    (report,) = made.report.collections
    assert (report.tenant, report.database, report.name) == now
    assert report.was == "/".join((*place, name))
    made.client.set_tenant(now[0], now[1])
    assert made.vectors(now[2]) == {"a": vector_of(1)}


def test_names_that_become_equal_stay_apart(source: SourceFolder, importing: Importing) -> None:
    for number, name in enumerate(["a b", "a-b", "a+ b"]):
        source.collection(name).add("a", vector_of(number))
    made = importing(source)
    assert len({report.name for report in made.report.collections}) == 3
    for report in made.report.collections:
        assert made.client.get_collection(report.name).count() == 1


def test_the_report_tells_the_old_id_and_the_new(source: SourceFolder, importing: Importing) -> None:
    things = source.collection("things")
    made = importing(source)
    (report,) = made.report.collections
    assert (report.old_id, report.id) == (things.id, str(made.client.get_collection("things").id))


def test_examining_says_what_an_import_would_bring_and_writes_nothing(source: SourceFolder, tmp_path: Path) -> None:
    source.collection("things").fill(range(5))
    source.collection("empty")
    report = examine(source.close())
    assert [(entry.name, entry.records, entry.id) for entry in report.collections] == [
        ("empty", 0, None),
        ("things", 5, None),
    ]
    assert report.destination is None
    assert [path.name for path in tmp_path.iterdir()] == ["chroma"]
