"""What a derived structure is given, and what it promises.

A collection's derived state is a set of such structures with one sequence number, `applied`: they reflect every
change up to it and none after. They are fed in the order of the change log and read under the state's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ochre.local.index.roster import Roster, RosterDelta

Ordinals = NDArray[np.int64]


class Source(Protocol):
    """The records as one snapshot has them: where a derived structure reads what a change left behind."""

    def metadata(self, ordinals: Ordinals, keys: Sequence[str] = ()) -> Iterator[tuple[Ordinals, bytes]]:
        """Yield (ordinals, JSON array of their metadata) blocks of the given records (ascending).

        Records without metadata, and those that do not exist, are left out; with `keys`, records that have none of
        them may be left out too.
        """


@dataclass(frozen=True, slots=True)
class Change:
    """One step of catching up.

    Attributes:
        changed: ordinals that were inserted, replaced or deleted, ascending; the source has their present state.
        roster: the roster after the step.
        delta: which positions that concerns.
    """

    changed: Ordinals
    roster: Roster
    delta: RosterDelta


class DerivedIndex(Protocol):
    """A structure over a collection's records that speeds up reading.

    It may start empty and take in the records on first use; whatever it has taken in, `apply` keeps up to date.
    """

    def rebuild(self, roster: Roster) -> None:
        """Forget everything: the roster was built anew and positions have moved."""

    def apply(self, change: Change, source: Source) -> None:
        """Take over one change."""
