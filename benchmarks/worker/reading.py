"""Reading a loaded folder: in a new process, each case, with more and less effort, under narrow and wide filters."""

from __future__ import annotations

import importlib
import random
import time
from typing import Any

from benchmarks.cases import GETS, QUERIES
from benchmarks.worker.alike import AlikeStore
from benchmarks.worker.measure import memory, timed
from benchmarks.worker.stores import Things, batches, open_store, queries


def cold(system: str, folder: str, data: str) -> dict[str, Any]:
    """Import, open and ask once, ask once with a filter; and the memory of that, in a new process."""
    vectors = queries(data)
    start = time.perf_counter()
    importlib.import_module("chromadb" if system == "chroma" else system)
    imported = time.perf_counter()
    things = open_store(system, folder).get()
    things.query(vectors[:1])
    asked = time.perf_counter()
    things.query(vectors[1:2], QUERIES["query where 6 %"])
    filtered = time.perf_counter()
    return {
        "import_ms": (imported - start) * 1000,
        "first_query_ms": (asked - imported) * 1000,
        "first_filtered_ms": (filtered - asked) * 1000,
        "together_ms": (filtered - start) * 1000,
        **memory(),
    }


def reads(system: str, folder: str, data: str) -> dict[str, Any]:
    """Time every case, and return what the queries found and how many records each `get` returned."""
    things = open_store(system, folder).get()
    ids = [record["id"] for records, _ in batches(data) for record in records]
    times = {"count": timed(lambda _: things.count(), 500)}
    rows = {}
    for name, arguments in GETS.items():
        times[name], rows[name] = _get(things, arguments, ids)
    vectors = queries(data)
    found = {}
    for name, filters in QUERIES.items():
        times[name], found[name] = ask(things, vectors, filters)
    times["100 queries in one call"] = timed(lambda _: things.query(vectors[:100]), 20)
    return {"times": times, "rows": rows, "found": found}


def _get(things: Things, arguments: dict[str, Any], ids: list[str]) -> tuple[dict[str, float], int]:
    choose = random.Random(1)
    asked = [
        {"ids": choose.sample(ids, min(arguments["ids"], len(ids)))} if "ids" in arguments else arguments
        for _ in range(100)
    ]
    times = timed(lambda number: things.get(asked[number]), 100 if "ids" in arguments else 50)
    return times, len(things.get(asked[0]))


def ask(things: Things, vectors: Any, filters: dict[str, Any]) -> tuple[dict[str, float], list[list[str]]]:
    """Ask with one vector after another; returns the times and what was found, in order, as far as the time went."""
    answers: dict[int, list[str]] = {}

    def one(number: int) -> None:
        answers[number] = things.query(vectors[number : number + 1], filters)[0]

    times = timed(one, len(vectors))
    return times, [answers[number] for number in sorted(answers)]


def effort(system: str, folder: str, data: str, effort: int) -> dict[str, Any]:
    """Ask with a candidate list of some size."""
    things = open_store(system, folder).get()
    things.tune(effort)
    times, found = ask(things, queries(data), {})
    return {**times, "found": {"query": found}}


def selectivity(system: str, folder: str, data: str, filters: dict[str, Any]) -> dict[str, Any]:
    """Ask under filters that match more and more."""
    things, vectors = open_store(system, folder).get(), queries(data)[:100]
    asked = {name: ask(things, vectors, arguments) for name, arguments in filters.items()}
    return {
        "times": {name: times for name, (times, _) in asked.items()},
        "found": {name: found for name, (_, found) in asked.items()},
    }


def profile(system: str, folder: str, data: str) -> dict[str, Any]:
    """Return where the time of Ochre's queries goes: each stage's median in milliseconds, and the plan."""
    collection, vectors = AlikeStore(system, folder).get().raw, queries(data)
    profiles = {}
    for name, filters in QUERIES.items():
        explained: list[dict[str, Any]] = []

        def one(number: int, filters: Any = filters, explained: list[dict[str, Any]] = explained) -> None:
            vector = vectors[number : number + 1]
            explained.append(
                collection.query(query_embeddings=vector, n_results=10, explain=True, **filters)["explain"]
            )

        total = timed(one, 200)["p50"]
        last = explained[-1]
        stages = {
            stage: sorted(each["seconds"].get(stage, 0.0) for each in explained)[len(explained) // 2] * 1000
            for stage in last["seconds"]
        }
        profiles[name] = {"plan": last["plan"], "matches": last["matches"], "total": total, "stages": stages}
    return profiles
