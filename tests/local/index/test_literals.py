"""Literals of patterns: whatever a pattern matches has what they say it needs."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ochre.errors import InvalidArgumentError
from ochre.local.index.literals import required
from ochre.local.index.needles import AllOf, AnyOf, Need, Needle, caseless, plain
from ochre.model.filters import compile_pattern
from tests.local.index.conftest import segments_of

FOO, BAR = plain("foo"), plain("bar")


@pytest.mark.parametrize(
    ("pattern", "need"),
    [
        ("foo", FOO),
        (r"\bfoo\b", FOO),
        ("^foo$", FOO),
        ("foo.*bar", AllOf((FOO, BAR))),
        ("foo|bar", AnyOf((FOO, BAR))),
        ("foo|", None),
        ("foo|b*", None),
        ("(foo)(?:bar)?", FOO),
        ("(?P<x>foo).", FOO),
        ("(?:foo){0,3}bar", BAR),
        ("foob?", FOO),
        ("foob*?", FOO),
        ("foo+bar", AllOf((FOO, BAR))),
        ("(foo){2}", FOO),
        ("[foo]bar", plain(["fo", "b", "a", "r"])),
        ("(?i)[foo](?-i)bar", BAR),
        ("[]foo]bar", BAR),
        (r"[^\]foo]bar", BAR),
        ("[[:alpha:]foo]bar", BAR),
        (r"\w\pL\p{Greek}\x66\x{6f}bar", BAR),
        (r"\Qfoo\E", FOO),
        (r"\Qf.o\E", plain("f.o")),
        (r"f\.o", plain("f.o")),
        ("(?i)foo", AnyOf(caseless("foo"))),
        ("(?i:dog.)foo", AllOf((caseless("dog")[0], FOO))),
        ("(?i)(?-i)foo", FOO),
        ("(?i)é(?-i:foo)", FOO),
        ("x{,3}", plain("x{,3}")),
        (r"\141foo", None),
        ("foo(?i)?", None),
        (r"foo\Q\E?", None),
        ("|".join(f"word{n}" for n in range(100)), None),
        ("(" * 200 + "foo" + ")" * 200, None),
        (".*", None),
    ],
)
def test_what_a_pattern_needs(pattern: str, need: Need | None) -> None:
    compile_pattern(pattern)
    assert required(pattern)[0] == need


@pytest.mark.parametrize(
    ("pattern", "enough"),
    [
        *[(pattern, True) for pattern in ("foo", "foo|bar", r"f\.o", r"\Qf.o\E", "f[ou]o", "(?s)foo", "日本", "x{,3}")],
        *[
            (pattern, False)
            for pattern in ("^foo", "foo$", r"\bfoo", "foo.", "fo+", "foob?", "(foo)", "foo|b.r", "foo|")
        ],
        *[(pattern, False) for pattern in ("(?i)foo", "f[a-z]o", "[^f]oo", "f(?i)oo", "f" * 200, ".")],
    ],
)
def test_having_what_a_pattern_needs_is_enough_if_nothing_else_is_in_it(pattern: str, enough: bool) -> None:
    compile_pattern(pattern)
    assert required(pattern)[1] == enough


def met(need: Need, document: str) -> bool:
    if isinstance(need, Needle):
        return bool(segments_of([document])[0].lists(need).documents()[0])
    return (all if isinstance(need, AllOf) else any)(met(part, document) for part in need.parts)


_ATOMS = [
    *(*"abkSß日", "ab", "]", "-", "{", "}", "\u017f", "\u212a", r"\.", r"\n", r"\x61", r"\012", r"\Qa+\E", r"\Qab"),
    *(".", "^", "$", r"\b", r"\w", r"\pL", r"\C", "[ab]", "[^a]", "[]a]", r"[\]b]", r"\Q\E", r"\E", "{2}"),
    *("(?i)", "(?-i)", "(?s)"),
]
_QUANTIFIERS = [*("", "", "", "*", "+", "?", "*?", "+?", "??"), *("{0}", "{1}", "{2,}", "{0,2}", "{1,3}?", "{,2}")]
_atoms, _quantifiers = st.sampled_from(_ATOMS), st.sampled_from(_QUANTIFIERS)
_patterns = st.recursive(
    st.tuples(_atoms, _quantifiers).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
        st.tuples(st.sampled_from(["(", "(?:", "(?i:", "(?-i:", "(?P<n>", "(?si:"]), inner, _quantifiers).map(
            lambda parts: f"{parts[0]}{parts[1]}){parts[2]}"
        ),
    ),
    max_leaves=8,
)


@given(_patterns, st.lists(st.text("abABkKsS\u017f\u212aß日{2}+.-\n]", max_size=8), min_size=1, max_size=8))
@example("a(?i)*b", ["b"])
@example(r"ab+\Q\E?c", ["ac"])
@example("(?i)k", ["\u212a"])
@example("(?i)s(?-i)s", ["\u017fs"])
def test_a_document_that_matches_has_what_is_needed(pattern: str, documents: list[str]) -> None:
    try:
        compiled = compile_pattern(pattern)
    except InvalidArgumentError:
        assume(False)
    need, enough = required(pattern)
    for document in documents:
        matches = compiled.search(document) is not None
        assert need is None or not matches or met(need, document)
        assert not enough or need is None or met(need, document) == matches
