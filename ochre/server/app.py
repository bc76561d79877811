"""The application: routes made of the route table, each request through the same steps.

Head, access, body, worker thread, answer. The event loop only moves bytes; JSON, access to the engine and the answer's
JSON happen on a worker thread, so that one request's work does not hold up another's. Signs of life have a thread of
their own: whoever asks whether the server lives is answered while all the others are busy.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ochre.engine import Engine
from ochre.errors import ClosedError
from ochre.server import faults, openapi
from ochre.server.auth import ANYBODY, Authenticator, Principal
from ochre.server.limits import Gate
from ochre.server.logs import LOGGER
from ochre.server.metrics import Metrics
from ochre.server.operations import TABLE, Access, Answer, Call, Limits, Operation
from ochre.server.origins import Origins
from ochre.server.settings import ServerSettings
from ochre.server.threads import Threads
from ochre.server.tracing import Tracer
from ochre.wire.inbound import decoder

JSON = "application/json"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_PAGE_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
_CUT_OFF = "the server ends and cut this request off: whether it was carried out is not known; look, or send it again"
_encode = msgspec.json.Encoder().encode

Decode = Callable[[bytes], Any]
Endpoint = Callable[[Request], Awaitable[Response]]


class Server:
    """What the requests of one process share."""

    def __init__(self, engine: Engine, settings: ServerSettings, authenticator: Authenticator) -> None:
        self.engine = engine
        self.settings = settings
        self.authenticator = authenticator
        self.limits = Limits(settings.max_batch_size)
        self.gate = Gate(settings)
        self.origins = Origins(settings)
        self.metrics = Metrics(self.gate)
        self.tracer = Tracer(settings)
        self.threads = Threads(settings.threads)
        self.probes = ThreadPoolExecutor(1, thread_name_prefix="ochre-probe")

    def operation(self, operation: Operation) -> Endpoint:
        """Return the function that serves an operation."""
        decode: Decode | None = decoder(operation.shape) if operation.shape else None

        async def answer(request: Request) -> Response:
            """Take a request through all the steps."""
            path = {name: unquote(text) for name, text in request.path_params.items()}
            loop = asyncio.get_running_loop()
            if operation.access is Access.PUBLIC:
                call = Call(path, request.query_params, None)
                return await loop.run_in_executor(self.probes, self._work, operation, call, None, b"")
            principal = self._principal(request)
            if operation.access > Access.KNOWN:
                principal.check(operation.access, path)
            self.gate.check()  # a full house is told before its body is read
            with self.gate.hold() as buffer:
                body = await buffer.read(request, self.settings) if decode else b""
                with self.gate.enter():
                    call = Call(path, request.query_params, None, principal)
                    return await loop.run_in_executor(self.threads, self._work, operation, call, decode, body)

        return self.observed(operation.name, answer)

    def _work(self, operation: Operation, call: Call, decode: Decode | None, body: bytes) -> Response:
        """Do the operation, on a worker thread: from the body's bytes to the answer's."""
        call.body = decode(body) if decode else None
        reply = operation.run(self.engine, call, self.limits)
        if isinstance(reply, Answer):
            return Response(_encode(reply.body), reply.status, media_type=JSON)
        return Response(_encode(reply), operation.status, media_type=JSON)

    def _principal(self, request: Request) -> Principal:
        """Return who asks, and note it for the log."""
        principal = self.authenticator.principal(request.headers)
        self.origins.check(request.headers, with_key=principal is not ANYBODY)
        if principal is not ANYBODY:
            request.state.key = principal.name
        return principal

    def observed(self, name: str, answer: Endpoint) -> Endpoint:
        """Return a function that answers whatever happens, and counts, logs and traces it under a name."""

        async def serve(request: Request) -> Response:
            start = time.perf_counter()
            with self.tracer.span(name, request.headers) as span:
                trace = span.trace or faults.trace_id(request)
                try:
                    response = await answer(request)
                except asyncio.CancelledError:  # by the web server, which ends and has waited for long enough
                    response = faults.response(ClosedError(_CUT_OFF), name, trace)
                except Exception as error:  # noqa: BLE001  (whatever happens becomes an answer)
                    response = faults.response(error, name, trace)
                if response.status_code >= 400:
                    response.headers[faults.TRACE_HEADER] = trace
                span.end(response.status_code)
            seconds = time.perf_counter() - start
            self.metrics.observe(name, response.status_code, seconds)
            added = {"status": response.status_code, "ms": round(seconds * 1000, 2), "operation": name, "trace": trace}
            if hasattr(request.state, "key"):
                added["key"] = request.state.key
            # The path as it was sent: decoded, it could hold a line break and forge a line of the log.
            LOGGER.info("%s %s", request.method, request.scope["path"], extra=added)
            return response

        return serve

    async def show_metrics(self, request: Request) -> Response:
        """Answer Prometheus, with any key that is known."""
        self._principal(request)
        content, media_type = self.metrics.text()
        return Response(content, media_type=media_type)

    def close(self) -> None:
        """Finish the work that was begun, then close the engine."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.probes.shutdown(wait=True, cancel_futures=True)
        self.engine.close()
        self.tracer.close()
        LOGGER.info("closed")


