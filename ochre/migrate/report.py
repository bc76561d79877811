"""What an import says about itself: by collection, how many records came over, and what did not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal[
    "no_vector",
    "wrong_dimension",
    "not_finite",
    "refused",
    "metadata_cut",
    "bare",
    "unread",
    "without_length",
    "unlisted",
]

MEANINGS: dict[Kind, str] = {
    "no_vector": "not imported: no vector, neither in the index nor in the queue",
    "wrong_dimension": "not imported: the vector is not of the collection's dimension",
    "not_finite": "not imported: the vector holds NaN or infinity",
    "refused": "not imported: the record breaks a rule",
    "metadata_cut": "imported without some of their metadata, which breaks a rule",
    "bare": "imported with their vector alone: document and metadata cannot be read",
    "unread": "imported without some of their document and metadata, which cannot be read",
    "without_length": "imported with their vector scaled to length 1: its own length is lost",
    "unlisted": "vectors of records that were deleted: nothing to import",
}
"""Each kind of finding, and what it says of the records it counts."""

HARMLESS: frozenset[Kind] = frozenset({"unlisted"})
_SHOWN = 10


@dataclass(slots=True)
class Finding:
    """Records of which the same has to be said.

    Attributes:
        count: how many there are.
        first: the ids of the first of them.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, id_: str) -> None:
        """Count a record."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(id_)


@dataclass(slots=True)
class CollectionReport:
    """What came of one collection.

    Attributes:
        tenant, database, name: where it is now.
        was: what it was called, as `tenant/database/name`, if one of these had to change; else None.
        old_id, id: its id in the folder of Chroma's, and now; None when nothing was written.
        space: how distance is measured.
        records: how many were imported, or would be.
        troubles: what is wrong with its files, and what of its settings was left out, in sentences.
        findings: by kind, records that did not come over as they were.
    """

    tenant: str
    database: str
    name: str
    was: str | None
    old_id: str
    space: str
    id: str | None = None
    records: int = 0
    troubles: list[str] = field(default_factory=list)
    findings: dict[Kind, Finding] = field(default_factory=dict)

    def find(self, kind: Kind, id_: str) -> None:
        """Count a record under a kind of finding."""
        self.findings.setdefault(kind, Finding()).add(id_)

    @property
    def complete(self) -> bool:
        """Tell whether every record came over as it was."""
        return not self.findings.keys() - HARMLESS


@dataclass(slots=True)
class Report:
    """What came of an import, or would come of it.

    Attributes:
        source, destination: the folders; no destination when nothing was written.
        collections: one report each, by tenant, database and name.
        troubles: what is wrong with the folder as a whole, in sentences.
        left_over: the file with what was not imported, None when there is nothing.
    """

    source: Path
    destination: Path | None
    collections: list[CollectionReport] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    left_over: Path | None = None

    @property
    def records(self) -> int:
        """How many records were imported, or would be."""
        return sum(collection.records for collection in self.collections)

    @property
    def complete(self) -> bool:
        """Tell whether everything that the folder had came over as it was."""
        return not self.troubles and all(collection.complete for collection in self.collections)

    def lines(self) -> Iterator[str]:
        """Yield the report as text."""
        verb = "to import" if self.destination is None else "imported"
        yield f"{verb}: {self.records} records in {len(self.collections)} collections"
        for trouble in self.troubles:
            yield f"! {trouble}"
        for collection in self.collections:
            yield from _collection_lines(collection, verb)
        if self.left_over is not None:
            yield f"what was not imported is in {self.left_over}"


def _collection_lines(collection: CollectionReport, verb: str) -> Iterator[str]:
    place = f"{collection.tenant}/{collection.database}/{collection.name}"
    was = f" (was {collection.was})" if collection.was else ""
    yield f"{place}{was}: {collection.records} records {verb}, {collection.space}"
    for trouble in collection.troubles:
        yield f"  ! {trouble}"
    for kind, finding in collection.findings.items():
        more = ", ..." if finding.count > len(finding.first) else ""
        yield f"  ! {finding.count} {MEANINGS[kind]}: {', '.join(finding.first)}{more}"
