"""The log: rows, counters and change log say the same after any history; the fast way in is the slow way's equal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochre.errors import InvalidDimensionError, StorageError
from ochre.local import catalog, log
from ochre.local.arena import Arena
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.session import Session
from ochre.model.configuration import Configuration
from ochre.model.requests import CreateCollection, WriteRecords
from ochre.settings import Settings


class Notebook:
    """One collection, written through the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder, Settings(synchronous="off"))
        self.appended: list[tuple[int, int]] = []
        with self.database.write() as session:
            catalog.ensure_defaults(session)
            request = CreateCollection("default_tenant", "default_database", "things", None, Configuration())
            self.id = catalog.create_collection(session, request).info.id

    def row(self, session: Session) -> CollectionRow:
        return catalog.get_collection(session, self.id)

    def arena(self, row: CollectionRow) -> Arena:
        assert row.info.dimension is not None
        arena = Arena(self.folder, row.info.id, row.info.dimension, row.arena)
        keep = arena.append

        def append(slot: int, vectors: np.ndarray, *, sync: bool) -> None:
            self.appended.append((slot, len(vectors)))
            keep(slot, vectors, sync=sync)

        arena.append = append  # type: ignore[method-assign]
        return arena

    def write(self, kind: Any, ids: list[str], *, vectors: bool = True, **columns: Any) -> bool:
        matrix = np.full((len(ids), 2), 1, np.float32) if vectors else None
        with self.database.write() as session:
            request = WriteRecords(self.id, kind, ids, matrix, **columns)
            return log.write(session, self.row(session), request, self.arena, sync=False)

    def delete(self, ids: list[str]) -> None:
        with self.database.write() as session:
            row = self.row(session)
            log.delete(session, row, np.array(sorted(log.find(session, row, ids).values()), np.int64))

    def content(self) -> dict[int, tuple[Any, ...]]:
        """Rows by ordinal."""
        with self.database.read() as session:
            first = self.row(session).first_key
            return {key - first: rest for key, *rest in session.execute("SELECT * FROM records ORDER BY key")}

    def now(self) -> CollectionRow:
        with self.database.read() as session:
            return self.row(session)

    def changed_since(self, sequence: int) -> list[tuple[int, int]] | None:
        with self.database.read() as session:
            return log.changes_since(session, self.row(session), sequence)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path / "db")
    yield notebook
    notebook.database.close()


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5)
operations = st.lists(
    st.tuples(st.sampled_from(["add", "upsert", "update", "touch", "delete"]), names), min_size=1, max_size=10
)


