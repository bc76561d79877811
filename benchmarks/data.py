"""The WordNet records: read once, shuffled with a fixed seed, and handed to both systems as the same files."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20_26


@dataclass(frozen=True)
class Data:
    """Records and queries, aligned: `embeddings` (n, d) and `queries` (q, d) float32."""

    records: list[dict[str, Any]]
    embeddings: NDArray[np.float32]
    queries: NDArray[np.float32]


def load(folder: Path, count: int | None) -> Data:
    """Read and shuffle the records; keep the first `count` of them."""
    with gzip.open(folder / "wordnet.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    order = np.random.default_rng(SEED).permutation(len(records))[:count]
    embeddings = np.load(folder / "wordnet-embeddings.f16.npy")[order].astype(np.float32)
    queries = np.load(folder / "wordnet-queries.f16.npy").astype(np.float32)
    queries = queries[np.random.default_rng(SEED).permutation(len(queries))[:500]]
    return Data([records[index] for index in order], embeddings, queries)


def store(data: Data, folder: Path) -> None:
    """Write what the workers read: a line of JSON a record, and plain arrays they can map."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in data.records)
    np.save(folder / "embeddings.npy", data.embeddings)
    np.save(folder / "queries.npy", data.queries)


def true_neighbours(data: Data, rows: NDArray[np.int64], count: int) -> list[list[str]]:
    """Return the ids of the `count` nearest of `rows` for each query, by cosine, by brute force in float64."""
    vectors = data.embeddings[rows].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for start in range(0, len(data.queries), 50):
        scores = data.queries[start : start + 50].astype(np.float64) @ vectors.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        found += [[data.records[rows[index]]["id"] for index in row] for row in best]
    return found
