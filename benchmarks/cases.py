"""What is asked of both systems, in Chroma's words."""

from __future__ import annotations

import operator
import re
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
    "query where two ranges": {"$and": [{"length": {"$gt": 40}}, {"length": {"$lt": 60}}]},
    "query $contains, common": {"where_document": {"$contains": "of the"}},
    "query $regex": {"where_document": {"$regex": "gen[ue]s of"}},
    "query where 0.1 %": {"$and": [{"lexname": "noun.animal"}, {"synonyms": {"$gte": 5}}]},
}
"""Filters of `query` (top 10, with documents, metadata and distances)."""


_COMPARE = {"$gte": operator.ge, "$gt": operator.gt, "$lt": operator.lt}


def matches(where: dict[str, Any] | None, record: dict[str, Any]) -> bool:
    """Tell whether one of the filters above holds."""
    if where is None:
        return True
    ((key, condition),) = where.items()
    if key == "where_document":
        ((kind, text),) = condition.items()
        return text in record["document"] if kind == "$contains" else re.search(text, record["document"]) is not None
    if key == "$and":
        return all(matches(part, record) for part in condition)
    if isinstance(condition, dict):
        ((name, bound),) = condition.items()
        return bool(_COMPARE[name](record["metadata"][key], bound))
    return bool(record["metadata"][key] == condition)
