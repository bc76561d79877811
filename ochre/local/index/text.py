"""The text index: which documents a document leaf holds for, without reading them, as far as published segments tell.

A segment covers documents as they were when it was built. Of records that were written since, and of those that no
segment has seen, the index says nothing: they are the *tail*, and whoever asks looks at their documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ochre.local.index import needles
from ochre.local.index.base import Change, Ordinals, Source
from ochre.local.index.literals import required
from ochre.local.index.needles import AllOf, AnyOf, Need, Needle
from ochre.local.index.roster import Mask, Positions, Roster
from ochre.local.index.trigrams import TextSegment
from ochre.model.filters import DocumentContainsAnyCase, DocumentLeaf, DocumentMatches

READING = 10
"""Offsets of an index that are looked at in the time it takes to read a document."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the index knows about a leaf; of the tail it knows nothing.

    Attributes:
        sure: positions where the leaf holds.
        unsure: positions where it may hold.
    """

    sure: Positions
    unsure: Positions


@dataclass(frozen=True, slots=True)
class TextView:
    """The index as one snapshot has it; it never changes.

    Attributes:
        parts: segments, each with the positions of its documents, -1 for records that are gone.
        known: which positions the segments speak for; positions behind its end, and the False ones, are the tail.
    """

    parts: tuple[tuple[TextSegment, Positions], ...]
    known: Mask

    def find(self, leaf: DocumentLeaf, most: int) -> Found | None:
        """Return what is known about a leaf, or None: nothing, or it would take a look at more than `most` offsets."""
        sure, unsure = _sought(leaf)
        if not self.parts or (sure is None and unsure is None):
            return None
        lookups = [
            [(None if need is None else _lookup(segment, need), positions) for segment, positions in self.parts]
            for need in (sure, unsure)
        ]
        if sum(lookup.size for row in lookups for lookup, _ in row if lookup is not None) > most:
            return None
        return Found(*map(_positions, lookups))


class TextIndex:
    """The text index of a collection: a `DerivedIndex` that waits for published segments."""

    def __init__(self) -> None:
        self.view = TextView((), np.empty(0, np.bool_))

    def rebuild(self, roster: Roster) -> None:
        """Forget the segments, until they are adopted again: positions have moved."""
        self.view = TextView((), np.zeros(len(roster), np.bool_))

    def apply(self, change: Change, source: Source) -> None:  # noqa: ARG002  (the tail is read when it is asked about)
        """Leave the records that changed to the tail."""
        if self.view.parts and change.delta.moved.size:
            known = self.view.known.copy()
            moved = change.delta.moved
            known[moved[moved < len(known)]] = False
            self.view = replace(self.view, known=known)

    def adopt(self, segments: Iterable[TextSegment], changed: Ordinals, roster: Roster) -> None:
        """Take over all segments of the collection in place of those known so far.

        Args:
            segments: together they have the documents of all records as one sequence number had them.
            changed: ordinals that were inserted, replaced or deleted since that number.
            roster: the present one.
        """
        known = np.ones(len(roster), np.bool_)
        places = roster.positions(changed)
        known[places[places >= 0]] = False
        self.view = TextView(tuple((segment, roster.positions(segment.ordinals)) for segment in segments), known)


class _Lookup(Protocol):
    """What a segment has about what is looked for: how many offsets there are to look at, and in which documents."""

    size: int

    def documents(self) -> Mask: ...


class _Joined:
    """Several lookups, of which all or one must be found."""

    def __init__(self, parts: Sequence[_Lookup], *, every: bool) -> None:
        self._parts = sorted(parts, key=lambda part: part.size)
        self._every = every
        sizes = [part.size for part in parts]
        self.size = min(sizes) if every else sum(sizes)

    def documents(self) -> Mask:
        mask = self._parts[0].documents()
        for part in self._parts[1:]:
            if not self._every:
                mask |= part.documents()
            elif part.size <= READING * np.count_nonzero(mask):  # else it is quicker to read what is left
                mask &= part.documents()
        return mask


def _lookup(segment: TextSegment, need: Need) -> _Lookup:
    if isinstance(need, Needle):
        return segment.lists(need)
    return _Joined([_lookup(segment, part) for part in need.parts], every=isinstance(need, AllOf))


def _sought(leaf: DocumentLeaf) -> tuple[Need | None, Need | None]:
    """Return what makes sure that the leaf holds for a document, and without what else it does not hold."""
    if isinstance(leaf, DocumentMatches):
        need, enough = required(leaf.pattern)
        return (need, None) if enough else (None, need)
    needle, other = needles.plain(leaf.text), None
    if isinstance(leaf, DocumentContainsAnyCase):
        needle, other = needles.caseless(leaf.text)
    if needle.exact:
        return needle, other
    return None, needle if other is None else AnyOf((needle, other))


def _positions(lookups: Iterable[tuple[_Lookup | None, Positions]]) -> Positions:
    """Return where the documents that were found are now, those that are gone left out."""
    found = [positions[lookup.documents()] for lookup, positions in lookups if lookup is not None]
    joined = np.concatenate([np.empty(0, np.int64), *found])
    return joined[joined >= 0]
