"""From replies to what clients expect: the server's side of answering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ochre.model import requests
from ochre.model.vectors import SparseVector
from ochre.wire import bodies
from ochre.wire.rows import to_json


def database(value: requests.Database) -> bodies.Database:
    """Show a database."""
    return bodies.Database(str(value.id), value.name, value.tenant)


def collection(info: requests.CollectionInfo) -> bodies.Collection:
    """Show a collection."""
    return bodies.Collection(
        id=str(info.id),
        name=info.name,
        configuration_json=info.configuration.to_public(),
        schema=info.schema.to_public(info.configuration),
        metadata=info.metadata,
        dimension=info.dimension,
        tenant=info.tenant,
        database=info.database,
        log_position=info.head,
        settings={"configuration": info.configuration.to_dict(), "schema": info.schema.to_dict()},
    )


def get_reply(batch: requests.RecordBatch, include: Sequence[str]) -> bodies.GetReply:
    """Show records."""
    return bodies.GetReply(
        batch.ids,
        None if batch.vectors is None else to_json(batch.vectors),
        batch.documents,
        batch.uris,
        _metadatas(batch.metadatas),
        list(include),
    )


def query_reply(reply: requests.QueryReply, include: Sequence[str]) -> bodies.QueryReply:
    """Show what a query found."""
    batches = reply.batches
    explanation = reply.explanation
    return bodies.QueryReply(
        ids=[batch.ids for batch in batches],
        embeddings=[to_json(_there(b.vectors)) for b in batches] if "embeddings" in include else None,
        documents=[_there(b.documents) for b in batches] if "documents" in include else None,
        uris=[_there(b.uris) for b in batches] if "uris" in include else None,
        metadatas=[_there(_metadatas(b.metadatas)) for b in batches] if "metadatas" in include else None,
        distances=[[*found] for found in reply.distances] if "distances" in include else None,
        include=list(include),
        explain=None if explanation is None else bodies.Explain(**asdict(explanation)),
    )


def scan_reply(reply: requests.ScanReply, include: Sequence[str]) -> bodies.ScanReply:
    """Show one step of a scan."""
    shown = get_reply(reply.batch, include)
    cursor = None if reply.cursor is None else [reply.cursor.after, reply.cursor.until]
    return bodies.ScanReply(
        shown.ids, shown.embeddings, shown.documents, shown.uris, shown.metadatas, shown.include, cursor
    )


def _metadatas(values: list[dict[str, Any] | None] | None) -> list[dict[str, Any] | None] | None:
    return None if values is None else [value and _metadata(value) for value in values]


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if not any(isinstance(item, SparseVector) for item in value.values()):
        return value
    return {key: item.to_dict() if isinstance(item, SparseVector) else item for key, item in value.items()}


def _there(column: Any) -> Any:
    assert column is not None  # it was asked for
    return column
