"""LanceDB, as its documentation advises for these cases.

The index with the best balance of recall and latency (`IVF_HNSW_SQ`, one partition), exact distances for what it finds
(`refine_factor`), and a scalar index for each column that is filtered by: sorted for ids and numbers, a bitmap for the
few values of `pos` and `lexname`, an FM index for substrings.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import Bitmap, BTree, Fm, HnswSq

from benchmarks.worker.stores import DIMENSION, EFFORT

COLUMNS = {
    "id": pa.string(),
    "document": pa.string(),
    "pos": pa.string(),
    "lexname": pa.string(),
    "lemma": pa.string(),
    "synonyms": pa.int64(),
    "relations": pa.int64(),
    "length": pa.float64(),
    "words": pa.list_(pa.string()),
}
SCHEMA = pa.schema([*COLUMNS.items(), ("vector", pa.list_(pa.float32(), DIMENSION))])
INDEXES = {
    "id": BTree(),
    "synonyms": BTree(),
    "length": BTree(),
    "pos": Bitmap(),
    "lexname": Bitmap(),
    "document": Fm(),
}
SIGNS = {"$gte": ">=", "$lt": "<"}
REFINE = 5  # times the wanted number of vectors that are compared exactly, if the candidate list is that long
ALL = 2**31 - 1


class LanceStore:
    """A folder of tables."""

    def __init__(self, folder: str, *, consistent: bool = False) -> None:
        """Open it; `consistent` reads look for others' commits each time, which they do not by themselves."""
        self._database = lancedb.connect(folder, read_consistency_interval=timedelta(0) if consistent else None)

    def create(self, name: str = "wordnet") -> LanceThings:
        """See `Store`."""
        return LanceThings(self._database.create_table(name, schema=SCHEMA))

    def get(self, name: str = "wordnet") -> LanceThings:
        """See `Store`."""
        return LanceThings(self._database.open_table(name))

    def names(self) -> list[str]:
        """See `Store`."""
        names: list[str] = []
        page = self._database.list_tables()
        names += page.tables
        while page.page_token:
            page = self._database.list_tables(page_token=page.page_token)
            names += page.tables
        return names


class LanceThings:
    """A table."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._effort = EFFORT

    def add(self, ids: list[str], embeddings: Any, records: list[dict[str, Any]] | None = None) -> None:
        """See `Things`."""
        rows = records or [{"document": None, "metadata": {}}] * len(ids)
        columns = [
            pa.array(ids),
            pa.array([row["document"] for row in rows], pa.string()),
            *(pa.array([row["metadata"].get(name) for row in rows], kind) for name, kind in list(COLUMNS.items())[2:]),
            pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), DIMENSION),
        ]
        self._table.add(pa.Table.from_arrays(columns, schema=SCHEMA))

    def finish(self) -> None:
        """Build the indexes, or bring them up to date; merge small files and forget old versions."""
        known = {index.columns[0] for index in self._table.list_indices()}
        if "vector" not in known:
            self._table.optimize(cleanup_older_than=timedelta(0))
            self._table.create_index("vector", config=HnswSq(distance_type="cosine", num_partitions=1))
            for column, index in INDEXES.items():
                self._table.create_index(column, config=index)
        self._table.optimize(cleanup_older_than=timedelta(0))

    def tune(self, effort: int) -> None:
        """See `Things`."""
        self._effort = effort

    def count(self) -> int:
        """See `Things`."""
        return int(self._table.count_rows())

    def get(self, arguments: dict[str, Any]) -> list[str]:
        """See `Things`."""
        search = self._table.search().select(list(COLUMNS)).limit(arguments.get("limit", ALL))
        condition = condition_of(arguments)
        if condition:
            search = search.where(condition)
        if "offset" in arguments:
            search = search.offset(arguments["offset"])
        return [row["id"] for row in search.to_list()]

    def query(self, vectors: Any, filters: dict[str, Any] | None = None) -> list[list[str]]:
        """See `Things`."""
        search = self._table.search(vectors[0] if len(vectors) == 1 else list(vectors), vector_column_name="vector")
        search = (
            search.distance_type("cosine").ef(self._effort).refine_factor(min(REFINE, self._effort // 10)).limit(10)
        )
        condition = condition_of(filters or {})
        if condition:
            search = search.where(condition, prefilter=True)
        rows = search.select([*COLUMNS, "_distance"]).to_list()
        if len(vectors) == 1:
            return [[row["id"] for row in rows]]
        found: list[list[str]] = [[] for _ in range(len(vectors))]
        for row in rows:
            found[row["query_index"]].append(row["id"])
        return found


def condition_of(arguments: dict[str, Any]) -> str:
    """Put `ids`, `where` and `where_document` of Chroma's calls into SQL."""
    parts = []
    if "ids" in arguments:
        parts.append(f"id IN ({', '.join(map(_literal, arguments['ids']))})")
    if "where" in arguments:
        parts.append(_metadata(arguments["where"]))
    for operator, text in arguments.get("where_document", {}).items():
        function = {"$contains": "contains", "$regex": "regexp_like"}[operator]
        parts.append(f"{function}(document, {_literal(text)})")
    return " AND ".join(parts)


def _metadata(where: dict[str, Any]) -> str:
    ((key, condition),) = where.items()
    if key == "$and":
        return " AND ".join(_metadata(part) for part in condition)
    if isinstance(condition, dict):
        return " AND ".join(f"{key} {SIGNS[sign]} {_literal(value)}" for sign, value in condition.items())
    return f"{key} = {_literal(condition)}"


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
