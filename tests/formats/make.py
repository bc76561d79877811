"""Makes the stored example of the present format: `python -m tests.formats.make`, once per format version.

An example stays as the release that introduced its format wrote it: it is never made anew for a version that has one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ochre.engine import Engine
from ochre.local.arena import HEADER_BYTES, arena_path
from ochre.local.engine import LocalEngine
from ochre.local.schema import FORMAT_VERSION
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.filters import parse_filters
from ochre.model.requests import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    CreateCollection,
    DeleteRecords,
    GetRecords,
    QueryRecords,
    WriteRecords,
)
from ochre.model.vectors import SparseVector
from ochre.testing.oracle import Oracle

HERE = Path(__file__).parent
DATABASES = ((DEFAULT_TENANT, DEFAULT_DATABASE), ("acme", "stock"))
EVERYTHING = frozenset({"documents", "embeddings", "metadatas", "uris"})
QUESTIONS: tuple[tuple[Any, Any], ...] = (
    ({"n": {"$gte": 2}}, None),
    ({"tags": {"$contains": "red"}}, None),
    ({"ключ": {"$ne": "значение"}}, None),
    (None, {"$contains": "日本"}),
    (None, {"$regex": "^line"}),
)
METADATAS: list[Any] = [
    {"n": 1, "x": 1.0, "yes": True, "s": "text", "ключ": "значение"},
    {"n": 2**63 - 1, "x": 1e300, "yes": False, "s": "", "nul\0": "nul\0"},
    None,
    {"tags": ["red", "green", "red"], "ns": [1, 2], "xs": [0.5, -0.0], "flags": [True, False]},
    {"sparse": SparseVector([1, 5], [0.5, 2.0], ["one", "five"]), "n": -(2**63)},
]
DOCUMENTS = ["plain", "日本語 text", None, "", "line one\nline two \0 end"]
URIS = ["file:///a.png", None, "", "urn:ünïcode", None]


def fill(engine: Engine) -> None:
    """Write the example: every kind of value, and records that were updated, deleted and added again."""
    engine.create_tenant("acme")
    engine.create_database("stock", "acme")
    for tenant, database in DATABASES:
        for space in ("l2", "cosine", "ip"):
            envelope = {"type": "known", "name": "default", "config": {"a": [1, None]}} if space == "l2" else None
            configuration = Configuration(Hnsw(space=space, ef_search=77), envelope)
            metadata = {"space": space, "ratio": 0.5, "count": 3, "on": True}
            collection = engine.create_collection(
                CreateCollection(tenant, database, f"{space}-things", metadata, configuration)
            ).id
            vectors = np.array([[1, 0, 0], [0, -2.5, 0], [1e-45, 3e38, -0.0], [0, 0, 0], [0.1, 0.2, 0.3]], np.float32)
            engine.write(WriteRecords(collection, "add", list("abcde"), vectors, DOCUMENTS, METADATAS, URIS))
            engine.write(
                WriteRecords(collection, "update", ["b", "d"], vectors[3:], ["new", None], [{"x": None}, None])
            )
            engine.delete(DeleteRecords(collection, ids=["a", "c"]))
            engine.write(WriteRecords(collection, "upsert", ["ид", "a", "e"], vectors[:3]))
        engine.create_collection(CreateCollection(tenant, database, "empty", None, Configuration()))


def describe(engine: Engine) -> dict[str, Any]:
    """Return all that can be read, as JSON has it."""
    return {
        f"{tenant}/{database}/{info.name}": {
            "metadata": info.metadata,
            "configuration": info.configuration.to_dict(),
            "dimension": info.dimension,
            "records": _columns(engine.get(GetRecords(info.id, include=EVERYTHING))),
            "answers": [engine.get(GetRecords(info.id, filter=parse_filters(*asked))).ids for asked in QUESTIONS],
            "nearest": _nearest(engine, info.id),
        }
        for tenant, database in DATABASES
        for info in engine.list_collections(tenant, database)
    }


def _columns(batch: Any) -> dict[str, Any]:
    metadatas = [
        metadata and {k: v.to_dict() if isinstance(v, SparseVector) else v for k, v in sorted(metadata.items())}
        for metadata in batch.metadatas
    ]
    vectors = batch.vectors.tolist()
    return {
        "ids": batch.ids,
        "vectors": vectors,
        "documents": batch.documents,
        "metadatas": metadatas,
        "uris": batch.uris,
    }


def _nearest(engine: Engine, collection: Any) -> list[str]:
    query = np.array([[0.1, 0.1, 0.2]], np.float32)
    return engine.query(QueryRecords(collection, query, n_results=2)).batches[0].ids


def make(folder: Path) -> None:
    """Write the example and what is expected of it; what is expected comes from the oracle."""
    engine, oracle = LocalEngine.open(folder), Oracle()
    fill(engine)
    fill(oracle)
    with engine._file.read() as session:
        rows = session.execute("SELECT arena, dimension, next_slot FROM collections WHERE next_slot > 0").fetchall()
    engine.close()  # folds the write-ahead log into the file
    for arena, dimension, slots in rows:
        with arena_path(folder, arena).open("r+b") as file:
            file.truncate(HEADER_BYTES + slots * dimension * 4)  # without the room to grow
    text = json.dumps(describe(oracle), ensure_ascii=False, indent=1)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    target = HERE / f"v{FORMAT_VERSION}"
    if target.exists():
        sys.exit(f"{target.name} is there already: an example is made once")
    make(target)
