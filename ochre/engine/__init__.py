"""The Engine protocol: what every engine does, told once.

An engine keeps collections of records and answers about them. Each operation takes one frozen request and returns one
value; a call that returns has happened, durably, and every later call, in any process, sees it. A call that raises
changed nothing. An engine never embeds, never parses user input, and knows no JSON of any API.

`Engine` is for threads, `AsyncEngine` for the tasks of an event loop. `_sync` is made of `_async` by
`tools/unasync.py`; `threads` makes an `AsyncEngine` of any `Engine`.

Errors of every operation on a collection: `NotFoundError` when the collection is not there (its message matches
"Collection .* does not exist"), `ClosedError` after `close`, `StorageError` and its kin when the disk fails.
"""

from __future__ import annotations

from ochre.engine._async import AsyncEngine, AsyncFolder, AsyncServer
from ochre.engine._sync import Engine, Folder, Server

__all__ = ["AsyncEngine", "AsyncFolder", "AsyncServer", "Engine", "Folder", "Server"]
