"""The remote engine's side: from requests to bodies, and from bodies to replies."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from ochre.errors import (
    AuthenticationError,
    InvalidArgumentError,
    OchreError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    UnreachableError,
    error_class,
)
from ochre.model import requests
from ochre.model.configuration import stored_configuration
from ochre.model.filters import to_where
from ochre.model.schema import stored_schema
from ochre.model.vectors import Matrix, SparseVector
from ochre.wire import bodies
from ochre.wire.rows import from_json

AboutRecords = (
    requests.WriteRecords
    | requests.DeleteRecords
    | requests.GetRecords
    | requests.QueryRecords
    | requests.CountRecords
    | requests.ScanRecords
)

encode = msgspec.json.Encoder().encode


# -- from requests to bodies ------------------------------------------------------------------------------------


def create_collection(request: requests.CreateCollection) -> bodies.CreateCollection:
    """Say which collection to create."""
    default = request.schema == type(request.schema)()
    configuration: Any = request.configuration.to_dict()  # checking its shape is the server's part
    if configuration["spann"] is not None:  # a request names one kind of index
        configuration["spann"]["space"] = configuration.pop("hnsw")["space"]
    return bodies.CreateCollection(
        request.name,
        _kept(request.metadata),
        configuration if default else None,
        None if default else request.schema.to_creation(request.configuration),
        request.get_or_create,
        request.overwrite_metadata,
    )


def modify_collection(request: requests.ModifyCollection) -> bodies.UpdateCollection:
    """Say what to change of a collection."""
    configuration: Any = request.configuration
    return bodies.UpdateCollection(request.name, request.metadata, configuration)


def write_records(request: requests.WriteRecords) -> bodies.WriteRecords:
    """Say which records to write; vectors travel as base64."""
    return bodies.WriteRecords(
        list(request.ids),
        _embeddings(request),
        None if request.documents is None else list(request.documents),
        None if request.uris is None else list(request.uris),
        None if request.metadatas is None else [value and _metadata(value) for value in request.metadatas],
    )


def get_records(request: requests.GetRecords) -> bodies.GetRecords:
    """Say which records to fetch."""
    order = [f"-{key.key}" if key.descending else key.key for key in request.order_by]
    return bodies.GetRecords(
        ids=None if request.ids is None else list(request.ids),
        where=to_where(request.filter),
        limit=request.limit,
        offset=request.offset,
        include=sorted(request.include),
        order_by=order or None,
    )


def query_records(request: requests.QueryRecords) -> bodies.QueryRecords:
    """Say what to look for."""
    return bodies.QueryRecords(
        query_embeddings=request.vectors.tolist(),
        ids=None if request.ids is None else list(request.ids),
        n_results=request.n_results,
        where=to_where(request.filter),
        include=[*sorted(request.include), "distances"],
        exact=request.exact,
        max_distance=request.max_distance,
        explain=request.explain,
    )


def delete_records(request: requests.DeleteRecords) -> bodies.DeleteRecords:
    """Say which records to delete."""
    ids = None if request.ids is None else list(request.ids)
    return bodies.DeleteRecords(ids=ids, where=to_where(request.filter), limit=request.limit, erase=request.erase)


def count_records(request: requests.CountRecords) -> bodies.CountRecords:
    """Say which records to count."""
    return bodies.CountRecords(where=to_where(request.filter))


def scan_records(request: requests.ScanRecords) -> bodies.ScanRecords:
    """Say where a scan goes on."""
    cursor = None if request.cursor is None else [request.cursor.after, request.cursor.until]
    include: Any = sorted(request.include)
    return bodies.ScanRecords(
        where=to_where(request.filter), batch_size=request.batch_size, include=include, cursor=cursor
    )


def weight(request: AboutRecords) -> int:
    """Return about how many bytes the body of a request has."""
    ids, vectors = getattr(request, "ids", None) or (), getattr(request, "vectors", None)
    documents = getattr(request, "documents", None) or ()
    return 40 * len(ids) + (0 if vectors is None else 2 * vectors.nbytes) + sum(map(len, filter(None, documents)))


def _embeddings(request: requests.WriteRecords) -> msgspec.Raw:
    if request.vectors is None:
        return bodies.NULL
    texts: list[str | None] = [
        base64.b64encode(row.astype("<f4", copy=False).tobytes()).decode() for row in request.vectors
    ]
    if request.rows is not None:
        texts = [None if row is None else texts[row] for row in request.rows]
    return msgspec.Raw(encode(texts))


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item.to_dict() if isinstance(item, SparseVector) else item for key, item in value.items()}


def _kept(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out nulls, and with them metadata that holds nothing else: the API takes none in a new collection."""
    return {key: value for key, value in (metadata or {}).items() if value is not None} or None


