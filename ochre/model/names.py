"""The rules for the names of collections, databases and tenants (Chroma's, exactly)."""

from __future__ import annotations

import ipaddress
import re
from uuid import UUID

from ochre.errors import InvalidArgumentError, InvalidTypeError, InvalidUUIDError
from ochre.model.text import encodable, preview

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_RULE = "3-512 characters from [a-zA-Z0-9._-], starting and ending with a letter or digit"


def parse_collection_name(name: object) -> str:
    """Return `name` if it may name a collection.

    Raises:
        InvalidArgumentError: it breaks a rule; InvalidTypeError: it is not a string.
    """
    return _parse(name, "collection name")


def parse_database_name(name: object) -> str:
    """Return `name` if it may name a database: the rules of collection names."""
    return _parse(name, "database name")


def parse_tenant_name(name: object) -> str:
    """Return `name` if it may name a tenant: 3 characters or more, of any kind."""
    text = _text(name, "tenant name")
    if len(text) < 3:
        raise InvalidArgumentError(
            f"tenant name {preview(text)} is too short: 3 characters or more; choose a longer one"
        )
    return text


def parse_collection_id(value: object) -> UUID:
    """Return a collection's id from a UUID or its text.

    Raises:
        InvalidUUIDError: it is neither.
    """
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError as error:
        raise InvalidUUIDError(
            f"collection id {preview(value)} is not a UUID: pass the `id` of a collection, or find it by name"
        ) from error


def parse_reference(name: object, what: str) -> str:
    """Return a name that something is looked up by: any text.

    Raises:
        InvalidTypeError: it is not a string; InvalidArgumentError: it has no UTF-8 form.
    """
    return _text(name, f"{what} name")


def _parse(name: object, what: str) -> str:
    text = _text(name, what)
    halves = text.split("+")
    if len(halves) > 2 or len(text) > 512 or not all(_valid(half) for half in halves):
        raise InvalidArgumentError(
            f"Validation error: name: {what} {preview(text)} is not valid: expected a name containing {_RULE}, "
            "without two dots in a row, and not an IP address; rename it"
        )
    return text


def _valid(name: str) -> bool:
    return 3 <= len(name) <= 512 and _NAME.fullmatch(name) is not None and ".." not in name and not _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _text(name: object, what: str) -> str:
    if not isinstance(name, str):
        raise InvalidTypeError(f"{what} {preview(name)} is a {type(name).__name__}: it must be a string")
    if not encodable(name):
        raise InvalidArgumentError(
            f"{what} {preview(name)} holds a lone surrogate: names are Unicode that UTF-8 can carry"
        )
    return name
