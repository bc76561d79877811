"""How a client behaves: the few things a user may want to choose, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ochre.errors import InvalidArgumentError, InvalidTypeError

Mode = Literal["w", "r"]
"""How a folder is opened: to read and write, or to read only."""

LEAST_MEMORY = 8 * 1024 * 1024
"""The smallest limit that leaves caches of some use."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a client; the defaults suit nearly everyone.

    Attributes:
        allow_reset: whether `reset()` may delete everything (false).
        synchronous: `full` (the default): a call that returned survives a power cut. `normal`: it survives the end of
            the process, a power cut may undo the last calls. `off`: a power cut may damage the folder.
        busy_timeout: seconds that a write waits for other processes' writes (60).
        max_open_collections: collections whose indexes are kept in memory at once (256); the least used go first. They
            are fewer where the system allows a process few open files.
        memory_limit: about how many bytes this client's caches may take (None: no limit): SQLite's pages, and what is
            kept of collections. Beyond it the least used go, and are made again, or read from mapped files, when they
            are needed. What building an index takes comes on top.
        background_indexing: whether this client builds vector indexes in a thread of its own (true). Of all processes
            on a folder one does it at a time; one that only looks something up may leave it to the others.
        allow_network_folder: whether a folder on a network file system is opened to write (false); that is safe only
            while a single machine uses it, and the file system keeps locks and syncs when asked to.
    """

    allow_reset: bool = False
    synchronous: Literal["full", "normal", "off"] = "full"
    busy_timeout: float = 60.0
    max_open_collections: int = 256
    memory_limit: int | None = None
    background_indexing: bool = True
    allow_network_folder: bool = False

    def __post_init__(self) -> None:
        for name in ("allow_reset", "background_indexing", "allow_network_folder"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidTypeError(f"{name} is {getattr(self, name)!r}: expected True or False")
        if self.synchronous not in ("full", "normal", "off"):
            raise InvalidArgumentError(f"synchronous is {self.synchronous!r}: expected 'full', 'normal' or 'off'")
        if isinstance(self.busy_timeout, bool) or not isinstance(self.busy_timeout, int | float):
            raise InvalidTypeError(f"busy_timeout is {self.busy_timeout!r}: expected seconds, a number of 0 or more")
        if not 0 <= self.busy_timeout <= 86_400:
            raise InvalidArgumentError(f"busy_timeout is {self.busy_timeout}: expected 0 to 86,400 seconds")
        if isinstance(self.max_open_collections, bool) or not isinstance(self.max_open_collections, int):
            raise InvalidTypeError(f"max_open_collections is {self.max_open_collections!r}: expected a whole number")
        if self.max_open_collections < 1:
            raise InvalidArgumentError(f"max_open_collections is {self.max_open_collections}: expected 1 or more")
        limit = self.memory_limit
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise InvalidTypeError(f"memory_limit is {limit!r}: expected a whole number of bytes, or None for no limit")
        if limit is not None and limit < LEAST_MEMORY:
            raise InvalidArgumentError(f"memory_limit is {limit}: expected {LEAST_MEMORY} bytes or more")
