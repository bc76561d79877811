"""What comes of looking after a folder: copies of it, and vacuums."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CopyReport:
    """A backup, a restored folder or a snapshot that was made.

    Attributes:
        collections, records: how many it holds.
        bytes: its size, without what can be derived.
        written: bytes that were not there before and had to be written.
    """

    collections: int
    records: int
    bytes: int
    written: int


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """A vacuum that was done.

    Attributes:
        before, after: size of the folder's files in bytes.
    """

    before: int
    after: int
