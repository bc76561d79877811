"""The application: routes made of the route table, each request through the same steps.

Head, access, body, worker thread, answer. The event loop only moves bytes; JSON, access to the engine and the answer's
JSON happen on a worker thread, so that one request's work does not hold up another's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ochre.engine import Engine
from ochre.errors import AuthenticationError
from ochre.server import faults, openapi
from ochre.server.auth import Authenticator
from ochre.server.limits import Gate
from ochre.server.logs import LOGGER
from ochre.server.metrics import Metrics
from ochre.server.operations import TABLE, Access, Call, Limits, Operation
from ochre.server.settings import ServerSettings
from ochre.server.tracing import Tracer
from ochre.wire.inbound import decoder

JSON = "application/json"
_encode = msgspec.json.Encoder(enc_hook=str).encode

Endpoint = Callable[[Request], Awaitable[Response]]


class Server:
    """What the requests of one process share."""

    def __init__(self, engine: Engine, settings: ServerSettings, authenticator: Authenticator) -> None:
        self.engine = engine
        self.settings = settings
        self.authenticator = authenticator
        self.limits = Limits(settings.max_batch_size)
        self.gate = Gate(settings)
        self.metrics = Metrics()
        self.tracer = Tracer(settings)
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="ochre-request")

    async def answer(self, operation: Operation, decode: Callable[[bytes], Any] | None, request: Request) -> Response:
        """Take a request through all the steps."""
        principal = self.authenticator.principal(request.headers)
        if operation.access > Access.PUBLIC:
            principal.check(operation.access, request.path_params)
        with self.gate.hold() as buffer:
            body = await buffer.read(request, self.settings) if decode else b""
            self.metrics.buffered.set(self.gate.buffered)
            call = (operation, decode, body, request.path_params, request.query_params, principal)
            content = await asyncio.get_running_loop().run_in_executor(self.threads, self._work, *call)
        return Response(content, operation.status, media_type=JSON)

    def _work(
        self,
        operation: Operation,
        decode: Callable[[bytes], Any] | None,
        body: bytes,
        path: Mapping[str, str],
        query: Mapping[str, str],
        principal: Any,
    ) -> bytes:
        """Do the operation, on a worker thread: from the body's bytes to the answer's."""
        parsed = decode(body) if decode else None
        return _encode(operation.run(self.engine, Call(path, query, parsed, principal), self.limits))

    def endpoint(self, operation: Operation) -> Endpoint:
        """Return the function that serves an operation."""
        decode: Callable[[bytes], Any] | None = decoder(operation.shape) if operation.shape else None

        async def serve(request: Request) -> Response:
            start = time.perf_counter()
            with self.tracer.span(operation.name, request.headers) as span:
                try:
                    with self.gate.enter():
                        self.metrics.active.set(self.gate.requests)
                        response = await self.answer(operation, decode, request)
                except Exception as error:  # noqa: BLE001  (whatever happens becomes an answer)
                    response = faults.response(error, request, operation.name)
                finally:
                    self.metrics.active.set(self.gate.requests)
                span.end(response.status_code)
            seconds = time.perf_counter() - start
            self.metrics.observe(operation.name, response.status_code, seconds)
            LOGGER.info(
                "%s %s", request.method, request.url.path,
                extra={"status": response.status_code, "ms": round(seconds * 1000, 2), "operation": operation.name},
            )  # fmt: skip
            return response

        return serve


def create_app(engine: Engine, settings: ServerSettings, authenticator: Authenticator) -> Starlette:
    """Make the ASGI application.

    Args:
        engine: what it serves; closed when the application shuts down.
        settings: limits, CORS and the like.
        authenticator: who may do what.
    """
    server = Server(engine, settings, authenticator)
    routes = [
        Route(operation.path, server.endpoint(operation), methods=[operation.method], name=operation.name)
        for operation in sorted(TABLE.operations, key=lambda operation: "{name}" in operation.path)
    ]
    routes += [
        Route("/openapi.json", _static(_encode(openapi.document()), JSON), methods=["GET"]),
        Route("/docs", _static(_page(), "text/html; charset=utf-8"), methods=["GET"]),
        Route("/docs/", lambda _: RedirectResponse("/docs"), methods=["GET"]),
        Route("/api/v1/{rest:path}", faults.v1_is_gone, methods=list(_METHODS)),
    ]
    if settings.metrics:
        routes.append(Route("/metrics", _metrics(server), methods=["GET"]))
    middleware = []
    if settings.cors_allow_origins:
        middleware.append(
            Middleware(
                CORSMiddleware, allow_origins=settings.cors_allow_origins, allow_methods=["*"], allow_headers=["*"]
            )
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.threads.shutdown(wait=True)
        engine.close()
        LOGGER.info("closed")

    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: faults.unknown_route},
    )
    app.router.redirect_slashes = False
    return app


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def _static(content: bytes, media_type: str) -> Endpoint:
    async def serve(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _page() -> bytes:
    return Path(__file__).with_name("docs.html").read_bytes()


def _metrics(server: Server) -> Endpoint:
    async def serve(request: Request) -> Response:
        try:
            server.authenticator.principal(request.headers)
        except AuthenticationError as error:
            return faults.response(error, request, "metrics")
        content, media_type = server.metrics.text()
        return Response(content, media_type=media_type)

    return serve
