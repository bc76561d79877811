"""A collection's settings: how distance is measured and how its graph is built and searched.

Three doors lead here: the `configuration` argument, the legacy `hnsw:*` keys of the metadata, and the stored JSON.
The embedding function's part is kept as it came, an envelope of name and configuration; nothing here builds code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.text import preview
from ochre.model.vectors import SPACES, Space


@dataclass(frozen=True, slots=True)
class Hnsw:
    """Settings of the graph index. `space` and `ef_construction` are fixed at creation.

    Attributes:
        space: how distance is measured (squared Euclidean by default).
        ef_construction: candidates kept while the graph is built.
        ef_search: candidates kept while it is searched; more is slower and finds more.
        max_neighbors: links of a node.
        num_threads: threads an operation may use; 0 stands for every core.
        resize_factor: kept for Chroma's sake, without effect.
        sync_threshold: unindexed records that start a build.
        batch_size: records added a build step.
    """

    space: Space = "l2"
    ef_construction: int = 100
    ef_search: int = 100
    max_neighbors: int = 16
    num_threads: int = 0
    resize_factor: float = 1.2
    sync_threshold: int = 1000
    batch_size: int = 100

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise InvalidArgumentError(f"space {preview(self.space)} is unknown: expected one of {', '.join(SPACES)}")
        if isinstance(self.resize_factor, bool) or not isinstance(self.resize_factor, int | float):
            raise InvalidTypeError(f"resize_factor {preview(self.resize_factor)} is not a number: pass a finite float")
        if not abs(self.resize_factor) <= _LARGEST:
            raise InvalidArgumentError(f"resize_factor is {self.resize_factor!r:.60}: pass a finite float")
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidTypeError(f"{name} {preview(value)} is not an int: pass a whole number of 1 or more")
            if value < (0 if name == "num_threads" else 1):
                raise InvalidArgumentError(f"{name} {value} is too small: pass a whole number of 1 or more")
            if value > _LARGEST:
                raise InvalidArgumentError(f"{name} {value!r:.60} is too large: pass a whole number up to {_LARGEST}")

    @property
    def threads(self) -> int:
        """The number of threads an operation may use."""
        return self.num_threads or _CORES


@dataclass(frozen=True, slots=True)
class Spann:
    """Settings of inverted lists, for a collection created with a `spann` configuration.

    Attributes:
        search_nprobe: how many of the lists nearest to a query are looked into.
        split_threshold: vectors of a list, about.
    """

    search_nprobe: int = 64
    split_threshold: int = 50

    def __post_init__(self) -> None:
        for name in ("search_nprobe", "split_threshold"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidTypeError(f"{name} {preview(value)} is not an int: pass a whole number of 1 or more")
            if not 1 <= value <= _LARGEST:
                raise InvalidArgumentError(f"{name} is {value!r:.60}: pass a whole number from 1 to {_LARGEST}")


_LARGEST = 2**31 - 1
_CORES = os.cpu_count() or 1
_WHOLE_NUMBERS = (
    "ef_construction",
    "ef_search",
    "max_neighbors",
    "num_threads",
    "sync_threshold",
    "batch_size",
)
_IMMUTABLE = ("space", "ef_construction")
_REPORTED = ("space", "ef_construction", "ef_search", "max_neighbors", "resize_factor", "sync_threshold")
_SPANN_MUTABLE = frozenset({"search_nprobe", "ef_search"})
_SPANN_FIELDS = frozenset(
    {"search_nprobe", "write_nprobe", "space", "ef_construction", "ef_search", "max_neighbors"}
    | {"reassign_neighbor_count", "split_threshold", "merge_threshold"}
)

_LEGACY = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:M": "max_neighbors",
    "hnsw:num_threads": "num_threads",
    "hnsw:resize_factor": "resize_factor",
    "hnsw:batch_size": "batch_size",
    "hnsw:sync_threshold": "sync_threshold",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A collection's settings.

    Attributes:
        hnsw: the graph's settings; `space` and the numbers of threads and of unindexed records count for lists too.
        spann: settings of inverted lists, which then take the graph's place; None for a graph.
        embedding_function: the persisted envelope, `{"type": "known", "name": ..., "config": ...}` or
            `{"type": "legacy"}`, or None.
    """

    hnsw: Hnsw = Hnsw()
    embedding_function: Mapping[str, Any] | None = None
    spann: Spann | None = None

    @property
    def space(self) -> Space:
        """How distance is measured."""
        return self.hnsw.space

    def to_dict(self) -> dict[str, Any]:
        """Return everything, as it is stored."""
        spann = None if self.spann is None else asdict(self.spann)
        return {"hnsw": asdict(self.hnsw), "embedding_function": self.embedding_function, "spann": spann}

    def to_public(self) -> dict[str, Any]:
        """Return what the API reports: the keys of Chroma's `configuration_json`."""
        stored = asdict(self.hnsw)
        reported = {name: stored[name] for name in _REPORTED}
        envelope = None if self.embedding_function is None else dict(self.embedding_function)
        return {"hnsw": reported, "spann": None, "embedding_function": envelope}


