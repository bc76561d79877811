"""Adding: all at once, one by one, while somebody asks, and with texts to embed."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

from benchmarks.cases import QUERIES
from benchmarks.worker.alike import AlikeStore
from benchmarks.worker.measure import memory, peak, spread, timed
from benchmarks.worker.stores import Things, batches, open_store, queries


def bulk(system: str, folder: str, data: str, limit: float) -> dict[str, Any]:
    """Add everything in batches of 5,000, wait for the indexes, ask, and tell the memory that took.

    `seconds` runs while `add` does and until all of it is counted; `indexed_seconds` until nothing waits to be indexed.
    """
    store = open_store(system, folder)
    before = memory()
    things = store.create()
    start = time.perf_counter()
    seconds, count, complete = 0.0, 0, True
    for records, embeddings in batches(data):
        if time.perf_counter() - start > limit:
            complete = False
            break
        begin = time.perf_counter()
        things.add([record["id"] for record in records], embeddings, records)
        seconds += time.perf_counter() - begin
        count += len(records)
    begin = time.perf_counter()
    assert things.count() == count
    seconds += time.perf_counter() - begin
    added = {"records": count, "complete": complete, "seconds": seconds}
    if not complete:
        return added
    things.finish()
    indexed = seconds + time.perf_counter() - begin
    _ask(things, data)
    return {**added, "indexed_seconds": indexed, "before": before, "after": memory(), "peak_mb": peak()}


def _ask(things: Things, data: str) -> None:
    vectors = queries(data)
    for number, filters in itertools.product(range(100), ({}, QUERIES["query where 6 %"])):
        things.query(vectors[number : number + 1], filters)


def single(system: str, folder: str, data: str) -> dict[str, Any]:
    """Add records one at a time to the loaded collection."""
    things = open_store(system, folder).get()
    records, embeddings = next(batches(data, 300))

    def one(number: int) -> None:
        row = number % len(records)
        things.add([f"single-{time.perf_counter_ns()}"], embeddings[row : row + 1], records[row : row + 1])

    return timed(one, 200, warm=20)


def busy(system: str, folder: str, data: str, limit: float) -> dict[str, Any]:
    """Ask while another thread adds all records once more to the loaded collection, under other ids."""
    store = open_store(system, folder)
    things, vectors = store.get(), queries(data)
    things.query(vectors[:1])
    added: dict[str, Any] = {"records": 0, "complete": False}
    adder = threading.Thread(target=_add_again, args=(store.get(), data, limit, added))
    adder.start()
    times = []
    for number in itertools.count():
        row = number % len(vectors)
        start = time.perf_counter()
        things.query(vectors[row : row + 1])
        times.append(time.perf_counter() - start)
        if not adder.is_alive():
            break
    adder.join()
    if "error" in added:
        raise added["error"]
    return {**spread(times), "worst": max(times) * 1000, **added}


def _add_again(things: Things, data: str, limit: float, added: dict[str, Any]) -> None:
    """Add until done or out of time; note how far it got, and what went wrong."""
    start = time.perf_counter()
    try:
        for records, embeddings in batches(data):
            if time.perf_counter() - start > limit:
                return
            things.add([f"again-{record['id']}" for record in records], embeddings, records)
            added["records"] += len(records)
            added["seconds"] = time.perf_counter() - start
        added["complete"] = True
    except Exception as error:  # noqa: BLE001  (told to the thread that waits)
        added["error"] = error


def model(system: str, folder: str, data: str, count: int) -> dict[str, Any]:
    """Add documents that the default embedding function embeds."""
    if system == "ochre":
        from ochre import DefaultEmbeddingFunction
    else:
        from chromadb.utils.embedding_functions import DefaultEmbeddingFunction
    collection = AlikeStore(system, folder).create("model", embedding_function=DefaultEmbeddingFunction()).raw
    documents = [record["document"] for record in next(batches(data, count + 64))[0]]
    collection.add(ids=[f"warm{n}" for n in range(64)], documents=documents[-64:])
    documents = documents[:-64]
    start = time.perf_counter()
    for first in range(0, len(documents), 1000):
        part = documents[first : first + 1000]
        collection.add(ids=[f"id{first + n}" for n in range(len(part))], documents=part)
    seconds = time.perf_counter() - start
    answer = collection.query(query_texts=["a large animal of the savannah"], n_results=3)
    return {"seconds": seconds, "records": len(documents), "answer": answer["ids"][0]}
