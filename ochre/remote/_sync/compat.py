"""What differs between waiting with and without an event loop; `_async/compat.py` is its twin, written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

pause = time.sleep


def work(size: int, function: Callable[[], Result]) -> Result:  # noqa: ARG001  (nobody waits but the caller)
    """Call a function that reads or writes `size` bytes."""
    return function()
