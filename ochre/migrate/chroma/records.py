"""The records of one collection: rows of the metadata segment, vectors of the index, what the queue says of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import apsw
import numpy as np
from numpy.typing import NDArray

from ochre.migrate.chroma.catalog import SourceCollection, sequence_number, value_of
from ochre.migrate.chroma.folder import ChromaFolder
from ochre.migrate.chroma.index import VectorIndex
from ochre.migrate.chroma.queue import Candidate, Filing, Queue, Vectors, decoded

_CHUNK = 200
"""Rows that are in memory at once."""

_DOCUMENT, _URI = "chroma:document", "chroma:uri"


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as the folder has it.

    Attributes:
        vector: `(d,)` float32; None if it is nowhere.
        origin: where the vector is from.
        lost: names of values that the record had and that cannot be read; `chroma:document` stands for its document.
    """

    id: str
    vector: NDArray[np.float32] | None
    origin: Literal["index", "queue"] | None = None
    document: str | None = None
    uri: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


class Records:
    """The records of a collection, read piece by piece.

    Attributes:
        troubles: what is wrong with the collection's files, in sentences.
        without_length: whether vectors from the index have lost their length.
    """

    def __init__(self, folder: ChromaFolder, queue: Queue, collection: SourceCollection) -> None:
        self._folder, self._queue, self._collection = folder, queue, collection
        place = folder.path / str(collection.vector_segment)
        self._index = VectorIndex(
            place, collection.space, collection.dimension, collection.neighbors, expected=bool(collection.indexed)
        )
        self._segment = collection.metadata_segment
        self._has_rows = folder.has("embeddings") and self._segment is not None
        self._vectors, self._filing = Vectors(), Filing()
        self._replay()
        self.without_length = self._index.without_length
        self.troubles = ([] if self._segment else ["its metadata segment is not known"]) + self._index.troubles
        self._unlisted = set(self._index.metadata.labels) - self._vectors.deleted

    def count(self) -> int:
        """Return about how many records there are."""
        if not self._has_rows:
            return len(self._filing.fresh)
        (row,) = self._folder.rows("SELECT count(*) FROM embeddings WHERE segment_id=?", (self._segment,))
        return int(row[0]) + len(self._filing.fresh) - len(self._filing.dropped)

    def __iter__(self) -> Iterator[SourceRecord]:
        """Yield the records, in the order they were added."""
        rows = self._rows()
        while chunk := list(islice(rows, _CHUNK)):
            keys = [key for key, _, _ in chunk]
            values, lost = read_metadata(self._folder, keys), self._lost(keys)
            for key, id_, sequence in chunk:
                if id_ not in self._filing.dropped:
                    record = self._record(id_, sequence, values.get(key, {}), self._filing.changed.get(id_, ()))
                    yield replace(record, lost=tuple(lost[key])) if key in lost else record
        for id_, sequences in self._filing.fresh.items():
            yield self._record(id_, None, {}, sequences)

    def unlisted(self) -> Iterator[SourceRecord]:
        """Yield, once all records have been read, what the index has besides: ids with vectors and nothing else."""
        for id_ in sorted(self._unlisted):
            vector = self._index.vector(id_)
            if vector is not None:
                yield SourceRecord(id_, vector, "index")

    # -- the queue ----------------------------------------------------------------------------------------------

    def _replay(self) -> None:
        indexed = self._collection.indexed
        if indexed is None:
            indexed = self._index.metadata.max_seq_id or 0
        filed = self._collection.filed
        if filed is None:
            filed = max((sequence for _, _, sequence in self._rows() if sequence is not None), default=0)
        for entry in self._queue.entries(self._collection):
            exists = entry.id in self._index if entry.sequence > indexed and self._index.intact else None
            self._vectors.take(entry, exists=exists)
            if entry.sequence > filed:
                self._filing.take(entry, filed=self._is_filed(entry.id))

    def _is_filed(self, id_: str) -> bool:
        sql = "SELECT 1 FROM embeddings WHERE segment_id=? AND embedding_id=?"
        return self._has_rows and any(self._folder.rows(sql, (self._segment, id_)))

    # -- records ------------------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[int, str, int | None]]:
        if not self._has_rows:
            return
        sql = "SELECT id, CAST(embedding_id AS BLOB), seq_id FROM embeddings WHERE segment_id=? ORDER BY id"
        for key, id_, sequence in self._folder.rows(sql, (self._segment,)):
            yield key, decoded(id_), sequence_number(sequence)

    def _lost(self, keys: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        if self._folder.has("lost"):
            numbers = apsw.carray(np.array(keys, np.int64))
            sql = "SELECT l.id, CAST(l.key AS BLOB) FROM carray(?) w CROSS JOIN lost l ON l.id=w.value"
            for key, name in self._folder.rows(sql, (numbers,)):
                found.setdefault(key, []).append(decoded(name))
        return found

    def _record(self, id_: str, sequence: int | None, values: dict[str, Any], changes: Sequence[int]) -> SourceRecord:
        for change in changes:
            values |= self._queue.metadata(change)
        self._unlisted.discard(id_)
        document, uri = values.pop(_DOCUMENT, None), values.pop(_URI, None)
        metadata = {key: value for key, value in values.items() if value is not None}
        vector, origin = self._vector(id_, sequence)
        return SourceRecord(id_, vector, origin, _text(document), _text(uri), metadata)

    def _vector(
        self, id_: str, sequence: int | None
    ) -> tuple[NDArray[np.float32] | None, Literal["index", "queue"] | None]:
        """Return a record's vector; `sequence` is of the last entry that had an effect on it, None when unknown."""
        candidate = self._vectors.candidates.get(id_)
        indexed = None if id_ in self._vectors.deleted else self._index.vector(id_)
        queued = None if candidate is None else self._queue.vector(candidate.sequence)
        scaled = self.without_length
        if candidate is None or queued is None or not _holds(candidate, sequence, queued, indexed, scaled=scaled):
            return indexed, None if indexed is None else "index"
        return queued, "queue"


def _holds(
    candidate: Candidate,
    sequence: int | None,
    queued: NDArray[np.float32],
    indexed: NDArray[np.float32] | None,
    *,
    scaled: bool,
) -> bool:
    """Tell whether the queue's vector is the record's: an `add` of a record that was there before changed nothing.

    With `scaled`, the index's vector is of length 1.
    """
    if candidate.certain:
        return True
    if indexed is None:
        return sequence is None or sequence >= candidate.sequence
    if scaled:
        queued = queued / (np.linalg.norm(queued) or 1)
    return queued.shape == indexed.shape and bool(np.allclose(queued, indexed, rtol=1e-4, atol=1e-6))


def read_metadata(folder: ChromaFolder, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the metadata of rows by their keys, document and uri among it."""
    found: dict[int, dict[str, Any]] = {}
    numbers = np.array(keys, np.int64)
    columns = "m.id, CAST(m.key AS BLOB), CAST(m.string_value AS BLOB), m.int_value, m.float_value, "
    for table, order in (("embedding_metadata", ""), ("embedding_metadata_array", " ORDER BY m.rowid")):
        if not folder.has(table) or not len(numbers):
            continue
        flag = "m.bool_value" if folder.has(table, "bool_value") else "NULL"
        sql = f"SELECT {columns}{flag} FROM carray(?) w CROSS JOIN {table} m ON m.id=w.value{order}"  # noqa: S608
        for key, name, text, *rest in folder.rows(sql, (apsw.carray(numbers),)):
            value = value_of(None if text is None else decoded(text), *rest)
            if order:
                found.setdefault(key, {}).setdefault(decoded(name), []).append(value)
            else:
                found.setdefault(key, {})[decoded(name)] = value
    return found


def orphans(folder: ChromaFolder) -> Iterator[dict[str, Any]]:
    """Yield the metadata, document and uri among it, of rows whose record is lost."""
    if not folder.has("embedding_metadata") or not folder.has("embeddings"):
        return
    sql = "SELECT DISTINCT id FROM embedding_metadata WHERE id NOT IN (SELECT id FROM embeddings) ORDER BY id"
    keys = (row[0] for row in folder.rows(sql))
    while chunk := list(islice(keys, _CHUNK)):
        yield from read_metadata(folder, chunk).values()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
