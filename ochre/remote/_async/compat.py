"""What differs between waiting with and without an event loop; `_sync/compat.py` is its twin, written by hand."""

from __future__ import annotations

import asyncio

pause = asyncio.sleep
