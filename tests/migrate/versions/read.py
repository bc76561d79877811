"""Run by an environment with Chroma: write down, as JSON, all that it answers about a folder.

python read.py FOLDER ANSWERS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import chromadb

PLACES = [("default_tenant", "default_database"), ("other tenant", "shelf")]


def settings_of(collection: Any) -> dict[str, Any]:
    """The settings of the index, as far as this release of Chroma tells."""
    configuration = getattr(collection, "configuration_json", None) or {}
    legacy = (collection.metadata or {}).get("hnsw:space")
    return configuration.get("hnsw") or ({} if legacy is None else {"space": legacy})


def nearest(collection: Any, vectors: Any) -> dict[str, Any] | None:
    """What is nearest to the first vector: distances tell which space is in use, whatever the settings say."""
    if not len(vectors):
        return None
    query = [float(number) for number in vectors[0]]
    found = collection.query(query_embeddings=[query], n_results=5, include=["distances"])
    return {"query": query, "ids": found["ids"][0], "distances": [float(far) for far in found["distances"][0]]}


def main(folder: str, answers: str) -> None:
    """Read everything."""
    client = chromadb.PersistentClient(folder)
    told = []
    for tenant, database in PLACES:
        client.set_tenant(tenant, database)
        for entry in client.list_collections():
            name = entry if isinstance(entry, str) else entry.name
            collection = client.get_collection(name, embedding_function=None)
            found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
            vectors = [] if found["embeddings"] is None else found["embeddings"]
            told.append(
                {
                    "place": [tenant, database, name],
                    "id": str(collection.id),
                    "metadata": collection.metadata,
                    "settings": settings_of(collection),
                    "nearest": nearest(collection, vectors),
                    "ids": found["ids"],
                    "embeddings": [[float(number) for number in vector] for vector in vectors],
                    **{column: found[column] for column in ("documents", "metadatas", "uris")},
                }
            )
    Path(answers).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
