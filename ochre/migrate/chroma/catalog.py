"""Which collections a folder of Chroma's has, and what each is: names, metadata, settings, segments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ochre.migrate.chroma.folder import ChromaFolder

DEFAULT_DATABASE = ("default_tenant", "default_database")
_SPACES = ("l2", "cosine", "ip")
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
class SourceCollection:
    """A collection, as the folder describes it.

    Attributes:
        schema: as stored, None in folders before 1.3.
        settings: of the vector index, by the names of Chroma 1.0, as far as the folder tells.
        function: the persisted form of the embedding function, None in folders before 1.0.
        space: how distance is measured: that decides how the index keeps vectors.
        neighbors: links of a node in the index.
        vector_segment, metadata_segment: their ids; None where the row is lost.
        indexed, filed: the newest entry of the queue that each of the two has, None if nothing says so.
    """

    id: str
    name: str
    tenant: str
    database: str
    metadata: dict[str, Any]
    schema: dict[str, Any] | None
    settings: dict[str, Any]
    function: dict[str, Any] | None
    space: str
    neighbors: int
    dimension: int | None
    topic: str
    vector_segment: str | None
    metadata_segment: str | None
    indexed: int | None
    filed: int | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a folder has, from tenants down to collections.

    Attributes:
        databases: pairs of tenant and database.
        collections: by tenant, database and name.
        schema_versions: the newest of Chroma's migrations that each part of the folder has been through.
    """

    tenants: list[str]
    databases: list[tuple[str, str]]
    collections: list[SourceCollection]
    schema_versions: dict[str, int]


def read_catalog(folder: ChromaFolder) -> Catalog:
    """Read it all; of rows that are lost, the defaults are assumed."""
    tenants = [row[0] for row in folder.rows("SELECT id FROM tenants")] if folder.has("tenants") else []
    databases: dict[str, tuple[str, str]] = {}
    if folder.has("databases"):
        databases = {
            id_: (tenant, name) for id_, tenant, name in folder.rows("SELECT id,tenant_id,name FROM databases")
        }
    collections: list[SourceCollection] = []
    if folder.has("collections"):
        reached = _reached(folder)
        collections = [_collection(folder, row, databases, reached) for row in _collection_rows(folder)]
    places = set(databases.values()) | {(entry.tenant, entry.database) for entry in collections}
    names = dict.fromkeys([*tenants, *(tenant for tenant, _ in sorted(places))])
    return Catalog(
        list(names),
        sorted(places),
        sorted(collections, key=lambda entry: (entry.tenant, entry.database, entry.name)),
        _versions(folder),
    )


def sequence_number(value: object) -> int | None:
    """Return a sequence number from any form Chroma has stored it in: an integer, or its bytes, big end first."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    return value if isinstance(value, int) else None


def _versions(folder: ChromaFolder) -> dict[str, int]:
    if not folder.has("migrations"):
        return {}
    return dict(folder.rows("SELECT dir, max(version) FROM migrations GROUP BY dir ORDER BY dir"))


def _reached(folder: ChromaFolder) -> dict[str, int]:
    if not folder.has("max_seq_id"):
        return {}
    found = (
        (segment, sequence_number(value)) for segment, value in folder.rows("SELECT segment_id,seq_id FROM max_seq_id")
    )
    return {segment: value for segment, value in found if value is not None}


def _collection_rows(folder: ChromaFolder) -> list[tuple[Any, ...]]:
    columns = ["topic", "dimension", "database_id", "config_json_str", "schema_str"]
    chosen = ",".join(column if folder.has("collections", column) else "NULL" for column in columns)
    return list(folder.rows(f"SELECT id,name,{chosen} FROM collections"))  # noqa: S608  (our own names)


def _collection(
    folder: ChromaFolder,
    row: tuple[Any, ...],
    databases: Mapping[str, tuple[str, str]],
    reached: Mapping[str, int],
) -> SourceCollection:
    id_, name, topic, dimension, database, configuration, schema = row
    tenant, database_name = databases.get(database, DEFAULT_DATABASE)
    segments = _segments(folder, id_)
    metadata = _values(folder, "collection_metadata", "collection_id", id_)
    vectors, records = segments.get("VECTOR"), segments.get("METADATA")
    stored_schema = _json(schema)
    settings = _vector_settings(stored_schema, _json(configuration))
    function = settings.pop("embedding_function", None)
    if not settings:  # an old release: they stand in the segment's metadata, or in the collection's
        legacy = metadata | (_values(folder, "segment_metadata", "segment_id", vectors) if vectors else {})
        settings = {name: legacy[key] for key, name in _LEGACY.items() if key in legacy}
    space, neighbors = settings.get("space"), settings.get("max_neighbors")
    return SourceCollection(
        id_,
        str(name),
        str(tenant),
        str(database_name),
        metadata,
        stored_schema,
        settings,
        function if isinstance(function, dict) else None,
        space if space in _SPACES else "l2",
        neighbors if isinstance(neighbors, int) and neighbors > 0 else 16,
        dimension if isinstance(dimension, int) and dimension > 0 else None,
        str(topic or f"persistent://default/default/{id_}"),
        vectors,
        records,
        reached.get(vectors or ""),
        reached.get(records or ""),
    )


def _segments(folder: ChromaFolder, collection: str) -> dict[str, str]:
    if not folder.has("segments"):
        return {}
    return dict(folder.rows("SELECT scope,id FROM segments WHERE collection=?", (collection,)))


def _values(folder: ChromaFolder, table: str, key: str, owner: str) -> dict[str, Any]:
    if not folder.has(table):
        return {}
    flag = "bool_value" if folder.has(table, "bool_value") else "NULL"
    sql = f"SELECT key,str_value,int_value,float_value,{flag} FROM {table} WHERE {key}=?"  # noqa: S608  (our own names)
    values = {name: value_of(*rest) for name, *rest in folder.rows(sql, (owner,))}
    return {name: value for name, value in values.items() if value is not None}


def value_of(text: str | None, integer: int | None, number: float | None, flag: int | None) -> Any:
    """Return a metadata value from the columns it is spread over; None when all are empty."""
    if flag is not None:
        return bool(flag)
    return next((value for value in (text, integer, number) if value is not None), None)


def _json(text: object) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return value if isinstance(value, dict) and value else None


def _vector_settings(schema: Mapping[str, Any] | None, configuration: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a schema, or else a configuration of Chroma 1.0 and later, says of the vector index.

    The configuration of earlier releases counts for nothing: their indexes were made without it.
    """
    keys = _part(schema, "keys") or _part(schema, "key_overrides")
    for entry in (keys.get("#embedding"), _part(schema, "defaults")):
        vector = _part(_part(_part(entry, "float_list"), "vector_index"), "config")
        if vector:
            chosen = {name: vector.get(name) for name in ("space", "embedding_function")}
            return {**_part(vector, "spann"), **_part(vector, "hnsw"), **chosen}
    vector = _part(configuration, "vector_index") or dict(
        configuration or {}
    )  # 1.0 stored it one level deeper than it told it
    found = {**_part(vector, "spann"), **_part(vector, "hnsw")}
    return {**found, "embedding_function": (configuration or {}).get("embedding_function")}


def _part(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}
