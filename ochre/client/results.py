"""The shapes of results, as Chroma's users know them: columns, aligned; one that was not asked for is None."""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

from ochre.model.vectors import Matrix


class GetResult(TypedDict):
    """What `get`, `peek` and `scan` return: entry i of every column belongs to record i.

    Keys:
        ids: the records' ids.
        embeddings: `(n, d)` float32.
        documents: text or None a record.
        uris: text or None a record.
        data: what the data loader made of each uri, None where there is none.
        metadatas: dict or None a record.
        included: the columns that were asked for, in that order.
    """

    ids: list[str]
    embeddings: Matrix | None
    documents: list[str | None] | None
    uris: list[str | None] | None
    data: list[Any] | None
    metadatas: list[dict[str, Any] | None] | None
    included: list[str]


class QueryResult(TypedDict):
    """What `query` returns: as `GetResult`, but every column is a list with one entry per query.

    Keys:
        distances: ascending, float32 values; lower is nearer.
        embeddings: a list of `(n, d)` float32 arrays.
    """

    ids: list[list[str]]
    embeddings: list[Matrix] | None
    documents: list[list[str | None]] | None
    uris: list[list[str | None]] | None
    data: list[list[Any]] | None
    metadatas: list[list[dict[str, Any] | None]] | None
    distances: list[list[float]] | None
    included: list[str]


class ExplainedQueryResult(QueryResult):
    """What `query(..., explain=True)` returns.

    Keys:
        explain: `plan`, `reason`, `records`, `matches`, `compared`, `sequence`, `seconds` (by stage).
    """

    explain: dict[str, Any]


class DeleteResult(TypedDict):
    """What `delete` returns: how many records there were to delete."""

    deleted: int


class Tenant(TypedDict):
    """A tenant: a group of databases."""

    name: str


class Database(TypedDict):
    """A database: a group of collections."""

    id: UUID
    name: str
    tenant: str
