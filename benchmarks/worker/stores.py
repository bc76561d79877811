"""The few calls that every phase is made of, for each system."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BATCH = 5000
DIMENSION = 384
EFFORT = 100
"""Size of the candidate list of a graph search (`ef_search`): Chroma's default, and everybody's here."""


class Things(Protocol):
    """One collection."""

    def add(self, ids: list[str], embeddings: Any, records: list[dict[str, Any]] | None = None) -> None:
        """Add records, with the documents and metadata of `records`."""

    def finish(self) -> None:
        """Return once all records are in the indexes."""

    def tune(self, effort: int) -> None:
        """Search with a candidate list of this size from now on."""

    def count(self) -> int:
        """Count the records."""

    def get(self, arguments: dict[str, Any]) -> list[str]:
        """Return the ids of the records that Chroma's `get` returns, after fetching documents and metadata too."""

    def query(self, vectors: Any, filters: dict[str, Any] | None = None) -> list[list[str]]:
        """Return the ids of the ten nearest, after fetching documents, metadata and distances too."""


class Store(Protocol):
    """An opened folder."""

    def create(self, name: str = "wordnet") -> Things:
        """Make a collection by cosine that is given its embeddings."""

    def get(self, name: str = "wordnet") -> Things:
        """Open a collection."""

    def names(self) -> list[str]:
        """List all collections."""


def open_store(system: str, folder: str, *, consistent: bool = False) -> Store:
    """Import a system and open a folder with it; `consistent` where other processes' writes must be seen at once."""
    if system == "lancedb":
        from benchmarks.worker.lance import LanceStore

        return LanceStore(folder, consistent=consistent)
    if system == "milvus":
        from benchmarks.worker.milvus import MilvusStore

        return MilvusStore(folder)
    from benchmarks.worker.alike import AlikeStore

    return AlikeStore(system, folder)


def batches(data: str, size: int = BATCH) -> Iterator[tuple[list[dict[str, Any]], Any]]:
    """Read records and embeddings piece by piece, as a lean loader does."""
    embeddings = vectors(data)
    with (Path(data) / "records.jsonl").open(encoding="utf-8") as lines:
        start = 0
        while part := [json.loads(line) for line in itertools.islice(lines, size)]:
            yield part, np.array(embeddings[start : start + len(part)])
            start += len(part)


def vectors(data: str) -> Any:
    """Map the embeddings, `(n, d)`."""
    return np.load(Path(data) / "embeddings.npy", mmap_mode="r")


def queries(data: str) -> Any:
    """Read the vectors to ask with, `(q, d)`."""
    return np.load(Path(data) / "queries.npy")
