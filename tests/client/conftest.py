"""What the tests of the client share: an open client, a collection of ten records, and cheap embedding functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ochre
from ochre import ClientType, Collection, EmbeddingFunction, Settings
from ochre.embedding import registry


class Letters(EmbeddingFunction):
    """Embeds a text as (its length times `scale`, 1), and an array as (its sum times `scale`, 1)."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.seen: list[Any] = []

    def __call__(self, input: list[Any]) -> Any:
        self.seen.extend(input)
        return [[self.scale * (len(i) if isinstance(i, str) else float(np.sum(i))), 1.0] for i in input]

    @staticmethod
    def name() -> str:
        return "letters"

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        return Letters(**config)


class Words(Letters):
    """Another function: its name differs, it prefers cosine, and its configuration is fixed."""

    @staticmethod
    def name() -> str:
        return "words"

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        return Words(**config)

    def default_space(self) -> Any:
        return "cosine"

    def supported_spaces(self) -> Any:
        return ["cosine", "ip"]

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        if old_config != new_config:
            raise ValueError("the scale of words is fixed")


class Loader:
    """Loads a uri as a 2 x 2 array full of its length."""

    def __call__(self, uris: list[str | None]) -> list[Any]:
        return [None if uri is None else np.full((2, 2), len(uri)) for uri in uris]


def fill(collection: Collection, count: int = 10) -> None:
    """Add records: record n lies at (n, 0) and holds n in every column; every third has no document."""
    collection.add(
        ids=[f"id{n}" for n in range(count)],
        embeddings=[[n, 0] for n in range(count)],
        documents=[None if n % 3 == 2 else f"doc {n}" for n in range(count)],
        metadatas=[{"n": n, "even": n % 2 == 0, "half": n / 2, "name": f"n{n}"} for n in range(count)],
        uris=[f"file:{n}" for n in range(count)],
    )


def everything(collection: Collection) -> dict[str, Any]:
    """Return all that a collection holds, as plain values that compare."""
    found: dict[str, Any] = {**collection.get(include=["embeddings", "documents", "metadatas", "uris"])}
    return {**found, "embeddings": found["embeddings"].tolist()}


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the functions of one test out of the next one's registry."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture(scope="package")
def _opened() -> Iterator[ClientType]:
    with ochre.EphemeralClient(Settings(allow_reset=True)) as client:
        yield client


@pytest.fixture
def client(_opened: ClientType) -> ClientType:
    """Open and empty. It is the same one for all tests, which spares them the making of a folder: leave it open."""
    _opened.reset()
    _opened.set_tenant("default_tenant")
    return _opened


@pytest.fixture
def empty(client: ClientType) -> Collection:
    return client.create_collection("empty", embedding_function=None)


@pytest.fixture
def filled(client: ClientType) -> Collection:
    collection = client.create_collection("filled", embedding_function=None)
    fill(collection)
    return collection
