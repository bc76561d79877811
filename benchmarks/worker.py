"""One measurement of one system, in a process of its own; the result goes to standard output as JSON.

It is run as a plain file by the system's own Python, and uses nothing but NumPy, the standard library and the API that
both systems share.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 5000
DIMENSION = 384


def main() -> None:
    """Run the phase named on the command line: system, phase, then its arguments as JSON."""
    system, phase, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    print("RESULT " + json.dumps(PHASES[phase](system, **arguments)))


def open_client(system: str, folder: str) -> Any:
    """Import a system and open a folder with it."""
    if system == "ochre":
        import ochre

        return ochre.PersistentClient(folder)
    import chromadb

    return chromadb.PersistentClient(folder)


def new_collection(client: Any, name: str = "wordnet", **options: Any) -> Any:
    """Make a cosine collection that is given its embeddings."""
    options = {"embedding_function": None, **options}
    return client.create_collection(name, configuration={"hnsw": {"space": "cosine"}}, **options)


def batches(data: str, size: int = BATCH) -> Iterator[tuple[list[dict[str, Any]], Any]]:
    """Read records and embeddings piece by piece, as a lean loader does."""
    embeddings = np.load(Path(data) / "embeddings.npy", mmap_mode="r")
    with (Path(data) / "records.jsonl").open(encoding="utf-8") as lines:
        start = 0
        while part := [json.loads(line) for line in itertools.islice(lines, size)]:
            yield part, np.array(embeddings[start : start + len(part)])
            start += len(part)


def add(collection: Any, records: list[dict[str, Any]], embeddings: Any) -> None:
    """Add records with everything they have."""
    collection.add(
        ids=[record["id"] for record in records],
        embeddings=embeddings,
        documents=[record["document"] for record in records],
        metadatas=[record["metadata"] for record in records],
    )


def median(call: Callable[[int], Any], repeats: int, warm: int = 3) -> float:
    """Return the median wall time of a call, in milliseconds."""
    for number in range(warm):
        call(number)
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def memory() -> dict[str, float]:
    """Return resident, peak and anonymous memory of this process in megabytes, where the platform tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {}
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    names = {"rss_mb": "VmRSS", "peak_mb": "VmHWM", "anonymous_mb": "RssAnon"}
    return {name: int(fields[field].split()[0]) / 1024 for name, field in names.items()}


# -- phases -----------------------------------------------------------------------------------------------------


def bulk(system: str, folder: str, data: str) -> dict[str, Any]:
    """Add everything, in batches of 5,000. The clock runs while `add` does, and until all of it is counted."""
    client = open_client(system, folder)
    collection = new_collection(client)
    seconds, count = 0.0, 0
    for records, embeddings in batches(data):
        start = time.perf_counter()
        add(collection, records, embeddings)
        seconds += time.perf_counter() - start
        count += len(records)
    start = time.perf_counter()
    assert collection.count() == count
    seconds += time.perf_counter() - start
    measured = {"seconds": seconds, "records": count, **memory()}
    while system == "ochre" and collection.indexing_status().pending:
        time.sleep(0.05)
    return {**measured, "indexed_seconds": seconds + time.perf_counter() - start}


def cold(system: str, folder: str, data: str) -> dict[str, Any]:
    """Import, open, count and query in a new process; then a hundred queries, and the memory it takes."""
    query = np.load(Path(data) / "queries.npy")
    start = time.perf_counter()
    collection = open_client(system, folder).get_collection("wordnet")
    opened = time.perf_counter() - start
    collection.count()
    collection.query(query_embeddings=query[:1], n_results=10)
    answered = time.perf_counter() - start
    filtered = time.perf_counter()
    collection.query(query_embeddings=query[:1], n_results=10, where={"lexname": "noun.animal"})
    filtered = time.perf_counter() - filtered
    for number in range(100):
        collection.query(query_embeddings=query[number : number + 1], n_results=10)
    return {"open_ms": opened * 1000, "first_answer_ms": answered * 1000, "filtered_ms": filtered * 1000, **memory()}


