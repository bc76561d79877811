"""The file of what was not imported: a line of JSON for each record, with all that could be read of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ochre.errors import AlreadyExistsError
from ochre.migrate.chroma.records import SourceRecord


class LeftOver:
    """Writes the file, which comes into being with its first line. Use it in a `with` statement.

    Attributes:
        path: the file; None to write nothing.
    """

    def __init__(self, path: Path | None) -> None:
        """Raise `AlreadyExistsError` if the file is there."""
        if path is not None and path.exists():
            raise AlreadyExistsError(f"{path} exists, and would be written anew: move it away")
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def written(self) -> Path | None:
        """The file, if there is one by now."""
        return self.path if self._file is not None else None

    def add(self, place: tuple[str, str, str] | None, reason: str, record: SourceRecord | dict[str, Any]) -> None:
        """Write a record, or what is left of one, of a collection (tenant, database, name) if it is known."""
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("x", encoding="utf-8", newline="\n")
        where = dict(zip(("tenant", "database", "collection"), place or (None,) * 3, strict=True))
        line = {"reason": reason, **where, **(_fields(record) if isinstance(record, SourceRecord) else record)}
        self._file.write(json.dumps(_plain(line), allow_nan=False) + "\n")


def _fields(record: SourceRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "document": record.document,
        "uri": record.uri,
        "metadata": record.metadata or None,
        "embedding": None if record.vector is None else record.vector.tolist(),
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON can carry it: NaN and infinity as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
