"""The embedded engine against the oracle, under random calls through two handles on one folder."""

from __future__ import annotations

import errno
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ochre.engine import Engine
from ochre.errors import NotFoundError, OchreError
from ochre.local import catalog, engine, log, matching, plan, state
from ochre.local.builders import BUILDERS
from ochre.local.engine import LocalEngine
from ochre.local.index.columns import Columns
from ochre.local.index.graph import StoppedError
from ochre.local.index.roster import Roster
from ochre.local.index.trigrams import TextSegment
from ochre.local.state import CollectionState
from ochre.model.filters import ArrayContains, Compare, Exists, MetadataLeaf
from ochre.model.requests import DeleteRecords, GetRecords, WriteRecords
from ochre.settings import Settings
from ochre.testing import strategies
from ochre.testing.machine import EngineMachine, handles
from tests.local.conftest import checkpoint_of, publish, publish_text, text_index


class LocalMachine(EngineMachine):
    options = Settings(synchronous="off")

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._limits = ExitStack()
        self.limit(matching, "_FEW", -1)
        self.limit(matching, "READING", 1_000_000)
        self.limit(engine, "_WORTH_FOLLOWING", 1)
        for name, value in (("EXACT_NUMBERS", 0), ("PICKED_NUMBERS", 0), ("_MANY_RESULTS", 1000)):
            self.limit(plan, name, value)
        self._segments: dict[UUID, tuple[list[TextSegment], int]] = {}
        self._checkpoints: dict[UUID, Any] = {}
        super().__init__()

    def limit(self, module: Any, name: str, value: int) -> None:
        """Set a limit of a module for this run."""
        self._limits.enter_context(mock.patch.object(module, name, value))

    def open_handle(self) -> LocalEngine:
        return LocalEngine.open(Path(self._folder.name) / "db", self.options)

    def forget(self, engine: Engine) -> None:
        assert isinstance(engine, LocalEngine)
        engine._states.clear()

    def close_all(self) -> None:
        self._folder.cleanup()
        self._limits.close()

    @rule(
        handle=handles,
        collection=EngineMachine.collections,
        columns=strategies.batches(unique=False),
        kind=st.sampled_from(["add", "update", "upsert"]),
    )
    def a_write_fails_at_its_end(self, handle: int, collection: UUID, columns: Any, kind: Any) -> None:
        self._fail(self.engines[handle].write, WriteRecords(collection, kind, **columns))

    @rule(handle=handles, collection=EngineMachine.collections, ids=st.lists(strategies.ids, min_size=1))
    def a_deletion_fails_at_its_end(self, handle: int, collection: UUID, ids: list[str]) -> None:
        self._fail(self.engines[handle].delete, DeleteRecords(collection, ids=ids))

    def _fail(self, operation: Callable[[Any], Any], request: Any) -> None:
        """Run out of disk at the last step. The oracle hears nothing of it, so nothing may have changed."""
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(catalog, "save_progress", side_effect=full), suppress(OchreError):
            operation(request)

    @rule(handle=handles, collection=EngineMachine.collections, fresh=st.booleans())
    def a_text_index_is_published(self, handle: int, collection: UUID, fresh: bool) -> None:
        """One of the records as they are, or an older one."""
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        with suppress(NotFoundError):
            if fresh or collection not in self._segments:
                self._segments[collection] = text_index(engine, collection, part_bytes=30)
            publish_text(engine, collection, *self._segments[collection])

    @rule(handle=handles, collection=EngineMachine.collections, fresh=st.booleans())
    def a_checkpoint_is_published(self, handle: int, collection: UUID, fresh: bool) -> None:
        """One of the records as they are, or an older one; none is published of vectors that have moved since."""
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        with suppress(NotFoundError):
            row = engine._look(lambda session: catalog.get_collection(session, collection))
            _, _, sequence = self._checkpoints.get(collection, (None, None, -1))
            if fresh or engine._look(lambda session: log.changes_since(session, row, sequence)) is None:
                self._checkpoints[collection] = checkpoint_of(engine, collection)
            publish(engine, collection, "checkpoint", *self._checkpoints[collection])

    @rule(
        handle=handles,
        collection=EngineMachine.collections,
        step=st.integers(1, 4),
        kind=st.sampled_from(["add", "upsert"]),
        columns=strategies.batches(unique=False),
    )
    def indexes_are_built_while_another_writes(
        self, handle: int, collection: UUID, step: int, kind: Any, columns: Any
    ) -> None:
        """All of them, and with so few records the graph finds whatever is there."""
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        steps = itertools.count(1)

        def going_on() -> bool:
            if next(steps) == step:
                self._write(1 - handle, collection, kind, columns)
            return True

        with mock.patch.object(engine._maintenance, "_going_on", going_on), suppress(NotFoundError):
            for builder in BUILDERS:
                row = engine._look(lambda session: catalog.get_collection(session, collection))
                if row.next_slot:
                    with suppress(StoppedError):  # what was written meanwhile may make it useless
                        engine._maintenance._build(collection, builder)

    @rule(handle=handles)
    def vacuum(self, handle: int) -> None:
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        engine.vacuum()

    @rule(handle=handles, collection=EngineMachine.collections, ids=st.lists(strategies.ids, min_size=1))
    def erase(self, handle: int, collection: UUID, ids: list[str]) -> None:
        twin = self.twins[collection]
        self.both(handle, "delete", DeleteRecords(collection, ids, erase=True), DeleteRecords(twin, ids, erase=True))

    @rule(handle=handles)
    def copies_hold_the_same(self, handle: int) -> None:
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        place = Path(self._folder.name)
        engine.backup(place / "backup")
        with suppress(FileNotFoundError):
            (place / "x.ochre").unlink()
        engine.snapshot(place / "x.ochre")
        expected = records(engine)
        for copy in (place / "backup", place / "x.ochre"):
            opened = LocalEngine.open(copy, mode="r")
            assert records(opened) == expected
            opened.close()

    @rule(handle=handles)
    def what_was_derived_is_what_the_records_say(self, handle: int) -> None:
        engine = self.engines[handle]
        assert isinstance(engine, LocalEngine)
        with engine._file.read() as session:
            known = catalog.collection_ids(session)
            for collection, derived in engine._states.items():
                if str(collection) in known:
                    compare_with_records(session, catalog.get_collection(session, collection), derived)


