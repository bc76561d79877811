"""What keeps one client from taking the server away from the others: bounds on bodies, time and numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from ochre.errors import MediaTypeError, OverloadedError, PayloadTooLargeError, RequestTimeoutError
from ochre.server.settings import ServerSettings


class Gate:
    """Counts the requests and the bytes of bodies in this process. Used by the event loop's thread alone."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.requests = 0
        self.buffered = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Let a request in while the block runs; raises `OverloadedError` when there are enough."""
        if self.requests >= self._settings.max_requests:
            raise OverloadedError(
                f"Too many requests; backoff and try again: this server takes {self._settings.max_requests} at once"
            )
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
            self.buffered -= buffer.size

    def reserve(self, size: int) -> None:
        """Count `size` more bytes; raises `OverloadedError` when that is too many."""
        if self.buffered + size > self._settings.max_buffered_bytes:
            raise OverloadedError("Too many requests; backoff and try again: other clients are sending large bodies")
        self.buffered += size


class Buffer:
    """The body of one request while it arrives."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.size = 0

    async def read(self, request: Request, settings: ServerSettings) -> bytes:
        """Return the whole body.

        Raises:
            MediaTypeError: it is not declared as JSON. PayloadTooLargeError, RequestTimeoutError, OverloadedError: as
                they say.
        """
        check_media_type(request)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > settings.max_body_bytes:
            raise _too_large(settings)
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(settings.body_timeout):
                async for chunk in request.stream():
                    if self.size + len(chunk) > settings.max_body_bytes:
                        raise _too_large(settings)
                    self._gate.reserve(len(chunk))
                    self.size += len(chunk)
                    chunks.append(chunk)
        except TimeoutError as error:
            raise RequestTimeoutError(
                f"the body did not arrive within {settings.body_timeout:g} seconds: send it faster, or in smaller calls"
            ) from error
        except ClientDisconnect as error:
            raise RequestTimeoutError("the client closed the connection before the body was complete") from error
        return b"".join(chunks)


def check_media_type(request: Request) -> None:
    """Refuse a body that is declared as something else than JSON."""
    declared = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if declared not in {"application/json", ""} and not declared.endswith("+json"):
        raise MediaTypeError(f"Content-Type is {declared!r}: expected application/json")


def _too_large(settings: ServerSettings) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"Payload too large: this server takes bodies of up to {settings.max_body_bytes} bytes; send smaller calls"
    )
