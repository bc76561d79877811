"""Text for the tests of indexes: few characters, so that patterns occur, and among them those that are awkward."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ochre.local.index import trigrams
from ochre.local.index.trigrams import TextSegment

CHARACTERS = "ab AB\0sSßẞ\u017fkK\u212aﬁfiIİ\u0131äÄ\u03c3ςΣиИ日本\u0301😀\U00010428\uffff"

texts = st.text(st.sampled_from(CHARACTERS) | st.characters(exclude_categories=["Cs"]), max_size=12)
documents = st.lists(texts, max_size=8)
patterns = st.text(st.sampled_from(CHARACTERS), max_size=4)


def segments_of(documents: Sequence[str], part_bytes: int = trigrams.PART_BYTES) -> list[TextSegment]:
    parts = list(trigrams.build(enumerate(documents), part_bytes))
    for part in parts:
        for array in part.values():
            array.setflags(write=False)
    return [TextSegment(part) for part in parts]


def slices(document: str) -> list[str]:
    return [
        document[start:stop]
        for start in range(len(document))
        for stop in range(start, min(start + 7, len(document)) + 1)
    ]
