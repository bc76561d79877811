"""The oracle: an engine of dictionaries and loops, with no index, that is obviously right and as slow as it likes.

It shares nothing with any engine but the values of `model`, so that it cannot share a bug. It interprets filters on its
own, computes distances in float64, and keeps records in a dict, whose order is insertion order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from ochre.errors import AlreadyExistsError, ForbiddenError, InvalidArgumentError, InvalidDimensionError, NotFoundError
from ochre.model.configuration import update_configuration
from ochre.model.filters import (
    And,
    ArrayContains,
    Compare,
    DocumentContains,
    DocumentContainsAnyCase,
    DocumentMatches,
    Exists,
    Filter,
    In,
    Not,
    Or,
)
from ochre.model.requests import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    CollectionInfo,
    CountRecords,
    CreateCollection,
    Cursor,
    Database,
    DeleteRecords,
    Explanation,
    Field,
    GetRecords,
    IndexingStatus,
    ModifyCollection,
    OrderKey,
    QueryRecords,
    QueryReply,
    RecordBatch,
    ScanRecords,
    ScanReply,
    WriteRecords,
)
from ochre.model.schema import value_types
from ochre.model.vectors import Matrix, Space


@dataclass
class Record:
    """A record, as it stands. `birth` counts insertions."""

    id: str
    vector: Matrix
    birth: int
    document: str | None = None
    uri: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Shelf:
    """A collection and its records by id."""

    info: CollectionInfo
    records: dict[str, Record] = field(default_factory=dict)


class Oracle:
    """An `Engine` in memory, for comparison only."""

    def __init__(self, *, allow_reset: bool = False) -> None:
        self._allow_reset = allow_reset
        self._start()

    def _start(self) -> None:
        self._tenants = {DEFAULT_TENANT}
        self._databases = {(DEFAULT_TENANT, DEFAULT_DATABASE): Database(uuid4(), DEFAULT_DATABASE, DEFAULT_TENANT)}
        self._shelves: dict[UUID, Shelf] = {}
        self._births = 0

    # -- tenants and databases ----------------------------------------------------------------------------------

    def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        if name in self._tenants:
            raise AlreadyExistsError(name)
        self._tenants.add(name)

    def get_tenant(self, name: str) -> str:
        """Return the tenant's name."""
        if name not in self._tenants:
            raise NotFoundError(name)
        return name

    def create_database(self, name: str, tenant: str) -> Database:
        """Create a database."""
        self.get_tenant(tenant)
        if (tenant, name) in self._databases:
            raise AlreadyExistsError(name)
        return self._databases.setdefault((tenant, name), Database(uuid4(), name, tenant))

    def get_database(self, name: str, tenant: str) -> Database:
        """Return a database."""
        if (tenant, name) not in self._databases:
            raise NotFoundError(name)
        return self._databases[tenant, name]

    def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds."""
        self.get_database(name, tenant)
        del self._databases[tenant, name]
        for info in [shelf.info for shelf in self._shelves.values()]:
            if (info.tenant, info.database) == (tenant, name):
                del self._shelves[info.id]

    def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[Database]:
        """Return the databases of a tenant, sorted by name."""
        found = sorted((d for (owner, _), d in self._databases.items() if owner == tenant), key=lambda d: d.name)
        return found[offset:][:limit]

    # -- collections --------------------------------------------------------------------------------------------

    def create_collection(self, request: CreateCollection) -> CollectionInfo:
        """Create a collection, or return the existing one if the request says so."""
        if (request.tenant, request.database) not in self._databases:
            raise InvalidArgumentError(request.database)
        existing = self._named(request.name, request.tenant, request.database)
        if existing is not None:
            if not request.get_or_create:
                raise AlreadyExistsError(f"{request.name} already exists")
            if request.overwrite_metadata and request.metadata is not None:
                return self.modify_collection(ModifyCollection(existing.info.id, metadata=request.metadata))
            return existing.info
        info = CollectionInfo(
            uuid4(),
            request.name,
            request.tenant,
            request.database,
            _kept(request.metadata),
            request.configuration,
            request.schema,
            None,
            0,
        )
        self._shelves[info.id] = Shelf(info)
        return info

    def get_collection(self, name: str, tenant: str, database: str) -> CollectionInfo:
        """Return the collection of that name."""
        shelf = self._named(name, tenant, database)
        if shelf is None:
            raise NotFoundError(f"Collection [{name}] does not exist")
        return shelf.info

    def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: in any)."""
        info = self._shelf(collection).info
        if tenant not in {None, info.tenant} or database not in {None, info.database}:
            raise NotFoundError(f"Collection [{collection}] does not exist there")
        return info

    def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[CollectionInfo]:
        """Return the collections of a database, sorted by name."""
        infos = [shelf.info for shelf in self._shelves.values()]
        found = [info for info in infos if (info.tenant, info.database) == (tenant, database)]
        return sorted(found, key=lambda info: info.name)[offset:][:limit]

    def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""
        return len(self.list_collections(tenant, database))

    def modify_collection(self, request: ModifyCollection) -> CollectionInfo:
        """Change a collection's name, metadata or settings."""
        shelf = self._shelf(request.collection)
        info = shelf.info
        if request.name is not None and request.name != info.name:
            if self._named(request.name, info.tenant, info.database):
                raise AlreadyExistsError(f"{request.name} already exists")
            info = replace(info, name=request.name)
        if request.metadata is not None:
            info = replace(info, metadata=_kept(request.metadata))
        if request.configuration is not None:
            info = replace(info, configuration=update_configuration(info.configuration, request.configuration))
        shelf.info = info
        return info

    def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""
        del self._shelves[self.get_collection(name, tenant, database).id]

    # -- writing ------------------------------------------------------------------------------------------------

    def write(self, request: WriteRecords) -> None:
        """Add, update or upsert records."""
        shelf = self._shelf(request.collection)
        if request.vectors is not None:
            _check_dimension(shelf.info, request.vectors)
        changed = False
        for index, id_ in enumerate(request.ids):
            known = id_ in shelf.records
            if (request.kind == "add" and known) or (request.kind == "update" and not known):
                continue
            if not known:
                assert request.vectors is not None
                shelf.records[id_] = Record(id_, request.vectors[index].copy(), self._births)
                self._births += 1
            _revise(shelf.records[id_], request, index)
            changed = True
        if request.metadatas is not None:
            shelf.info = replace(shelf.info, schema=shelf.info.schema.discovered(value_types(request.metadatas)))
        if changed:
            dimension = shelf.info.dimension
            if request.vectors is not None:
                dimension = request.vectors.shape[1]
            shelf.info = replace(shelf.info, dimension=dimension, head=shelf.info.head + 1)

    def delete(self, request: DeleteRecords) -> int:
        """Delete records; return how many there were."""
        shelf = self._shelf(request.collection)
        found = _select(shelf, request.ids, request.filter)[: request.limit]
        for record in found:
            del shelf.records[record.id]
        return len(found)

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, request: GetRecords) -> RecordBatch:
        """Return records."""
        shelf = self._shelf(request.collection)
        found = _ordered(_select(shelf, request.ids, request.filter), request.order_by)[request.offset :]
        return _batch(shelf, found[: request.limit], request.include)

    def query(self, request: QueryRecords) -> QueryReply:
        """Return the nearest records."""
        shelf = self._shelf(request.collection)
        if shelf.info.dimension is not None:
            _check_dimension(shelf.info, request.vectors)
            if request.ids is not None and request.filter is None and not shelf.records.keys() >= set(request.ids):
                raise NotFoundError("Error finding id")
        found = _select(shelf, request.ids, request.filter)
        space = shelf.info.configuration.space
        batches, distances = [], []
        for query in request.vectors:
            with np.errstate(over="ignore"):  # beyond float32 a distance is infinite
                far = [np.float32(distance(record.vector, query, space)) for record in found]
            measured = sorted(zip(far, range(len(found)), strict=True))[: request.n_results]
            near = [(d, place) for d, place in measured if request.max_distance is None or d <= request.max_distance]
            batches.append(_batch(shelf, [found[place] for _, place in near], request.include))
            distances.append([float(d) for d, _ in near])
        explanation = Explanation("oracle", "every record is compared", len(shelf.records), len(found), len(found), 0)
        return QueryReply(batches, distances, explanation if request.explain else None)

    def count(self, request: CountRecords) -> int:
        """Return how many records match."""
        return len(_select(self._shelf(request.collection), None, request.filter))

    def scan(self, request: ScanRecords) -> ScanReply:
        """Return the next records of a walk."""
        shelf = self._shelf(request.collection)
        cursor = request.cursor or Cursor(-1, self._births)
        left = [record for record in _select(shelf, None, request.filter) if cursor.after < record.birth < cursor.until]
        batch = left[: request.batch_size]
        more = len(left) > len(batch)
        return ScanReply(_batch(shelf, batch, request.include), Cursor(batch[-1].birth, cursor.until) if more else None)

    def indexing(self, collection: UUID) -> IndexingStatus:
        """Return that there is nothing to be indexed."""
        return IndexingStatus(len(_select(self._shelf(collection), None, None)), 0)

    def reset(self) -> None:
        """Delete everything and recreate the default tenant and database."""
        if not self._allow_reset:
            raise ForbiddenError("reset is off")
        self._start()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _named(self, name: str, tenant: str, database: str) -> Shelf | None:
        wanted = (name, tenant, database)
        shelves = self._shelves.values()
        return next((s for s in shelves if (s.info.name, s.info.tenant, s.info.database) == wanted), None)

    def _shelf(self, collection: UUID) -> Shelf:
        if collection not in self._shelves:
            raise NotFoundError(f"Collection [{collection}] does not exist")
        return self._shelves[collection]


