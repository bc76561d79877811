"""The route table: every operation with its path, its shapes, who may call it, and the function that does it.

Routes, the OpenAPI document and access control are made of this one table. A function here runs on a worker thread: it
takes the engine and a `Call`, and returns a body of the shape that the table names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from ochre.engine import Engine
from ochre.errors import InvalidArgumentError, NotFoundError, TransactionsNotSupportedError, UnsupportedError
from ochre.model import requests
from ochre.model.names import parse_database_name, parse_tenant_name
from ochre.server.auth import ANYBODY, Principal
from ochre.server.logs import LOGGER
from ochre.wire import bodies, inbound, outbound

Found = TypeVar("Found")

ROOT = "/api/v2"
TENANT = f"{ROOT}/tenants/{{tenant}}"
DATABASE = f"{TENANT}/databases/{{database}}"
NAMED = f"{DATABASE}/collections/{{collection}}"
COLLECTION = f"{DATABASE}/collections/{{collection_id}}"

VERSION = "1.0.0"
"""What `/version` says: that of the protocol, which Chroma's own servers say whatever their release."""


class Access(IntEnum):
    """What a caller must be allowed to do."""

    PUBLIC = 0
    KNOWN = 1
    READ = 2
    WRITE = 3
    ADMIN = 4


@dataclass(slots=True)
class Call:
    """One request, parsed as far as its shape goes.

    Attributes:
        path: the parts of the path, decoded.
        query: the query string, last value of each name.
        body: of the operation's shape, None where it has none; parsed last, on the worker thread.
        principal: who asks.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    principal: Principal = ANYBODY

    @property
    def tenant(self) -> str:
        """The tenant in the path."""
        return self.path["tenant"]

    @property
    def database(self) -> str:
        """The database in the path."""
        return self.path["database"]

    def number(self, name: str) -> int | None:
        """Parse a whole number of 0 or more in the query string."""
        text = self.query.get(name)
        if text is None or text == "":
            return None
        if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
            raise InvalidArgumentError(f"{name} is {text!r:.60}: expected a whole number from 0 to 4294967295")
        return int(text)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pre-flight check tells clients.

    Attributes:
        max_batch_size: records a call that clients keep to.
    """

    max_batch_size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A body with a status of its own, where an operation has more than one way to answer."""

    body: Any
    status: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the route table.

    Attributes:
        status: of a successful answer.
        shape: of the request's body, None where it has none.
        reply: of the answer's body.
        parameters: names in the query string.
        ours: whether Chroma does not have it.
        there: whether it is supported; otherwise the answer is always 501.
    """

    method: str
    path: str
    name: str
    summary: str
    access: Access
    run: Callable[[Engine, Call, Limits], Any]
    shape: type | None = None
    reply: Any = bodies.Empty
    status: int = 200
    parameters: tuple[str, ...] = ()
    ours: bool = False
    there: bool = True


@dataclass(slots=True)
class Table:
    """Operations in the order of their definition."""

    operations: list[Operation] = field(default_factory=list)

    def add(self, method: str, path: str, access: Access, **details: Any) -> Callable[[Any], Any]:
        """Add the decorated function; its name is the operation's, its docstring the summary."""

        def decorate(function: Callable[[Engine, Call, Limits], Any]) -> Callable[[Engine, Call, Limits], Any]:
            summary = (function.__doc__ or "").strip().splitlines()[0]
            self.operations.append(Operation(method, path, function.__name__, summary, access, function, **details))
            return function

        return decorate


TABLE = Table()
operation = TABLE.add


# -- system -----------------------------------------------------------------------------------------------------


@operation("GET", ROOT, Access.PUBLIC, reply=bodies.Heartbeat)
def root(engine: Engine, call: Call, limits: Limits) -> bodies.Heartbeat:
    """Tell the time."""
    return heartbeat(engine, call, limits)  # type: ignore[no-any-return]


@operation("GET", f"{ROOT}/heartbeat", Access.PUBLIC, reply=bodies.Heartbeat)
def heartbeat(engine: Engine, call: Call, limits: Limits) -> bodies.Heartbeat:  # noqa: ARG001
    """Tell the time: a sign of life."""
    return bodies.Heartbeat(time.time_ns())


@operation("GET", f"{ROOT}/version", Access.PUBLIC, reply=str)
def version(engine: Engine, call: Call, limits: Limits) -> str:  # noqa: ARG001
    """Tell the version of the protocol."""
    return VERSION


