"""From replies to the dicts that Chroma's users know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ochre.client.normalize import Include
from ochre.client.results import Database, ExplainedQueryResult, GetResult, QueryResult
from ochre.model import requests
from ochre.model.requests import QueryReply, RecordBatch

Load = Callable[[list[str | None]], list[Any]]
"""Loads the data behind uris; None stays None."""


def get_result(batch: RecordBatch, include: Include, load: Load | None) -> GetResult:
    """Shape the reply of a get."""
    return {
        "ids": batch.ids,
        "embeddings": batch.vectors,
        "documents": batch.documents,
        "uris": batch.uris if "uris" in include.names else None,
        "included": list(include.names),
        "data": load(batch.uris) if load and batch.uris is not None else None,
        "metadatas": batch.metadatas,
    }


def query_result(reply: QueryReply, include: Include, load: Load | None) -> QueryResult:
    """Shape the reply of a query; with an explanation it is an `ExplainedQueryResult`."""
    batches, names = reply.batches, include.names
    result: QueryResult = {
        "ids": [batch.ids for batch in batches],
        "embeddings": [_there(batch.vectors) for batch in batches] if "embeddings" in names else None,
        "documents": [_there(batch.documents) for batch in batches] if "documents" in names else None,
        "uris": [_there(batch.uris) for batch in batches] if "uris" in names else None,
        "included": list(names),
        "data": [load(_there(batch.uris)) for batch in batches] if load else None,
        "metadatas": [_there(batch.metadatas) for batch in batches] if "metadatas" in names else None,
        "distances": reply.distances if "distances" in names else None,
    }
    if reply.explanation is None:
        return result
    explained: ExplainedQueryResult = {**result, "explain": asdict(reply.explanation)}
    return explained


def database(found: requests.Database) -> Database:
    """Shape a database."""
    return {"id": found.id, "name": found.name, "tenant": found.tenant}


def _there(column: Any) -> Any:
    assert column is not None  # it was asked for
    return column
