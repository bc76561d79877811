"""Needles: what a trigram index looks for, for a text as it stands and for one in any case.

A needle has a *window* for each of its bytes that two more follow: which trigrams may begin there, as ranges of their
numbers. A needle of one or two bytes has one window, of all trigrams that begin with it.

In any case means: equal once both sides are case-folded (`str.casefold`). Most characters fold to one character whose
UTF-8 form is as long as their own, so that a window lists all spellings of its three bytes. The others, as "ß" that
becomes "ss" and the Kelvin sign "k", move what follows; documents that hold one of them that could be part
of the text are found by a needle of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

_LOOKED_AT = 128  # characters of a longer text that are looked for; whoever has them is read
_CASED = 0x20000  # folding leaves the characters from here on alone

Range = tuple[int, int]
"""Trigrams from the first number on, below the second."""


@dataclass(frozen=True, slots=True)
class Needle:
    """What to look for.

    Attributes:
        windows: per byte at which three begin, the trigrams that may stand there; none: whatever there is will do.
        exact: a document with the windows' trigrams at their distances has the text; else it may have it.
    """

    windows: tuple[tuple[Range, ...], ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """A document has each of `parts`, somewhere."""

    parts: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A document has one of `parts`."""

    parts: tuple[Need, ...]


Need = Needle | AllOf | AnyOf


def plain(places: Sequence[str]) -> Needle:
    """Return the needle of a text as it stands, place by place: a character, or several of ASCII for any of them."""
    shown = places[:_LOOKED_AT]
    return Needle(_windows([[char.encode() for char in place] for place in shown]), exact=len(shown) == len(places))


def caseless(text: str) -> tuple[Needle, Needle | None]:
    """Return two needles of a text in any case: of its spellings of one length, and of what may spell it otherwise.

    A document without either does not have the text; one that has but the second may have it.
    """
    folded = text.casefold()
    shown = folded[:_LOOKED_AT]
    singles, several = _folds()
    spellings, others = [], set[str]()
    for char in shown:
        own = [c.encode() for c in singles.get(char, char)]
        spellings.append([spelled for spelled in own if len(spelled) == len(own[0])])
        others.update(spelled.decode() for spelled in own if len(spelled) != len(own[0]))
    present = set(shown)
    for char, fold in several.items():
        if not present.isdisjoint(fold) and _fits(fold, shown):
            others.add(char)
    # A window can end within a character, and the next begin with the rest of another spelling of it.
    apart = all(len(own) == 1 or len(own[0]) == 1 for own in spellings)
    needle = Needle(_windows(spellings), exact=apart and shown == folded)
    if not others:
        return needle, None
    return needle, Needle((tuple({_range(char.encode()[:3]) for char in sorted(others)}),), exact=False)


def _windows(spellings: Sequence[Sequence[bytes]]) -> tuple[tuple[Range, ...], ...]:
    """Return the windows of a row of characters, given the spellings of each, of one length."""
    owner = [index for index, own in enumerate(spellings) for _ in own[0]]
    count = len(owner)
    windows = []
    for start in range(max(count - 2, min(count, 1))):
        first, last = owner[start], owner[min(start + 2, count - 1)]
        skipped = start - owner.index(first)
        pieces = {b"".join(row)[skipped : skipped + 3] for row in product(*spellings[first : last + 1])}
        windows.append(tuple(_range(piece) for piece in sorted(pieces)))
    return tuple(windows)


def _range(piece: bytes) -> Range:
    """Return the numbers of the trigrams that begin with one to three bytes."""
    free = 8 * (3 - len(piece))
    low = int.from_bytes(piece, "big") << free
    return low, low + (1 << free)


def _fits(fold: str, text: str) -> bool:
    """Tell whether `fold` may overlap with `text`, within it or across one of its ends."""
    return any(
        all(fold[k] == text[place + k] for k in range(max(-place, 0), min(len(fold), len(text) - place)))
        for place in range(1 - len(fold), len(text))
    )


@cache
def _folds() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return what folding does.

    Returns:
        Per folded character, all characters that fold to it alone, where that is not just itself.
        Per character that folds to several, those.
    """
    singles: dict[str, list[str]] = {}
    several: dict[str, str] = {}
    for char in map(chr, range(_CASED)):
        fold = char.casefold()
        if len(fold) > 1:
            several[char] = fold
        elif fold != char:
            singles.setdefault(fold, [fold]).append(char)
    return singles, several
