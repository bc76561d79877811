"""From what a client sent to requests: the server's side of parsing.

A body of the wrong shape is an `UnprocessableError` (422), one that breaks a rule an `InvalidArgumentError` (400), as
Chroma tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np

from ochre.errors import InvalidArgumentError, UnprocessableError
from ochre.model import requests
from ochre.model.configuration import parse_configuration
from ochre.model.filters import Filter, parse_filters
from ochre.model.names import parse_collection_name
from ochre.model.records import (
    INT_MAX,
    INT_MIN,
    MetadataPatch,
    MetadataValue,
    Scalar,
    check_count,
    check_key,
    parse_ids,
    parse_scalar,
)
from ochre.model.schema import with_schema
from ochre.model.text import preview
from ochre.model.vectors import Matrix, SparseVector, parse_matrix
from ochre.wire import bodies
from ochre.wire.rows import from_base64, from_json

_AS_IT_IS = frozenset({str, bool, float})
"""Types of values that need no look: JSON knows no other floats than finite ones."""

Body = TypeVar("Body")
Text = TypeVar("Text", bytes, msgspec.Raw)

_TEXTS = re.compile(rb'\s*\[(?:\s*null\s*,)*\s*"')
"""The beginning of an array of texts and nulls, a text among them."""

_rows = msgspec.json.Decoder(list[msgspec.Raw])
_texts = msgspec.json.Decoder(list[str | None])


def decoder(shape: type[Body]) -> Callable[[bytes], Body]:
    """Return a function that reads JSON of a shape.

    Raises, when called:
        InvalidArgumentError: it is not JSON. UnprocessableError: it is of another shape.
    """
    decode = msgspec.json.Decoder(shape).decode
    return lambda text: _decoded(decode, text)


def _decoded(decode: Callable[[Text], Body], text: Text) -> Body:
    try:
        return decode(text)
    except msgspec.ValidationError as error:
        if str(error).startswith(("Number out of range", "Integer value out of range")):
            raise InvalidArgumentError(f"the body is not valid JSON: {error}") from error
        raise UnprocessableError(f"the body is not what this operation takes: {error}") from error
    except RecursionError as error:
        raise InvalidArgumentError("the body nests too deeply: flatten it") from error
    except ValueError as error:  # also text that is not UTF-8, and numbers of thousands of digits
        raise InvalidArgumentError(f"the body is not valid JSON: {error}") from error


# -- collections ------------------------------------------------------------------------------------------------


def create_collection(body: bodies.CreateCollection, tenant: str, database: str) -> requests.CreateCollection:
    """Parse a new collection."""
    name = parse_collection_name(body.name)
    metadata = collection_metadata(body.metadata)
    configuration = parse_configuration(_configuration(body.configuration), body.metadata)
    schema, configuration = with_schema(body.schema, configuration)
    return requests.CreateCollection(
        tenant, database, name, metadata, configuration, schema, body.get_or_create, body.overwrite_metadata
    )


def update_collection(body: bodies.UpdateCollection, collection: UUID) -> requests.ModifyCollection:
    """Parse changes of a collection."""
    return requests.ModifyCollection(
        collection,
        None if body.new_name is None else parse_collection_name(body.new_name),
        collection_metadata(body.new_metadata, update=True),
        _changes(body.new_configuration),
    )


_CHANGEABLE = {
    "hnsw": {"ef_search", "max_neighbors", "num_threads", "resize_factor", "sync_threshold", "batch_size"},
    "spann": {"search_nprobe", "ef_search"},
}


def _changes(body: bodies.Configuration | None) -> dict[str, Any] | None:
    """Return the changes of a configuration; settings that are fixed at creation make it another shape."""
    given = _configuration(body)
    for kind, changeable in _CHANGEABLE.items():
        fixed = (given or {}).get(kind, {}).keys() - changeable
        if fixed:
            raise UnprocessableError(
                f"{', '.join(sorted(fixed))} of {kind} is fixed when a collection is created: create another "
                "collection and copy the records"
            )
    return given


def _configuration(body: bodies.Configuration | None) -> dict[str, Any] | None:
    """Return a configuration without its nulls."""
    if body is None:
        return None
    given: dict[str, Any] = msgspec.to_builtins(body)
    function = given.get("embedding_function")
    if function is not None and function.get("type") == "known" and not {"name", "config"} <= function.keys():
        raise UnprocessableError(
            f"the embedding function {preview(function)} is of type 'known': such a one has a name and a config"
        )
    return given


def collection_metadata(value: Mapping[str, Any] | None, *, update: bool = False) -> dict[str, Scalar | None] | None:
    """Parse a collection's metadata: scalars; nulls only in an update, where they are dropped."""
    if value is None:
        return None
    if not value:
        raise InvalidArgumentError("metadata is empty: leave it out, or null")
    parsed: dict[str, Scalar | None] = {}
    for key, item in value.items():
        check_key(key)
        if isinstance(item, list) or (isinstance(item, dict) and {"indices", "values"} <= item.keys()):
            raise InvalidArgumentError(
                f"metadata[{key!r}] is {preview(item)}: a collection's metadata holds scalars; arrays and sparse "
                "vectors belong in the metadata of records"
            )
        if isinstance(item, dict) or (item is None and not update):
            raise UnprocessableError(f"metadata[{key!r}] is {preview(item)}: expected a string, number or boolean")
        parsed[key] = None if item is None else parse_scalar(item, f"metadata[{key!r}]")
    return parsed


