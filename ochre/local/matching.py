"""Which records a filter holds for: masks of metadata, the text index, and a look at the documents, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ochre.local import log
from ochre.local.catalog import CollectionRow
from ochre.local.index.roster import Mask, Positions
from ochre.local.index.text import READING
from ochre.local.session import Session
from ochre.local.state import View
from ochre.model.filters import (
    And,
    DocumentContains,
    DocumentContainsAnyCase,
    DocumentLeaf,
    DocumentMatches,
    Filter,
    Not,
    Or,
    compile_pattern,
    leaves,
)

_SHORT = 256
"""Characters up to which SQLite looks for a substring: its search takes the product of both lengths at worst."""

_FEW = 64
"""Documents that are read sooner than looked up."""


def matching(
    session: Session, row: CollectionRow, view: View, filter_: Filter | None, within: Positions | None = None
) -> Positions:
    """Return the positions of the existing records that match, ascending; of those `within`, if it is given.

    The view must have been made with this filter, for this session's snapshot.
    """
    if filter_ is None and within is None:
        return view.roster.page(0, None)
    return np.flatnonzero(matches(session, row, view, filter_, within))


def matches(
    session: Session, row: CollectionRow, view: View, filter_: Filter | None, within: Positions | None = None
) -> Mask:
    """Return the same as a mask."""
    domain = view.roster.live
    if within is not None:
        chosen = np.zeros(len(view.roster), np.bool_)
        chosen[within] = True
        domain = domain & chosen
    return domain if filter_ is None else _Matcher(session, row, view).holds(filter_, domain)


class _Matcher:
    """Interprets a filter over one snapshot."""

    def __init__(self, session: Session, row: CollectionRow, view: View) -> None:
        self._session = session
        self._row = row
        self._view = view

    def holds(self, filter_: Filter, domain: Mask) -> Mask:
        """Return where the filter holds within `domain`; a narrow domain spares looking at documents."""
        known = self._view.masks.get(id(filter_))
        if known is not None:
            return domain & known
        if isinstance(filter_, And):
            for part in _cheap_first(filter_.parts):
                domain = self.holds(part, domain)
            return domain
        if isinstance(filter_, Or):
            found = np.zeros_like(domain)
            for part in _cheap_first(filter_.parts):
                found |= self.holds(part, domain & ~found)
            return found
        if isinstance(filter_, Not):
            return domain & ~self.holds(filter_.part, domain)
        assert isinstance(filter_, DocumentLeaf)  # the view has a mask of every other leaf, or of a part around it
        return self._documents(filter_, domain)

    def _documents(self, leaf: DocumentLeaf, domain: Mask) -> Mask:
        """Ask the text index, and read the documents that it leaves open."""
        view = self._view
        count = int(np.count_nonzero(domain))
        found = view.text.find(leaf, READING * count) if count > _FEW else None
        if found is None:
            return self._read(leaf, domain)
        known = view.text.known
        sure, left = np.zeros_like(domain), np.zeros_like(domain)
        sure[found.sure] = True
        sure[: len(known)] &= known
        left[found.unsure] = True
        left[: len(known)] |= ~known
        left[len(known) :] = True
        return (domain & sure) | self._read(leaf, domain & left & ~sure)

    def _read(self, leaf: DocumentLeaf, domain: Mask) -> Mask:
        ordinals = self._view.roster.ordinals[np.flatnonzero(domain)]
        if isinstance(leaf, DocumentContains) and len(leaf.text) <= _SHORT:
            found = log.containing(self._session, self._row, ordinals, leaf.text)
        else:
            holds = _test(leaf)
            texts = log.documents(self._session, self._row, ordinals)
            found = np.array([ordinal for ordinal, text in texts if holds(text)], np.int64)
        result = np.zeros_like(domain)
        result[self._view.roster.positions(found)] = True
        return result


def _test(leaf: DocumentLeaf) -> Callable[[str], bool]:
    if isinstance(leaf, DocumentContains):
        return lambda text: leaf.text in text
    if isinstance(leaf, DocumentContainsAnyCase):
        folded = leaf.text.casefold()
        return lambda text: folded in text.casefold()
    search = compile_pattern(leaf.pattern).search
    return lambda text: search(text) is not None


def _cheap_first(parts: Iterable[Filter]) -> list[Filter]:
    """Order parts so that those that read documents come last, regular expressions at the very end."""
    return sorted(parts, key=_cost)


def _cost(filter_: Filter) -> int:
    costs = {DocumentContains: 1, DocumentContainsAnyCase: 2, DocumentMatches: 3}
    return max((costs.get(type(leaf), 0) for leaf in leaves(filter_)), default=0)
