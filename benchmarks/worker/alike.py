"""Ochre and Chroma: one code for both, since both have Chroma's API."""

from __future__ import annotations

import importlib
import time
from typing import Any


class AlikeStore:
    """A folder opened by a package that has Chroma's API."""

    def __init__(self, system: str, folder: str) -> None:
        package = importlib.import_module("chromadb" if system == "chroma" else system)
        self.client: Any = package.PersistentClient(folder)

    def create(self, name: str = "wordnet", **options: Any) -> AlikeThings:
        """See `Store`; `options` go to the client."""
        options = {"embedding_function": None, **options}
        return AlikeThings(self.client.create_collection(name, configuration={"hnsw": {"space": "cosine"}}, **options))

    def get(self, name: str = "wordnet") -> AlikeThings:
        """See `Store`."""
        return AlikeThings(self.client.get_collection(name, embedding_function=None))

    def names(self) -> list[str]:
        """See `Store`."""
        return [collection.name for collection in self.client.list_collections()]


class AlikeThings:
    """A collection; `raw` is the package's own."""

    def __init__(self, collection: Any) -> None:
        self.raw = collection

    def add(self, ids: list[str], embeddings: Any, records: list[dict[str, Any]] | None = None) -> None:
        """See `Things`."""
        parts = {}
        if records is not None:
            parts["documents"] = [record["document"] for record in records]
            parts["metadatas"] = [record["metadata"] for record in records]
        self.raw.add(ids=ids, embeddings=embeddings, **parts)

    def finish(self) -> None:
        """Wait for Ochre's background build. Chroma indexes inside `add`, and has no status for folders."""
        status = getattr(self.raw, "indexing_status", None)
        while status is not None and status().pending:
            time.sleep(0.05)

    def tune(self, effort: int) -> None:
        """See `Things`. Chroma looks at it when a process asks its first query."""
        self.raw.modify(configuration={"hnsw": {"ef_search": effort}})

    def count(self) -> int:
        """See `Things`."""
        return int(self.raw.count())

    def get(self, arguments: dict[str, Any]) -> list[str]:
        """See `Things`."""
        ids: list[str] = self.raw.get(**arguments)["ids"]
        return ids

    def query(self, vectors: Any, filters: dict[str, Any] | None = None) -> list[list[str]]:
        """See `Things`."""
        ids: list[list[str]] = self.raw.query(query_embeddings=vectors, n_results=10, **(filters or {}))["ids"]
        return ids
