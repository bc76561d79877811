"""The queue of writes: what it says about records that the index, or the metadata segment, has not taken in yet.

Entries go out of the queue from its old end only, and never before both have taken them in. So whatever it says last
about a record is how that record is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.migrate.chroma.catalog import SourceCollection
from ochre.migrate.chroma.folder import ChromaFolder

ADD, UPDATE, UPSERT, DELETE = range(4)
_TYPES = {"FLOAT32": "<f4", "INT32": "<i4"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the queue, without its vector."""

    sequence: int
    operation: int
    id: str
    has_vector: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where the queue has a record's vector.

    Attributes:
        certain: False for an `add` that has no effect if the record was there before.
    """

    sequence: int
    certain: bool


class Queue:
    """The queue of a folder, by collection."""

    def __init__(self, folder: ChromaFolder) -> None:
        self._folder = folder
        self._there = folder.has("embeddings_queue")
        if self._there:  # there is no index by topic, and reading everything for each collection takes too long
            list(folder.rows("CREATE TEMP TABLE topics AS SELECT topic, seq_id AS sequence FROM embeddings_queue"))
            list(folder.rows("CREATE INDEX temp.by_topic ON topics (topic, sequence)"))

    def entries(self, collection: SourceCollection) -> Iterator[Entry]:
        """Yield a collection's entries, the oldest first."""
        if not self._there:
            return
        sql = (
            "SELECT q.seq_id, q.operation, CAST(q.id AS BLOB), q.vector IS NOT NULL FROM temp.topics t "
            "CROSS JOIN embeddings_queue q ON q.seq_id=t.sequence WHERE t.topic=? ORDER BY t.sequence"
        )
        for sequence, operation, id_, has_vector in self._folder.rows(sql, (collection.topic,)):
            yield Entry(sequence, operation, decoded(id_), bool(has_vector))

    def vector(self, sequence: int) -> NDArray[np.float32] | None:
        """Return the vector of an entry, `(d,)`; None when it cannot be read."""
        found = self._folder.rows("SELECT vector,encoding FROM embeddings_queue WHERE seq_id=?", (sequence,))
        for vector, encoding in found:
            kind = _TYPES.get(str(encoding))
            if isinstance(vector, bytes) and kind and vector and len(vector) % 4 == 0:
                return np.frombuffer(vector, kind).astype(np.float32)
        return None

    def metadata(self, sequence: int) -> dict[str, Any]:
        """Return the metadata of an entry, document and uri among it; None values delete their keys."""
        for (text,) in self._folder.rows(
            "SELECT CAST(metadata AS BLOB) FROM embeddings_queue WHERE seq_id=?", (sequence,)
        ):
            try:
                value = json.loads(decoded(text)) if text is not None else None
            except ValueError:
                return {}
            return value if isinstance(value, dict) else {}
        return {}


def decoded(text: bytes) -> str:
    """Return text as a string; bytes that are not UTF-8, which only damage makes, become replacement characters."""
    return text.decode("utf-8", "replace")


@dataclass(slots=True)
class Vectors:
    """What the queue says about the vectors of one collection.

    Attributes:
        candidates: by id, the newest vector it has.
        deleted: ids whose vector in the index is gone.
    """

    candidates: dict[str, Candidate] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def take(self, entry: Entry, *, exists: bool | None) -> None:
        """Follow one entry; `exists` says whether the record was in the index before it, None when unknown."""
        known = entry.id in self.candidates or (False if entry.id in self.deleted else exists)
        if entry.operation == DELETE:
            self.candidates.pop(entry.id, None)
            self.deleted.add(entry.id)
        elif entry.has_vector and (
            entry.operation == UPSERT
            or (entry.operation == UPDATE and known is not False)
            or (entry.operation == ADD and known is not True)
        ):
            self.candidates[entry.id] = Candidate(entry.sequence, known is not None or entry.operation != ADD)


@dataclass(slots=True)
class Filing:
    """What the queue says about documents and metadata that the metadata segment does not have yet.

    Attributes:
        changed: by id, the entries that change a record it has.
        fresh: by id, the entries that make up a record it does not have, in the order of their addition.
        dropped: ids of records it has that are gone.
    """

    changed: dict[str, list[int]] = field(default_factory=dict)
    fresh: dict[str, list[int]] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)

    def take(self, entry: Entry, *, filed: bool) -> None:
        """Follow one entry; `filed` says whether the metadata segment has the record."""
        there = filed and entry.id not in self.dropped
        exists = there or entry.id in self.fresh
        if entry.operation == DELETE:
            self.changed.pop(entry.id, None)
            self.fresh.pop(entry.id, None)
            if filed:
                self.dropped.add(entry.id)
        elif not exists and entry.operation in {ADD, UPSERT}:
            self.fresh[entry.id] = [entry.sequence]
        elif exists and entry.operation in {UPDATE, UPSERT}:
            (self.changed if there else self.fresh).setdefault(entry.id, []).append(entry.sequence)
