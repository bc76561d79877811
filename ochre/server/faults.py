"""Errors as answers: their bodies, statuses and the trace id that every one of them carries."""

from __future__ import annotations

import re
import secrets

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ochre.errors import AuthenticationError, ClosedError, OchreError, OverloadedError, PayloadTooLargeError
from ochre.server.logs import LOGGER
from ochre.wire import bodies

TRACE_HEADER = "chroma-trace-id"
_PLAIN_WHEN_TOO_LARGE = {"add", "update", "upsert", "query", "search"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def response(error: Exception, request: Request, operation: str) -> Response:
    """Return the answer for whatever an operation raised."""
    trace = trace_id(request)
    if not isinstance(error, OchreError):
        LOGGER.error("an error that is not one of ours", exc_info=error, extra={"operation": operation, "trace": trace})
        error = OchreError(f"the server failed to answer; its log tells more under the trace id {trace}")
    elif error.status >= 500 and not isinstance(error, ClosedError):
        LOGGER.warning("%s", error, extra={"operation": operation, "trace": trace, "code": error.code})
    headers = {TRACE_HEADER: trace}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = "1"
    if type(error) is AuthenticationError:
        headers["WWW-Authenticate"] = 'Bearer realm="ochre"'
    if isinstance(error, PayloadTooLargeError):
        headers["Connection"] = "close"  # the rest of the body is not read
        if operation in _PLAIN_WHEN_TOO_LARGE:
            return Response(str(error), error.status, headers, media_type="text/plain")
    content = msgspec.json.encode(bodies.Error(error.wire_name, error.message, error.code))
    return Response(content, error.status, headers, media_type="application/json")


async def unknown_route(request: Request, error: Exception) -> Response:
    """Answer an unknown path, or a known one with another method, as Chroma does: without a body."""
    assert isinstance(error, HTTPException)
    headers = {**(error.headers or {}), TRACE_HEADER: trace_id(request)}
    return Response(status_code=error.status_code, headers=headers)


async def v1_is_gone(request: Request) -> Response:
    """Answer a call of the API's first version."""
    content = msgspec.json.encode(
        {"error": "Unimplemented", "message": "The v1 API is deprecated. Please use /v2 apis", "code": "unsupported"}
    )
    return Response(content, 410, {TRACE_HEADER: trace_id(request)}, media_type="application/json")


def trace_id(request: Request) -> str:
    """Return 32 hexadecimal digits: those of the caller's W3C trace context, or new ones."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return found[1] if found else secrets.token_hex(16)
