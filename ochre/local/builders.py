"""What maintenance builds: each kind of segment, when it is due, and how its file is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ochre.errors import CorruptError
from ochre.local import archive, catalog, log, plan, segments
from ochre.local.archive import Digest
from ochre.local.catalog import CollectionRow
from ochre.local.database import Database
from ochre.local.index import graph, trigrams
from ochre.local.segments import Segment
from ochre.local.session import Session
from ochre.local.state import CollectionState

SMALLEST = 1000
"""Collections with fewer vectors are quick without any segment."""

_STEP = 1024  # documents read before it is asked again whether to go on

GROWTH = 8
"""A segment is made anew, whatever else goes on, once its tail is this fraction of what it covers."""


@dataclass(frozen=True, slots=True)
class Job:
    """One segment to build.

    Attributes:
        folder: of the database.
        file: its SQLite file.
        row: the collection when the job began.
        state: its derived state in this process.
        previous: the segment that is to be replaced, if there is one.
        path: where the file goes; it does not exist yet.
        going_on: asked now and then; False makes the builder raise StoppedError.
    """

    folder: Path
    file: Database
    row: CollectionRow
    state: CollectionState
    previous: Segment | None
    path: Path
    going_on: Callable[[], bool]


class Builder(Protocol):
    """Builds segments of one kind."""

    kind: str

    def pending(self, session: Session, row: CollectionRow, published: Segment | None) -> int:
        """Return how much of the collection a new segment would cover that the published one does not; 0: no need."""

    def fits(self, session: Session, row: CollectionRow, reflected: CollectionRow) -> bool:
        """Whether what was built of a collection as `reflected` is of use to it as it is."""

    def build(self, job: Job) -> tuple[CollectionRow, Digest]:
        """Write the segment's file and sync it; return the collection as the file reflects it, and its digest.

        Raises:
            graph.StoppedError, graph.UnsuitableError, OchreError, OSError.
        """


class GraphBuilder:
    """Builds vector indexes."""

    kind = "graph"

    def pending(self, session: Session, row: CollectionRow, published: Segment | None) -> int:  # noqa: ARG002
        """Return the number of vectors outside the index, once they are worth a build."""
        if row.info.dimension is None or not plan.needs_index(row.next_slot, row.info.dimension):
            return 0
        outside = row.next_slot - (0 if published is None else published.slots)
        return outside if outside >= row.info.configuration.hnsw.sync_threshold else 0

    def fits(self, session: Session, row: CollectionRow, reflected: CollectionRow) -> bool:  # noqa: ARG002
        """Whether the vectors are where they were."""
        return row.arena == reflected.arena

    def build(self, job: Job) -> tuple[CollectionRow, Digest]:
        """Extend the previous index by what came since, or build one."""
        with job.file.read() as session:  # a damaged vector would be found among the wrong neighbours
            row = catalog.get_collection(session, job.row.info.id)
            vectors = job.state.vectors(row)
            arena = vectors.arena.rows(row.next_slot)
            vectors.verified.check(session, row, arena, np.sort(log.slots(session, row, None)[1]))
        graph.build(
            arena,
            row.info.configuration,
            job.path,
            previous=_intact(job),
            going_on=job.going_on,
        )
        return row, archive.sealed(job.path)


class _RecordsBuilder:
    """What builders of segments over all records have in common."""

    def pending(self, session: Session, row: CollectionRow, published: Segment | None) -> int:
        """Return about how many records were written since; a few are read as quickly as looked up."""
        runs = None if published is None else log.changes_since(session, row, published.sequence)
        if runs is None:
            return row.next_slot
        written = sum(last - first + 1 for first, last in runs)
        return written if written >= SMALLEST else 0

    def fits(self, session: Session, row: CollectionRow, reflected: CollectionRow) -> bool:
        """Whether the change log still tells what has changed since."""
        return log.changes_since(session, row, reflected.info.head) is not None


class TextBuilder(_RecordsBuilder):
    """Builds text indexes."""

    kind = "text"

    def build(self, job: Job) -> tuple[CollectionRow, Digest]:
        """Index all documents of one snapshot."""
        with job.file.read() as session:
            row = catalog.get_collection(session, job.row.info.id)
            ordinals = log.slots(session, row, None)[0]
            parts = trigrams.packed(trigrams.build(_documents(job, session, row, ordinals)))
        return row, archive.write(job.path, self.kind, parts, {}, sync=True)


class CheckpointBuilder(_RecordsBuilder):
    """Builds checkpoints."""

    kind = "checkpoint"

    def build(self, job: Job) -> tuple[CollectionRow, Digest]:
        """Store what is derived from one snapshot, by a state of its own: that of the process goes on serving."""
        with job.file.read() as session:
            row = catalog.get_collection(session, job.row.info.id)
            state = CollectionState(job.folder, row)
            try:
                arrays, meta = state.checkpoint(session, row, lambda: _go_on(job))
                return row, archive.write(job.path, self.kind, arrays, meta, sync=True)
            finally:
                state.close()


def patience(published: Segment | None) -> int:
    """Return the pending amount from which a build is due even while writes go on: by then readers notice it."""
    return 0 if published is None else published.slots // GROWTH


def _documents(job: Job, session: Session, row: CollectionRow, ordinals: log.Ordinals) -> Iterator[tuple[int, str]]:
    for number, pair in enumerate(log.documents(session, row, ordinals)):
        if not number % _STEP:
            _go_on(job)
        yield pair


def _go_on(job: Job) -> None:
    if not job.going_on():
        raise graph.StoppedError


def _intact(job: Job) -> Path | None:
    if job.previous is None:
        return None
    path = segments.path_of(job.folder, job.row, job.previous)
    try:
        archive.verify(path, job.previous.digest)
    except (CorruptError, OSError):
        return None
    return path


BUILDERS: tuple[Builder, ...] = (GraphBuilder(), TextBuilder(), CheckpointBuilder())
