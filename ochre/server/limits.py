"""What keeps one client from taking the server away from the others: bounds on bodies, time and numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from ochre.errors import MediaTypeError, OverloadedError, PayloadTooLargeError, RequestTimeoutError
from ochre.server.settings import ServerSettings

_FREE_BYTES = 64 * 1024
"""Of every body, not counted: the web server may hold as much of any connection, and small calls must not wait until
somebody's large body has arrived."""


class Gate:
    """Counts the requests and the bytes of bodies in this process. Used by the event loop's thread alone."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.requests = 0
        self.buffered = 0

    def check(self) -> None:
        """Refuse a request when there are enough; raises `OverloadedError`."""
        if self.requests >= self._settings.max_requests:
            raise OverloadedError(
                f"Too many requests; backoff and try again: this server takes {self._settings.max_requests} at once"
            )

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Let a request whose body is there in while the block runs; raises `OverloadedError` as `check` does.

        Those that are still sending do not count, so that slow clients cannot take all the places.
        """
        self.check()
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def hold(self) -> Iterator[Buffer]:
        """Lend a buffer for a body; what it holds is counted until the block ends."""
        buffer = Buffer(self)
        try:
            yield buffer
        finally:
            self.buffered -= buffer.counted

    def reserve(self, size: int) -> None:
        """Count `size` more bytes; raises `OverloadedError` when that is too many."""
        if self.buffered + size > self._settings.max_buffered_bytes:
            raise OverloadedError("Too many requests; backoff and try again: other clients are sending large bodies")
        self.buffered += size


class Buffer:
    """The body of one request while it arrives."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._size = 0
        self.counted = 0

    async def read(self, request: Request, settings: ServerSettings) -> bytes:
        """Return the whole body.

        Raises:
            MediaTypeError: it is not declared as JSON. PayloadTooLargeError, RequestTimeoutError, OverloadedError: as
                they say.
        """
        check_media_type(request)
        if int(request.headers.get("content-length", 0)) > settings.max_body_bytes:
            raise _too_large(settings)
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(settings.body_timeout):
                async for chunk in request.stream():
                    self._count(len(chunk), settings)
                    chunks.append(chunk)
        except TimeoutError as error:
            raise RequestTimeoutError(
                f"the body did not arrive within {settings.body_timeout:g} seconds: send it faster, or in smaller calls"
            ) from error
        except ClientDisconnect as error:
            raise RequestTimeoutError("the client closed the connection before the body was complete") from error
        return b"".join(chunks)

    def _count(self, size: int, settings: ServerSettings) -> None:
        self._size += size
        if self._size > settings.max_body_bytes:
            raise _too_large(settings)
        more = max(self._size - _FREE_BYTES, 0) - self.counted
        self._gate.reserve(more)
        self.counted += more


def check_media_type(request: Request) -> None:
    """Refuse a body that is declared as something else than JSON."""
    declared = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if declared not in {"application/json", ""} and not declared.endswith("+json"):
        raise MediaTypeError(f"Content-Type is {declared!r}: expected application/json")


def _too_large(settings: ServerSettings) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"Payload too large: this server takes bodies of up to {settings.max_body_bytes} bytes; send smaller calls"
    )
