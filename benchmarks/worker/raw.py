"""FAISS alone: a graph over the same vectors with the same settings, asked in this process one vector at a time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.cases import EFFORTS
from benchmarks.worker.measure import timed
from benchmarks.worker.stores import DIMENSION, EFFORT, batches, queries, vectors

NEIGHBOURS, EFFORT_OF_BUILD = 16, 100  # Chroma's defaults


def raw(system: str, data: str) -> dict[str, Any]:  # noqa: ARG001  (phases are called alike)
    """Build the graph on all cores; ask on one, as a query in a busy process would."""
    import faiss

    ids = [record["id"] for records, _ in batches(data) for record in records]
    index = faiss.IndexHNSWFlat(DIMENSION, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EFFORT_OF_BUILD
    start = time.perf_counter()
    embeddings = vectors(data)
    for first in range(0, len(embeddings), 50_000):
        index.add(_normalised(embeddings[first : first + 50_000]))
    built = time.perf_counter() - start
    faiss.omp_set_num_threads(1)
    asked = _normalised(queries(data))
    efforts = {}
    for effort in EFFORTS:
        index.hnsw.efSearch = effort
        efforts[str(effort)] = _ask(index, asked, ids)
    return {"build_seconds": built, "effort": efforts, "query": efforts[str(EFFORT)]["p50"]}


def _ask(index: Any, asked: Any, ids: list[str]) -> dict[str, Any]:
    answers: dict[int, list[str]] = {}

    def one(number: int) -> None:
        _, rows = index.search(asked[number : number + 1], 10)
        answers[number] = rows[0]

    times = timed(one, len(asked))
    return {**times, "found": {"query": [[ids[row] for row in answers[n] if row >= 0] for n in sorted(answers)]}}


def _normalised(rows: Any) -> Any:
    rows = np.array(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
