"""What is asked of both systems, in Chroma's words."""

from __future__ import annotations

from typing import Any

GETS: dict[str, dict[str, Any]] = {
    "get by id": {"ids": 1},
    "get by 100 ids": {"ids": 100},
    "get where, few match": {"where": {"$and": [{"lexname": "noun.animal"}, {"synonyms": {"$gte": 6}}]}},
    "get where, all of one lexname": {"where": {"lexname": "noun.feeling"}},
    "get page of 100 at 50,000": {"limit": 100, "offset": 50_000},
    "get $contains, rare": {"where_document": {"$contains": "zebra"}},
    "get $contains, common, first 10": {"where_document": {"$contains": "plant"}, "limit": 10},
    "get $regex, rare": {"where_document": {"$regex": "zeb.a"}},
}
"""Arguments of `get`; `ids` says how many random ids."""

QUERIES: dict[str, dict[str, Any] | None] = {
    "query": None,
    "query where 70 %": {"pos": "noun"},
    "query where 15 %": {"pos": "adj"},
    "query where 6 %": {"lexname": "noun.animal"},
    "query where 2 %": {"lexname": "noun.food"},
    "query where 0.1 %": {"$and": [{"lexname": "noun.animal"}, {"synonyms": {"$gte": 5}}]},
}
"""Filters of `query` (top 10, with documents, metadata and distances)."""


def matches(where: dict[str, Any] | None, metadata: dict[str, Any]) -> bool:
    """Tell whether one of the filters above holds."""
    if where is None:
        return True
    if "$and" in where:
        return all(matches(part, metadata) for part in where["$and"])
    ((key, condition),) = where.items()
    if isinstance(condition, dict):
        return bool(metadata[key] >= condition["$gte"])
    return bool(metadata[key] == condition)
