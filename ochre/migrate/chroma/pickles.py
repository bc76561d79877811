"""The pickle beside an index, read as data: an interpreter of the few opcodes that plain containers need.

Nothing in it is ever called or imported. Whatever asks for more than dicts, lists, texts and numbers is refused; a file
that breaks off is read as far as it goes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CLASS = "chromadb.segment.impl.vector.local_persistent_hnsw PersistentData"
"""The one class that Chroma pickles: its attributes are taken as a dict."""


@dataclass(frozen=True, slots=True)
class IndexMetadata:
    """What Chroma notes beside an index.

    Attributes:
        labels: the label of each id in the index.
        max_seq_id: the newest entry of the queue that is in the index, in folders before 0.5.
        dimension: length of the vectors, in folders before 1.0.
        trouble: what is wrong with the file, None for a sound one.
    """

    labels: dict[str, int] = field(default_factory=dict)
    max_seq_id: int | None = None
    dimension: int | None = None
    trouble: str | None = None


def read_index_metadata(path: Path) -> IndexMetadata:
    """Read an `index_metadata.pickle`, as much of it as is there."""
    try:
        with path.open("rb") as file:
            found, trouble = _Reader().read(file)
    except OSError as error:
        return IndexMetadata(trouble=f"{path.name} cannot be read ({error.strerror})")
    labels = found.get("id_to_label")
    pairs = labels.items() if isinstance(labels, dict) else ()
    return IndexMetadata(
        {id_: label for id_, label in pairs if isinstance(id_, str) and _is_number(label)},
        _number(found.get("max_seq_id")),
        _number(found.get("dimensionality")),
        None if trouble is None else f"{path.name} {trouble}",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and _is_number(value) else None


class _RefusedError(Exception):
    """The file asks for what data does not need."""


class _Mark:
    """Where a group of values begins on the stack."""


class _Object:
    """Stands for an instance of `PersistentData`; it has no code."""

    def __init__(self) -> None:
        self.attributes: dict[Any, Any] = {}


class _Reader:
    """A stack machine over the opcodes of one pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = {
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "MARK": lambda _: self._stack.append(_Mark),
            "NONE": lambda _: self._stack.append(None),
            "NEWTRUE": lambda _: self._stack.append(True),
            "NEWFALSE": lambda _: self._stack.append(False),
            "BINPUT": self._remember,
            "LONG_BINPUT": self._remember,
            "MEMOIZE": lambda _: self._remember(len(self._memo)),
            "BINGET": lambda slot: self._stack.append(self._memo[slot]),
            "LONG_BINGET": lambda slot: self._stack.append(self._memo[slot]),
            "SETITEM": lambda _: self._set(self._take(2)),
            "SETITEMS": lambda _: self._set(self._group()),
            "APPEND": lambda _: self._extend(self._take(1)),
            "APPENDS": lambda _: self._extend(self._group()),
            "GLOBAL": self._name,
            "STACK_GLOBAL": lambda _: self._name(" ".join(map(str, self._take(2)))),
            "NEWOBJ": lambda _: self._make(),
            "BUILD": lambda _: self._build(),
        }
        values = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT")
        texts = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
        self._actions |= dict.fromkeys(values + texts, self._stack.append)
        self._actions |= dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda _: None)

    def read(self, file: Any) -> tuple[dict[Any, Any], str | None]:
        """Return the attributes, and what is wrong with the file, if anything."""
        try:
            for opcode, argument, _ in pickletools.genops(file):
                action = self._actions.get(opcode.name)
                if action is None:
                    raise _RefusedError(f"asks for the pickle operation {opcode.name}, which data does not need")
                action(argument)
        except _RefusedError as error:
            return {}, f"{error}; it is not read"
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return self._rest(), "breaks off or is damaged"
        return self._attributes(), None

    def _attributes(self) -> dict[Any, Any]:
        for value in reversed(self._stack):
            found = value.attributes if isinstance(value, _Object) else value
            if isinstance(found, dict) and found:
                return found
        return {}

    def _rest(self) -> dict[Any, Any]:
        """Close what was open when the file broke off, the innermost first."""
        while _Mark in self._stack:
            items = self._group()
            target = self._stack[-1] if self._stack else None
            if isinstance(target, dict):
                self._set([*items[: len(items) // 2 * 2]])
        return self._attributes()

    def _remember(self, slot: int) -> None:
        self._memo[slot] = self._stack[-1]

    def _take(self, count: int) -> list[Any]:
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _group(self) -> list[Any]:
        start = len(self._stack) - 1
        while self._stack[start] is not _Mark:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise TypeError("not a dict")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError("not a list")
        target.extend(items)

    def _name(self, name: str) -> None:
        if name != _CLASS:
            raise _RefusedError(f"asks for {name.replace(' ', '.')!r:.100}")
        self._stack.append(_Object)

    def _make(self) -> None:
        kind, arguments = self._take(2)
        if kind is not _Object or arguments != ():
            raise _RefusedError("makes an object of an unknown kind")
        self._stack.append(_Object())

    def _build(self) -> None:
        (state,) = self._take(1)
        target = self._stack[-1]
        if not isinstance(target, _Object) or not isinstance(state, dict):
            raise _RefusedError("gives an object a state of an unknown kind")
        target.attributes.update(state)
