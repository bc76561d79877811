"""The catalog: tenants, databases and collections, as rows of SQLite.

Functions here take a `Session` and run inside its transaction; they know nothing of records' indexes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import apsw
import msgspec

from ochre.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, StorageError
from ochre.local.schema import MAX_COLLECTION_KEY, MAX_ORDINAL, ORDINAL_BITS
from ochre.local.session import Session
from ochre.model.configuration import Configuration, stored_configuration, update_configuration
from ochre.model.records import Scalar
from ochre.model.requests import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    CollectionInfo,
    CreateCollection,
    Database,
    ModifyCollection,
)
from ochre.model.schema import Schema, stored_schema


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as one snapshot sees it.

    Attributes:
        key: its number in this folder; its records' keys begin at `first_key`.
        next_ordinal, next_slot: the first unused ones.
        records: how many it holds.
        tail: the checksums of its last slots, those that do not fill an extent.
        arena: the name of the file that holds its vectors; it changes when they are moved to another.
    """

    info: CollectionInfo
    key: int
    next_ordinal: int
    next_slot: int
    records: int
    tail: bytes
    arena: str

    @property
    def first_key(self) -> int:
        """The key of ordinal 0."""
        return self.key << ORDINAL_BITS

    @property
    def last_key(self) -> int:
        """The key of the last ordinal there can be."""
        return self.first_key + MAX_ORDINAL


_COLUMNS = """
SELECT c.key, c.id, c.name, d.tenant, d.name, c.metadata, c.configuration, c.schema, c.dimension,
       c.next_ordinal, c.next_slot, c.records, c.tail, c.arena, c.head
FROM collections AS c JOIN databases AS d ON d.key = c.database
"""


# -- tenants and databases --------------------------------------------------------------------------------------


def ensure_defaults(session: Session) -> None:
    """Create the default tenant and database where they are missing."""
    session.execute("INSERT OR IGNORE INTO tenants VALUES (?)", (DEFAULT_TENANT,))
    if not session.execute("SELECT count(*) FROM databases").get:
        create_database(session, DEFAULT_DATABASE, DEFAULT_TENANT)


def create_tenant(session: Session, name: str) -> None:
    """Create a tenant; raises `AlreadyExistsError`."""
    session.execute("INSERT OR IGNORE INTO tenants VALUES (?)", (name,))
    if not session.connection.changes():
        raise AlreadyExistsError(f"Tenant [{name}] already exists: choose another name")


def get_tenant(session: Session, name: str) -> str:
    """Return the name of a tenant that exists; raises `NotFoundError`."""
    if session.execute("SELECT 1 FROM tenants WHERE name=?", (name,)).get is None:
        raise NotFoundError(f"Tenant [{name}] not found: create it with AdminClient.create_tenant")
    return name


def create_database(session: Session, name: str, tenant: str) -> Database:
    """Create a database of a tenant; raises `AlreadyExistsError`, `NotFoundError`."""
    get_tenant(session, tenant)
    database = Database(uuid4(), name, tenant)
    session.execute(
        "INSERT OR IGNORE INTO databases (id, tenant, name) VALUES (?,?,?)", (str(database.id), tenant, name)
    )
    if not session.connection.changes():
        raise AlreadyExistsError(f"Database [{name}] already exists in tenant [{tenant}]: choose another name")
    return database


def get_database(session: Session, name: str, tenant: str) -> Database:
    """Return a database; raises `NotFoundError`."""
    row = session.execute("SELECT id FROM databases WHERE tenant=? AND name=?", (tenant, name)).fetchone()
    if row is None:
        raise NotFoundError(f"Database [{name}] not found. Are you sure it exists? (tenant [{tenant}])")
    return Database(UUID(str(row[0])), name, tenant)


def delete_database(session: Session, name: str, tenant: str) -> dict[UUID, str]:
    """Delete a database and all it holds; return the ids of its collections and the names of their arenas."""
    database = get_database(session, name, tenant)
    rows = list_collections(session, tenant, name, None, 0)
    for row in rows:
        delete_collection(session, row)
    session.execute("DELETE FROM databases WHERE id=?", (str(database.id),))
    return {row.info.id: row.arena for row in rows}


def list_databases(session: Session, tenant: str, limit: int | None, offset: int) -> list[Database]:
    """Return the databases of a tenant, by name."""
    rows = session.execute(
        "SELECT id, name FROM databases WHERE tenant=? ORDER BY name LIMIT ? OFFSET ?", (tenant, _sql(limit), offset)
    )
    return [Database(UUID(str(id_)), str(name), tenant) for id_, name in rows]


# -- collections ------------------------------------------------------------------------------------------------