def _kept(metadata: Any) -> dict[str, Any] | None:
    return {key: value for key, value in (metadata or {}).items() if value is not None} or None


def _check_dimension(info: CollectionInfo, vectors: Matrix) -> None:
    if info.dimension not in {None, vectors.shape[1]}:
        raise InvalidDimensionError(f"dimension of {info.dimension}, got {vectors.shape[1]}")


def _revise(record: Record, request: WriteRecords, index: int) -> None:
    row = index if request.rows is None else request.rows[index]
    if request.vectors is not None and row is not None:
        record.vector = request.vectors[row].copy()
    if request.documents is not None and request.documents[index] is not None:
        record.document = request.documents[index]
    if request.uris is not None and request.uris[index] is not None:
        record.uri = request.uris[index]
    for key, value in ((request.metadatas[index] if request.metadatas is not None else None) or {}).items():
        if value is None:
            record.metadata.pop(key, None)
        else:
            record.metadata[key] = value


def _select(shelf: Shelf, ids: Sequence[str] | None, filter_: Filter | None) -> list[Record]:
    shelf.info.schema.check(filter_)
    wanted = None if ids is None else set(ids)
    records = shelf.records.values()
    return [record for record in records if (wanted is None or record.id in wanted) and holds(filter_, record)]


def _batch(shelf: Shelf, records: list[Record], include: frozenset[Field]) -> RecordBatch:
    rows = np.array([record.vector for record in records], np.float32).reshape(len(records), shelf.info.dimension or 0)
    return RecordBatch(
        ids=[record.id for record in records],
        vectors=rows if "embeddings" in include else None,
        documents=[record.document for record in records] if "documents" in include else None,
        metadatas=[dict(record.metadata) or None for record in records] if "metadatas" in include else None,
        uris=[record.uri for record in records] if "uris" in include else None,
    )