def parse_configuration(value: object, metadata: Mapping[str, Any] | None = None) -> Configuration:
    """Parse the settings of a new collection.

    Args:
        value: None, or `{"hnsw": {...} | None, "spann": {...} | None, "embedding_function": {...} | None}`; other keys
            are ignored. Of `spann`, `space`, `search_nprobe` and `split_threshold` count.
        metadata: the collection's metadata; its legacy `hnsw:*` keys count where `value` has no index settings. They
            are checked in any case.

    Raises:
        InvalidArgumentError, InvalidTypeError: an unknown field, a value out of range, or both index kinds at once.
    """
    given = _mapping(value, "configuration")
    hnsw, spann = given.get("hnsw"), given.get("spann")
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError(
            "configuration holds both 'hnsw' and 'spann': a collection has one index; leave one out"
        )
    legacy = _legacy_hnsw(metadata)
    envelope = parse_envelope(given.get("embedding_function"))
    explicit = _hnsw(hnsw, "hnsw") if hnsw is not None else _from_spann(spann)
    lists = None if spann is None else _spann(_mapping(spann, "configuration['spann']"))
    return Configuration(legacy if spann is None and explicit == Hnsw() else explicit, envelope, lists)


def stored_configuration(value: Mapping[str, Any]) -> Configuration:
    """Build settings from what `Configuration.to_dict` returned."""
    spann = value["spann"]
    return Configuration(Hnsw(**value["hnsw"]), value["embedding_function"], spann if spann is None else Spann(**spann))


def update_configuration(current: Configuration, value: object) -> Configuration:
    """Return `current` with the changes of `modify(configuration=...)`; those of `spann` count where it was chosen.

    Raises:
        InvalidArgumentError: a field that is unknown or fixed at creation.
    """
    given = _mapping(value, "configuration")
    if given.get("hnsw") is not None and given.get("spann") is not None:
        raise InvalidArgumentError(
            "configuration holds both 'hnsw' and 'spann': a collection has one index; leave one out"
        )
    changes = _mapping(given.get("hnsw"), "configuration['hnsw']")
    for name in _IMMUTABLE:
        if name in changes:
            raise InvalidArgumentError(
                f"{name} is fixed when a collection is created (it is {getattr(current.hnsw, name)!r}): "
                "create another collection and copy the records"
            )
    _check_fields(changes, "hnsw", frozenset(field.name for field in fields(Hnsw)))
    lists = _mapping(given.get("spann"), "configuration['spann']")
    _check_fields(lists, "spann", _SPANN_MUTABLE)
    spann = current.spann if current.spann is None else _spann(lists, current.spann)
    envelope = parse_envelope(given.get("embedding_function")) or current.embedding_function
    return Configuration(replace(current.hnsw, **_given(changes)), envelope, spann)


def parse_envelope(value: object) -> Mapping[str, Any] | None:
    """Check the persisted form of an embedding function; its configuration is not looked into."""
    if value is None:
        return None
    envelope = _mapping(value, "configuration['embedding_function']")
    kind = envelope.get("type")
    if kind == "known":
        if not isinstance(envelope.get("name"), str) or not isinstance(envelope.get("config"), Mapping):
            raise InvalidArgumentError(
                f"an embedding function of type 'known' has a 'name' and a 'config', got {preview(value)}"
            )
    elif kind not in ("legacy", "unknown"):
        raise InvalidArgumentError(
            f"an embedding function's type is 'known', 'legacy' or 'unknown', got {preview(kind)}"
        )
    try:
        json.dumps(dict(envelope), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"the embedding function {preview(value)} holds what JSON cannot carry: {error}"
        ) from error
    return dict(envelope)


def _legacy_hnsw(metadata: Mapping[str, Any] | None) -> Hnsw:
    chosen: dict[str, Any] = {}
    for key, value in (metadata or {}).items():
        if not key.startswith("hnsw:"):
            continue
        if key not in _LEGACY:
            raise InvalidArgumentError(f"unknown metadata key {key!r}: of 'hnsw:' there are {', '.join(_LEGACY)}")
        if key in {"hnsw:batch_size", "hnsw:sync_threshold"} and isinstance(value, int) and value < 2:
            raise InvalidArgumentError(f"{key} is {value}: pass 2 or more")
        chosen[_LEGACY[key]] = value
    return Hnsw(**_given(chosen))


def _from_spann(spann: object) -> Hnsw:
    given = _mapping(spann, "configuration['spann']")
    _check_fields(given, "spann", _SPANN_FIELDS)
    return Hnsw(space=given["space"]) if given.get("space") is not None else Hnsw()


def _spann(given: Mapping[str, Any], current: Spann | None = None) -> Spann:
    kept = {name: value for name, value in _given(given).items() if name in {"search_nprobe", "split_threshold"}}
    return replace(current or Spann(), **kept)


def _hnsw(value: object, what: str) -> Hnsw:
    given = _mapping(value, f"configuration[{what!r}]")
    _check_fields(given, what, frozenset(field.name for field in fields(Hnsw)))
    return Hnsw(**_given(given))


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None, NumPy's numbers as Python's."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in settings.items()
        if value is not None
    }


def _check_fields(given: Mapping[str, Any], what: str, known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidArgumentError(
                f"unknown field {preview(name)} in configuration[{what!r}]: expected {', '.join(sorted(known))}"
            )


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"{what} is a {type(value).__name__}: expected a dict")
    return value
