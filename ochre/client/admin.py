"""AdminClient: tenants and databases."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypedDict
from uuid import UUID

from ochre.client import normalize
from ochre.engine import Engine
from ochre.model.names import parse_database_name, parse_reference, parse_tenant_name
from ochre.model.requests import DEFAULT_TENANT
from ochre.model.requests import Database as DatabaseInfo


class Tenant(TypedDict):
    """A tenant: a group of databases."""

    name: str


class Database(TypedDict):
    """A database: a group of collections."""

    id: UUID
    name: str
    tenant: str


class AdminClient:
    """Creates, finds and deletes tenants and databases."""

    def __init__(self, engine: Engine, *, owns_engine: bool = True) -> None:
        """Use `connect.AdminClient` instead."""
        self._engine = engine
        self._owns_engine = owns_engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release every file handle, unless they belong to the client this was made from."""
        if self._owns_engine:
            self._engine.close()

    def create_tenant(self, name: str) -> None:
        """Create a tenant (3 characters or more); raises `AlreadyExistsError`."""
        self._engine.create_tenant(parse_tenant_name(name))

    def get_tenant(self, name: str) -> Tenant:
        """Return a tenant; raises `NotFoundError`."""
        return {"name": self._engine.get_tenant(parse_reference(name, "tenant"))}

    def create_database(self, name: str, tenant: str = DEFAULT_TENANT) -> None:
        """Create a database (named by the rules of collections); raises `AlreadyExistsError`, `NotFoundError`."""
        self._engine.create_database(parse_database_name(name), parse_reference(tenant, "tenant"))

    def get_database(self, name: str, tenant: str = DEFAULT_TENANT) -> Database:
        """Return a database; raises `NotFoundError`."""
        return _shown(self._engine.get_database(parse_reference(name, "database"), parse_reference(tenant, "tenant")))

    def delete_database(self, name: str, tenant: str = DEFAULT_TENANT) -> None:
        """Delete a database with its collections and their records; raises `NotFoundError`."""
        self._engine.delete_database(parse_reference(name, "database"), parse_reference(tenant, "tenant"))

    def list_databases(
        self, limit: int | None = None, offset: int | None = None, tenant: str = DEFAULT_TENANT
    ) -> list[Database]:
        """Return the databases of a tenant, sorted by name."""
        count = normalize.parse_count(limit, "limit", "list_databases")
        skip = normalize.parse_count(offset, "offset", "list_databases") or 0
        known = self._engine.list_databases(parse_reference(tenant, "tenant"), count, skip)
        return [_shown(database) for database in known]


def _shown(database: DatabaseInfo) -> Database:
    return {"id": database.id, "name": database.name, "tenant": database.tenant}
