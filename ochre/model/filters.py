"""Filters: the syntax tree of `where` and `where_document`, and the only parser of it.

Engines interpret the tree; none of them reads JSON. The grammar:

    where          := {"$and": [where...]} | {"$or": [where...]} | {key: scalar} | {key: {operator: operand}}
    where_document := {"$and": [where_document...]} | {"$or": [where_document...]} | {text operator: text}

with exactly one key an object. The text operators are `$contains`, `$icontains`, `$regex` and the same with `$not_`.
The key `#document` of a `where` takes the leaves of `where_document`.

Meaning (every engine's): numbers compare by value, integers with floats too; a bool, a number and a string are never
equal; `$contains` on a metadata key asks for an element of the same type in an array; a negative operator is the
complement over all records, so it holds for records without the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import re2

from ochre.errors import InvalidArgumentError
from ochre.model.records import INT_MAX, INT_MIN, Scalar, plain
from ochre.model.regex import translate
from ochre.model.text import encodable, preview

Comparison = Literal["eq", "gt", "gte", "lt", "lte"]

MAX_DEPTH = 64
"""How deep `$and` and `$or` may nest."""


@dataclass(frozen=True, slots=True)
class And:
    """All of `parts` hold; an empty tuple holds for every record."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of `parts` holds; an empty tuple holds for no record."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`part` does not hold: the complement over all records."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Compare:
    """The value of `key` is there and compares so with `operand`. Only `eq` takes strings and bools."""

    key: str
    comparison: Comparison
    operand: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """The value of `key` equals one of `operands`."""

    key: str
    operands: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class ArrayContains:
    """The value of `key` is an array with an element equal to `operand` and of the same type."""

    key: str
    operand: Scalar


@dataclass(frozen=True, slots=True)
class Exists:
    """The record has the metadata key `key`, whatever its value."""

    key: str


@dataclass(frozen=True, slots=True)
class DocumentContains:
    """The record has a document, and `text` is a substring of it (case-sensitive)."""

    text: str


@dataclass(frozen=True, slots=True)
class DocumentContainsAnyCase:
    """The record has a document, and `text` is a substring of it once both are case-folded (`str.casefold`)."""

    text: str


@dataclass(frozen=True, slots=True)
class DocumentMatches:
    """The record has a document, and `pattern` (RE2 syntax) is found somewhere in it."""

    pattern: str


MetadataLeaf = Compare | In | ArrayContains | Exists
DocumentLeaf = DocumentContains | DocumentContainsAnyCase | DocumentMatches
Filter = And | Or | Not | MetadataLeaf | DocumentLeaf


def leaves(filter_: Filter) -> Iterator[MetadataLeaf | DocumentLeaf]:
    """Yield the leaves of a tree from left to right."""
    if isinstance(filter_, And | Or):
        for part in filter_.parts:
            yield from leaves(part)
    elif isinstance(filter_, Not):
        yield from leaves(filter_.part)
    else:
        yield filter_


def parse_filters(where: object, where_document: object, *, min_branches: int = 2) -> Filter | None:
    """Parse both filter arguments of a call into one tree.

    Args:
        where: None, or a mapping of the grammar above.
        where_document: None, or a mapping of the grammar above.
        min_branches: how many branches `$and` and `$or` need.

    Returns:
        None when there is no filter.

    Raises:
        InvalidArgumentError: the grammar is broken; the message begins with "Invalid where" and names the part.
    """
    found: list[Filter] = []
    if where is not None:
        found.append(_Parser("where", "Invalid where clause", min_branches).where(where, 0))
    if where_document is not None:
        found.append(
            _Parser("where_document", "Invalid where document clause", min_branches).document(where_document, 0)
        )
    if len(found) == 2:
        return And(tuple(found))
    return found[0] if found else None


