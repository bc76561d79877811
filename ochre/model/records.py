"""What a record may hold: id, document, uri and metadata, and the parsing of the columns users hand over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ochre.errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError
from ochre.model.text import encodable, first_unencodable, preview
from ochre.model.vectors import SparseVector

Scalar = str | int | float | bool
"""A metadata value that a filter can compare. Integers are 64-bit; a larger one is kept as a float."""

MetadataValue = Scalar | list[str] | list[int] | list[float] | list[bool] | SparseVector
Metadata = dict[str, MetadataValue]
MetadataPatch = dict[str, MetadataValue | None]
"""Metadata as a write carries it: None deletes the key."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def parse_ids(ids: object, *, allow_empty: bool = False, allow_blank: bool = False, unique: bool = True) -> list[str]:
    """Parse ids: one string, or a sequence of strings.

    Args:
        ids: as handed over.
        allow_empty: whether the list may be empty.
        allow_blank: whether an id may be empty: in a search for records it is an id that none has.
        unique: whether an id may stand there once only.

    Raises:
        InvalidTypeError: not strings.
        InvalidArgumentError: an empty list, an empty id, or text without a UTF-8 form.
        DuplicateIDError: one id twice.
    """
    ids = _listed(ids)
    if not isinstance(ids, Sequence):
        raise InvalidTypeError(f"Expected IDs to be a list of strings, got {preview(ids)}; make a list of it")
    parsed = list(ids)
    if set(map(type, parsed)) - {str}:  # almost never: one pass without a Python loop finds out
        parsed = [_parse_id(value) for value in parsed]
    distinct = set(parsed)
    if "" in distinct and not allow_blank:
        raise InvalidArgumentError("Expected each ID to be a non-empty string, got ''; choose an id for that record")
    if not parsed and not allow_empty:
        raise InvalidArgumentError("Expected IDs to be a non-empty list, got []")
    if not "".join(parsed).isascii() and (bad := first_unencodable(parsed)) is not None:
        raise InvalidArgumentError(
            f"ID {preview(parsed[bad])} holds a lone surrogate: ids are Unicode that UTF-8 can carry"
        )
    if unique and len(distinct) != len(parsed):
        raise _duplicates(parsed)
    return parsed


def _listed(values: object) -> object:
    """Return what stands for a list as one: a NumPy array, a single string."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [values] if isinstance(values, str) else values


def _parse_id(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidTypeError(f"Expected each ID to be a string, got {preview(value)}; convert it with str()")
    return str.__str__(value)  # NumPy's strings and enums among them


def _duplicates(ids: list[str]) -> DuplicateIDError:
    seen: set[str] = set()
    twice: list[str] = []
    for value in ids:
        if value in seen and value not in twice:
            twice.append(value)
            if len(twice) == 5:
                break
        seen.add(value)
    names = ", ".join(preview(value) for value in twice)
    return DuplicateIDError(f"Expected IDs to be unique, found duplicates of: {names}; keep one of each in a call")


def parse_texts(values: object, what: str, count: int) -> list[str | None] | None:
    """Parse documents or uris: one string, or a sequence of strings and Nones, `count` of them.

    Returns:
        None when `values` is None; otherwise a list of length `count`.
    """
    if values is None:
        return None
    values = _listed(values)
    if not isinstance(values, Sequence):
        raise InvalidTypeError(f"Expected {what} to be a list of strings, got {preview(values)}; make a list of it")
    texts = [str.__str__(value) if isinstance(value, str) and type(value) is not str else value for value in values]
    for index, value in enumerate(texts):
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(
                f"Expected {what}[{index}] to be a string, got {preview(value)}; convert it with str()"
            )
    check_count(len(texts), what, count)
    if (bad := first_unencodable(texts)) is not None:
        raise InvalidArgumentError(
            f"{what}[{bad}] holds a lone surrogate: text is Unicode that UTF-8 can carry; clean it, "
            "for example with text.encode('utf-8', 'replace').decode()"
        )
    return texts


def check_count(found: int, what: str, expected: int) -> None:
    """Refuse a column whose length is not the number of ids."""
    if found != expected:
        raise InvalidArgumentError(
            f"Unequal lengths: {what} has {found} entries and ids has {expected}; a call needs one per id"
        )


def parse_metadatas(values: object, count: int) -> list[MetadataPatch | None] | None:
    """Parse the metadata column: one mapping, or a sequence of mappings and Nones, `count` of them.

    Raises:
        InvalidTypeError: not mappings, a key that is not a string, a value of an unknown type.
        InvalidArgumentError: an empty mapping, a reserved key, an empty or mixed list, a number that is not finite.
    """
    if values is None:
        return None
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, Mapping):
        values = [values]
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InvalidTypeError(
            f"Expected metadatas to be a list of metadata dicts, got {preview(values)}; make a list of it"
        )
    check_count(len(values), "metadatas", count)
    return [
        None if value is None else parse_metadata(value, f"metadatas[{index}]") for index, value in enumerate(values)
    ]


def parse_metadata(value: object, what: str = "metadata") -> MetadataPatch:
    """Parse one record's metadata; None among its values is kept, to delete the key."""
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"Expected {what} to be a metadata dict, got {preview(value)}")
    if not value:
        raise InvalidArgumentError(
            f"Expected {what} to be a non-empty metadata dict, got {{}}; use None for no metadata"
        )
    parsed: MetadataPatch = {}
    for key, item in value.items():
        if type(key) is not str or not key or key[0] in "#$c" or not key.isascii():
            check_key(key, what)
            key = str.__str__(key)  # noqa: PLW2901  (the same text, as a plain string)
        kind = type(item)
        if item is None or kind is bool or (kind in _PLAIN and _PLAIN[kind](item)):
            parsed[key] = item
        elif kind is list and _is_plain(item):
            parsed[key] = item.copy()
        else:
            parsed[key] = _parse_value(item, what, key)
    return parsed


