r"""Literals that every match of a regular expression contains, so that a text index can name the documents to try.

A pattern is read as RE2 reads it, but only as far as need: whatever is not a plain character, one of a few, a group or
a choice ends the literal at hand, and what could be misread (`\012`) ends the search for literals altogether. The
pattern is known to compile, so it is well-formed. Where nothing but literals is in it, as in `gen[ue]s of|families`, a
document that has one of them is a match, and need not be tried.
"""

from __future__ import annotations

import re
from itertools import groupby

from ochre.local.index import needles
from ochre.local.index.needles import AllOf, AnyOf, Need, Needle

_MAX_DEPTH = 50  # of groups within groups
_MAX_LITERALS = 64  # a pattern with more of them is quicker to try than to look up


_Char = tuple[str, bool]
"""Which characters may stand at a place of a match, mostly one, and whether its case does not matter."""

_Piece = _Char | Need | None
"""What follows on each other in a branch; None where nothing is known of what stands there."""


def required(pattern: str) -> tuple[Need | None, bool]:
    """Return what every match of a valid pattern needs, None if nothing is known; and whether that makes a match."""
    try:
        need, enough = _Reader(pattern).choice(caseless=False, depth=0)
    except _UnreadableError:
        return None, False
    return (need, enough) if need is not None and _count(need) <= _MAX_LITERALS else (None, False)


class _UnreadableError(Exception):
    """What stands here is beyond this reader."""


# Flags and empty quotes leave nothing that a repetition could follow on; RE2 has it follow on what stands before them.
_TOKEN = re.compile(
    r"""
      \\Q (?! \\E) (?P<quoted> .+?) (?: \\E | \Z)
    | \\ (?: [pP] (?: \{ [^}]* \} | .) | x (?: \{ [0-9a-fA-F]+ \} | [0-9a-fA-F]{2}) | [AabBCdDfnrsStvwWz])
    | \\ (?P<escaped> [^0-9A-Za-z])
    | \[ (?P<few> [0-9A-Za-z]{1,6}) \]
    | \[ \^? \]?+ (?: \[ : \^? \w+ : \] | \\. | [^\]\\] )*+ \]
    | \( \? (?P<flags> [a-zA-Z-]+) \) (?! [*+?{])
    | (?P<group> \( (?: (?! \?) | \? P? < [^>]* > | \? (?P<local> [a-zA-Z-]*) : ))
    | (?P<close> \))
    | (?P<bar> \|)
    | (?P<repeat> [*+?] | \{ (?P<least> [0-9]+) (?: , [0-9]*)? \})
    | [.^$]
    | (?P<plain> [^\\(\[])
    """,
    re.DOTALL | re.VERBOSE,
)


class _Reader:
    """Walks through a pattern once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def choice(self, *, caseless: bool, depth: int) -> tuple[Need | None, bool]:
        """Read branches with bars between them, to the end of a group or of the pattern; return as `required`."""
        if depth > _MAX_DEPTH:
            raise _UnreadableError
        branches: list[tuple[Need | None, bool]] = []
        pieces: list[_Piece] = []
        while (token := self._token()) is not None and token.lastgroup != "close":
            if token.lastgroup == "bar":
                branches.append(_joined(pieces))
                pieces = []
            elif token.lastgroup == "flags":
                caseless = _switched(token["flags"], caseless=caseless)
            elif token.lastgroup == "group":
                inner = _switched(token["local"] or "", caseless=caseless)
                pieces.append(self.choice(caseless=inner, depth=depth + 1)[0])
            elif token.lastgroup == "repeat":
                _repeat(pieces, token)
            else:
                pieces += _pieces(token, caseless=caseless)
        branches.append(_joined(pieces))
        known = [branch for branch, _ in branches if branch is not None]
        if len(known) < len(branches):
            return None, False
        return known[0] if len(known) == 1 else AnyOf(tuple(known)), all(enough for _, enough in branches)

    def _token(self) -> re.Match[str] | None:
        if self._at == len(self._pattern):
            return None
        token = _TOKEN.match(self._pattern, self._at)
        if token is None:
            raise _UnreadableError
        self._at = token.end()
        return token


def _pieces(token: re.Match[str], *, caseless: bool) -> list[_Piece]:
    """Return a token's characters; in any case those of ASCII: RE2 may have its own idea of the others."""
    text = token[token.lastgroup] if token.lastgroup else None
    if text is None:
        return [None]
    if token.lastgroup == "few":
        return [None if caseless else ("".join(sorted(set(text))), False)]
    return [None if caseless and not char.isascii() else (char, caseless) for char in text]


def _repeat(pieces: list[_Piece], token: re.Match[str]) -> None:
    """Repeat the last piece. What follows on it follows on its last time, which for the literal is as good as apart."""
    if not pieces:
        raise _UnreadableError
    least = int(token["least"]) if token["least"] else int(token[0] == "+")
    if least:
        pieces.append(None)
    else:
        pieces[-1] = None


def _switched(flags: str, *, caseless: bool) -> bool:
    """Return whether case does not matter after flags such as `i`, `s-i`."""
    on, _, off = flags.partition("-")
    return "i" not in off and ("i" in on or caseless)


def _joined(pieces: list[_Piece]) -> tuple[Need | None, bool]:
    """Return what a branch needs: each run of characters, and what its groups need; and whether that is all of it."""
    need: list[Need] = []
    for caseless, run in groupby(pieces, lambda piece: piece[1] if isinstance(piece, tuple) else None):
        if caseless is None:
            need += [piece for piece in run if piece is not None and not isinstance(piece, tuple)]
        else:
            need.append(_literal([piece[0] for piece in run if isinstance(piece, tuple)], caseless=caseless))
    if len(need) != 1:
        return AllOf(tuple(need)) if need else None, False
    (only,) = need
    plain = all(isinstance(piece, tuple) and not piece[1] for piece in pieces)
    return only, plain and isinstance(only, Needle) and only.exact


def _literal(chars: list[str], *, caseless: bool) -> Need:
    if not caseless:
        return needles.plain(chars)
    needle, other = needles.caseless("".join(chars))
    return needle if other is None else AnyOf((needle, other))


def _count(need: Need) -> int:
    return 1 if isinstance(need, Needle) else sum(map(_count, need.parts))