def get_collection(session: Session, collection: UUID) -> CollectionRow:
    """Return a collection by its id, from the session's cache if this snapshot has read it before."""
    row = session.collections.get(collection)
    if row is None:
        rows = _select(session, "WHERE c.id=?", (str(collection),))
        if not rows:
            raise NotFoundError(
                f"Collection [{collection}] does not exist: it was deleted, or never was in this folder"
            )
        row = session.collections[collection] = rows[0]
    return row


def collection_by_key(session: Session, key: int) -> CollectionRow | None:
    """Return a collection by its number in the folder, or None."""
    rows = _select(session, "WHERE c.key=?", (key,))
    return rows[0] if rows else None


def with_counters(
    row: CollectionRow, dimension: int | None, ordinal: int, slot: int, records: int, tail: bytes, arena: str, head: int
) -> CollectionRow:
    """Return a collection with other counters, in the order of the table's columns."""
    info = replace(row.info, dimension=dimension, head=head)
    return CollectionRow(info, row.key, ordinal, slot, records, tail, arena)


def find_collection(session: Session, name: str, tenant: str, database: str) -> CollectionRow | None:
    """Return a collection by its name, or None."""
    rows = _select(session, "WHERE d.tenant=? AND d.name=? AND c.name=?", (tenant, database, name))
    return rows[0] if rows else None


def list_collections(
    session: Session, tenant: str, database: str, limit: int | None, offset: int
) -> list[CollectionRow]:
    """Return the collections of a database, by name."""
    where = "WHERE d.tenant=? AND d.name=? ORDER BY c.name LIMIT ? OFFSET ?"
    return _select(session, where, (tenant, database, _sql(limit), offset))


def of_size(session: Session, smallest: int) -> list[CollectionRow]:
    """Return the collections of the folder with `smallest` slots or more."""
    return _select(session, "WHERE c.next_slot >= ?", (smallest,))


def count_collections(session: Session, tenant: str, database: str) -> int:
    """Return how many collections a database has."""
    return int(
        session.execute(
            "SELECT count(*) FROM collections c JOIN databases d ON d.key=c.database WHERE d.tenant=? AND d.name=?",
            (tenant, database),
        ).get
    )


def create_collection(session: Session, request: CreateCollection) -> CollectionRow:
    """Create a collection, or do what `get_or_create` and `overwrite_metadata` say with the one that exists."""
    found = session.execute(
        "SELECT key FROM databases WHERE tenant=? AND name=?", (request.tenant, request.database)
    ).get
    if found is None:
        raise InvalidArgumentError(
            f"Database [{request.database}] does not exist in tenant [{request.tenant}]: create it with "
            "AdminClient.create_database"
        )
    existing = find_collection(session, request.name, request.tenant, request.database)
    if existing is None:
        return _insert(session, request, int(found))
    if not request.get_or_create:
        raise AlreadyExistsError(
            f"Collection [{request.name}] already exists: choose another name, or use get_or_create_collection"
        )
    if request.overwrite_metadata and request.metadata is not None:
        return modify_collection(session, ModifyCollection(existing.info.id, metadata=request.metadata))
    return existing


def _insert(session: Session, request: CreateCollection, database: int) -> CollectionRow:
    key = int(session.execute("SELECT coalesce(max(key), 0) + 1 FROM collections").get)
    if key > MAX_COLLECTION_KEY:
        raise StorageError(f"the folder has used up its {MAX_COLLECTION_KEY} collection keys; start another folder")
    collection = uuid4()
    metadata, settings = _metadata_json(request.metadata), _json(request.configuration.to_dict())
    values = (key, str(collection), database, request.name, metadata, settings, _json(request.schema.to_dict()))
    insert_collection(session, values)
    return get_collection(session, collection)


def insert_collection(session: Session, values: tuple[Any, ...]) -> None:
    """Store a collection: key, id, database's key, name, metadata, configuration, schema, as the table has them."""
    session.execute(
        "INSERT INTO collections (key, id, arena, database, name, metadata, configuration, schema) "
        "VALUES (?1,?2,?2,?3,?4,?5,?6,?7)",
        values,
    )


def modify_collection(session: Session, request: ModifyCollection) -> CollectionRow:
    """Change the parts of a collection that are not None in the request."""
    row = get_collection(session, request.collection)
    if request.name is not None and request.name != row.info.name:
        if find_collection(session, request.name, row.info.tenant, row.info.database):
            raise AlreadyExistsError(f"Collection [{request.name}] already exists: choose another name")
        session.execute("UPDATE collections SET name=? WHERE key=?", (request.name, row.key))
    if request.metadata is not None:
        session.execute("UPDATE collections SET metadata=? WHERE key=?", (_metadata_json(request.metadata), row.key))
    if request.configuration is not None:
        changed = update_configuration(row.info.configuration, request.configuration)
        session.execute("UPDATE collections SET configuration=? WHERE key=?", (_json(changed.to_dict()), row.key))
    session.forget()
    return get_collection(session, request.collection)


