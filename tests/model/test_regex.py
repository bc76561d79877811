r"""Patterns as their writers mean them: Unicode-aware classes, whatever stands around them."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from ochre.model.filters import compile_pattern
from ochre.model.regex import translate

TEXTS = [
    *("", "a", "A1", "red green", "x=42;", "tab\there", "two\nlines", "a.b*c", "[x]", "]", "-", "^", "\\d", "d", "\\"),
    *("naïve café", "Ünï", "日本語 テキスト", "\u0661\u0662", "\u096d", "\U0001d7d9", "a_b", "_", "\u00a0", "\u3000x"),
    *("\x0b", "\x85", "\U0001f600", "ß", "a-z", "0", " ", "Q", "E"),
]
PATTERNS = [
    r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\d+", r"^\w+$", r"^\W+$", r"^\S+\s\S+$", r"\w+\s*=\s*\d+",
    r"[\d]", r"[\w-]", r"[^\d]", r"[^\s]", r"[^\w]", r"[\w\s]", r"[^\w\s]", r"[a\d]", r"[\d.]+", r"^[\w.]+$",
    r"[]]", r"[^]]", r"[]\d]", r"[^]\d]", r"[\]\d]", r"[\\d]", r"[\\\d]", r"[a-]\d?", r"[-\d]", r"[\^\d]",
    r"\\d", r"\\\d", r"\\\\d", r"\[\d?", r"\[\w\]", r"(\d)|(\s)", r"(?:\w)", r"(?P<name>\w)", r"(?i)\w\d", r"(?i)a\d",
    r"(?s).", r"a|\d", r"\d{2}", r"\w{2,3}", r"\d*?x", r"\.", r"\x41\d", r"x|\w", r"$", r"^",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_what_python_means_by_it(pattern: str) -> None:
    ours, pythons = compile_pattern(pattern), re.compile(pattern)
    for text in TEXTS:
        found, expected = ours.search(text), pythons.search(text)
        assert (found and found.span()) == (expected and expected.span()), text


@pytest.mark.parametrize(
    ("pattern", "texts", "others"),
    [
        (r"\Q\d\E", ["\\d"], ["1", "d"]),
        (r"\Q\d\E\d", ["\\d1", "\\d\u0661"], ["\\dd", "11"]),
        (r"\Q[\E\w", ["[ü"], ["[", "ü"]),
        (r"a\Q\w", ["a\\w"], ["ab"]),
        (r"\Q\w", ["\\w"], ["w"]),
        ("\\Q\\d\n", ["\\d\n"], ["1\n", "\\d"]),
        (r"[[:alpha:]\d]", ["a", "1", "\u0661"], ["ü", "-"]),
        (r"[[:^alpha:]]", ["1", "ü"], ["a"]),
        (r"[^[:space:]\d]", ["a"], [" ", "1", "\u0661"]),
        (r"[[:digit:]][\w]", ["1ü"], ["\u0661ü", "1-"]),
        (r"\p{Greek}\d", ["λ\u0661"], ["a1"]),
        (r"\pN", ["½", "1"], ["a"]),
        (r"\PL", ["1"], ["a", "ü"]),
        (r"[\p{Greek}\d]", ["λ", "\u0661"], ["a"]),
        (r"[^\pL\s]", ["1"], ["ü", "\u3000"]),
        (r"\x{64}\d", ["d1"], ["\\d"]),
        (r"[[\d]", ["[", "1"], ["a", "\\"]),
        (r"^.$", ["a", "日"], ["\n", "ab"]),
    ],
)
def test_what_python_does_not_have(pattern: str, texts: list[str], others: list[str]) -> None:
    found = compile_pattern(pattern)
    assert [text for text in texts if found.search(text) is None] == []
    assert [text for text in others if found.search(text) is not None] == []


def everything() -> list[str]:
    return [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF and chr(code).isprintable()]


@pytest.mark.parametrize(
    ("letter", "categories"), [("d", {"Nd"}), ("w", {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Pc"})]
)
def test_a_class_is_its_unicode_categories(letter: str, categories: set[str]) -> None:
    """Characters that one of the two Unicode tables does not know yet are left out."""
    assigned = [char for char in everything() if unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char)]
    text = "".join(assigned)
    inside = {char for char in assigned if unicodedata.category(char) in categories}
    assert set("".join(match.group() for match in compile_pattern(rf"\{letter}+").finditer(text))) == inside
    assert set("".join(match.group() for match in compile_pattern(rf"[\{letter}]+").finditer(text))) == inside
    outside = set(assigned) - inside
    assert set("".join(match.group() for match in compile_pattern(rf"\{letter.upper()}+").finditer(text))) == outside


def test_white_space_is_unicodes() -> None:
    white = [*"\t\n\x0b\x0c\r \x85\xa0", "\u1680", *map(chr, range(0x2000, 0x200B)), *"\u2028\u2029\u202f\u205f\u3000"]
    for pattern, inside in ((r"^\s$", True), (r"^[\s]$", True), (r"^\S$", False), (r"^[^\s]$", False)):
        assert all((compile_pattern(pattern).search(char) is not None) == inside for char in white), pattern
    assert not any(compile_pattern(r"\s").search(char) for char in "\u200b\u2060\ufeff\x1cx")


@pytest.mark.parametrize(
    "pattern",
    ["", "abc", "a\\", "[", "[a", "[[:", "\\Q", "\\Q\\E\\E", "[]", "[^]", "日\\本", "\n", "(?i)x", r"\b\B\D\pL"],
)
def test_what_holds_no_class_is_left_as_it_is(pattern: str) -> None:
    assert translate(pattern.replace(r"\D", "")) == pattern.replace(r"\D", "")