@operation("GET", f"{ROOT}/healthcheck", Access.PUBLIC, reply=bodies.Health)
def healthcheck(engine: Engine, call: Call, limits: Limits) -> bodies.Health | Answer:  # noqa: ARG001
    """Tell whether the engine answers; 503 when it does not."""
    try:
        engine.list_databases(requests.DEFAULT_TENANT, 1)
    except Exception as error:  # noqa: BLE001  (whatever it is, the answer is no)
        LOGGER.warning("not ready: %s", error)
        return Answer(bodies.Health(is_executor_ready=False, is_log_client_ready=False), 503)
    return bodies.Health(is_executor_ready=True, is_log_client_ready=True)


@operation("GET", f"{ROOT}/pre-flight-checks", Access.PUBLIC, reply=bodies.PreFlight)
def pre_flight_checks(engine: Engine, call: Call, limits: Limits) -> bodies.PreFlight:  # noqa: ARG001
    """Tell what a client should know before it writes."""
    return bodies.PreFlight(limits.max_batch_size)


@operation("GET", f"{ROOT}/auth/identity", Access.KNOWN, reply=bodies.Identity)
def get_identity(engine: Engine, call: Call, limits: Limits) -> bodies.Identity:  # noqa: ARG001
    """Tell who asks, and where they may go."""
    principal = call.principal
    if principal is ANYBODY:
        return bodies.Identity("", requests.DEFAULT_TENANT, [requests.DEFAULT_DATABASE])
    tenant, database = principal.tenant, principal.database
    return bodies.Identity(principal.name, tenant or "*", [database or "*"])


@operation("POST", f"{ROOT}/reset", Access.ADMIN, reply=bool)
def reset(engine: Engine, call: Call, limits: Limits) -> bool:  # noqa: ARG001
    """Delete everything and recreate the default tenant and database, if the server was started with reset allowed."""
    engine.reset()
    return True


# -- tenants and databases --------------------------------------------------------------------------------------


