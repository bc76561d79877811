"""What differs between waiting with and without an event loop; `_async/compat.py` is its twin, written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def in_thread(function: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
    """Run a function, here and now: the caller has a thread already."""
    return function(*args, **kwargs)
