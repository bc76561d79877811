"""Maintenance: a thread that keeps the segments up to date, in one process at a time.

It looks twice a second whether anybody has written. What is due is built under the lease, from committed data, and
published by a short transaction: writers do not wait for a build. A build is due when its tail slows queries down, or
when there is a tail and nobody has written for a second. Vectors are moved out of arenas that are mostly dead as well.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from ochre.errors import BusyError, ClosedError, NotFoundError, OchreError
from ochre.local import builders, catalog, compaction, segments
from ochre.local.backup import MARKER
from ochre.local.builders import BUILDERS, Builder, Job
from ochre.local.catalog import CollectionRow
from ochre.local.database import FILE_NAME, Database
from ochre.local.index.graph import StoppedError, UnsuitableError
from ochre.local.lease import Lease
from ochre.local.locks import patiently
from ochre.local.segments import Segment
from ochre.local.session import Session
from ochre.local.state import CollectionState

LOGGER = logging.getLogger("ochre.maintenance")

_POLL = 0.5  # seconds between looks at what other processes did
_REGULAR = 30.0  # seconds after which it is looked for work although nobody wrote: files may have been deleted
_QUIET = 1.0  # seconds without a write after which any tail is worth a build
_PUBLISH_PATIENCE = 60.0  # seconds that publishing waits for writers
_COMPACT_PATIENCE = 1.0  # seconds that compaction waits for writers, and for those who copy vectors
_NICENESS = 10
_STOP_PATIENCE = 10.0

StateOf = Callable[[Session, CollectionRow], CollectionState]


class Maintenance:
    """The segments of one folder, as far as this process sees to them."""

    def __init__(self, folder: Path, file: Database, state_of: StateOf, *, background: bool, sync: bool) -> None:
        """Prepare to keep the segments of `folder`.

        With `background`, `start` starts the thread; with `sync`, vectors that it moves are on the disk before they are
        committed.
        """
        self._folder = folder
        self._file = file
        self._state_of = state_of
        self._background = background
        self._sync = sync
        self._lease = Lease(folder)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._resting = 0  # how many want nothing to be built
        self._resting_lock = threading.Lock()
        self._looked = 0.0  # when it was last looked for work
        self._written = 0.0  # when somebody last wrote, by the monotonic clock
        self._stamp: tuple[int, ...] | None = None
        self._damaged: list[tuple[CollectionRow, Segment]] = []
        self._unsuitable: set[tuple[UUID, str, int]] = set()

    # -- the thread ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, unless it runs or is not wanted."""
        if self._thread is None and self._background:
            with self._starting:
                if self._thread is None and not self._stopping.is_set():
                    thread = threading.Thread(target=_run, args=(weakref.ref(self), self._stopping), daemon=True)
                    thread.name = "ochre-maintenance"
                    _running.add(self)
                    thread.start()
                    self._thread = thread

    def stop(self) -> None:
        """End the thread; a build under way is given up at its next step."""
        with self._starting:
            self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_PATIENCE)
        _running.discard(self)

    def abandon(self) -> None:
        """In a forked child: the thread is not here, and the lease is the parent's."""
        self._lease.abandon()
        _running.discard(self)

    def look(self) -> None:
        """Build what is due, if anybody has written since the last look or something was left to do."""
        now = time.monotonic()
        stamp = self._changed_stamp()
        if stamp != self._stamp:
            self._stamp, self._written = stamp, now
        elif self._written and now - self._written > _QUIET + 2 * _POLL:
            self._written = 0.0
        if self._written or self._damaged or now - self._looked > _REGULAR:
            self._looked = now
            self.run(quiet=now - self._written >= _QUIET)

    def _changed_stamp(self) -> tuple[int, ...]:
        """Return what changes with every commit of anybody: length and time of the WAL."""
        with contextlib.suppress(OSError):
            found = (self._folder / f"{FILE_NAME}-wal").stat()
            return found.st_mtime_ns, found.st_size
        return ()

    # -- work ---------------------------------------------------------------------------------------------------

    def run(self, *, quiet: bool) -> bool:
        """Build and publish everything that is due; return whether nothing is left.

        Args:
            quiet: whether a small tail is reason enough.
        """
        with self._working:
            self._withdraw_damaged()
            if quiet:
                self._give_back()
            dead, due = self._mostly_dead(), self._due(quiet=quiet)
            if not dead and not due:
                return True
            if not self._lease.acquire():
                return False
            try:
                for collection in dead:
                    self._compact(collection)
                for collection, builder in self._due(quiet=quiet) if dead else due:
                    if not self._going_on():
                        return False
                    self._attempt(collection, builder)
            finally:
                self._lease.release()
            return True

    @contextlib.contextmanager
    def resting(self, patience: float) -> Iterator[None]:
        """Have nobody build while the block runs; a build of this process is given up.

        Raises:
            BusyError: somebody was building for longer than `patience` seconds.
        """
        deadline = time.monotonic() + patience
        with self._resting_lock:
            self._resting += 1
        try:
            if not self._working.acquire(timeout=patience):
                raise self._busy()
            try:
                if not patiently(self._lease.acquire, deadline - time.monotonic()):
                    raise self._busy()
                try:
                    yield
                finally:
                    self._lease.release()
            finally:
                self._working.release()
        finally:
            with self._resting_lock:
                self._resting -= 1

    def _busy(self) -> BusyError:
        return BusyError(
            f"another client is building indexes or vacuuming in {self._folder}: try again when it is done"
        )

    def _going_on(self) -> bool:
        return not self._stopping.is_set() and not self._resting

    def _go_on(self) -> None:
        if not self._going_on():
            raise StoppedError

    def pending(self, session: Session, row: CollectionRow) -> int:
        """Return how many of a collection's records wait for an index that will be built."""
        if row.next_slot < builders.SMALLEST:
            return 0
        known = segments.there(self._folder, session, row)
        return max(self._pending(session, row, builder, known.get(builder.kind)) for builder in BUILDERS)

    def _pending(self, session: Session, row: CollectionRow, builder: Builder, published: Segment | None) -> int:
        if (row.info.id, builder.kind, row.next_slot) in self._unsuitable:
            return 0
        return builder.pending(session, row, published)

    def report(self, row: CollectionRow, segment: Segment) -> None:
        """Take note of a segment that cannot be used; it is taken back and built anew when there is time."""
        self._damaged.append((row, segment))

    def _withdraw_damaged(self) -> None:
        while self._damaged:
            row, segment = self._damaged.pop()
            with self._file.write() as session:
                segments.withdraw(session, row, segment.kind, segment.name)

    def _due(self, *, quiet: bool) -> list[tuple[UUID, Builder]]:
        found = []
        with self._file.read() as session:
            for row in catalog.of_size(session, builders.SMALLEST):
                known = segments.there(self._folder, session, row)
                for builder in BUILDERS:
                    published = known.get(builder.kind)
                    pending = self._pending(session, row, builder, published)
                    if pending and (quiet or pending >= builders.patience(published)):
                        found.append((row.info.id, builder))
        return found

    def _mostly_dead(self) -> list[UUID]:
        """Return the collections whose vectors should move; in a backup they stay where the original has them."""
        if (self._folder / MARKER).exists():
            return []
        with self._file.read() as session:
            rows = catalog.of_size(session, builders.SMALLEST)
            return [row.info.id for row in rows if compaction.is_mostly_dead(row)]

    def _give_back(self) -> None:
        """Return room to the file system that nobody needs any more."""
        compaction.reclaim_pages(self._file)
        with self._file.read() as session:
            rows = catalog.of_size(session, builders.SMALLEST)
        for row in rows:
            with contextlib.suppress(NotFoundError):
                compaction.trim(self._file, row)

    def _compact(self, collection: UUID) -> None:
        """Move a collection's vectors to where no dead ones are; if somebody copies them, another time will do."""
        try:
            compaction.compact(self._file, collection, _COMPACT_PATIENCE, sync=self._sync, watch=self._go_on)
        except (StoppedError, NotFoundError, ClosedError, BusyError):
            pass
        except (OchreError, OSError, MemoryError) as error:
            LOGGER.warning("the vectors of collection %s were not compacted: %s", collection, error)
        else:
            self._sweep(collection, None)

    def _attempt(self, collection: UUID, builder: Builder) -> None:
        """Build one segment; failing is no harm, and is tried again after the next write."""
        try:
            self._build(collection, builder)
        except (StoppedError, NotFoundError, ClosedError):
            pass  # it is time to end, or the collection is gone
        except (OchreError, OSError, RuntimeError, MemoryError) as error:
            if self._exists(collection):  # what was deleted in the middle of a build takes its files along
                LOGGER.warning("the %s of collection %s was not built: %s", builder.kind, collection, error)

    def _exists(self, collection: UUID) -> bool:
        with contextlib.suppress(OchreError), self._file.read() as session:
            return not catalog.missing(session, [collection])
        return True

    def _build(self, collection: UUID, builder: Builder) -> None:
        with self._file.read() as session:
            row = catalog.get_collection(session, collection)
            previous = segments.published(session, row).get(builder.kind)
            state = self._state_of(session, row)
        place = segments.folder_of(self._folder, collection)
        place.mkdir(parents=True, exist_ok=True)
        path = place / segments.fresh_name(builder.kind)
        job = Job(self._folder, self._file, row, state, previous, path, self._going_on)
        start = time.perf_counter()
        try:
            reflected, digest = builder.build(job)
            segment = Segment(builder.kind, path.name, reflected.info.head, reflected.next_slot, digest)
            with self._file.write(_PUBLISH_PATIENCE) as session:
                current = catalog.get_collection(session, collection)
                if not builder.fits(session, current, reflected):
                    raise StoppedError  # vectors were moved or records erased meanwhile
                segments.publish(session, current, segment)
        except UnsuitableError:
            self._unsuitable.add((collection, builder.kind, row.next_slot))
            LOGGER.warning("the vectors of collection %s are too large to be indexed: queries compare all", collection)
        finally:
            self._sweep(collection, path)
        LOGGER.info("built the %s of collection %s in %.1f s", builder.kind, collection, time.perf_counter() - start)

    def _sweep(self, collection: UUID, path: Path | None) -> None:
        """Remove what is not published any more; readers that have it mapped keep it until they let go."""
        try:
            with self._file.read() as session:
                row = catalog.get_collection(session, collection)
                kept = {segment.name for segment in segments.published(session, row).values()}
        except NotFoundError:
            kept = set()
        except OchreError:
            if path is not None:
                path.unlink(missing_ok=True)
            return
        segments.sweep(self._folder, collection, kept)


_running: weakref.WeakSet[Maintenance] = weakref.WeakSet()


def _run(reference: weakref.ref[Maintenance], stopping: threading.Event) -> None:
    """Live as long as the one it works for does."""
    if sys.platform == "linux":  # there a thread has a niceness of its own, and so have those it starts
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    while not stopping.wait(_POLL):
        maintenance = reference()
        if maintenance is None:
            return
        try:
            maintenance.look()
        except ClosedError:
            return
        except Exception:  # whatever it was, it must not end the upkeep
            LOGGER.exception("maintenance failed and will be tried again")
        del maintenance


@atexit.register
def _stop_all() -> None:
    """Let no build run into the end of the interpreter."""
    for maintenance in list(_running):
        maintenance.stop()
