"""Many small collections in one folder."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.worker.measure import descriptors, memory, spread
from benchmarks.worker.stores import batches, open_store, queries

SIZE = 100
ASKED = 1000


def make(system: str, folder: str, data: str, collections: int, limit: float) -> dict[str, Any]:
    """Make collections of 100 records each, as many as the time allows."""
    store = open_store(system, folder)
    records, embeddings = next(batches(data))
    start = time.perf_counter()
    made = 0
    for number in range(collections):
        if time.perf_counter() - start > limit:
            break
        rows = [(number * SIZE + n) % len(records) for n in range(SIZE)]
        part = [records[row] for row in rows]
        store.create(f"things-{number}").add([f"id{n}" for n in range(SIZE)], embeddings[rows], part)
        made += 1
    seconds = time.perf_counter() - start
    return {"collections": made, "seconds": seconds, "descriptors": descriptors(), **memory()}


def use(system: str, folder: str, data: str) -> dict[str, Any]:
    """In a new process: open the folder, list its collections, then open a thousand of them and ask each once."""
    vectors = queries(data)
    start = time.perf_counter()
    store = open_store(system, folder)
    opened = time.perf_counter()
    names = store.names()
    listed = time.perf_counter()
    asked = []
    for name in random.Random(3).sample(names, min(ASKED, len(names))):
        begin = time.perf_counter()
        assert len(store.get(name).query(vectors[:1])[0]) == 10
        asked.append(time.perf_counter() - begin)
    return {
        "collections": len(names),
        "open_ms": (opened - start) * 1000,
        "list_ms": (listed - opened) * 1000,
        "query": spread(asked),
        "descriptors": descriptors(),
        **memory(),
    }
