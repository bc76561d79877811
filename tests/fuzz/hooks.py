"""Leads well-formed requests to things that exist: at a random place, nearly everything is 404 or 400."""

from __future__ import annotations

import itertools
import os
from typing import Any

import httpx
import schemathesis

_DATABASES = "/api/v2/tenants/default_tenant/databases"
_COLLECTIONS = f"{_DATABASES}/default_database/collections"
_SPARED = {"delete_collection"}
"""Operations that would take away what the others need; they keep their random paths."""

_FILTERS = itertools.cycle(
    [
        None,
        {"n": {"$gte": 1}},
        {"$and": [{"n": {"$ne": 1}}, {"$or": [{"tags": {"$contains": "x"}}, {"n": {"$in": [1.5]}}]}]},
        {"#document": {"$regex": "(?i)R.d"}},
    ]
)
_RECORDS = {
    "ids": ["a", "b", "c"],
    "embeddings": [[1, 0], [0, 1], [1, 1]],
    "documents": ["red", None, "blue"],
    "metadatas": [{"n": 1, "tags": ["x"]}, None, {"n": 1.5}],
}
_turn = itertools.count()
_client = httpx.Client(base_url=os.environ["FUZZ_URL"], headers={"Authorization": f"Bearer {os.environ['FUZZ_KEY']}"})


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Change a request that is well-formed: its path always, every second one's body as well."""
    name = case.operation.definition.raw.get("operationId")
    generation = getattr(case.meta, "generation", None)
    if name in _SPARED or generation is None or not generation.mode.is_positive:
        return
    made = _client.post(_COLLECTIONS, json={"name": "fuzzed", "get_or_create": True}).json()
    _client.post(f"{_COLLECTIONS}/{made['id']}/add", json=_RECORDS)
    there = {
        "tenant": "default_tenant",
        "database": "default_database",
        "collection": made["id"] if name == "update_collection" else "fuzzed",
        "collection_id": made["id"],
    }
    if name == "delete_database":
        there["database"] = "doomed"
        _client.post(_DATABASES, json={"name": "doomed"})
    case.path_parameters = {part: there.get(part, value) for part, value in (case.path_parameters or {}).items()}
    if isinstance(case.body, dict) and next(_turn) % 2:
        _make_fit(case.body)


def _make_fit(body: dict[str, Any]) -> None:
    """Give columns the length of the ids, vectors the collection's dimension, and filters a meaning."""
    if "embeddings" in body or "documents" in body:
        ids = [f"id{number}" for number in range(len(body.get("ids") or ()))]
        body["ids"], body["embeddings"] = ids, [[number, 0.5] for number in range(len(ids))]
        for column in {"documents", "uris", "metadatas"} & body.keys():
            body[column] = None
    if "query_embeddings" in body:
        body["query_embeddings"] = [[0.5, number] for number in range(len(body["query_embeddings"]))]
        body["ids"] = None
    if "where" in body:
        body["where"], body["where_document"] = next(_FILTERS), None
