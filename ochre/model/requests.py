"""One request and one reply per Engine operation: frozen values, valid by construction of the parsers.

Columns are aligned: entry i of every column belongs to record i. A column that was not asked for is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from ochre.model.configuration import Configuration
from ochre.model.filters import Filter
from ochre.model.records import MetadataPatch, Scalar
from ochre.model.schema import Schema
from ochre.model.vectors import Matrix

Field = Literal["documents", "embeddings", "metadatas", "uris"]
"""A column that a read can fetch."""

WriteKind = Literal["add", "update", "upsert"]

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"


@dataclass(frozen=True, slots=True)
class Database:
    """A database of a tenant: a group of collections."""

    id: UUID
    name: str
    tenant: str


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who a client works as.

    Attributes:
        user_id: the name of the key that a server knows it by; empty where there are no keys.
        tenant: the tenant it works with; `*` stands for any.
        databases: the databases it works with; `*` stands for any.
    """

    user_id: str
    tenant: str
    databases: list[str]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as the catalog knows it.

    Attributes:
        dimension: length of its vectors, None until the first one was written.
        head: sequence number of its newest change, 0 when it has none.
    """

    id: UUID
    name: str
    tenant: str
    database: str
    metadata: dict[str, Scalar] | None
    configuration: Configuration
    schema: Schema
    dimension: int | None
    head: int


@dataclass(frozen=True, slots=True)
class CreateCollection:
    """Create a collection, or find the one of that name (`get_or_create`).

    Attributes:
        overwrite_metadata: with `get_or_create` on a collection that exists, replace its metadata.
    """

    tenant: str
    database: str
    name: str
    metadata: dict[str, Scalar | None] | None
    configuration: Configuration
    schema: Schema = field(default_factory=Schema)
    get_or_create: bool = False
    overwrite_metadata: bool = False


@dataclass(frozen=True, slots=True)
class ModifyCollection:
    """Change a collection; None leaves a part as it is.

    Attributes:
        metadata: replaces the whole metadata; entries that are None are dropped.
        configuration: the changes, as `update_configuration` takes them.
    """

    collection: UUID
    name: str | None = None
    metadata: dict[str, Scalar | None] | None = None
    configuration: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WriteRecords:
    """Add, update or upsert records, all of them or none.

    Attributes:
        kind: `add` ignores ids that exist; `update` ignores ids that do not; `upsert` does whichever fits.
        vectors: `(n, d)`, or None (update only) to keep the stored ones.
        documents, uris: None entries set nothing and keep what is stored.
        metadatas: merged into what is stored; a None value deletes its key.
        rows: which of the vectors each record has, None for a record that keeps its own (update only). None: the i-th
            record has the i-th vector.
    """

    collection: UUID
    kind: WriteKind
    ids: Sequence[str]
    vectors: Matrix | None
    documents: Sequence[str | None] | None = None
    metadatas: Sequence[MetadataPatch | None] | None = None
    uris: Sequence[str | None] | None = None
    rows: Sequence[int | None] | None = None


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A metadata key to sort by. Records without it (or with an array there) come last either way.

    Values order by type first: bools, numbers, strings (by code point); `descending` turns the whole order round.
    """

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class GetRecords:
    """Fetch records, in insertion order unless `order_by` says otherwise.

    Attributes:
        ids: only these; unknown ones are ignored. None for all.
        limit, offset: the page, counted after filtering and ordering. None for no limit.
    """

    collection: UUID
    ids: Sequence[str] | None = None
    filter: Filter | None = None
    order_by: tuple[OrderKey, ...] = ()
    limit: int | None = None
    offset: int = 0
    include: frozenset[Field] = frozenset()


@dataclass(frozen=True, slots=True)
class CountRecords:
    """Count the records that match."""

    collection: UUID
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class DeleteRecords:
    """Delete the records that match, at most `limit` of them, the oldest first.

    Attributes:
        erase: leave no byte of them, nor of what was deleted or replaced before.
    """

    collection: UUID
    ids: Sequence[str] | None = None
    filter: Filter | None = None
    limit: int | None = None
    erase: bool = False


@dataclass(frozen=True, slots=True)
class QueryRecords:
    """Find the `n_results` records nearest to each vector, among those that match.

    Attributes:
        vectors: `(q, d)`.
        ids: only these; an unknown one is an error unless there is a filter too.
        max_distance: leave out records farther than this.
        exact: never answer from an approximate index.
        explain: report the plan in the reply.
    """

    collection: UUID
    vectors: Matrix
    n_results: int = 10
    ids: Sequence[str] | None = None
    filter: Filter | None = None
    max_distance: float | None = None
    exact: bool = False
    explain: bool = False
    include: frozenset[Field] = frozenset()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk through a collection stands; an engine's own affair.

    Attributes:
        after: of the last record that was returned.
        until: of the first record that was not there when the walk began.
    """

    after: int
    until: int


@dataclass(frozen=True, slots=True)
class ScanRecords:
    """Walk all records that match, in insertion order, at most `batch_size` at a time.

    Attributes:
        cursor: what the last reply held; None to begin.
    """

    collection: UUID
    filter: Filter | None = None
    batch_size: int = 1000
    include: frozenset[Field] = frozenset()
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records as columns.

    Attributes:
        vectors: `(n, d)`; `(0, d)` or `(0, 0)` when there are none.
    """

    ids: list[str]
    vectors: Matrix | None = None
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    uris: list[str | None] | None = None


@dataclass(frozen=True, slots=True)
class ScanReply:
    """One step of a walk, and where it goes on; a cursor of None is the end."""

    batch: RecordBatch
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class IndexingStatus:
    """How far a collection's indexes have come.

    Attributes:
        total: vectors that were ever written and still take room.
        pending: those of them that wait for an index to be built; meanwhile they are compared, or read, one by one.
    """

    total: int
    pending: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query was answered.

    Attributes:
        plan: the strategy's name.
        reason: why the planner chose it, in a sentence.
        records: records of the collection.
        matches: records that passed ids and filter.
        compared: records whose distance to each query vector was computed.
        sequence: the committed sequence number the answer reflects.
        seconds: wall time by stage.
    """

    plan: str
    reason: str
    records: int
    matches: int
    compared: int
    sequence: int
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryReply:
    """One batch and one list of distances per query vector, nearest first, ties in insertion order.

    Attributes:
        distances: float32 values, aligned with the batch of the same position.
    """

    batches: list[RecordBatch]
    distances: list[list[float]]
    explanation: Explanation | None = None
