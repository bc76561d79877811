"""What the tests of values share: values of every kind, and a look at how one was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from ochre.errors import InvalidArgumentError

leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2) | st.binary(max_size=2)
nested = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=1), inner, max_size=2)
)
"""Values as JSON and Python have them, none of which may lead to an error that is not ours."""


def refusal(parse: Callable[..., Any], *arguments: Any) -> str | None:
    """Return the message with which a value was refused in our words, or None if it was accepted."""
    try:
        parse(*arguments)
    except InvalidArgumentError as error:
        return str(error)
    return None
