"""Segments: the immutable derived files of a collection, and the rows that publish them.

A file is written whole and synced before its row is committed, and is never changed. Everything in it can be made
again from the records, so a file that is missing or damaged is only a loss of speed until it has been replaced.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ochre.local.archive import Digest
from ochre.local.catalog import CollectionRow
from ochre.local.folders import remove_file
from ochre.local.session import Session

FOLDER = "index"


@dataclass(frozen=True, slots=True)
class Segment:
    """A published file.

    Attributes:
        kind: what it is: `graph`, `text`, `checkpoint`.
        name: of the file, in the collection's folder.
        sequence: the newest change of the collection that it reflects.
        slots: rows of the arena that were committed then.
        digest: length and checksum of the file.
    """

    kind: str
    name: str
    sequence: int
    slots: int
    digest: Digest


def folder_of(folder: Path, collection: UUID) -> Path:
    """Return where the segments of a collection are kept."""
    return folder / FOLDER / str(collection)


def path_of(folder: Path, row: CollectionRow, segment: Segment) -> Path:
    """Return where a segment of a collection is."""
    return folder_of(folder, row.info.id) / segment.name


def fresh_name(kind: str) -> str:
    """Return a name that no other file has."""
    return f"{kind}-{secrets.token_hex(8)}"


def published(session: Session, row: CollectionRow) -> dict[str, Segment]:
    """Return a collection's segments by kind, from the session's cache if this snapshot has read them before."""
    known = session.segments.get(row.key)
    if known is None:
        rows = session.execute(
            "SELECT kind, name, sequence, slots, bytes, checksum FROM segments WHERE collection=?", (row.key,)
        )
        known = session.segments[row.key] = {
            str(kind): Segment(str(kind), str(name), int(sequence), int(slots), Digest(int(size), int(checksum)))
            for kind, name, sequence, slots, size, checksum in rows
        }
    return known


def there(folder: Path, session: Session, row: CollectionRow) -> dict[str, Segment]:
    """Return the published segments whose files exist: they may be deleted at any time."""
    return {
        kind: segment for kind, segment in published(session, row).items() if path_of(folder, row, segment).exists()
    }


def publish(session: Session, row: CollectionRow, segment: Segment) -> None:
    """Make a file that is on the disk the collection's segment of its kind; runs in the caller's transaction."""
    session.execute(
        "INSERT OR REPLACE INTO segments (collection, kind, name, sequence, slots, bytes, checksum) "
        "VALUES (?,?,?,?,?,?,?)",
        (
            row.key,
            segment.kind,
            segment.name,
            segment.sequence,
            segment.slots,
            segment.digest.bytes,
            segment.digest.checksum,
        ),
    )
    session.segments.clear()


def withdraw(session: Session, row: CollectionRow, kind: str | None = None, name: str | None = None) -> None:
    """Take back a collection's segments: all, or those of a kind, or the one of that name."""
    session.execute(
        "DELETE FROM segments WHERE collection=? AND kind=coalesce(?, kind) AND name=coalesce(?, name)",
        (row.key, kind, name),
    )
    session.segments.clear()


def sweep(folder: Path, collection: UUID, kept: set[str]) -> None:
    """Remove the files of a collection that are not in `kept`, and the folder when nothing is."""
    place = folder_of(folder, collection)
    if not kept:
        shutil.rmtree(place, ignore_errors=True)
        return
    for path in place.glob("*"):
        if path.name not in kept:
            remove_file(path)