def records(engine: LocalEngine) -> list[Any]:
    """All records of all collections, as they are printed."""
    rows = engine._look(catalog.all_collections)
    include = frozenset({"documents", "embeddings", "metadatas", "uris"})
    return [(row.info.name, str(engine.get(GetRecords(row.info.id, include=include)))) for row in rows]


def every_leaf(key: str) -> Iterator[MetadataLeaf]:
    yield Exists(key)
    for value in (*strategies.INTEGERS, *strategies.FLOATS, *strategies.STRINGS, True, False):
        yield Compare(key, "eq", value)
        yield ArrayContains(key, value)


def compare_with_records(session: Any, row: catalog.CollectionRow, derived: CollectionState) -> None:
    """Compare roster, columns and lengths with ones made anew from the rows."""
    roster = derived.view(session, row).roster
    ordinals, slots = log.slots(session, row, None)
    assert roster.ordinals[roster.live].tolist() == ordinals.tolist()
    assert roster.slots[roster.live].tolist() == slots.tolist()
    assert roster.count == row.records == len(ordinals)
    fresh, source = Columns(), state._SnapshotSource(session, row)
    fresh.rebuild(Roster.of(ordinals, slots))
    fresh.load(derived._columns._columns, source)
    for key, column in derived._columns._columns.items():
        for leaf in every_leaf(key):
            assert derived._columns.mask(leaf)[roster.live].tolist() == fresh.mask(leaf).tolist(), leaf
        assert (
            np.argsort(column.ranks()[roster.live], kind="stable").tolist()
            == np.argsort(fresh.column(key).ranks(), kind="stable").tolist()
        )
    if row.next_slot:
        vectors = derived.vectors(row)
        arena = vectors.arena.rows(row.next_slot)
        assert np.allclose(vectors.exact.extend(arena), np.linalg.norm(arena.astype(np.float64), axis=1))


class CrampedMachine(LocalMachine):
    """Nothing is kept for long: each read may find its state evicted, compacted, or behind what the log retains."""

    options = Settings(synchronous="off", max_open_collections=2)

    def __init__(self) -> None:
        super().__init__()
        self.limit(log, "RETAINED_CHANGES", 3)
        self.limit(log, "_PURGE_EVERY", 2)
        self.limit(state, "_COMPACT_ABOVE", 1)


TestLocalEngine = LocalMachine.TestCase
TestCrampedEngine = CrampedMachine.TestCase
TestLocalEngine.settings = TestCrampedEngine.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
