"""The OpenAPI document, made of the route table and the shapes of bodies."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ochre.server.operations import TABLE, Access, Operation
from ochre.version import __version__
from ochre.wire import bodies

_REFERENCE = "#/components/schemas/{name}"
_UNSIGNED = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_ERRORS = {
    "400": "what was asked for breaks a rule",
    "401": "no API key, or an unknown one",
    "403": "not allowed",
    "404": "not there",
    "409": "the name is taken",
    "413": "the body is too large",
    "415": "the body is not JSON",
    "422": "JSON of another shape",
    "429": "too many requests",
    "501": "not supported yet",
    "503": "not ready, or shutting down",
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
        "tags": ["Ochre's own" if operation.ours else _tag(operation.path)],
        "parameters": _parameters(operation),
        "responses": {
            str(operation.status): {
                "description": "done",
                "content": {"application/json": {"schema": schema_of[repr(operation.reply)]}},
            },
            **{
                status: {
                    "description": meaning,
                    "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}},
                }
                for status, meaning in _ERRORS.items()
            },
        },
    }
    if operation.shape is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[repr(operation.shape)]}},
        }
    if operation.access > Access.PUBLIC:
        described["security"] = [{"bearer": []}, {"token": []}, {"basic": []}]
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parts = re.findall(r"\{(\w+)\}", operation.path)
    path = [
        {
            "name": part,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"format": "uuid"} if part == "collection_id" else {})},
        }
        for part in parts
    ]
    query = [
        {"name": name, "in": "query", "schema": {"type": "string"} if name == "read_level" else _UNSIGNED}
        for name in operation.parameters
    ]
    return path + query


def _tag(path: str) -> str:
    if "{collection_id}/" in path:
        return "records"
    if "/collections" in path:
        return "collections"
    return "tenants and databases" if "/tenants" in path else "system"
