"""Errors as answers: their bodies and statuses, and the trace id that every one of them carries."""

from __future__ import annotations

import re
import secrets

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ochre.errors import (
    AuthenticationError,
    ClosedError,
    OchreError,
    OverloadedError,
    PayloadTooLargeError,
    UnsupportedError,
)
from ochre.server.logs import LOGGER
from ochre.wire import bodies

TRACE_HEADER = "chroma-trace-id"
PLAIN_WHEN_TOO_LARGE = frozenset({"add", "update", "upsert", "query"})
"""Operations that answer a body that is too large in plain text, as Chroma does."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def response(error: Exception, operation: str, trace: str) -> Response:
    """Return the answer for whatever an operation raised.

    Args:
        error: what was raised.
        operation: the operation's name.
        trace: the request's id in log and traces.
    """
    if not isinstance(error, OchreError):
        LOGGER.error("an error that is not one of ours", exc_info=error, extra={"operation": operation, "trace": trace})
        error = OchreError(f"the server failed to answer; its log tells more under the trace id {trace}")
    elif error.status >= 500 and not isinstance(error, ClosedError | UnsupportedError):
        LOGGER.warning("%s", error, extra={"operation": operation, "trace": trace, "code": error.code})
    headers = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = "1"
    if type(error) is AuthenticationError:
        headers["WWW-Authenticate"] = 'Bearer realm="ochre"'
    if isinstance(error, PayloadTooLargeError) and operation in PLAIN_WHEN_TOO_LARGE:
        return Response(str(error), error.status, headers, media_type="text/plain")
    content = msgspec.json.encode(bodies.Error(error.wire_name, error.message, error.code))
    return Response(content, error.status, headers, media_type="application/json")


def unknown_route(error: HTTPException, allowed: str) -> Response:
    """Answer an unknown path, or a known one with another method, as Chroma does: without a body."""
    return Response(status_code=error.status_code, headers={"Allow": allowed} if error.status_code == 405 else None)


async def v1_is_gone(_: Request) -> Response:
    """Answer a call of the API's first version."""
    content = msgspec.json.encode(
        bodies.Error("Unimplemented", "The v1 API is deprecated. Please use /v2 apis", "unsupported")
    )
    return Response(content, 410, media_type="application/json")


def trace_id(request: Request) -> str:
    """Return 32 hexadecimal digits: those of the caller's W3C trace context, or new ones."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return found[1] if found else secrets.token_hex(16)
