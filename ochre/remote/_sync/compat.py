"""What differs between waiting with and without an event loop; `_async/compat.py` is its twin, written by hand."""

from __future__ import annotations

import time

pause = time.sleep
