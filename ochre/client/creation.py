"""From what users pass for a new collection to the request that makes it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ochre.client import normalize
from ochre.client.functions import DEFAULT, Function, check_function, configured, preferred_space
from ochre.model.configuration import Configuration, parse_configuration
from ochre.model.names import parse_collection_name
from ochre.model.records import parse_collection_metadata
from ochre.model.requests import CreateCollection
from ochre.model.schema import Schema, names_space, with_schema


def parse_new_collection(
    place: tuple[str, str],
    name: str,
    schema: Any,
    configuration: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    function: Function,
    *,
    get_or_create: bool,
    overwrite_metadata: bool = False,
) -> tuple[CreateCollection, Function]:
    """Parse the arguments of `create_collection`, as the user gave them; `place` is the tenant and the database.

    Returns:
        The request, and the function that embeds on the new handle.
    """
    check_function(function)
    parsed_metadata = parse_collection_metadata(metadata)
    configuration = normalize.parse_configuration_argument(configuration)
    settings = configured(configuration, function)
    embeds = _embedding_instance(configuration, function)
    parsed_name = parse_collection_name(name)
    parsed_schema, parsed = _settings(settings, parsed_metadata, normalize.parse_schema_argument(schema), embeds)
    request = CreateCollection(
        *place,
        parsed_name,
        parsed_metadata,
        parsed,
        parsed_schema,
        get_or_create=get_or_create,
        overwrite_metadata=overwrite_metadata,
    )
    return request, embeds


def _embedding_instance(configuration: Mapping[str, Any] | None, function: Function) -> Function:
    """Return the function that embeds on the new handle: the argument, or the one inside the configuration."""
    own = (configuration or {}).get("embedding_function")
    if own is not None and not isinstance(own, Mapping) and (function is DEFAULT or function is None):
        return own
    return function


def _settings(
    settings: dict[str, Any],
    metadata: Mapping[str, Any] | None,
    given: Mapping[str, Any] | None,
    function: Function,
) -> tuple[Schema, Configuration]:
    """Parse schema and configuration; where they leave the space open, the embedding function's own counts."""
    schema, configuration = with_schema(given, parse_configuration(settings, metadata))
    space: Any = preferred_space(function)
    if space is not None and not _chooses_space(settings, metadata, given):
        return schema, replace(configuration, hnsw=replace(configuration.hnsw, space=space))
    supported = getattr(function, "supported_spaces", None)
    if callable(supported) and configuration.space not in supported():
        warnings.warn(
            f"the embedding function is made for the spaces {supported()}, not for {configuration.space!r}",
            stacklevel=5,
        )
    return schema, configuration


def _chooses_space(
    settings: Mapping[str, Any], metadata: Mapping[str, Any] | None, schema: Mapping[str, Any] | None
) -> bool:
    if any((settings.get(kind) or {}).get("space") is not None for kind in ("hnsw", "spann")):
        return True
    legacy = settings.get("spann") is None and "hnsw:space" in (metadata or {})
    return legacy or (schema is not None and names_space(schema))