@operation("POST", f"{ROOT}/tenants", Access.ADMIN, shape=bodies.CreateTenant)
def create_tenant(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Create a tenant."""
    engine.create_tenant(parse_tenant_name(call.body.name))
    return bodies.Empty()


@operation("GET", TENANT, Access.READ, reply=bodies.Tenant)
def get_tenant(engine: Engine, call: Call, limits: Limits) -> bodies.Tenant:  # noqa: ARG001
    """Find a tenant."""
    return bodies.Tenant(engine.get_tenant(call.tenant))


@operation("PATCH", TENANT, Access.ADMIN, shape=bodies.UpdateTenant)
def update_tenant(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Take a tenant's resource name, for Chroma's sake: it has no effect."""
    return bodies.Empty()


@operation("POST", f"{TENANT}/databases", Access.ADMIN, shape=bodies.CreateDatabase)
def create_database(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Create a database."""
    engine.create_database(parse_database_name(call.body.name), call.tenant)
    return bodies.Empty()


@operation("GET", f"{TENANT}/databases", Access.READ, reply=list[bodies.Database], parameters=("limit", "offset"))
def list_databases(engine: Engine, call: Call, limits: Limits) -> list[bodies.Database]:  # noqa: ARG001
    """List the databases of a tenant by name."""
    limit, offset = call.number("limit"), call.number("offset") or 0
    own = call.principal.database
    if own is None:
        found = engine.list_databases(call.tenant, limit, offset)
    else:
        found = _page(lambda: engine.get_database(own, call.tenant), limit, offset)
    return [outbound.database(database) for database in found]


@operation("GET", DATABASE, Access.READ, reply=bodies.Database)
def get_database(engine: Engine, call: Call, limits: Limits) -> bodies.Database:  # noqa: ARG001
    """Find a database."""
    if len(call.database) < 3:
        raise InvalidArgumentError(f"database name {call.database!r} is too short: 3 characters or more")
    return outbound.database(engine.get_database(call.database, call.tenant))


@operation("DELETE", DATABASE, Access.ADMIN)
def delete_database(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Delete a database with its collections."""
    engine.delete_database(call.database, call.tenant)
    return bodies.Empty()


# -- collections ------------------------------------------------------------------------------------------------


@operation("POST", f"{DATABASE}/collections", Access.WRITE, shape=bodies.CreateCollection, reply=bodies.Collection)
def create_collection(engine: Engine, call: Call, limits: Limits) -> bodies.Collection:  # noqa: ARG001
    """Create a collection, or find the one of that name."""
    call.principal.check_collection(call.body.name)
    request = inbound.create_collection(call.body, call.tenant, call.database)
    return outbound.collection(engine.create_collection(request))


@operation("GET", f"{DATABASE}/collections", Access.READ, reply=list[bodies.Collection], parameters=("limit", "offset"))
def list_collections(engine: Engine, call: Call, limits: Limits) -> list[bodies.Collection]:  # noqa: ARG001
    """List the collections of a database by name."""
    limit, offset = call.number("limit"), call.number("offset") or 0
    own = call.principal.collection
    if own is None:
        infos = engine.list_collections(call.tenant, call.database, limit, offset)
    else:
        infos = _page(lambda: engine.get_collection(own, call.tenant, call.database), limit, offset)
    return [outbound.collection(info) for info in infos]


@operation("GET", f"{DATABASE}/collections_count", Access.READ, reply=int)
def count_collections(engine: Engine, call: Call, limits: Limits) -> int:  # noqa: ARG001
    """Count the collections of a database."""
    own = call.principal.collection
    if own is None:
        return engine.count_collections(call.tenant, call.database)
    return len(_page(lambda: engine.get_collection(own, call.tenant, call.database), None, 0))


@operation("GET", NAMED, Access.READ, reply=bodies.Collection)
def get_collection(engine: Engine, call: Call, limits: Limits) -> bodies.Collection:  # noqa: ARG001
    """Find a collection by its name."""
    call.principal.check_collection(call.path["collection"])
    return outbound.collection(engine.get_collection(call.path["collection"], call.tenant, call.database))


@operation("GET", f"{DATABASE}/collections/by-id/{{collection_id}}", Access.READ, reply=bodies.Collection)
def get_collection_by_id(engine: Engine, call: Call, limits: Limits) -> bodies.Collection:  # noqa: ARG001
    """Find a collection by its id."""
    return outbound.collection(_collection(engine, call))


@operation("GET", f"{ROOT}/collections/{{crn}}", Access.READ, reply=bodies.Collection)
def get_collection_by_crn(engine: Engine, call: Call, limits: Limits) -> NoReturn:  # noqa: ARG001
    """Find a collection by its resource name; this server gives none, so there is nothing to find."""
    parts = call.path["crn"].split(":")
    if len(parts) != 3 or not all(parts):
        raise InvalidArgumentError(f"{call.path['crn']!r:.60} is no resource name: expected tenant:database:collection")
    raise NotFoundError(f"Collection [{call.path['crn']}] does not exist")


@operation("PUT", NAMED, Access.WRITE, shape=bodies.UpdateCollection)
def update_collection(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Change the name, metadata or settings of the collection with this id."""
    info = _collection(engine, call, call.path["collection"])
    if call.body.new_name is not None:
        call.principal.check_collection(call.body.new_name)
    engine.modify_collection(inbound.update_collection(call.body, info.id))
    return bodies.Empty()


@operation("DELETE", NAMED, Access.WRITE)
def delete_collection(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
    """Delete a collection by its name."""
    call.principal.check_collection(call.path["collection"])
    engine.delete_collection(call.path["collection"], call.tenant, call.database)
    return bodies.Empty()


# -- records ----------------------------------------------------------------------------------------------------


def _write(kind: requests.WriteKind) -> Callable[[Engine, Call, Limits], bodies.Empty]:
    def run(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:  # noqa: ARG001
        info = _collection(engine, call)
        request = inbound.write_records(call.body, info.id, kind)
        if request.ids:
            engine.write(request)
        return bodies.Empty()

    return run


@operation("POST", f"{COLLECTION}/add", Access.WRITE, shape=bodies.WriteRecords, status=201)
def add(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:
    """Add records; ids that exist already are left as they are."""
    return _write("add")(engine, call, limits)


@operation("POST", f"{COLLECTION}/update", Access.WRITE, shape=bodies.WriteRecords)
def update(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:
    """Change records; ids that do not exist are ignored."""
    return _write("update")(engine, call, limits)


@operation("POST", f"{COLLECTION}/upsert", Access.WRITE, shape=bodies.WriteRecords)
def upsert(engine: Engine, call: Call, limits: Limits) -> bodies.Empty:
    """Add records that are new and change those that exist."""
    return _write("upsert")(engine, call, limits)


@operation("POST", f"{COLLECTION}/delete", Access.WRITE, shape=bodies.DeleteRecords, reply=bodies.Deleted)
def delete(engine: Engine, call: Call, limits: Limits) -> bodies.Deleted:  # noqa: ARG001
    """Delete records by ids, by filters, or by both."""
    info = _collection(engine, call)
    request = inbound.delete_records(call.body, info.id)
    return bodies.Deleted(0 if request is None else engine.delete(request))


@operation("POST", f"{COLLECTION}/get", Access.READ, shape=bodies.GetRecords, reply=bodies.GetReply)
def get(engine: Engine, call: Call, limits: Limits) -> bodies.GetReply:  # noqa: ARG001
    """Return records by ids, filters and page."""
    request = inbound.get_records(call.body, _collection(engine, call).id)
    return outbound.get_reply(engine.get(request), call.body.include)


@operation("POST", f"{COLLECTION}/query", Access.READ, shape=bodies.QueryRecords, reply=bodies.QueryReply)
def query(engine: Engine, call: Call, limits: Limits) -> bodies.QueryReply:  # noqa: ARG001
    """Return the records nearest to each query vector."""
    request = inbound.query_records(call.body, _collection(engine, call).id)
    reply = engine.query(request) if len(request.vectors) else requests.QueryReply([], [])
    return outbound.query_reply(reply, call.body.include)


@operation("GET", f"{COLLECTION}/count", Access.READ, reply=int, parameters=("read_level",))
def count(engine: Engine, call: Call, limits: Limits) -> int:  # noqa: ARG001
    """Count the records of a collection."""
    level = call.query.get("read_level")
    if level not in {None, *READ_LEVELS}:
        raise InvalidArgumentError(f"read_level is {level!r:.60}: expected one of {', '.join(READ_LEVELS)}")
    return engine.count(requests.CountRecords(_collection(engine, call).id))


READ_LEVELS = ("index_and_wal", "index_only", "index_and_bounded_wal")


@operation("POST", f"{COLLECTION}/count", Access.READ, shape=bodies.CountRecords, reply=int, ours=True)
def count_matching(engine: Engine, call: Call, limits: Limits) -> int:  # noqa: ARG001
    """Count the records that match filters."""
    return engine.count(inbound.count_records(call.body, _collection(engine, call).id))


@operation("POST", f"{COLLECTION}/scan", Access.READ, shape=bodies.ScanRecords, reply=bodies.ScanReply, ours=True)
def scan(engine: Engine, call: Call, limits: Limits) -> bodies.ScanReply:  # noqa: ARG001
    """Return the next records of a walk through a collection."""
    request = inbound.scan_records(call.body, _collection(engine, call).id)
    return outbound.scan_reply(engine.scan(request), call.body.include)


@operation("GET", f"{COLLECTION}/indexing_status", Access.READ, reply=bodies.IndexingStatus)
def indexing_status(engine: Engine, call: Call, limits: Limits) -> bodies.IndexingStatus:  # noqa: ARG001
    """Tell how many of the vectors ever written an index will still take up; queries compare those one by one."""
    status = engine.indexing(_collection(engine, call).id)
    indexed = status.total - status.pending
    progress = indexed / status.total if status.total else 1.0
    return bodies.IndexingStatus(progress, status.pending, indexed, status.total)


# -- what is not there yet --------------------------------------------------------------------------------------


_NEEDS_A_LOG = ": conditional transactions require the gRPC log implementation of Chroma's clusters"


def _not_yet(what: str, error: type[UnsupportedError], why: str) -> Callable[[Engine, Call, Limits], NoReturn]:
    def run(engine: Engine, call: Call, limits: Limits) -> NoReturn:  # noqa: ARG001
        raise error(f"{what} is not supported by this server{why}")

    run.__name__ = what.replace(" ", "_")
    run.__doc__ = f"Not supported yet: {what}."
    return run


for _method, _path, _access, _what, _error, _why in (
    ("POST", "/search", Access.READ, "search", UnsupportedError, " yet"),
    ("POST", "/fork", Access.WRITE, "fork", UnsupportedError, " yet"),
    ("GET", "/fork_count", Access.READ, "fork count", UnsupportedError, " yet"),
    ("POST", "/functions/attach", Access.WRITE, "attach function", UnsupportedError, " yet"),
    ("GET", "/functions/{name}", Access.READ, "get attached function", UnsupportedError, " yet"),
    ("POST", "/attached_functions/{name}/detach", Access.WRITE, "detach function", UnsupportedError, " yet"),
    ("POST", "/attached_functions/{name}/add_input", Access.WRITE, "add function input", UnsupportedError, " yet"),
    ("POST", "/conditional/get", Access.READ, "conditional get", TransactionsNotSupportedError, _NEEDS_A_LOG),
    ("POST", "/conditional/commit", Access.WRITE, "conditional commit", TransactionsNotSupportedError, _NEEDS_A_LOG),
):
    operation(_method, COLLECTION + _path, _access, there=False)(_not_yet(_what, _error, _why))


def _page(find: Callable[[], Found], limit: int | None, offset: int) -> list[Found]:
    """Return a page of the one thing that a limited key sees, if it is there."""
    try:
        return [find()][offset:][:limit]
    except NotFoundError:
        return []


def _collection(engine: Engine, call: Call, id_: str | None = None) -> requests.CollectionInfo:
    """Find the collection of the path where the path says it is, and see whether the caller may go there."""
    collection: UUID = inbound.parse_uuid(id_ or call.path["collection_id"])
    info = engine.get_collection_by_id(collection, call.tenant, call.database)
    call.principal.check_collection(info.name)
    return info