_PLAIN: dict[type, Callable[[Any], bool]] = {
    str: str.isascii,
    float: math.isfinite,
    int: lambda item: INT_MIN <= item <= INT_MAX,
}
"""What must hold of a value for it to be taken as it is: most values are, without a look at what else they may be."""


def _is_plain(items: list[Any]) -> bool:
    kinds = set(map(type, items))
    return len(kinds) == 1 and (kinds == {bool} or (kinds <= _PLAIN.keys() and all(map(_PLAIN[kinds.pop()], items))))


def check_key(key: object, what: str = "metadata") -> None:
    """Refuse a metadata key that is not a string, is empty, or starts with a reserved prefix."""
    if not isinstance(key, str):
        raise InvalidTypeError(
            f"Expected a metadata key of {what} to be a string, got {preview(key)}; convert it with str()"
        )
    if not key or key.startswith(("#", "$", "chroma:")):
        raise InvalidArgumentError(
            f"{what} has the metadata key {preview(key)}: keys are not empty and do not start with '#', '$' or "
            "'chroma:'; rename it"
        )
    if not encodable(key):
        raise InvalidArgumentError(
            f"{what} has the metadata key {preview(key)}, which holds a lone surrogate; clean it"
        )


def _parse_value(item: Any, what: str, key: str) -> MetadataValue | None:
    if isinstance(item, np.ndarray | np.generic):
        item = item.tolist()
    if isinstance(item, SparseVector):
        return item
    if isinstance(item, list | tuple):
        return _parse_array(list(item), f"{what}[{key!r}]")
    if isinstance(item, Mapping) and item.get("#type") == "sparse_vector":
        return SparseVector.from_dict(item)
    return parse_scalar(item, f"{what}[{key!r}]")


def plain(item: Scalar) -> Scalar:
    """Return the value as Python's own type: subclasses, enums among them, count as what they are made of."""
    if type(item) in {str, bool, int, float}:
        return item
    if isinstance(item, str):
        return str.__str__(item)
    return int(item) if isinstance(item, int) else float(item)


def parse_scalar(item: object, what: str) -> Scalar:
    """Parse one str, int, float or bool (NumPy's too); an integer beyond 64 bits becomes a float."""
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, bool):
        return item
    if isinstance(item, int):
        return _parse_int(int(item), what)
    if isinstance(item, float):
        if not math.isfinite(item):
            raise InvalidArgumentError(f"{what} is {item}: metadata numbers are finite; leave the key out instead")
        return float(item)
    if isinstance(item, str):
        if not encodable(item):
            raise InvalidArgumentError(f"{what} is {preview(item)}, which holds a lone surrogate; clean it")
        return plain(item)
    raise InvalidTypeError(
        f"Expected metadata value {what} to be a str, int, float, bool or a list of one of them, got {preview(item)} "
        f"which is a {type(item).__name__}; convert it, for example to a string"
    )


def _parse_int(item: int, what: str) -> int | float:
    if INT_MIN <= item <= INT_MAX:
        return item
    try:
        return float(item)
    except OverflowError as error:
        raise InvalidArgumentError(
            f"{what} is an integer of {item.bit_length()} bits: metadata numbers fit a float64"
        ) from error


def _parse_array(items: list[Any], what: str) -> MetadataValue:
    if not items:
        raise InvalidArgumentError(f"Expected metadata value {what} to be a non-empty list; leave the key out instead")
    parsed = [parse_scalar(item, f"{what}[{index}]") for index, item in enumerate(items)]
    if len({type(item) for item in parsed}) > 1:
        raise InvalidArgumentError(
            f"Expected metadata value {what} to be a list of the same type (all str, int, float, or bool), got "
            f"{preview(items)}"
        )
    return parsed  # type: ignore[return-value]  # one type throughout, as just checked


def parse_collection_metadata(value: object) -> dict[str, Scalar | None] | None:
    """Parse a collection's metadata: scalars only; a None value is kept (it is dropped when stored)."""
    if value is None:
        return None
    parsed = parse_metadata(value, "collection metadata")
    for key, item in parsed.items():
        if isinstance(item, list | SparseVector):
            raise InvalidTypeError(
                f"Expected collection metadata value {key!r} to be a str, int, float or bool, got {preview(item)}; "
                "lists belong in the metadata of records"
            )
    return parsed  # type: ignore[return-value]  # arrays and sparse vectors were just refused


_CHANGED_WHEN_STORED = frozenset({type(None), SparseVector})


def merge_metadata(old: Mapping[str, Any] | None, patch: MetadataPatch | None) -> dict[str, Any] | None:
    """Merge a write's metadata into what is stored: given keys replace, None deletes, others stay; None when empty."""
    if patch is None:
        return dict(old) if old else None
    if not old and _CHANGED_WHEN_STORED.isdisjoint(map(type, patch.values())):
        return dict(patch) or None
    merged = dict(old or {})
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value.to_dict() if isinstance(value, SparseVector) else value
    return merged or None
