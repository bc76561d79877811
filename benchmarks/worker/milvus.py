"""Milvus Lite: a folder with one collection of ids, documents and vectors; each insert is flushed before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymilvus import DataType, MilvusClient

from benchmarks.worker.stores import DIMENSION


class MilvusStore:
    """A folder, which one process at a time may open."""

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._client = MilvusClient(f"{folder}/milvus.db")

    def create(self, name: str = "wordnet") -> MilvusThings:
        """See `Store`."""
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        self._client.create_collection(name, schema=schema, index_params=index)
        return MilvusThings(self._client, name)

    def get(self, name: str = "wordnet") -> MilvusThings:
        """See `Store`."""
        self._client.load_collection(name)
        return MilvusThings(self._client, name)

    def names(self) -> list[str]:
        """See `Store`."""
        return list(self._client.list_collections())


class MilvusThings:
    """A collection."""

    def __init__(self, client: MilvusClient, name: str) -> None:
        self._client = client
        self._name = name

    def add(self, ids: list[str], embeddings: Any, records: list[dict[str, Any]] | None = None) -> None:
        """See `Things`; ids and vectors alone."""
        assert records is None
        rows = [{"id": id_, "vector": row.tolist()} for id_, row in zip(ids, embeddings, strict=True)]
        self._client.insert(self._name, rows)
        self._client.flush(self._name)

    def finish(self) -> None:
        """Return: there is no index to wait for."""

    def tune(self, effort: int) -> None:
        """Ignore it: all vectors are compared."""

    def count(self) -> int:
        """See `Things`."""
        return int(self._client.query(self._name, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def get(self, arguments: dict[str, Any]) -> list[str]:
        """See `Things`; by ids alone."""
        return [row["id"] for row in self._client.get(self._name, ids=arguments["ids"], output_fields=["id"])]

    def query(self, vectors: Any, filters: dict[str, Any] | None = None) -> list[list[str]]:
        """See `Things`."""
        assert not filters
        found = self._client.search(self._name, data=[row.tolist() for row in vectors], limit=10)
        return [[hit["id"] for hit in hits] for hits in found]