def reads(system: str, folder: str, data: str, gets: dict[str, Any], queries: dict[str, Any]) -> dict[str, Any]:
    """Time reads, and return what the queries found."""
    collection = open_client(system, folder).get_collection("wordnet")
    ids = [record["id"] for records, _ in batches(data) for record in records]
    vectors = np.load(Path(data) / "queries.npy")
    choose = random.Random(1)
    times = {"count": median(lambda _: collection.count(), 500)}
    for name, arguments in gets.items():
        if "ids" in arguments:
            chosen = [choose.sample(ids, arguments["ids"]) for _ in range(100)]
            times[name] = median(lambda n, chosen=chosen: collection.get(ids=chosen[n % 100]), 100)  # type: ignore[misc]
        else:
            times[name] = median(lambda _, arguments=arguments: collection.get(**arguments), 20)  # type: ignore[misc]
    found = {}
    for name, where in queries.items():
        answers: dict[int, list[str]] = {}

        def ask(number: int, where: Any = where, answers: dict[int, list[str]] = answers) -> None:
            vector = vectors[number : number + 1]
            filters = where if where and "where_document" in where else {"where": where}
            answers[number] = collection.query(query_embeddings=vector, n_results=10, **filters)["ids"][0]

        times[name] = median(ask, len(vectors) if where is None else 100)
        found[name] = [answers[number] for number in sorted(answers)]
    times["100 queries in one call"] = median(
        lambda n: collection.query(query_embeddings=vectors[100 * (n % 3) : 100 * (n % 3) + 100], n_results=10), 9
    )
    return {"ms": times, "found": found}


def during(system: str, folder: str, data: str) -> dict[str, Any]:
    """Time queries while another thread adds everything."""
    collection = new_collection(open_client(system, folder))
    vectors = np.load(Path(data) / "queries.npy")
    parts = list(batches(data))
    add(collection, *parts[0])

    def load() -> None:
        for records, embeddings in parts[1:]:
            add(collection, records, embeddings)

    loader = threading.Thread(target=load)
    loader.start()
    times = []
    while loader.is_alive():
        start = time.perf_counter()
        number = len(times) % len(vectors)
        collection.query(query_embeddings=vectors[number : number + 1], n_results=10)
        times.append((time.perf_counter() - start) * 1000)
    return {"p50_ms": float(np.percentile(times, 50)), "p99_ms": float(np.percentile(times, 99))}


def single(system: str, folder: str, data: str) -> dict[str, Any]:
    """Add records one at a time to the loaded collection."""
    collection = open_client(system, folder).get_collection("wordnet")
    vectors = np.load(Path(data) / "queries.npy")

    def one(number: int) -> None:
        collection.add(
            ids=[f"single-{time.perf_counter_ns()}"],
            embeddings=vectors[number : number + 1],
            documents=["one more record"],
            metadatas=[{"pos": "noun", "length": 15.0}],
        )

    return {"ms": median(one, 200, warm=20)}


def model(system: str, folder: str, data: str, count: int) -> dict[str, Any]:
    """Add documents that the default embedding function embeds."""
    if system == "ochre":
        import ochre

        options: dict[str, Any] = {"embedding_function": ochre.DefaultEmbeddingFunction()}
    else:
        from chromadb.utils.embedding_functions import DefaultEmbeddingFunction

        options = {"embedding_function": DefaultEmbeddingFunction()}
    collection = new_collection(open_client(system, folder), "model", **options)
    documents = [record["document"] for records, _ in batches(data) for record in records][: count + 64]
    collection.add(ids=[f"warm{n}" for n in range(64)], documents=documents[count:])
    start = time.perf_counter()
    for first in range(0, count, 1000):
        part = documents[first : min(first + 1000, count)]
        collection.add(ids=[f"id{first + n}" for n in range(len(part))], documents=part)
    seconds = time.perf_counter() - start
    answer = collection.query(query_texts=["a large animal of the savannah"], n_results=3)
    return {"seconds": seconds, "records": count, "answer": answer["ids"][0]}


