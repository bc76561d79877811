"""Text with a UTF-8 form, and values cut to fit a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.model.text import encodable, first_unencodable, preview


@given(st.text(alphabet=st.sampled_from("aü日\U0001f600\0\ud800\udfff"), max_size=4))
def test_a_text_without_half_a_surrogate_is_encodable(text: str) -> None:
    assert encodable(text) == (not any(0xD800 <= ord(char) <= 0xDFFF for char in text))


@pytest.mark.parametrize(
    ("texts", "position"), [([], None), (["a", None, "ü"], None), ([None, "\ud800", "\udfff"], 1), (["x\udfff"], 0)]
)
def test_the_first_text_without_a_form_is_named(texts: Any, position: int | None) -> None:
    assert first_unencodable(texts) == position


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        (1, "1"),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 59}..."),
        (["x"] * 1000, f"{str(['x'] * 1000)[:60]}..."),
        (Unspeakable(), "<Unspeakable>"),
    ],
)
def test_a_preview_is_a_repr_cut_short(value: Any, shown: str) -> None:
    assert preview(value) == shown
