"""From what users pass to what requests hold: the small arguments of reads. `model` parses records and filters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.records import INT_MAX, check_count, check_key
from ochre.model.requests import Field, OrderKey
from ochre.model.text import preview

Where = Mapping[str, Any]
"""A filter on metadata, such as `{"year": {"$gte": 1990}}`."""

WhereDocument = Mapping[str, Any]
"""A filter on documents, such as `{"$contains": "river"}`."""

_FIELDS: frozenset[str] = frozenset(get_args(Field))
_NAMES = ("documents", "embeddings", "metadatas", "distances", "uris", "data")


@dataclass(frozen=True, slots=True)
class Include:
    """What a read is to return.

    Attributes:
        names: as the caller gave them.
        fields: the columns to fetch; `data` needs the uris.
    """

    names: tuple[str, ...]
    fields: frozenset[Field]

    @property
    def data(self) -> bool:
        """Whether uris are to be loaded."""
        return "data" in self.names


def parse_include(include: Sequence[str], operation: str) -> Include:
    """Parse an `include` argument.

    Raises:
        InvalidTypeError: not a list; InvalidArgumentError: an unknown member, or `distances` in a get.
    """
    if not isinstance(include, list | tuple | set | frozenset):
        raise InvalidTypeError(f"Expected include to be a list, got {preview(include)} in {operation}.")
    for name in include:
        if name not in _NAMES:
            raise InvalidArgumentError(
                f"Expected include item to be one of {', '.join(_NAMES)}, got {preview(name)} in {operation}."
            )
        if name == "distances" and operation != "query":
            raise InvalidArgumentError(f"Include item cannot be distances in {operation}: only a query has distances.")
    fields = {name for name in include if name in _FIELDS} | ({"uris"} if "data" in include else set())
    return Include(tuple(include), frozenset(fields))  # type: ignore[arg-type]  # names of fields, as just checked


GET_DEFAULT = parse_include(["metadatas", "documents"], "get")
QUERY_DEFAULT = parse_include(["metadatas", "documents", "distances"], "query")
PEEK = parse_include(["metadatas", "documents", "embeddings"], "peek")


def parse_count(value: object, name: str, operation: str) -> int | None:
    """Parse a limit or an offset: None, or a whole number of 0 or more; one beyond 64 bits stands for the largest."""
    if value is None:
        return None
    number = _whole(value)
    if number is None:
        raise InvalidTypeError(f"Expected {name} to be an int, got {preview(value)} in {operation}.")
    if number < 0:
        raise InvalidArgumentError(f"Expected {name} to be 0 or more, got {number} in {operation}.")
    return min(number, INT_MAX)


def parse_n_results(value: object) -> int:
    """Parse how many neighbours are wanted: 1 or more."""
    number = _whole(value)
    if number is None:
        raise InvalidTypeError(f"Expected requested number of results to be a int, got {preview(value)} in query.")
    if number <= 0:
        raise InvalidTypeError(f"Number of requested results {number}, cannot be negative, or zero. in query.")
    return number


def parse_max_distance(value: object) -> float | None:
    """Parse a distance: None or a number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InvalidTypeError(f"Expected max_distance to be a number, got {preview(value)} in query.")
    try:
        distance = float(value)
    except OverflowError:
        distance = math.inf if value > 0 else -math.inf
    if distance != distance:
        raise InvalidArgumentError("Expected max_distance to be a number, got NaN in query.")
    return distance


def parse_configuration_argument(value: object) -> Mapping[str, Any] | None:
    """Refuse a configuration that is not a mapping; `model.configuration` parses what is in it."""
    if value is not None and not isinstance(value, Mapping):
        raise InvalidTypeError(
            f"Expected configuration to be a dict such as {{'hnsw': {{'space': 'cosine'}}}}, got {preview(value)}"
        )
    return value


def parse_schema_argument(value: Any) -> Mapping[str, Any] | None:
    """Return a schema in its JSON form; `model.schema` parses what is in it."""
    if value is not None and not isinstance(value, Mapping) and callable(getattr(value, "serialize_to_json", None)):
        value = value.serialize_to_json()
    if value is not None and not isinstance(value, Mapping):
        raise InvalidTypeError(
            f"Expected schema to be a dict such as {{'defaults': {{...}}, 'keys': {{...}}}}, got {preview(value)}"
        )
    return value


def parse_path(value: object) -> Path:
    """Return the file or folder that a user names, as an absolute path."""
    if not isinstance(value, str | PathLike):
        raise InvalidTypeError(f"path is {preview(value)}: expected a str or a Path")
    text = fspath(value)
    if isinstance(text, bytes) or not text or "\0" in text:
        raise InvalidArgumentError(f"path is {preview(value)}: expected the name of a file or a folder")
    return Path(text).expanduser().absolute()


def parse_positive(value: object, name: str, method: str) -> int:
    """Parse how many of something a method is to take: 1 or more."""
    number = _whole(value)
    if number is None or number < 1:
        raise InvalidArgumentError(f"Expected {name} to be an int of 1 or more, got {preview(value)} in {method}.")
    return number


def parse_images(images: Any, count: int | None = None) -> list[Any] | None:
    """Parse images: one array of 2 or more dimensions, or a list of them."""
    if images is None:
        return None
    if hasattr(images, "ndim"):
        images = [images]
    if not isinstance(images, Sequence) or not images:
        raise InvalidTypeError(
            "Expected images to be a non-empty list of arrays; an image is an array (height, width, ...)"
        )
    for index, image in enumerate(images):
        if getattr(image, "ndim", 0) < 2:
            raise InvalidTypeError(
                f"Expected images[{index}] to be an array of 2 or more dimensions (height, width, ...)"
            )
    if count is not None:
        check_count(len(images), "images", count)
    return list(images)


def parse_order_by(order_by: Any) -> tuple[OrderKey, ...]:
    """Parse an ordering: `"key"`, `"-key"` (descending), `("key", "desc")`, or a list of those."""
    if order_by is None:
        return ()
    if isinstance(order_by, str) or _is_pair(order_by):
        order_by = [order_by]
    if not isinstance(order_by, list | tuple) or not order_by:
        raise InvalidTypeError(
            f"Expected order_by to be a metadata key or a list of those, got {preview(order_by)} in get."
        )
    return tuple(_order_key(item) for item in order_by)


def _order_key(item: Any) -> OrderKey:
    if isinstance(item, str):
        key, descending = item.removeprefix("-"), item.startswith("-")
    elif _is_pair(item):
        key, descending = item[0], item[1] == "desc"
    else:
        raise InvalidTypeError(
            f"Expected order_by to hold 'key', '-key' or ('key', 'asc' or 'desc'), got {preview(item)} in get."
        )
    check_key(key, "order_by")
    return OrderKey(key, descending)


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and item[1] in ("asc", "desc")


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    return int(value)
