"""The stateful model: random calls on an engine and on the oracle, compared after each.

The engine has two handles on one database, and each call goes through either: what one writes the other must see.
A subclass says how to open a handle, and how to make one forget what it derived from the truth.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from ochre.engine import Engine
from ochre.errors import OchreError
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.filters import ArrayContains, Compare, Exists, Filter, Not
from ochre.model.requests import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    CountRecords,
    CreateCollection,
    DeleteRecords,
    GetRecords,
    ModifyCollection,
    OrderKey,
    QueryRecords,
    ScanRecords,
    WriteRecords,
)
from ochre.testing import strategies
from ochre.testing.comparison import assert_same_batch, assert_same_reply
from ochre.testing.contract import ids_of_walk
from ochre.testing.oracle import Oracle

ALL = frozenset({"documents", "embeddings", "metadatas", "uris"})
NAMES = ("one", "two", "three")

handles = st.integers(0, 1)
names = st.sampled_from(NAMES)
selections = st.none() | st.lists(strategies.ids, max_size=5, unique=True)


class EngineMachine(RuleBasedStateMachine):
    """Subclasses implement `open_handle`, `forget` if the engine derives anything, and `close_all` to clean up."""

    collections = Bundle("collections")

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle()
        self.engines: list[Engine] = [self.open_handle(), self.open_handle()]
        self.twins: dict[UUID, UUID] = {}

    def open_handle(self) -> Engine:
        """Open the database of this run once more."""
        raise NotImplementedError

    def forget(self, engine: Engine) -> None:
        """Drop what the handle derived from the truth, as if it had just been opened."""

    def close_all(self) -> None:
        """Remove the database of this run."""

    def teardown(self) -> None:
        """Close the handles."""
        for engine in self.engines:
            engine.close()
        self.close_all()

    def both(self, handle: int, operation: str, request: Any, twin: Any) -> tuple[Any, Any] | None:
        """Do one thing on both sides; return both answers, or None when both refused it with one kind of error."""
        answers: list[Any] = []
        for engine, value in ((self.engines[handle], request), (self.oracle, twin)):
            try:
                answers.append(ids_of_walk(engine, value) if operation == "scan" else getattr(engine, operation)(value))
            except OchreError as error:
                answers.append(error)
        refused = [isinstance(answer, OchreError) for answer in answers]
        if any(refused):
            assert type(answers[0]) is type(answers[1]), answers
            return None
        return answers[0], answers[1]

    # -- collections --------------------------------------------------------------------------------------------

    @initialize(target=collections, space=strategies.spaces, columns=strategies.batches())
    def begin(self, space: Any, columns: dict[str, Any]) -> Any:
        self.create(0, NAMES[0], space, again=False)
        (collection,) = self.twins
        self._write(0, collection, "add", columns)
        return collection

    @rule(target=collections, handle=handles, name=names, space=strategies.spaces, again=st.booleans())
    def create(self, handle: int, name: str, space: Any, again: bool) -> Any:
        request = CreateCollection(
            DEFAULT_TENANT,
            DEFAULT_DATABASE,
            name,
            {"made": name},
            Configuration(Hnsw(space=space)),
            get_or_create=again,
        )
        answers = self.both(handle, "create_collection", request, request)
        if answers is None:
            return multiple()
        self.twins[answers[0].id] = answers[1].id
        return answers[0].id

    @rule(handle=handles, collection=collections, name=names)
    def rename(self, handle: int, collection: UUID, name: str) -> None:
        twin = self.twins[collection]
        self.both(handle, "modify_collection", ModifyCollection(collection, name), ModifyCollection(twin, name))

    @rule(handle=handles, name=names)
    def drop(self, handle: int, name: str) -> None:
        if len(self.oracle.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE)) > 1:
            for engine in (self.engines[handle], self.oracle):
                try:
                    engine.delete_collection(name, DEFAULT_TENANT, DEFAULT_DATABASE)
                except OchreError as error:
                    assert error.code == "not_found"  # noqa: PT017

    # -- records ------------------------------------------------------------------------------------------------

    @rule(
        handle=handles,
        collection=collections,
        columns=strategies.batches(unique=False),
        kind=st.sampled_from(["add", "upsert"]),
    )
    def write(self, handle: int, collection: UUID, columns: dict[str, Any], kind: Any) -> None:
        self._write(handle, collection, kind, columns)

    @rule(handle=handles, collection=collections, columns=strategies.batches(patch=True), vectors=st.booleans())
    def update(self, handle: int, collection: UUID, columns: dict[str, Any], vectors: bool) -> None:
        self._write(handle, collection, "update", columns if vectors else {**columns, "vectors": None})

    @rule(handle=handles, collection=collections)
    def write_of_a_wrong_dimension(self, handle: int, collection: UUID) -> None:
        there = self.oracle.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE)
        if any(info.id == self.twins[collection] and info.dimension for info in there):
            self._write(handle, collection, "add", {"ids": ["wide"], "vectors": np.ones((1, 5), np.float32)})

    def _write(self, handle: int, collection: UUID, kind: Any, columns: dict[str, Any]) -> None:
        twin = self.twins[collection]
        self.both(handle, "write", WriteRecords(collection, kind, **columns), WriteRecords(twin, kind, **columns))

    @rule(
        handle=handles,
        collection=collections,
        ids=selections,
        filter_=strategies.filters(),
        limit=st.none() | st.integers(0, 3),
    )
    def delete(
        self, handle: int, collection: UUID, ids: list[str] | None, filter_: Filter | None, limit: int | None
    ) -> None:
        if not (ids is None and filter_ is None):
            self._compare(handle, "delete", collection, DeleteRecords, ids=ids, filter=filter_, limit=limit)

    @rule(
        handle=handles,
        collection=collections,
        ids=selections,
        filter_=strategies.filters(),
        limit=st.none() | st.integers(0, 4),
        offset=st.integers(0, 3),
        order=st.lists(st.builds(OrderKey, strategies.keys, st.booleans()), max_size=2),
    )
    def get(self, handle: int, collection: UUID, filter_: Filter | None, order: Any, **page: Any) -> None:
        self._compare(handle, "get", collection, GetRecords, filter=filter_, order_by=tuple(order), include=ALL, **page)

    @rule(handle=handles, collection=collections, key=strategies.keys, operand=strategies.scalars)
    def look_at_a_key(self, handle: int, collection: UUID, key: str, operand: Any) -> None:
        """Every kind of question about one key: what an index of it got wrong shows in one of them."""
        leaves = (Exists(key), Compare(key, "eq", operand), Compare(key, "gte", 0), ArrayContains(key, operand))
        for filter_ in (*leaves, Not(Compare(key, "lt", 2))):
            self._compare(handle, "get", collection, GetRecords, filter=filter_)
        for descending in (False, True):
            self._compare(handle, "get", collection, GetRecords, order_by=(OrderKey(key, descending),))

    @rule(handle=handles, collection=collections, filter_=strategies.filters(), size=st.integers(1, 4))
    def scan(self, handle: int, collection: UUID, filter_: Filter | None, size: int) -> None:
        self._compare(
            handle, "scan", collection, ScanRecords, filter=filter_, batch_size=size, include=frozenset({"uris"})
        )

    @rule(
        handle=handles,
        collection=collections,
        vectors=strategies.matrices(2),
        n_results=st.integers(0, 8),
        ids=selections,
        filter_=strategies.filters(),
        farthest=st.none() | st.sampled_from([0.0, 0.5, 2.0]),
    )
    def query(
        self,
        handle: int,
        collection: UUID,
        vectors: Any,
        n_results: int,
        ids: Any,
        filter_: Filter | None,
        farthest: float | None,
    ) -> None:
        self._compare(
            handle,
            "query",
            collection,
            QueryRecords,
            vectors=vectors,
            n_results=n_results,
            ids=ids,
            filter=filter_,
            max_distance=farthest,
            include=ALL,
        )

    def _compare(self, handle: int, operation: str, collection: UUID, request: Any, **fields: Any) -> None:
        answers = self.both(handle, operation, request(collection, **fields), request(self.twins[collection], **fields))
        if answers is None:
            return
        actual, expected = answers
        if operation == "query":
            assert_same_reply(actual, expected)
        elif operation == "get":
            assert_same_batch(actual, expected)
        else:
            assert actual == expected

    # -- life cycle ---------------------------------------------------------------------------------------------

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.engines[handle].close()
        self.engines[handle] = self.open_handle()

    @rule(handle=handles)
    def forget_derived_state(self, handle: int) -> None:
        self.forget(self.engines[handle])

    @invariant()
    def counts_agree(self) -> None:
        """Both handles list and count what the oracle does."""
        expected = {
            info.name: self.oracle.count(CountRecords(info.id))
            for info in self.oracle.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE)
        }
        for engine in self.engines:
            infos = engine.list_collections(DEFAULT_TENANT, DEFAULT_DATABASE)
            assert {info.name: engine.count(CountRecords(info.id)) for info in infos} == expected
