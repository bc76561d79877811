"""What is asked of all systems, in Chroma's words."""

from __future__ import annotations

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

QUERIES: dict[str, dict[str, Any]] = {
    "query": {},
    "query where 70 %": {"where": {"pos": "noun"}},
    "query where 50 %": {"where": {"length": {"$lt": 70.0}}},
    "query where 15 %": {"where": {"pos": "adj"}},
    "query where 6 %": {"where": {"lexname": "noun.animal"}},
    "query where 2 %": {"where": {"lexname": "noun.food"}},
    "query where 0.1 %": {"where": {"$and": [{"lexname": "noun.animal"}, {"synonyms": {"$gte": 5}}]}},
    "query where a range, $and": {"where": {"$and": [{"length": {"$gte": 40.0}}, {"length": {"$lt": 60.0}}]}},
    "query $contains, common phrase": {"where_document": {"$contains": "of the"}},
    "query $contains, rare": {"where_document": {"$contains": "zebra"}},
    "query $regex": {"where_document": {"$regex": "gen[ue]s of"}},
}
"""Filters of `query` (top 10, with documents, metadata and distances)."""

EFFORTS = (20, 50, 100, 200, 400)
"""Sizes of the candidate list (`ef_search`) to show latency against recall with."""

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)
"""Shares of records that a filter should match, to show latency against selectivity with."""


def matches(arguments: dict[str, Any], record: dict[str, Any]) -> bool:
    """Tell whether the filters of one of the cases above hold for a record."""
    if "where" in arguments and not _metadata_matches(arguments["where"], record["metadata"]):
        return False
    conditions = arguments.get("where_document", {}).items()
    return all(
        text in record["document"] if operator == "$contains" else re.search(text, record["document"]) is not None
        for operator, text in conditions
    )


def _metadata_matches(where: dict[str, Any], metadata: dict[str, Any]) -> bool:
    if "$and" in where:
        return all(_metadata_matches(part, metadata) for part in where["$and"])
    ((key, condition),) = where.items()
    if not isinstance(condition, dict):
        return bool(metadata[key] == condition)
    ((operator, value),) = condition.items()
    return bool(metadata[key] >= value if operator == "$gte" else metadata[key] < value)