# -- records ----------------------------------------------------------------------------------------------------


def write_records(body: bodies.WriteRecords, collection: UUID, kind: requests.WriteKind) -> requests.WriteRecords:
    """Parse a write."""
    ids = parse_ids(body.ids, allow_empty=True, unique=False)
    count = len(ids)
    for name, column in (("documents", body.documents), ("uris", body.uris), ("metadatas", body.metadatas)):
        if column is not None:
            check_count(len(column), name, count)
    metadatas = metadata_column(body.metadatas, nulls=kind != "add")
    vectors, rows = _embeddings(body.embeddings, count, required=kind != "update")
    return requests.WriteRecords(collection, kind, ids, vectors, body.documents, metadatas, body.uris, rows)


def _embeddings(raw: msgspec.Raw, count: int, *, required: bool) -> tuple[Matrix | None, list[int | None] | None]:
    """Return the vectors and, if not every record has one, which of them each record has."""
    text = bytes(raw)
    if text.strip() == b"null":
        if required:
            raise UnprocessableError("embeddings is null: this operation needs an embedding a record")
        return None, None
    rows: list[Any]
    if _TEXTS.match(text):
        rows = [None if item is None else from_base64(item) for item in _decoded(_texts.decode, text)]
    else:
        rows = [_decoded(from_json, row) for row in _decoded(_rows.decode, text)]
    if not rows and not required:
        return None, None  # chroma-go's way to say that there are none
    check_count(len(rows), "embeddings", count)
    there = [row for row in rows if row is not None]
    if required and len(there) != len(rows):
        raise UnprocessableError("embeddings holds null: this operation needs an embedding a record")
    if not there:
        return (np.empty((0, 0), np.float32), None) if required else (None, None)
    vectors = parse_matrix(there)
    if len(there) == len(rows):
        return vectors, None
    numbers = iter(range(len(there)))
    return vectors, [None if row is None else next(numbers) for row in rows]


def metadata_column(
    values: Sequence[Mapping[str, Any] | None] | None, *, nulls: bool
) -> list[MetadataPatch | None] | None:
    """Parse the metadata column; with `nulls` a null value deletes its key, otherwise it is refused."""
    if values is None:
        return None
    return [_metadata(value, index, nulls=nulls) if value else None for index, value in enumerate(values)]


def _metadata(value: Mapping[str, Any], index: int, *, nulls: bool) -> MetadataPatch | None:
    parsed: MetadataPatch = {}
    for key, item in value.items():
        if not key or key[0] in "#$c" or not key.isascii():
            check_key(key, f"metadatas[{index}]")
        if type(item) in _AS_IT_IS:
            parsed[key] = item
        elif item is None:
            if not nulls:
                raise UnprocessableError(f"metadatas[{index}][{key!r}] is null: leave the key out")
            parsed[key] = None
        elif type(item) is int:
            fits = INT_MIN <= item <= INT_MAX
            parsed[key] = item if fits else parse_scalar(item, f"metadatas[{index}][{key!r}]")
        elif item != []:
            parsed[key] = _composite(item, f"metadatas[{index}][{key!r}]")
    return parsed or None


