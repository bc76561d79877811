"""What the tests of the embedded engine share: an open engine, a collection in it, and other processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ochre.local import archive, catalog, log, segments
from ochre.local.engine import LocalEngine
from ochre.local.index import trigrams
from ochre.local.segments import Segment
from ochre.local.state import CollectionState
from ochre.model.configuration import Configuration, Hnsw
from ochre.model.requests import CreateCollection, WriteRecords

DIMENSION = 8

Script = Callable[..., "subprocess.Popen[str]"]


def make_collection(engine: LocalEngine, name: str = "things", space: str = "l2") -> UUID:
    request = CreateCollection("default_tenant", "default_database", name, None, Configuration(Hnsw(space=space)))
    return engine.create_collection(request).id


def vectors_of(numbers: range | list[int]) -> np.ndarray:
    """The vector of record n holds n in every place: whoever reads one back knows whose it is."""
    return np.repeat(np.array(numbers, np.float32)[:, np.newaxis], DIMENSION, axis=1)


def add(engine: LocalEngine, collection: UUID, numbers: range | list[int], kind: str = "add") -> None:
    ids = [f"id{n}" for n in numbers]
    documents = [f"document {n}" for n in numbers]
    metadatas = [{"n": n, "even": n % 2 == 0} for n in numbers]
    engine.write(WriteRecords(collection, kind, ids, vectors_of(numbers), documents, metadatas))


def text_index(engine: LocalEngine, collection: UUID, part_bytes: int = 200) -> tuple[archive.Arrays, int]:
    """Index the documents of a collection as they are; return the arrays and the change they reflect."""
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
        documents = log.documents(session, row, log.slots(session, row, None)[0])
        return trigrams.packed(trigrams.build(documents, part_bytes)), row.info.head


def publish_text(engine: LocalEngine, collection: UUID, arrays: archive.Arrays, sequence: int) -> Path:
    return publish(engine, collection, "text", arrays, {}, sequence)


def checkpoint_of(engine: LocalEngine, collection: UUID) -> tuple[archive.Arrays, dict[str, Any], int]:
    """Return arrays and the rest of a checkpoint of a collection as it is, and the change it reflects."""
    with engine._file.read() as session:
        row = catalog.get_collection(session, collection)
        return *CollectionState(engine._folder, row).checkpoint(session, row), row.info.head


def publish_checkpoint(engine: LocalEngine, collection: UUID) -> Path:
    return publish(engine, collection, "checkpoint", *checkpoint_of(engine, collection))


def publish(
    engine: LocalEngine, collection: UUID, kind: str, arrays: archive.Arrays, meta: dict[str, Any], sequence: int
) -> Path:
    with engine._file.write() as session:
        row = catalog.get_collection(session, collection)
        path = segments.folder_of(engine._folder, collection) / segments.fresh_name(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = archive.write(path, kind, arrays, meta, sync=False)
        segments.publish(session, row, Segment(kind, path.name, sequence, row.next_slot, digest))
    return path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine.open(tmp_path / "db")
    yield engine
    engine.close()


@pytest.fixture
def collection(engine: LocalEngine) -> UUID:
    return make_collection(engine)


@pytest.fixture
def closed(tmp_path: Path) -> tuple[Path, UUID]:
    """The folder of an engine that was closed, and the collection of 300 records in it."""
    engine = LocalEngine.open(tmp_path / "db")
    collection = make_collection(engine)
    add(engine, collection, range(300))
    engine.close()
    return tmp_path / "db", collection


@pytest.fixture
def run_script() -> Iterator[Script]:
    """Start Python scripts as other processes; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(source: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", source, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
