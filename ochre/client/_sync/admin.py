# Made by tools/unasync.py from ochre/client/_async/admin.py: change that file, then run `make format`.
"""AdminClient: tenants and databases."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ochre.client import normalize, present
from ochre.client.results import Database, Tenant
from ochre.engine import Engine
from ochre.model.names import parse_database_name, parse_reference, parse_tenant_name
from ochre.model.requests import DEFAULT_TENANT


class AdminClient:
    """Creates, finds and deletes tenants and databases."""

    def __init__(self, engine: Engine, *, owns_engine: bool = True) -> None:
        """Use `ochre.AdminClient` instead."""
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
        found = self._engine.get_database(parse_reference(name, "database"), parse_reference(tenant, "tenant"))
        return present.database(found)

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
        return [present.database(database) for database in known]
