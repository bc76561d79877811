r"""Regular expressions: from the Unicode-aware syntax that Chroma's users write to RE2's.

RE2 reads `\d`, `\s` and `\w` as ASCII; Chroma's engine reads them as Unicode. `translate` spells them out. What stays
ASCII is `\b`, `\B`, and `\D`, `\S`, `\W` inside brackets, for which RE2 has no Unicode spelling.
"""

from __future__ import annotations

import re

_WORD = r"\p{L}\p{M}\p{Nd}\p{Pc}"
_SPACE = r"\s\x{0b}\x{85}\p{Z}"
_CLASSES = {"d": r"\p{Nd}", "s": _SPACE, "w": _WORD}
_OUTSIDE = re.compile(r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?|.", re.DOTALL)
_INSIDE = re.compile(r"\\.|\[:\^?\w+:\]|.", re.DOTALL)


def translate(pattern: str) -> str:
    r"""Return `pattern` with the Unicode meanings of `\d`, `\s`, `\w` and their negations spelled out."""
    parts: list[str] = []
    inside = False
    position = 0
    while position < len(pattern):
        # Within brackets a "[" stands for itself or opens a POSIX class; outside, it opens the brackets.
        match = (_INSIDE if inside else _OUTSIDE).match(pattern, position)
        piece = match.group() if match else pattern[position]
        position += len(piece)
        parts.append(_translated(piece, inside=inside))
        inside = piece != "]" if inside else piece.startswith("[")
    return "".join(parts)


def _translated(piece: str, *, inside: bool) -> str:
    if len(piece) != 2 or piece[0] != "\\" or piece[1].lower() not in _CLASSES:
        return piece
    letter = piece[1]
    if inside:
        return _CLASSES[letter] if letter.islower() else piece
    return f"[{_CLASSES[letter]}]" if letter.islower() else f"[^{_CLASSES[letter.lower()]}]"
