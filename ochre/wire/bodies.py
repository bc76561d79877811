"""The shapes of the HTTP API's JSON, after Chroma's; the OpenAPI document is made of them.

Fields marked as Ochre's are not Chroma's; they default to what Chroma does. A field that is absent is null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct, field

U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Embeddings = Annotated[
    Raw,
    Meta(
        description="One vector a record: an array of numbers, or a base64 text of little-endian float32.",
        extra_json_schema={
            "type": ["array", "null"],
            "items": {"type": ["array", "string", "null"], "items": {"type": "number"}},
        },
    ),
]
Vector = Annotated[Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "number"}})]
"""A vector in an answer."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*[A-Za-z0-9]$"
Name = Annotated[
    str,
    Meta(
        description="3 to 512 characters; no two dots in a row, no IP address.",
        extra_json_schema={"minLength": 3, "maxLength": 512, "pattern": _NAME},
    ),
]
"""The rule is told here and kept by the model: a name that breaks it is a 400, not a body of another shape."""
Where = Annotated[
    Any, Meta(description="A filter, see the filter reference.", extra_json_schema={"type": ["object", "null"]})
]
Space = Literal["l2", "cosine", "ip"]
ReadField = Literal["distances", "documents", "embeddings", "metadatas", "uris"]
Columns = Annotated[list[ReadField], Meta(extra_json_schema={"default": ["documents", "metadatas"]})]
QueryColumns = Annotated[list[ReadField], Meta(extra_json_schema={"default": ["documents", "metadatas", "distances"]})]
NULL = Raw(b"null")


# -- what clients send ------------------------------------------------------------------------------------------


class CreateTenant(Struct):
    """A new tenant."""

    name: Annotated[str, Meta(extra_json_schema={"minLength": 3})]


class UpdateTenant(Struct):
    """Taken for Chroma's sake, without effect."""

    resource_name: str


class CreateDatabase(Struct):
    """A new database."""

    name: Name