class _Parser:
    """Parses one argument; keeps what its messages need."""

    def __init__(self, argument: str, prefix: str, min_branches: int) -> None:
        self._argument = argument
        self._prefix = prefix
        self._min_branches = min_branches

    def fail(self, problem: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"{self._prefix} ({self._argument}): {problem}")

    def single(self, value: object, depth: int) -> tuple[str, Any]:
        """Return the only item of a mapping."""
        if depth > MAX_DEPTH:
            raise self.fail(f"it nests deeper than {MAX_DEPTH} levels; flatten its $and and $or")
        if not isinstance(value, Mapping):
            raise self.fail(f"expected a dict, got {preview(value)}")
        if len(value) != 1:
            raise self.fail(
                f"expected a dict with exactly one key or operator, got {preview(value)}; join several with $and"
            )
        key, operand = next(iter(value.items()))
        if not isinstance(key, str) or not encodable(key):
            raise self.fail(f"expected a string as key, got {preview(key)}")
        return key, operand

    def branches(self, name: str, value: object, parse: Callable[[object, int], Filter], depth: int) -> Filter:
        if not isinstance(value, list | tuple):
            raise self.fail(f"{name} takes a list, got {preview(value)}")
        if len(value) < self._min_branches:
            raise self.fail(
                f"{name} takes {self._min_branches} or more expressions, got {len(value)}; leave {name} out"
            )
        parts = tuple(parse(part, depth + 1) for part in value)
        return And(parts) if name == "$and" else Or(parts)

    def where(self, value: object, depth: int) -> Filter:
        key, operand = self.single(value, depth)
        if key in {"$and", "$or"}:
            return self.branches(key, operand, self.where, depth)
        if key.startswith("$"):
            raise self.fail(f"unknown operator {key!r}: expected $and, $or or a metadata key")
        if not isinstance(operand, Mapping):
            operand = {"$eq": operand}
        operator, argument = self.single(operand, depth)
        if key == "#document":
            return self.document_leaf(operator, argument)
        return self.metadata_leaf(key, operator, argument)

    def document(self, value: object, depth: int) -> Filter:
        operator, operand = self.single(value, depth)
        if operator in {"$and", "$or"}:
            return self.branches(operator, operand, self.document, depth)
        return self.document_leaf(operator, operand)

    def document_leaf(self, operator: str, operand: object) -> Filter:
        negative = operator.startswith("$not_")
        kind = _DOCUMENT_LEAVES.get(operator.replace("$not_", "$", 1))
        if kind is None:
            raise self.fail(
                f"unknown operator {operator!r} for documents: expected one of $contains, $not_contains, $icontains, "
                "$not_icontains, $regex, $not_regex (for $eq and the like, keep the value in the metadata)"
            )
        if not isinstance(operand, str) or not encodable(operand):
            raise self.fail(f"{operator} takes a string, got {preview(operand)}")
        if not operand and self._min_branches:
            raise self.fail(f"{operator} takes a non-empty string, got ''")
        if kind is DocumentMatches:
            compile_pattern(operand, self.fail)
        return Not(kind(operand)) if negative else kind(operand)

    def metadata_leaf(self, key: str, operator: str, operand: object) -> Filter:
        if operator in {"$eq", "$ne"}:
            equal = Compare(key, "eq", self.scalar(operator, operand))
            return equal if operator == "$eq" else Not(equal)
        if operator in _ORDERINGS:
            return Compare(key, _ORDERINGS[operator], self.number(operator, operand))
        if operator in {"$in", "$nin"}:
            member = In(key, self.operands(operator, operand))
            return member if operator == "$in" else Not(member)
        if operator in {"$contains", "$not_contains"}:
            contains = ArrayContains(key, self.scalar(operator, operand))
            return contains if operator == "$contains" else Not(contains)
        if operator == "$exists":
            if not isinstance(operand, bool):
                raise self.fail(f"$exists takes true or false, got {preview(operand)}")
            return Exists(key) if operand else Not(Exists(key))
        raise self.fail(
            f"unknown operator {operator!r} for the key {key!r}: expected one of $eq, $ne, $gt, $gte, $lt, $lte, "
            "$in, $nin, "
            "$contains, $not_contains, $exists"
        )

    def scalar(self, operator: str, operand: object) -> Scalar:
        if isinstance(operand, np.generic):
            operand = operand.item()
        if isinstance(operand, int) and not INT_MIN <= operand <= INT_MAX:
            raise self.fail(f"{operator} takes integers from -2^63 to 2^63-1, got {preview(operand)}")
        if isinstance(operand, float) and operand != operand:
            raise self.fail(f"{operator} takes a number, got NaN")
        if isinstance(operand, str) and not encodable(operand):
            raise self.fail(f"{operator} takes text that UTF-8 can carry, got {preview(operand)}")
        if not isinstance(operand, str | int | float):
            raise self.fail(f"{operator} takes a str, int, float or bool, got {preview(operand)}")
        return plain(operand)

    def number(self, operator: str, operand: object) -> int | float:
        value = self.scalar(operator, operand)
        if isinstance(value, bool | str):
            raise self.fail(f"{operator} takes an int or a float, got {preview(value)}")
        return value

    def operands(self, operator: str, operand: object) -> tuple[Scalar, ...]:
        if not isinstance(operand, list | tuple) or not operand:
            raise self.fail(f"{operator} takes a non-empty list, got {preview(operand)}")
        values = tuple(self.scalar(operator, value) for value in operand)
        first = type(values[0])
        fits = (int, float) if first is float else (first,)
        if any(type(value) not in fits for value in values):
            raise self.fail(f"{operator} takes a list of one type, got {preview(operand)}")
        return values


