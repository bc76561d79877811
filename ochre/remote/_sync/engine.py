# Made by tools/unasync.py from ochre/remote/_async/engine.py: change that file, then run `make format`.
"""RemoteEngine: each operation is one request to a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec

from ochre.errors import UnreachableError
from ochre.model import requests
from ochre.remote._sync.compat import work
from ochre.remote._sync.transport import Transport
from ochre.wire import bodies, client_side

About = TypeVar("About", bound=client_side.AboutRecords)
Body = TypeVar("Body")
Reply = TypeVar("Reply")


class RemoteEngine:
    """An `Engine` on a server of Ochre's. Safe for any number of threads.

    Paths of the API name a collection's tenant and database beside its id. The engine remembers where the collections
    are that it has seen; any other it looks for in the default place.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._places: dict[UUID, tuple[str, str]] = {}

    # -- about the server ---------------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Return the server's time in nanoseconds since the epoch."""
        return (self._get("/heartbeat", bodies.Heartbeat)).nanosecond_heartbeat

    def version(self) -> str:
        """Return the version of the server's protocol."""
        return self._get("/version", str)

    def max_batch_size(self) -> int:
        """Return how many records a write may carry."""
        return (self._get("/pre-flight-checks", bodies.PreFlight)).max_batch_size

    def identity(self) -> requests.UserIdentity:
        """Return who the server takes the caller for."""
        body = self._get("/auth/identity", bodies.Identity)
        return requests.UserIdentity(body.user_id, body.tenant, body.databases)

    # -- tenants and databases ----------------------------------------------------------------------------------

    def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        self._send("POST", "/tenants", bodies.CreateTenant(name))

    def get_tenant(self, name: str) -> str:
        """Return the tenant's name."""
        return (self._get(_tenant(name), bodies.Tenant)).name

    def create_database(self, name: str, tenant: str) -> requests.Database:
        """Create a database."""
        self._send("POST", f"{_tenant(tenant)}/databases", bodies.CreateDatabase(name))
        return self.get_database(name, tenant)

    def get_database(self, name: str, tenant: str) -> requests.Database:
        """Return a database."""
        return client_side.database(self._get(_database(tenant, name), bodies.Database))

    def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds."""
        self._send("DELETE", _database(tenant, name))

    def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[requests.Database]:
        """Return the databases of a tenant, sorted by name."""
        found = self._get(f"{_tenant(tenant)}/databases{_page(limit, offset)}", list[bodies.Database])
        return [client_side.database(body) for body in found]

    # -- collections --------------------------------------------------------------------------------------------

    def create_collection(self, request: requests.CreateCollection) -> requests.CollectionInfo:
        """Create a collection, or return the existing one if the request says so."""
        path = f"{_database(request.tenant, request.database)}/collections"
        body = client_side.create_collection(request)
        return self._seen(self._call("POST", path, body, bodies.Collection))

    def get_collection(self, name: str, tenant: str, database: str) -> requests.CollectionInfo:
        """Return the collection of that name."""
        path = f"{_database(tenant, database)}/collections/{_part(name)}"
        return self._seen(self._get(path, bodies.Collection))

    def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> requests.CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: where it was last seen)."""
        known_tenant, known_database = self._place(collection)
        path = f"{_database(tenant or known_tenant, database or known_database)}/collections/by-id/{collection}"
        return self._seen(self._get(path, bodies.Collection))

    def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[requests.CollectionInfo]:
        """Return the collections of a database, sorted by name."""
        path = f"{_database(tenant, database)}/collections{_page(limit, offset)}"
        return [self._seen(body) for body in self._get(path, list[bodies.Collection])]

    def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""
        return self._get(f"{_database(tenant, database)}/collections_count", int)

    def modify_collection(self, request: requests.ModifyCollection) -> requests.CollectionInfo:
        """Change a collection's name, metadata or settings."""
        self._send("PUT", self._path(request.collection), client_side.modify_collection(request))
        return self.get_collection_by_id(request.collection)

    def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""
        self._send("DELETE", f"{_database(tenant, database)}/collections/{_part(name)}")

    # -- records ------------------------------------------------------------------------------------------------

    def write(self, request: requests.WriteRecords) -> None:
        """Add, update or upsert records: all of them or none."""
        self._exchange(request.kind, request, client_side.write_records, bodies.Empty, _as_it_is)

    def delete(self, request: requests.DeleteRecords) -> int:
        """Delete records; return how many there were."""
        if not request.ids and request.filter is None:
            self.get_collection_by_id(request.collection)  # the API refuses to delete nothing
            return 0
        make = client_side.delete_records
        reply = self._exchange("delete", request, make, bodies.Deleted, _as_it_is)
        return reply.deleted

    def get(self, request: requests.GetRecords) -> requests.RecordBatch:
        """Return records."""
        make, read = client_side.get_records, client_side.record_batch
        return self._exchange("get", request, make, bodies.GetReply, read)

    def query(self, request: requests.QueryRecords) -> requests.QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector."""
        make, read = client_side.query_records, client_side.query_reply
        return self._exchange("query", request, make, bodies.QueryReply, read)

    def count(self, request: requests.CountRecords) -> int:
        """Return how many records match."""
        if request.filter is None:
            return self._get(f"{self._path(request.collection)}/count", int)
        return self._exchange("count", request, client_side.count_records, int, _as_it_is)

    def scan(self, request: requests.ScanRecords) -> requests.ScanReply:
        """Return the next records of a walk through a collection."""
        make, read = client_side.scan_records, client_side.scan_reply
        return self._exchange("scan", request, make, bodies.ScanReply, read)

    def indexing(self, collection: UUID) -> requests.IndexingStatus:
        """Return how far a collection's vector index has come."""
        reply = self._get(f"{self._path(collection)}/indexing_status", bodies.IndexingStatus)
        return requests.IndexingStatus(reply.total_ops, reply.num_unindexed_ops)

    # -- life cycle ---------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Delete everything and recreate the default tenant and database."""
        self._send("POST", "/reset")

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # -- parts --------------------------------------------------------------------------------------------------

    def _exchange(
        self,
        route: str,
        request: About,
        make: Callable[[About], msgspec.Struct],
        shape: type[Body],
        read: Callable[[Body], Reply],
    ) -> Reply:
        """Send a request about records and read the answer, which may both be large."""
        content = work(client_side.weight(request), lambda: client_side.encode(make(request)))
        answer = self._transport.request("POST", f"{self._path(request.collection)}/{route}", content)
        return work(len(answer), lambda: _decoded(answer, shape, read))

    def _get(self, path: str, shape: type[Reply]) -> Reply:
        answer = self._transport.request("GET", path)
        return work(len(answer), lambda: _decoded(answer, shape, _as_it_is))

    def _send(self, method: str, path: str, body: msgspec.Struct | None = None) -> None:
        self._transport.request(method, path, None if body is None else client_side.encode(body))

    def _call(self, method: str, path: str, body: msgspec.Struct, shape: type[Reply]) -> Reply:
        return _decoded(self._transport.request(method, path, client_side.encode(body)), shape, _as_it_is)

    def _path(self, collection: UUID) -> str:
        return f"{_database(*self._place(collection))}/collections/{collection}"

    def _place(self, collection: UUID) -> tuple[str, str]:
        return self._places.get(collection, (requests.DEFAULT_TENANT, requests.DEFAULT_DATABASE))

    def _seen(self, body: bodies.Collection) -> requests.CollectionInfo:
        info = client_side.collection(body)
        self._places[info.id] = info.tenant, info.database
        return info


def _as_it_is(body: Body) -> Body:
    return body


def _decoded(content: bytes, shape: type[Body], read: Callable[[Body], Reply]) -> Reply:
    try:
        return read(msgspec.json.decode(content, type=shape))
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreachableError(
            f"the server answered what this client does not understand ({error}): is it Ochre?"
        ) from error


def _tenant(tenant: str) -> str:
    return f"/tenants/{_part(tenant)}"


def _database(tenant: str, database: str) -> str:
    return f"{_tenant(tenant)}/databases/{_part(database)}"


def _part(text: str) -> str:
    return quote(text, safe="")


def _page(limit: int | None, offset: int) -> str:
    parts = [f"limit={limit}" if limit is not None else "", f"offset={offset}" if offset else ""]
    query = "&".join(part for part in parts if part)
    return f"?{query}" if query else ""