def delete_collection(session: Session, row: CollectionRow) -> None:
    """Delete a collection's rows; its vectors' file is the caller's to remove once this is committed."""
    session.execute("DELETE FROM records WHERE collection=?", (row.key,))
    session.execute("DELETE FROM changes WHERE collection=?", (row.key,))
    session.execute("DELETE FROM segments WHERE collection=?", (row.key,))
    session.execute("DELETE FROM extents WHERE key BETWEEN ? AND ?", (row.first_key, row.last_key))
    session.execute("DELETE FROM collections WHERE key=?", (row.key,))
    session.forget()


def missing(session: Session, collections: Iterable[UUID]) -> list[UUID]:
    """Return those of the collections that are not there."""
    ids = apsw.carray(tuple(map(str, collections)))
    sql = "SELECT w.value FROM carray(?) w WHERE NOT EXISTS (SELECT 1 FROM collections c WHERE c.id = w.value)"
    return [UUID(str(id_)) for (id_,) in session.execute(sql, (ids,))]


def all_collections(session: Session) -> list[CollectionRow]:
    """Return all collections of the folder, by key."""
    return _select(session, "ORDER BY c.key", ())


def collection_ids(session: Session) -> set[str]:
    """Return the ids of all collections of the folder, as text."""
    return {str(id_) for (id_,) in session.execute("SELECT id FROM collections")}


def arenas(session: Session) -> dict[UUID, str]:
    """Return the names of the arenas of all collections of the folder, by the collections' ids."""
    return {UUID(str(id_)): str(arena) for id_, arena in session.execute("SELECT id, arena FROM collections")}


def clear(session: Session) -> dict[UUID, str]:
    """Delete every tenant, database, collection and record; return what `arenas` would have."""
    ids = arenas(session)
    for table in ("records", "changes", "segments", "extents", "collections", "databases", "tenants"):
        session.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
    session.forget()
    return ids


def save_progress(session: Session, row: CollectionRow) -> None:
    """Store what a write to a collection's records moved on: dimension, counters, arena and head."""
    session.execute(
        "UPDATE collections SET dimension=?, next_ordinal=?, next_slot=?, records=?, tail=?, arena=?, head=? "
        "WHERE key=?",
        (row.info.dimension, row.next_ordinal, row.next_slot, row.records, row.tail, row.arena, row.info.head, row.key),
    )
    session.forget()


def save_schema(session: Session, row: CollectionRow, schema: Schema) -> None:
    """Store a schema that has taken up new metadata keys."""
    session.execute("UPDATE collections SET schema=? WHERE key=?", (_json(schema.to_dict()), row.key))
    session.forget()


def _select(session: Session, where: str, bindings: tuple[str | int, ...]) -> list[CollectionRow]:
    rows = session.execute(_COLUMNS + where, bindings)
    return [_row(row) for row in rows]


def _row(row: tuple[Any, ...]) -> CollectionRow:
    key, id_, name, tenant, database, metadata, configuration, schema, dimension, *counters, tail, arena, head = row
    ordinal, slot, records = map(int, counters)
    info = CollectionInfo(
        id=UUID(str(id_)),
        name=str(name),
        tenant=str(tenant),
        database=str(database),
        metadata=None if metadata is None else msgspec.json.decode(str(metadata), type=dict[str, Scalar]),
        configuration=_configuration(str(configuration)),
        schema=_schema(str(schema)),
        dimension=None if dimension is None else int(dimension),
        head=int(head),
    )
    return CollectionRow(info, int(key), ordinal, slot, records, bytes(tail), str(arena))


# Rows are read again after every commit of anybody; these parts hardly ever change.
@lru_cache(maxsize=1024)
def _configuration(text: str) -> Configuration:
    return stored_configuration(msgspec.json.decode(text))


@lru_cache(maxsize=1024)
def _schema(text: str) -> Schema:
    return stored_schema(msgspec.json.decode(text))


def _metadata_json(metadata: dict[str, Scalar | None] | None) -> str | None:
    kept = {key: value for key, value in (metadata or {}).items() if value is not None}
    return _json(kept) if kept else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _sql(limit: int | None) -> int:
    return -1 if limit is None else min(limit, 2**63 - 1)  # -1 is SQLite's word for no limit
