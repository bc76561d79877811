"""What differs between waiting with and without an event loop; `_sync/compat.py` is its twin, written by hand."""

from __future__ import annotations

import asyncio

in_thread = asyncio.to_thread
"""Run a function that computes for long, so that other tasks go on meanwhile."""
