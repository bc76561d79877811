"""The OpenAPI document, made of the route table and the shapes of bodies."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ochre.server import faults
from ochre.server.operations import READ_LEVELS, TABLE, Access, Operation
from ochre.version import __version__
from ochre.wire import bodies

_REFERENCE = "#/components/schemas/{name}"
_UNSIGNED = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_QUERY = {"limit": _UNSIGNED, "offset": _UNSIGNED, "read_level": {"type": "string", "enum": list(READ_LEVELS)}}
_MEANINGS = {
    400: "what was asked for breaks a rule, or the body is not JSON",
    401: "no API key, or an unknown one",
    403: "not allowed",
    404: "not there",
    408: "the body did not arrive in time",
    409: "the name is taken",
    413: "the body is too large",
    415: "the body is not declared as JSON",
    422: "JSON of another shape",
    429: "too many requests; try again",
    500: "the server's own failure; its log tells more",
    501: "not supported yet",
    503: "not ready, or shutting down; try again",
    507: "the disk is full; nothing was written",
}


def document() -> dict[str, Any]:
    """Return the document."""
    shapes: list[Any] = [bodies.Error]
    for operation in TABLE.operations:
        shapes += [shape for shape in (operation.shape, operation.reply) if shape is not None]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    schema_of = {repr(shape): schema for shape, schema in zip(shapes, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in TABLE.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ochre",
            "version": __version__,
            "description": "An embedding database that speaks Chroma's HTTP API, version 2.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": _error_responses(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "apiKey", "in": "header", "name": "x-chroma-token"},
            },
        },
    }


def _described(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schema_of),
    }
    if operation.shape is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[repr(operation.shape)]}},
        }
    if operation.access > Access.PUBLIC:
        described["security"] = [{"bearer": []}, {"token": []}, {"basic": []}]
    return described


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    reply = {"application/json": {"schema": schema_of[repr(operation.reply)]}}
    responses: dict[str, Any] = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _errors(operation)
    }
    if operation.name in faults.PLAIN_WHEN_TOO_LARGE:
        responses["413"] = {"$ref": "#/components/responses/413-plain"}
    if operation.there:
        responses[str(operation.status)] = {"description": "done", "content": reply}
    if operation.reply is bodies.Health:
        responses["503"] = {"description": "not ready", "content": reply}
    return dict(sorted(responses.items()))


def _error_responses() -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}}
    trace = {"schema": {"type": "string"}, "description": "the request's id in the server's log"}
    described = {
        str(status): {"description": meaning, "headers": {faults.TRACE_HEADER: trace}, "content": error}
        for status, meaning in _MEANINGS.items()
    }
    plain = {**described["413"], "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {**described, "413-plain": plain}


def _errors(operation: Operation) -> set[int]:
    """Return the statuses of the errors that an operation can answer with."""
    found = {500}
    if operation.access > Access.PUBLIC:
        found |= {401, 403, 429, 503}
    if "{" in operation.path or operation.parameters:
        found |= {400, 404}
    if operation.shape is not None:
        found |= {400, 408, 413, 415, 422}
    if operation.access >= Access.WRITE:
        found |= {409, 507}
    return found if operation.there else {401, 403, 429, 501}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parts = re.findall(r"\{(\w+)\}", operation.path)
    path = [_part(part, operation) for part in parts]
    query = [{"name": name, "in": "query", "schema": _QUERY[name]} for name in operation.parameters]
    return path + query


def _part(name: str, operation: Operation) -> dict[str, Any]:
    is_id = name == "collection_id" or (operation.name == "update_collection" and name == "collection")
    schema = {"type": "string", "format": "uuid"} if is_id else {"type": "string", "minLength": 1}
    described = {"name": name, "in": "path", "required": True, "schema": schema}
    return {**described, "description": "its id" if is_id else "its name"} if name == "collection" else described


def _tag(operation: Operation) -> str:
    if not operation.there:
        return "not supported yet"
    if operation.ours:
        return "Ochre's own"
    if "{collection_id}/" in operation.path:
        return "records"
    if "/collections" in operation.path:
        return "collections"
    return "tenants and databases" if "/tenants" in operation.path else "system"