@settings(max_examples=40, deadline=None)
@given(operations)
def test_rows_counters_and_changes_agree_after_any_history(operations: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        notebook = Notebook(Path(folder))
        snapshots = [(0, notebook.content())]
        for kind, ids in operations:
            if kind == "delete":
                notebook.delete(ids)
            elif kind == "touch":
                notebook.write("update", ids, vectors=False, documents=[f"{len(snapshots)}"] * len(ids))
            else:
                notebook.write(kind, ids)
            row, content = notebook.now(), notebook.content()
            assert row.records == len(content)
            assert all(ordinal < row.next_ordinal for ordinal in content)
            slots = [slot for _, _, slot, *_ in content.values()]
            assert len(set(slots)) == len(slots)
            assert all(slot < row.next_slot for slot in slots)
            for sequence, before in snapshots:
                runs = notebook.changed_since(sequence)
                assert runs is not None
                assert len(runs) == row.info.head - sequence
                covered = {ordinal for first, last in runs for ordinal in range(first, last + 1)}
                differing = {o for o in before.keys() | content.keys() if before.get(o) != content.get(o)}
                assert differing <= covered, "whoever catches up looks at the covered records only"
            snapshots.append((row.info.head, content))
        assert notebook.appended == sorted(notebook.appended), "vectors go behind the committed ones"
        notebook.database.close()


def test_a_call_is_as_many_changes_as_it_has_runs_of_neighbours(notebook: Notebook) -> None:
    notebook.write("add", list("abcdefgh"))
    assert notebook.changed_since(0) == [(0, 7)]
    notebook.write("update", list("hcab"))
    assert notebook.changed_since(1) == [(0, 2), (7, 7)]
    notebook.delete(["a", "c", "d"])
    assert notebook.changed_since(3) == [(0, 0), (2, 3)]
    assert notebook.changed_since(5) == []


def test_a_write_that_changes_nothing_is_no_change(notebook: Notebook) -> None:
    assert notebook.write("add", ["a"])
    head = notebook.now().info.head
    assert not notebook.write("add", ["a"])
    assert not notebook.write("update", ["unknown"])
    assert not notebook.write("add", [])
    notebook.delete(["unknown"])
    assert notebook.now().info.head == head


@pytest.mark.parametrize("known", [[], ["c"], ["a", "e"]])
def test_an_add_leaves_the_same_rows_whichever_way_it_takes(notebook: Notebook, known: list[str], monkeypatch) -> None:
    """All ids new: inserted at once. One of them known: undone, and done record by record."""
    notebook.write("add", known, documents=["old"] * len(known))
    notebook.write("add", list("abcde"), documents=list("ABCDE"), metadatas=[{"n": 1}, None, {"n": None}, None, None])
    documents = {id_: document for _, id_, _, _, _, document in notebook.content().values()}
    assert documents == {id_: "old" if id_ in known else id_.upper() for id_ in "abcde"}
    assert notebook.now().records == 5
    assert notebook.now().next_ordinal == notebook.now().next_slot == 5
    assert [slot for _, _, slot, *_ in notebook.content().values()] == list(range(5))
    assert {id_: metadata for _, id_, _, metadata, *_ in notebook.content().values()}["b"] is None


def test_the_change_log_keeps_what_it_promises_and_forgets_the_rest(notebook: Notebook, monkeypatch) -> None:
    monkeypatch.setattr(log, "RETAINED_CHANGES", 10)
    monkeypatch.setattr(log, "_PURGE_EVERY", 4)
    notebook.write("add", ["a"])
    for _ in range(60):
        notebook.write("update", ["a"])
    head = notebook.now().info.head
    kept = [sequence for sequence in range(head + 1) if notebook.changed_since(sequence) is not None]
    assert kept == list(range(kept[0], head + 1)), "a reader is told to start over exactly when a change is gone"
    assert 10 <= head - kept[0] < 10 + 4
    with notebook.database.read() as session:
        assert session.execute("SELECT count(*) FROM changes").get == head - kept[0]


@pytest.mark.parametrize("kind", ["add", "upsert", "update"])
def test_a_wrong_dimension_is_refused_whatever_the_kind(notebook: Notebook, kind: Any) -> None:
    notebook.write("add", ["a"])
    with notebook.database.write() as session, pytest.raises(InvalidDimensionError, match="dimension of 2, got 3"):
        request = WriteRecords(notebook.id, kind, ["a"], np.ones((1, 3), np.float32))
        log.write(session, notebook.row(session), request, notebook.arena, sync=False)


@pytest.mark.parametrize("kind", ["add", "upsert"])
def test_ordinals_that_run_out_are_an_error_and_no_wrap(notebook: Notebook, kind: Any, monkeypatch) -> None:
    notebook.write("add", ["a", "b"])
    monkeypatch.setattr(log, "MAX_ORDINAL", 3)
    notebook.write(kind, ["c"])
    with pytest.raises(StorageError, match="used up its 3 ordinals; copy it"):
        notebook.write(kind, ["d"])
    assert notebook.now().records == 3


def test_what_is_read_comes_in_the_order_that_was_asked_for(notebook: Notebook) -> None:
    notebook.write("add", list("abcdef"), documents=["xa", None, "xc", "d", "", "xf"])
    notebook.delete(["c"])
    with notebook.database.read() as session:
        row = notebook.row(session)

        def ordinals(*values: int) -> np.ndarray:
            return np.array(values, np.int64)

        assert log.fetch(session, row, ordinals(5, 0, 3), ["id"]) == [("f",), ("a",), ("d",)]
        assert log.fetch(session, row, ordinals(1, 2, 3), ["id"]) == [("b",), ("d",)]
        assert log.fetch(session, row, ordinals(), ["id"]) == []
        assert log.find(session, row, ["f", "unknown", "a", "a"]) == {"f": 5, "a": 0}
        assert log.fetch_ids(session, row, ["f", "c", "a"], ["id"]) == [("f",), ("a",)]
        assert list(log.documents(session, row, ordinals(0, 1, 2, 4))) == [(0, "xa"), (4, "")]
        assert log.containing(session, row, ordinals(0, 1, 3, 5), "x").tolist() == [0, 5]
        found, slots = log.slots(session, row, None)
        assert found.tolist() == [0, 1, 3, 4, 5]
        assert slots.tolist() == [0, 1, 3, 4, 5]


def test_metadata_comes_in_blocks_of_those_that_have_some(notebook: Notebook) -> None:
    notebook.write("add", list("abcde"), metadatas=[{"n": 0}, None, {"n": 2}, {"n": 3}, {"n": 4}])
    with notebook.database.read() as session:
        blocks = list(log.metadata_blocks(session, notebook.row(session), np.arange(5), block=3))
    assert [(ordinals.tolist(), text) for ordinals, text in blocks] == [
        ([0, 2, 3], b'[{"n":0},{"n":2},{"n":3}]'),
        ([4], b'[{"n":4}]'),
    ]
