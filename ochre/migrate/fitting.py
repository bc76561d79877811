"""Making what comes from elsewhere fit the rules here: names, metadata, the settings of a collection."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ochre.errors import InvalidArgumentError, UnsupportedError
from ochre.migrate.chroma.catalog import SourceCollection
from ochre.model.configuration import Hnsw
from ochre.model.records import parse_collection_metadata, parse_metadata
from ochre.model.schema import Schema, parse_schema

_INDEX_SETTINGS = frozenset(Hnsw.__dataclass_fields__)
_UNKNOWN = {"type": "legacy"}  # an embedding function that the folder does not name


def fit_name(name: str, parse: Callable[[str], str], taken: Collection[str]) -> str:
    """Return a name that `parse` accepts and that is not taken: the name itself, or one like it."""
    candidates = [name, re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", name)).strip("._-")[:500]]
    candidates.append(f"{candidates[1]}-imported".lstrip("-"))
    candidates += [f"{candidates[2]}-{number}" for number in range(2, len(taken) + 3)]
    return next(candidate for candidate in candidates if candidate not in taken and _accepts(parse, candidate))


def fit_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Divide a record's metadata into what may be stored (None for nothing) and what may not."""
    return _divide(metadata, parse_metadata)


def fit_collection_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Divide a collection's metadata likewise."""
    return _divide(metadata, parse_collection_metadata)


def settings_to_try(source: SourceCollection) -> Iterator[dict[str, Any]]:
    """Yield arguments of `create_collection`, the most faithful first; the last ones say little, and always work."""
    if source.schema is not None and _says_something(source.schema):
        yield {"schema": source.schema}
    hnsw = {key: value for key, value in source.settings.items() if key in _INDEX_SETTINGS} | {"space": source.space}
    function = source.function or _UNKNOWN
    yield {"configuration": {"hnsw": hnsw, "embedding_function": function}}
    yield {"configuration": {"hnsw": {"space": source.space}, "embedding_function": function}}
    yield {"configuration": {"hnsw": {"space": source.space}, "embedding_function": _UNKNOWN}}


def _says_something(value: Mapping[str, Any]) -> bool:
    """Tell whether a schema switches an index on or off that is not so by default."""
    try:
        schema, _ = parse_schema(value)
    except (InvalidArgumentError, UnsupportedError):
        return True
    plain = Schema()
    flags = [(key, index, on) for key, indexes in schema.keys.items() for index, on in indexes.items()]
    return schema.defaults != plain.defaults or any(on != plain.enabled(key, index) for key, index, on in flags)


def without_index_settings(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a collection's metadata without the keys that count as settings."""
    return {key: value for key, value in (metadata or {}).items() if not key.startswith("hnsw:")} or None


def _accepts(parse: Callable[[Any], Any], value: object) -> bool:
    try:
        parse(value)
    except InvalidArgumentError:
        return False
    return True


def _divide(metadata: Mapping[str, Any], parse: Callable[[Any], Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    if not metadata or _accepts(parse, metadata):
        return dict(metadata) or None, {}
    kept = {key: value for key, value in metadata.items() if _accepts(parse, {key: value})}
    return kept or None, {key: value for key, value in metadata.items() if key not in kept}