def processes(system: str, folder: str, data: str) -> dict[str, Any]:
    """Let four processes write 3,000 records each; then look for a sample of them by their own vectors."""
    new_collection(open_client(system, folder), "shared")
    commands = [
        [sys.executable, __file__, system, "writer", json.dumps({"folder": folder, "data": data, "start": start})]
        for start in range(0, 12_000, 3000)
    ]
    start = time.perf_counter()
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    failed = sum(writer.wait() != 0 for writer in writers)
    seconds = time.perf_counter() - start
    check = [sys.executable, __file__, system, "checker", json.dumps({"folder": folder, "data": data})]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    line = next((line for line in answer.stdout.splitlines() if line.startswith("RESULT ")), None)
    checked = json.loads(line.removeprefix("RESULT ")) if line else {"count": None, "missing": None}
    return {"seconds": seconds, "failed_writers": failed, **checked}


def writer(system: str, folder: str, data: str, start: int) -> dict[str, Any]:
    """Add 3,000 records in batches of 50."""
    collection = open_client(system, folder).get_collection("shared", embedding_function=None)
    embeddings = np.load(Path(data) / "embeddings.npy", mmap_mode="r")
    for first in range(start, start + 3000, 50):
        rows = [n % len(embeddings) for n in range(first, first + 50)]
        collection.add(ids=[f"id{n}" for n in range(first, first + 50)], embeddings=np.array(embeddings[rows]))
    return {}


def checker(system: str, folder: str, data: str) -> dict[str, Any]:
    """Count the shared records and ask for 200 of them."""
    collection = open_client(system, folder).get_collection("shared", embedding_function=None)
    embeddings = np.load(Path(data) / "embeddings.npy", mmap_mode="r")
    sample = random.Random(2).sample(range(min(12_000, len(embeddings))), 200)
    missing = sum(
        f"id{n}" not in collection.query(query_embeddings=np.array(embeddings[n : n + 1]), n_results=3)["ids"][0]
        for n in sample
    )
    return {"count": collection.count(), "missing": missing}


def kills(system: str, folder: str, data: str, times: int) -> dict[str, Any]:
    """Kill a writing process again and again; stop when the folder does not open or has lost what was acknowledged."""
    new_collection(open_client(system, folder), "shared")
    acknowledged = 0
    for number in range(times):
        arguments = json.dumps({"folder": folder, "data": data, "first": acknowledged})
        command = [sys.executable, __file__, system, "endless", arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        time.sleep(random.Random(number).uniform(0.2, 1.0))
        process.kill()
        rest = [int(text) for text in (line + process.stdout.read()).split() if text.isdigit()]
        process.wait()
        if not rest:
            return {"survived": number, "of": times, "why": "could not be opened or written"}
        acknowledged = max(rest)
        check = [sys.executable, __file__, system, "counter", json.dumps({"folder": folder, "data": data})]
        answer = subprocess.run(check, capture_output=True, text=True, check=False).stdout
        counts = [
            json.loads(text.removeprefix("RESULT ")) for text in answer.splitlines() if text.startswith("RESULT ")
        ]
        if not counts or counts[0]["count"] < acknowledged:
            return {"survived": number, "of": times, "why": "lost records" if counts else "could not be read"}
        acknowledged = max(acknowledged, counts[0]["count"])
    return {"survived": times, "of": times, "why": ""}


def endless(system: str, folder: str, data: str, first: int) -> dict[str, Any]:
    """Add records until killed, and say how far it got after each call."""
    collection = open_client(system, folder).get_collection("shared", embedding_function=None)
    embeddings = np.load(Path(data) / "embeddings.npy", mmap_mode="r")
    for start in itertools.count(first, 50):
        rows = [n % len(embeddings) for n in range(start, start + 50)]
        collection.add(ids=[f"id{n}" for n in range(start, start + 50)], embeddings=np.array(embeddings[rows]))
        print(start + 50, flush=True)
    return {}


def counter(system: str, folder: str, data: str) -> dict[str, Any]:  # noqa: ARG001  (phases are called alike)
    """Count, and answer one query."""
    collection = open_client(system, folder).get_collection("shared", embedding_function=None)
    collection.query(query_embeddings=np.ones((1, DIMENSION), np.float32), n_results=10)
    return {"count": collection.count()}


PHASES: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function
    for function in (bulk, cold, reads, during, single, model, processes, writer, checker, kills, endless, counter)
}

if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # Chroma's threads may linger
