"""AsyncRemoteEngine: each operation is one request to a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec

from ochre.errors import UnreachableError
from ochre.model import requests
from ochre.remote._async.compat import work
from ochre.remote._async.transport import AsyncTransport
from ochre.wire import bodies, client_side

About = TypeVar("About", bound=client_side.AboutRecords)
Body = TypeVar("Body")
Reply = TypeVar("Reply")


class AsyncRemoteEngine:
    """An `AsyncEngine` on a server of Ochre's. Safe for any number of tasks of one event loop.

    Paths of the API name a collection's tenant and database beside its id. The engine remembers where the collections
    are that it has seen; any other it looks for in the default place.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._places: dict[UUID, tuple[str, str]] = {}

    # -- about the server ---------------------------------------------------------------------------------------

    async def heartbeat(self) -> int:
        """Return the server's time in nanoseconds since the epoch."""
        return (await self._get("/heartbeat", bodies.Heartbeat)).nanosecond_heartbeat

    async def version(self) -> str:
        """Return the version of the server's protocol."""
        return await self._get("/version", str)

    async def max_batch_size(self) -> int:
        """Return how many records a write may carry."""
        return (await self._get("/pre-flight-checks", bodies.PreFlight)).max_batch_size

    async def identity(self) -> requests.UserIdentity:
        """Return who the server takes the caller for."""
        body = await self._get("/auth/identity", bodies.Identity)
        return requests.UserIdentity(body.user_id, body.tenant, body.databases)

    # -- tenants and databases ----------------------------------------------------------------------------------

    async def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        await self._send("POST", "/tenants", bodies.CreateTenant(name))

    async def get_tenant(self, name: str) -> str:
        """Return the tenant's name."""
        return (await self._get(_tenant(name), bodies.Tenant)).name

    async def create_database(self, name: str, tenant: str) -> requests.Database:
        """Create a database."""
        await self._send("POST", f"{_tenant(tenant)}/databases", bodies.CreateDatabase(name))
        return await self.get_database(name, tenant)

    async def get_database(self, name: str, tenant: str) -> requests.Database:
        """Return a database."""
        return client_side.database(await self._get(_database(tenant, name), bodies.Database))

    async def delete_database(self, name: str, tenant: str) -> None:
        """Delete a database with all it holds."""
        await self._send("DELETE", _database(tenant, name))

    async def list_databases(self, tenant: str, limit: int | None = None, offset: int = 0) -> list[requests.Database]:
        """Return the databases of a tenant, sorted by name."""
        found = await self._get(f"{_tenant(tenant)}/databases{_page(limit, offset)}", list[bodies.Database])
        return [client_side.database(body) for body in found]

    # -- collections --------------------------------------------------------------------------------------------

    async def create_collection(self, request: requests.CreateCollection) -> requests.CollectionInfo:
        """Create a collection, or return the existing one if the request says so."""
        path = f"{_database(request.tenant, request.database)}/collections"
        body = client_side.create_collection(request)
        return self._seen(await self._call("POST", path, body, bodies.Collection))

    async def get_collection(self, name: str, tenant: str, database: str) -> requests.CollectionInfo:
        """Return the collection of that name."""
        path = f"{_database(tenant, database)}/collections/{_part(name)}"
        return self._seen(await self._get(path, bodies.Collection))

    async def get_collection_by_id(
        self, collection: UUID, tenant: str | None = None, database: str | None = None
    ) -> requests.CollectionInfo:
        """Return the collection of that id, if it is in that tenant and database (None: where it was last seen)."""
        known_tenant, known_database = self._place(collection)
        path = f"{_database(tenant or known_tenant, database or known_database)}/collections/by-id/{collection}"
        return self._seen(await self._get(path, bodies.Collection))

    async def list_collections(
        self, tenant: str, database: str, limit: int | None = None, offset: int = 0
    ) -> list[requests.CollectionInfo]:
        """Return the collections of a database, sorted by name."""
        path = f"{_database(tenant, database)}/collections{_page(limit, offset)}"
        return [self._seen(body) for body in await self._get(path, list[bodies.Collection])]

    async def count_collections(self, tenant: str, database: str) -> int:
        """Return how many collections a database has."""
        return await self._get(f"{_database(tenant, database)}/collections_count", int)

    async def modify_collection(self, request: requests.ModifyCollection) -> requests.CollectionInfo:
        """Change a collection's name, metadata or settings."""
        await self._send("PUT", self._path(request.collection), client_side.modify_collection(request))
        return await self.get_collection_by_id(request.collection)

    async def delete_collection(self, name: str, tenant: str, database: str) -> None:
        """Delete a collection with its records."""
        await self._send("DELETE", f"{_database(tenant, database)}/collections/{_part(name)}")

    # -- records ------------------------------------------------------------------------------------------------

    async def write(self, request: requests.WriteRecords) -> None:
        """Add, update or upsert records: all of them or none."""
        await self._exchange(request.kind, request, client_side.write_records, bodies.Empty, _as_it_is)

    async def delete(self, request: requests.DeleteRecords) -> int:
        """Delete records; return how many there were."""
        if not request.ids and request.filter is None:
            await self.get_collection_by_id(request.collection)  # the API refuses to delete nothing
            return 0
        make = client_side.delete_records
        reply = await self._exchange("delete", request, make, bodies.Deleted, _as_it_is)
        return reply.deleted

    async def get(self, request: requests.GetRecords) -> requests.RecordBatch:
        """Return records."""
        make, read = client_side.get_records, client_side.record_batch
        return await self._exchange("get", request, make, bodies.GetReply, read)

    async def query(self, request: requests.QueryRecords) -> requests.QueryReply:
        """Return the nearest records, `min(n_results, matches)` of them for each query vector."""
        make, read = client_side.query_records, client_side.query_reply
        return await self._exchange("query", request, make, bodies.QueryReply, read)

    async def count(self, request: requests.CountRecords) -> int:
        """Return how many records match."""
        if request.filter is None:
            return await self._get(f"{self._path(request.collection)}/count", int)
        return await self._exchange("count", request, client_side.count_records, int, _as_it_is)

    async def scan(self, request: requests.ScanRecords) -> requests.ScanReply:
        """Return the next records of a walk through a collection."""
        make, read = client_side.scan_records, client_side.scan_reply
        return await self._exchange("scan", request, make, bodies.ScanReply, read)

    async def indexing(self, collection: UUID) -> requests.IndexingStatus:
        """Return how far a collection's vector index has come."""
        reply = await self._get(f"{self._path(collection)}/indexing_status", bodies.IndexingStatus)
        return requests.IndexingStatus(reply.total_ops, reply.num_unindexed_ops)

    # -- life cycle ---------------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Delete everything and recreate the default tenant and database."""
        await self._send("POST", "/reset")

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # -- parts --------------------------------------------------------------------------------------------------

    async def _exchange(
        self,
        route: str,
        request: About,
        make: Callable[[About], msgspec.Struct],
        shape: type[Body],
        read: Callable[[Body], Reply],
    ) -> Reply:
        """Send a request about records and read the answer, which may both be large."""
        content = await work(client_side.weight(request), lambda: client_side.encode(make(request)))
        answer = await self._transport.request("POST", f"{self._path(request.collection)}/{route}", content)
        return await work(len(answer), lambda: _decoded(answer, shape, read))

    async def _get(self, path: str, shape: type[Reply]) -> Reply:
        answer = await self._transport.request("GET", path)
        return await work(len(answer), lambda: _decoded(answer, shape, _as_it_is))

    async def _send(self, method: str, path: str, body: msgspec.Struct | None = None) -> None:
        await self._transport.request(method, path, None if body is None else client_side.encode(body))

    async def _call(self, method: str, path: str, body: msgspec.Struct, shape: type[Reply]) -> Reply:
        return _decoded(await self._transport.request(method, path, client_side.encode(body)), shape, _as_it_is)

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