def _composite(item: Any, what: str) -> MetadataValue:
    """Parse an array of one type (integers among floats count as floats), or a sparse vector."""
    if isinstance(item, list):
        kinds = {type(element) for element in item}
        if len(kinds) == 1 and kinds <= _AS_IT_IS:
            return item
        if kinds != {int, float} and (len(kinds) != 1 or kinds <= {list, dict, type(None)}):
            raise UnprocessableError(f"{what} is {preview(item)}: expected an array of strings, numbers or booleans")
        parsed = [parse_scalar(element, what) for element in item]
        if len({type(element) for element in parsed}) != 1:  # integers among floats, or one beyond 64 bits
            parsed = [float(element) for element in parsed]
        return parsed  # type: ignore[return-value]  # of one type, as just checked
    if not {"indices", "values"} <= item.keys() or item.get("#type", "sparse_vector") != "sparse_vector":
        raise UnprocessableError(
            f"{what} is {preview(item)}: expected a string, number, boolean, array or sparse vector"
        )
    if not isinstance(item["indices"], list) or not isinstance(item["values"], list):
        raise UnprocessableError(f"{what} is {preview(item)}: a sparse vector has lists of indices and values")
    values = [float(parse_scalar(value, what)) if type(value) is int else value for value in item["values"]]
    return SparseVector.from_dict(item | {"values": values})


def get_records(body: bodies.GetRecords, collection: UUID) -> requests.GetRecords:
    """Parse a get."""
    order = tuple(requests.OrderKey(key.removeprefix("-"), key.startswith("-")) for key in body.order_by or ())
    for item in order:
        check_key(item.key, "order_by")
    return requests.GetRecords(
        collection, body.ids, _filter(body), order, body.limit, body.offset or 0, included(body.include)
    )


def query_records(body: bodies.QueryRecords, collection: UUID) -> requests.QueryRecords:
    """Parse a query; `(0, 0)` vectors when there are none."""
    vectors = (
        parse_matrix(body.query_embeddings, "query_embeddings") if body.query_embeddings else np.empty((0, 0), "f4")
    )
    return requests.QueryRecords(
        collection,
        vectors,
        10 if body.n_results is None else body.n_results,
        body.ids,
        _filter(body),
        body.max_distance,
        body.exact,
        body.explain,
        included(body.include),
    )


def delete_records(body: bodies.DeleteRecords, collection: UUID) -> requests.DeleteRecords | None:
    """Parse a delete; None when it selects nothing."""
    filter_ = _filter(body)
    if filter_ is None and body.limit is not None:
        raise InvalidArgumentError("limit can only be specified when a where or where_document clause is provided")
    if filter_ is None and body.ids is None:
        return None
    if filter_ is None and not body.ids:
        raise InvalidArgumentError("ids is empty and there is no filter: name what to delete")
    return requests.DeleteRecords(collection, body.ids, filter_, body.limit, body.erase)


def count_records(body: bodies.CountRecords, collection: UUID) -> requests.CountRecords:
    """Parse a count with filters."""
    return requests.CountRecords(collection, _filter(body))


def scan_records(body: bodies.ScanRecords, collection: UUID) -> requests.ScanRecords:
    """Parse one step of a scan."""
    cursor = None if body.cursor is None else requests.Cursor(*body.cursor)
    return requests.ScanRecords(collection, _filter(body), body.batch_size, included(body.include), cursor)


def included(names: Sequence[str]) -> frozenset[requests.Field]:
    """Return the columns to fetch; distances are no column of a record."""
    return frozenset(names) - {"distances"}  # type: ignore[return-value]  # the shape names the others


def _filter(
    body: bodies.GetRecords | bodies.QueryRecords | bodies.DeleteRecords | bodies.CountRecords | bodies.ScanRecords,
) -> Filter | None:
    return parse_filters(body.where, body.where_document, min_branches=0)


def parse_uuid(text: str) -> UUID:
    """Parse a collection's id in a path."""
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidArgumentError(f"Collection ID is not a valid UUIDv4: {preview(text)}") from error
