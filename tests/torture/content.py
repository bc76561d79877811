"""What a database holds, in a form that can be compared; and small collections to hold something."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ochre.local.check import check
from ochre.local.engine import LocalEngine
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.requests import CreateCollection, GetRecords, WriteRecords
from ochre.settings import Settings

DIMENSION = 8
PLACE = ("default_tenant", "default_database")
EVERYTHING = frozenset({"documents", "metadatas", "embeddings", "uris"})

Content = dict[str, dict[str, str]]


def quiet(**options: Any) -> Settings:
    """Return settings of an engine that does nothing by itself."""
    return Settings(background_indexing=False, **options)


def create(engine: LocalEngine, name: str = "things") -> UUID:
    """Make a collection whose smallest contents are worth an index."""
    configuration = Configuration(Hnsw(space="l2", sync_threshold=2))
    return engine.create_collection(CreateCollection(*PLACE, name, None, configuration)).id


def vectors(numbers: range | list[int], version: int = 0) -> Any:
    """Return the vectors of some records: nobody else's are alike."""
    return np.stack([np.random.default_rng([n, version]).standard_normal(DIMENSION) for n in numbers]).astype(
        np.float32
    )


def write(engine: LocalEngine, collection: UUID, kind: Any, numbers: range | list[int], version: int = 0) -> None:
    """Add, update or upsert records; each tells its number and version in all its parts."""
    ids = [f"id{n}" for n in numbers]
    documents = [f"document {n} of version {version} " + "words " * (n % 50) for n in numbers]
    metadatas = [{"n": n, "version": version} for n in numbers]
    engine.write(WriteRecords(collection, kind, ids, vectors(numbers, version), documents, metadatas))


def content(engine: LocalEngine) -> Content:
    """Return every collection's records: by id, a digest of all there is of it."""
    found: Content = {}
    for info in engine.list_collections(*PLACE):
        batch = engine.get(GetRecords(info.id, include=EVERYTHING))
        assert batch.documents is not None
        assert batch.metadatas is not None
        found[info.name] = {
            id_: hashlib.sha256(
                repr((batch.documents[n], batch.metadatas[n])).encode()
                + (b"" if batch.vectors is None else batch.vectors[n].tobytes())
            ).hexdigest()
            for n, id_ in enumerate(batch.ids)
        }
        assert engine.get_collection(info.name, *PLACE).id == info.id
    return found


def of_folder(folder: Path) -> Content:
    """Open a folder as anybody would, and return what it holds; a check must find nothing wrong with it."""
    engine = LocalEngine.open(folder, quiet())
    try:
        found = content(engine)
    finally:
        engine.close()
    report = check(folder)
    assert report.whole, report.findings[:3]
    return found
