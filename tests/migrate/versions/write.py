"""Run by an environment with Chroma: write a folder with all that collections may hold, then end as told.

    python write.py FOLDER clean|killed PREFIX

PREFIX begins the names of its collections, so that several may write to one folder in turn.
"""

from __future__ import annotations

import os
import random
import sys

import chromadb

RELEASE = tuple(int(part) for part in chromadb.__version__.split(".")[:2])
DIMENSION = 6


def metadata_of(number: int) -> dict[str, object] | None:
    """Every kind of value, in every combination that numbers make."""
    if number % 7 == 0:
        return None
    values: dict[str, object] = {"n": number, "half": number / 2, "even": number % 2 == 0, "text": f"wörd {number}"}
    if RELEASE >= (1, 5) and number % 3 == 0:
        values |= {
            "tags": [f"a{number}", "b"],
            "ints": [number, 2],
            "floats": [0.5, number + 0.25],
            "bools": [True, False],
        }
    return values


def fill(collection: chromadb.Collection, count: int, step: int, rng: random.Random) -> None:
    """Add records in calls of `step`, some without document or metadata, then change some of them."""

    def vector() -> list[float]:
        return [rng.uniform(-3, 3) for _ in range(DIMENSION)]

    numbers = list(range(count))
    for start in range(0, count, step):
        for part in (
            [n for n in numbers[start : start + step] if n % 7 == 0],
            [n for n in numbers[start : start + step] if n % 7],
        ):
            if not part:
                continue
            collection.add(
                ids=[f"id-{n}" if n % 11 else f"ключ {n}" for n in part],
                embeddings=[vector() for _ in part],
                documents=[f"document {n}\n第{n}号" for n in part],
                metadatas=None if part[0] % 7 == 0 else [metadata_of(n) for n in part],
                uris=[f"file:///{n}" for n in part] if start % 2 == 0 else None,
            )
    ids = collection.get()["ids"]
    collection.update(ids=ids[2:12], embeddings=[vector() for _ in ids[2:12]])
    collection.update(ids=ids[5:9], metadatas=[{"n": -1, "new": "yes"}] * len(ids[5:9]))
    collection.update(ids=ids[7:10], documents=["changed"] * 3, embeddings=[vector() for _ in range(3)])
    collection.upsert(ids=[*ids[20:22], "fresh"], embeddings=[vector() for _ in range(3)], documents=["u", "v", "w"])
    collection.delete(ids=[*ids[30:34], ids[-1]])
    collection.add(ids=ids[31:32], embeddings=[vector()], documents=["again"])
    collection.add(ids=ids[40:41], embeddings=[vector()], documents=["of no effect"])
    collection.update(ids=["nobody"], embeddings=[vector()])
    collection.add(ids=["bare"], embeddings=[vector()])


def main(folder: str, end: str, prefix: str) -> None:
    """Write the folder."""
    rng = random.Random(5)
    client = chromadb.PersistentClient(folder)
    for space in ("l2", "cosine", "ip"):
        for count, step in ((60, 60), (990, 110), (1000, 250), (2345, 400)):
            metadata = {"hnsw:space": space, "owner": "ann", "count": count, "rate": 0.5}
            fill(client.create_collection(f"{prefix}{space}-{count}", metadata=metadata), count, step, rng)
    small = {"hnsw:space": "cosine", "hnsw:M": 5, "hnsw:batch_size": 10, "hnsw:sync_threshold": 25}
    fill(client.create_collection(f"{prefix}small-steps", metadata=small), 300, 30, rng)
    if RELEASE >= (1, 0):
        chosen = {"hnsw": {"space": "cosine", "max_neighbors": 9, "ef_search": 33, "sync_threshold": 50}}
        fill(
            client.create_collection(f"{prefix}configured", configuration=chosen, embedding_function=None), 400, 50, rng
        )
    client.create_collection(f"{prefix}empty")
    client.create_collection(f"{prefix}renamed").modify(name=f"{prefix}another-name", metadata={"a": 1})
    client.delete_collection(f"{prefix}l2-990")
    admin = chromadb.AdminClient(client._admin_client._system.settings) if RELEASE < (0, 5) else client._admin_client
    if prefix == "":
        admin.create_tenant("other tenant")
        admin.create_database("shelf", "other tenant")
    client.set_tenant("other tenant", "shelf")
    fill(client.create_collection(f"{prefix}l2-60"), 60, 20, rng)
    if end == "killed":
        os.kill(os.getpid(), 9)


if __name__ == "__main__":
    main(*sys.argv[1:])