def create_app(engine: Engine, settings: ServerSettings, authenticator: Authenticator) -> Starlette:
    """Make the ASGI application.

    Args:
        engine: what it serves; closed when the application shuts down.
        settings: limits, CORS and the like.
        authenticator: who may do what.
    """
    server = Server(engine, settings, authenticator)
    middleware = [Middleware(PathAsSent)]
    if settings.cors_allow_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_allow_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=[faults.TRACE_HEADER, "Retry-After"],
            )
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.close()

    routes = _routes(server)

    async def unknown(request: Request, error: Exception) -> Response:
        async def answer(_: Request) -> Response:
            assert isinstance(error, HTTPException)
            return faults.unknown_route(error, _allowed(routes, request))

        return await server.observed("unknown", answer)(request)

    app = Starlette(
        routes=routes, middleware=middleware, lifespan=lifespan, exception_handlers={HTTPException: unknown}
    )
    app.router.redirect_slashes = False
    return app


class PathAsSent:
    """Routes by the path as it was sent: a `%2F` is part of a name, not a separator. Names are decoded afterwards."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii")
        await self.app(scope, receive, send)


def _routes(server: Server) -> list[Route]:
    longest_first = sorted(TABLE.operations, key=lambda operation: -operation.path.count("/"))  # most calls are those
    routes = [
        Route(operation.path, server.operation(operation), methods=[operation.method], name=operation.name)
        for operation in longest_first
    ]
    document = _static(_encode(openapi.document()), JSON)
    page = _static(Path(__file__).with_name("docs.html").read_bytes(), "text/html; charset=utf-8")
    others: list[tuple[str, str, Endpoint, tuple[str, ...]]] = [
        ("/openapi.json", "openapi", document, ("GET",)),
        ("/docs", "docs", page, ("GET",)),
        ("/docs/", "docs", page, ("GET",)),
        ("/api/v1/{rest:path}", "v1", faults.v1_is_gone, _METHODS),
    ]
    if server.settings.metrics:
        others.append(("/metrics", "metrics", server.show_metrics, ("GET",)))
    return routes + [
        Route(path, server.observed(name, answer), methods=list(methods)) for path, name, answer, methods in others
    ]


def _static(content: bytes, media_type: str) -> Endpoint:
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}

    async def serve(_: Request) -> Response:
        return Response(content, headers=headers, media_type=media_type)

    return serve


def _allowed(routes: list[Route], request: Request) -> str:
    """Return the methods that a path takes, as the header `Allow` lists them."""
    methods: set[str] = set()
    for route in routes:
        if re.fullmatch(route.path_regex, request.scope["path"]):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))