# -- from bodies to replies -------------------------------------------------------------------------------------


def database(body: bodies.Database) -> requests.Database:
    """Read a database."""
    return requests.Database(UUID(body.id), body.name, body.tenant)


def collection(body: bodies.Collection) -> requests.CollectionInfo:
    """Read a collection.

    Raises:
        InvalidArgumentError: the server is not Ochre's.
    """
    if body.settings is None:
        raise InvalidArgumentError(
            "the server does not describe collections as Ochre's does: use the client made for it"
        )
    return requests.CollectionInfo(
        id=UUID(body.id),
        name=body.name,
        tenant=body.tenant,
        database=body.database,
        metadata=body.metadata,
        configuration=stored_configuration(body.settings["configuration"]),
        schema=stored_schema(body.settings["schema"]),
        dimension=body.dimension,
        head=body.log_position,
    )


def record_batch(body: bodies.GetReply) -> requests.RecordBatch:
    """Read records."""
    return _batch(body.ids, body.embeddings, body.documents, body.metadatas, body.uris)


def scan_reply(body: bodies.ScanReply) -> requests.ScanReply:
    """Read one step of a scan."""
    cursor = None if body.cursor is None else requests.Cursor(*body.cursor)
    return requests.ScanReply(record_batch(body), cursor)


def query_reply(body: bodies.QueryReply) -> requests.QueryReply:
    """Read what a query found."""

    def column(values: Sequence[Any] | None) -> Sequence[Any]:
        return [None] * len(body.ids) if values is None else values

    columns = zip(
        body.ids,
        column(body.embeddings),
        column(body.documents),
        column(body.metadatas),
        column(body.uris),
        strict=True,
    )
    explanation = None
    if body.explain is not None:
        explanation = requests.Explanation(**msgspec.structs.asdict(body.explain))
    distances = [[math.inf if value is None else value for value in found] for found in body.distances or ()]
    return requests.QueryReply([_batch(*parts) for parts in columns], distances, explanation)


def _batch(ids: list[str], vectors: Any, documents: Any, metadatas: Any, uris: Any) -> requests.RecordBatch:
    return requests.RecordBatch(
        ids, None if vectors is None else _matrix(vectors), documents, metadatas and [_read(m) for m in metadatas], uris
    )


def _matrix(rows: Sequence[msgspec.Raw]) -> Matrix:
    found = [row for row in map(from_json, rows) if row is not None]
    return np.stack(found) if found else np.empty((0, 0), np.float32)


def _read(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    if metadata is None or not any(isinstance(item, dict) for item in metadata.values()):
        return metadata
    return {key: SparseVector.from_dict(item) if isinstance(item, dict) else item for key, item in metadata.items()}


def error(status: int, content: bytes) -> OchreError:
    """Return the error that a reply of status 4xx or 5xx stands for."""
    usual = _OF_STATUS.get(status, OchreError)
    try:
        body = msgspec.json.decode(content, type=bodies.Error)
    except msgspec.DecodeError:  # a proxy's answer, or one of the server's in plain text
        text = content.decode(errors="replace").strip()
        return usual(f"the server, or a proxy before it, answered with status {status}: {text[:500] or 'no text'}")
    kind = error_class(body.code)
    return (usual if kind is OchreError else kind)(body.message)


_OF_STATUS: dict[int, type[OchreError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    413: PayloadTooLargeError,
    429: OverloadedError,
    502: UnreachableError,
    503: UnreachableError,
    504: UnreachableError,
}
"""What an answer means that does not tell it in our words."""
