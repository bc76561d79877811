"""Read-only maps of files, and for how many collections there may be some at once.

Before Python 3.13 a map keeps a descriptor, of which a system may allow a process as few as 256.
"""

from __future__ import annotations

import mmap
import sys

_DESCRIPTORS = 1 if sys.version_info >= (3, 13) else 5
"""Of a collection at most: to write vectors; of maps of the vectors, before and after they grew, and two segments."""


def mapped(file: int) -> mmap.mmap:
    """Map a whole file, which is not empty, given by its descriptor; that may be closed then."""
    if sys.version_info >= (3, 13) and sys.platform != "win32":
        return mmap.mmap(file, 0, access=mmap.ACCESS_READ, trackfd=False)
    return mmap.mmap(file, 0, access=mmap.ACCESS_READ)


def collections_at_once() -> int:
    """Return for how many collections the files may be open at once, so that half of what the system allows is left."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if allowed == resource.RLIM_INFINITY else max(allowed // 2 // _DESCRIPTORS, 1)