def _ordered(records: list[Record], keys: tuple[OrderKey, ...]) -> list[Record]:
    for key in reversed(keys):  # sorting is stable: the last key first
        there = [record for record in records if _rank(record.metadata.get(key.key)) is not None]
        absent = [record for record in records if _rank(record.metadata.get(key.key)) is None]
        there.sort(key=lambda record, name=key.key: _rank(record.metadata[name]), reverse=key.descending)  # type: ignore[misc]
        records = there + absent
    return records


def _rank(value: Any) -> Any:
    """Order bools before numbers before strings; None for what has no place."""
    if isinstance(value, bool):
        return (0, value)
    if isinstance(value, int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else None


def distance(a: Matrix, b: Matrix, space: Space) -> float:
    """Return the distance of two vectors by the definition of the space, in float64."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if space == "l2":
        return float(((x - y) ** 2).sum())
    if space == "ip":
        return 1.0 - float((x * y).sum())
    length = math.sqrt(float((x * x).sum())) * math.sqrt(float((y * y).sum()))
    return 1.0 - float((x * y).sum()) / length if length > 0 else 1.0


def holds(filter_: Filter | None, record: Record) -> bool:
    """Tell whether a filter holds for a record."""
    if filter_ is None:
        return True
    if isinstance(filter_, And):
        return all(holds(part, record) for part in filter_.parts)
    if isinstance(filter_, Or):
        return any(holds(part, record) for part in filter_.parts)
    if isinstance(filter_, Not):
        return not holds(filter_.part, record)
    if isinstance(filter_, DocumentContains):
        return record.document is not None and filter_.text in record.document
    if isinstance(filter_, DocumentContainsAnyCase):
        return record.document is not None and filter_.text.casefold() in record.document.casefold()
    if isinstance(filter_, DocumentMatches):
        # Python's own engine, for the patterns that mean the same in both.
        return record.document is not None and re.search(filter_.pattern, record.document) is not None
    return _leaf_holds(filter_, record.metadata)


def _leaf_holds(leaf: Compare | In | ArrayContains | Exists, metadata: dict[str, Any]) -> bool:
    value = metadata.get(leaf.key)
    if isinstance(leaf, Exists):
        return value is not None
    if isinstance(leaf, In):
        return any(_equal(value, operand) for operand in leaf.operands)
    if isinstance(leaf, ArrayContains):
        return isinstance(value, list) and any(
            type(item) is type(leaf.operand) and item == leaf.operand for item in value
        )
    if leaf.comparison == "eq":
        return _equal(value, leaf.operand)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    operand = leaf.operand
    assert isinstance(operand, int | float)
    answers = {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}
    return answers[leaf.comparison]


def _equal(value: Any, operand: Any) -> bool:
    """Compare by value among numbers, and otherwise only within one type."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return type(value) is type(operand) and value == operand
    if isinstance(value, int | float) and isinstance(operand, int | float):
        return value == operand
    return isinstance(value, str) and isinstance(operand, str) and value == operand
