"""What differs between waiting with and without an event loop; `_sync/compat.py` is its twin, written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

LARGE = 128 * 1024
"""Bytes of JSON that take longer to read or write (0.1 to 0.3 ms) than the way to a thread and back."""

pause = asyncio.sleep


async def work(size: int, function: Callable[[], Result]) -> Result:
    """Call a function that reads or writes `size` bytes; a large call goes to a thread, so that other tasks go on."""
    return await asyncio.to_thread(function) if size >= LARGE else function()