_DOCUMENT_LEAVES: dict[str, type[DocumentLeaf]] = {
    "$contains": DocumentContains,
    "$icontains": DocumentContainsAnyCase,
    "$regex": DocumentMatches,
}
_ORDERINGS: dict[str, Comparison] = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}


_PATTERN_BYTES = 1 << 20


def compile_pattern(pattern: str, fail: Callable[[str], Exception] = InvalidArgumentError) -> Any:
    """Compile a `$regex` pattern with RE2, whose running time is linear in the text whatever the pattern.

    It is linear in the size of the compiled pattern too, so that has a bound: without it a kilobyte of nested repeats
    could take a minute on a long document.

    Raises:
        whatever `fail` makes of the message, when the pattern does not compile.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    try:
        return re2.compile(translate(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise fail(
            f"the regular expression {preview(pattern)} does not compile: {reason:.120}; RE2 syntax has no "
            "look-around and no back-references, and repeats of large parts have to be shortened"
        ) from error


def to_where(filter_: Filter | None) -> dict[str, Any] | None:
    """Return the `where` that parses to this filter; None for none.

    Raises:
        InvalidArgumentError: a complement that the grammar has no operator for; the parser makes none.
    """
    if filter_ is None:
        return None
    if isinstance(filter_, And | Or):
        return {"$and" if isinstance(filter_, And) else "$or": [to_where(part) for part in filter_.parts]}
    if isinstance(filter_, Not):
        return _negated(filter_.part)
    if isinstance(filter_, DocumentContains):
        return {"#document": {"$contains": filter_.text}}
    if isinstance(filter_, DocumentContainsAnyCase):
        return {"#document": {"$icontains": filter_.text}}
    if isinstance(filter_, DocumentMatches):
        return {"#document": {"$regex": filter_.pattern}}
    if isinstance(filter_, Exists):
        return {filter_.key: {"$exists": True}}
    if isinstance(filter_, In):
        return {filter_.key: {"$in": list(filter_.operands)}}
    operator = "contains" if isinstance(filter_, ArrayContains) else filter_.comparison
    return {filter_.key: {f"${operator}": filter_.operand}}


_NEGATIONS = {
    "$eq": "$ne",
    "$in": "$nin",
    "$contains": "$not_contains",
    "$icontains": "$not_icontains",
    "$regex": "$not_regex",
}


def _negated(part: Filter) -> dict[str, Any]:
    positive = to_where(part)
    assert positive is not None
    ((key, condition),) = positive.items()
    if key not in {"$and", "$or"}:
        ((operator, operand),) = condition.items()
        if operator == "$exists":
            return {key: {"$exists": not operand}}
        if operator in _NEGATIONS:
            return {key: {_NEGATIONS[operator]: operand}}
    raise InvalidArgumentError(f"the complement of {preview(positive)} has no operator: write out its opposite")