class Hnsw(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of a graph index; those that are null take their defaults, or stay as they are."""

    space: Space | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    max_neighbors: int | None = None
    num_threads: int | None = None
    resize_factor: float | None = None
    sync_threshold: int | None = None
    batch_size: int | None = None


class Spann(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of an index that this server does not build; `space` counts all the same."""

    space: Space | None = None
    search_nprobe: int | None = None
    write_nprobe: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    max_neighbors: int | None = None
    reassign_neighbor_count: int | None = None
    split_threshold: int | None = None
    merge_threshold: int | None = None


class Configuration(Struct, omit_defaults=True):
    """Settings of a collection: of one kind of index, and the embedding function of its clients."""

    hnsw: Hnsw | None = None
    spann: Spann | None = None
    embedding_function: dict[str, Any] | None = None


class CreateCollection(Struct):
    """A new collection, or with `get_or_create` the one of that name. `overwrite_metadata` is Ochre's."""

    name: Name
    metadata: dict[str, Any] | None = None
    configuration: Configuration | None = None
    schema: dict[str, Any] | None = None
    get_or_create: bool = False
    overwrite_metadata: bool = False


class UpdateCollection(Struct):
    """Changes of a collection; null leaves a part as it is. `space` and `ef_construction` cannot be changed."""

    new_name: Name | None = None
    new_metadata: dict[str, Any] | None = None
    new_configuration: Configuration | None = None


class WriteRecords(Struct):
    """Columns of records, aligned with `ids`."""

    ids: list[str]
    embeddings: Embeddings = field(default_factory=lambda: NULL)
    documents: list[str | None] | None = None
    uris: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None


class GetRecords(Struct):
    """Which records, and which of their columns. `order_by` is Ochre's: metadata keys, `-key` for descending."""

    ids: list[str] | None = None
    where: Where = None
    where_document: Where = None
    limit: U32 | None = None
    offset: U32 | None = None
    include: Columns = field(default_factory=lambda: ["documents", "metadatas"])
    order_by: list[str] | None = None


class QueryRecords(Struct):
    """Nearest neighbours. `exact`, `max_distance` and `explain` are Ochre's."""

    query_embeddings: list[list[float]]
    ids: list[str] | None = None
    n_results: U32 | None = None
    where: Where = None
    where_document: Where = None
    include: QueryColumns = field(default_factory=lambda: ["documents", "metadatas", "distances"])
    exact: bool = False
    max_distance: float | None = None
    explain: bool = False


class DeleteRecords(Struct):
    """Which records to delete; `limit` needs a filter. `erase`, which leaves no byte of them, is Ochre's."""

    ids: list[str] | None = None
    where: Where = None
    where_document: Where = None
    limit: U32 | None = None
    erase: bool = False


class CountRecords(Struct):
    """Which records to count. Ochre's."""

    where: Where = None
    where_document: Where = None


class ScanRecords(Struct):
    """The next records of a walk through a collection; `cursor` is what the last answer held. Ochre's."""

    where: Where = None
    where_document: Where = None
    batch_size: Annotated[int, Meta(ge=1, le=2**32 - 1)] = 1000
    include: Columns = field(default_factory=lambda: ["documents", "metadatas"])
    cursor: Annotated[list[int], Meta(min_length=2, max_length=2)] | None = None


# -- what clients receive ---------------------------------------------------------------------------------------


class Error(Struct):
    """What went wrong: `error` is Chroma's name for it, `code` Ochre's."""

    error: str
    message: str
    code: str = "internal"


class Empty(Struct):
    """Nothing to say."""


class Heartbeat(Struct):
    """The time in nanoseconds since the epoch."""

    nanosecond_heartbeat: int = field(name="nanosecond heartbeat")


class Health(Struct):
    """Whether the server can do its work."""

    is_executor_ready: bool
    is_log_client_ready: bool


class PreFlight(Struct):
    """What a client should know before it writes."""

    max_batch_size: int
    supports_base64_encoding: bool = True


class Identity(Struct):
    """Who asks, and where they may go; `*` is everywhere."""

    user_id: str
    tenant: str
    databases: list[str]


class Tenant(Struct):
    """A tenant."""

    name: str
    resource_name: str | None = None


class Database(Struct):
    """A database."""

    id: str
    name: str
    tenant: str


class Collection(Struct):
    """A collection. `settings` is Ochre's: all of its settings, as they are stored."""

    id: str
    name: str
    configuration_json: dict[str, Any]
    schema: dict[str, Any] | None
    metadata: dict[str, Any] | None
    dimension: int | None
    tenant: str
    database: str
    log_position: int
    version: int = 0
    settings: dict[str, Any] | None = None


class GetReply(Struct):
    """Columns of records; null for what was not asked for."""

    ids: list[str]
    embeddings: list[Vector] | None
    documents: list[str | None] | None
    uris: list[str | None] | None
    metadatas: list[dict[str, Any] | None] | None
    include: list[str]


class Explain(Struct):
    """How a query was answered. Ochre's."""

    plan: str
    reason: str
    records: int
    matches: int
    compared: int
    sequence: int
    seconds: dict[str, float]


class QueryReply(Struct):
    """Columns of records, one inner list a query, nearest first; a null distance is beyond float32."""

    ids: list[list[str]]
    embeddings: list[list[Vector]] | None
    documents: list[list[str | None]] | None
    uris: list[list[str | None]] | None
    metadatas: list[list[dict[str, Any] | None]] | None
    distances: list[list[float | None]] | None
    include: list[str]
    explain: Explain | None = None


class ScanReply(GetReply):
    """Columns of records, and where to go on; a null cursor is the end."""

    cursor: list[int] | None = None


class Deleted(Struct):
    """How many records there were to delete."""

    deleted: int


class IndexingStatus(Struct):
    """How far the vector index has come: vectors that were ever written."""

    op_indexing_progress: float
    num_unindexed_ops: int
    num_indexed_ops: int
    total_ops: int
