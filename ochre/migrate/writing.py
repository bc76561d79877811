"""Writing one collection's records through a client, in batches; telling which cannot be written, and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ochre.errors import InvalidArgumentError, OchreError
from ochre.migrate.chroma.records import SourceRecord
from ochre.migrate.fitting import fit_metadata
from ochre.migrate.leftover import LeftOver
from ochre.migrate.report import MEANINGS, CollectionReport, Kind

if TYPE_CHECKING:
    from ochre.client._sync.collection import Collection

_BATCH = 2000
_BATCH_BYTES = 8 << 20


@dataclass(slots=True)
class CollectionWriter:
    """Takes a collection's records one by one. Without a target it only counts.

    Attributes:
        dimension: length of the vectors; that of the first one where the folder does not say.
        without_length: whether vectors from the index have lost their length.
    """

    report: CollectionReport
    left_over: LeftOver
    target: Collection | None
    dimension: int | None
    re_embed: bool
    without_length: bool = False
    _batch: list[SourceRecord] = field(default_factory=list)
    _bytes: int = 0

    def take(self, record: SourceRecord) -> None:
        """Take a record, to be written with the next batch, or find out why it cannot be."""
        problem = self._problem(record)
        if problem is not None:
            self._leave(problem, record)
            return
        if record.lost:
            self._leave("unread", record, ", ".join(name.removeprefix("chroma:") for name in record.lost))
        self._append(record)

    def take_unlisted(self, record: SourceRecord, *, listed: bool) -> None:
        """Take what only the index has: nothing to import if the list of records is whole (`listed`)."""
        if listed:
            self.report.find("unlisted", record.id)
        elif self._problem(record) is None:
            self.report.find("bare", record.id)
            self._append(record)

    def flush(self) -> None:
        """Write what has been taken."""
        # Runs of records with a vector and of those that are embedded anew, so that their order stays.
        for _, run in groupby(self._batch, key=lambda record: record.vector is None):
            self._write(list(run))
        self._batch, self._bytes = [], 0

    def _problem(self, record: SourceRecord) -> Kind | None:
        vector = record.vector
        if vector is None:
            return None if self.re_embed and record.document is not None else "no_vector"
        self.dimension = self.dimension or len(vector)
        if len(vector) != self.dimension:
            return "wrong_dimension"
        return None if bool(np.isfinite(vector).all()) else "not_finite"

    def _append(self, record: SourceRecord) -> None:
        if self.without_length and record.origin == "index":
            self.report.find("without_length", record.id)
        kept, cut = fit_metadata(record.metadata)
        if cut:
            self._leave("metadata_cut", replace(record, metadata=cut))
        self._batch.append(replace(record, metadata=kept or {}))
        self._bytes += len(record.document or "") + 4 * (self.dimension or 0)
        if len(self._batch) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self.flush()

    def _write(self, records: list[SourceRecord]) -> None:
        if self.target is None:
            self.report.records += len(records)
            return
        try:
            self.target.add(**_columns(records))
        except OchreError as error:
            if not isinstance(error, InvalidArgumentError) and records[0].vector is not None:
                raise
            if len(records) > 1:
                for record in records:
                    self._write([record])
            elif records[0].vector is None:
                self._leave("no_vector", records[0], error.message)
            else:
                self._leave("refused", records[0], error.message)
        else:
            self.report.records += len(records)

    def _leave(self, kind: Kind, record: SourceRecord, detail: str = "") -> None:
        self.report.find(kind, record.id)
        place = (self.report.tenant, self.report.database, self.report.name)
        self.left_over.add(place, f"{MEANINGS[kind]}{detail and ': '}{detail}", record)


def _columns(records: list[SourceRecord]) -> dict[str, Any]:
    """Return records as arguments of `Collection.add`."""
    vectors = [record.vector for record in records if record.vector is not None]
    return {
        "ids": [record.id for record in records],
        "embeddings": np.stack(vectors) if vectors else None,
        "documents": [record.document for record in records],
        "uris": [record.uri for record in records] if vectors or any(record.uri for record in records) else None,
        "metadatas": [record.metadata or None for record in records],
    }
