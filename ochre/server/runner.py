"""Running the application: sockets, TLS, processes, time limits on connections, and an orderly end."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ochre.server.settings import ServerSettings


def run(application: Any, settings: ServerSettings) -> None:
    """Serve until told to stop.

    Args:
        application: an ASGI application; with several workers the import name of a function that makes one.
        settings: where and how.
    """
    config = uvicorn.Config(
        application,
        factory=isinstance(application, str),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=timed_protocol(settings.header_timeout),
        ws="none",
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        timeout_keep_alive=int(settings.keep_alive),
        timeout_graceful_shutdown=int(settings.shutdown_timeout),
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
    )
    if settings.workers > 1:
        from uvicorn.supervisors import Multiprocess

        Multiprocess(config, uvicorn.Server(config).run, [config.bind_socket()]).run()
    else:
        uvicorn.Server(config).run()


def timed_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Return the web server's protocol with a limit on how long the head of a request may take.

    Without it, clients that open connections and send a byte now and then would keep them for ever.
    """

    class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # chosen when uvicorn is imported
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._busy():
                self._unwatch()
            elif self._head is None:
                self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

        def _busy(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _watch(self) -> None:
            self._head = self.loop.call_later(seconds, self._give_up)

        def _unwatch(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _give_up(self) -> None:
            self._head = None
            if not self._busy() and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
