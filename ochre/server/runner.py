"""Running the application: sockets, TLS, processes, time limits on connections, and an orderly end."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.supervisors import Multiprocess

from ochre.server.settings import ServerSettings


class Config(uvicorn.Config):
    """The web server's settings, and one of ours. It travels to worker processes as it is."""

    head_timeout: float = 10.0


def run(application: Any, settings: ServerSettings) -> None:
    """Serve until told to stop.

    Args:
        application: an ASGI application; with several workers the import name of a function that makes one.
        settings: where and how.
    """
    config = Config(
        application,
        factory=isinstance(application, str),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=TimedProtocol,
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
    config.head_timeout = settings.header_timeout
    if settings.workers > 1:
        Multiprocess(config, sockets=[config.bind_socket()]).run()
    else:
        uvicorn.Server(config).run()


class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # chosen when uvicorn is imported
    """The web server's protocol with a limit on how long the head of a request may take.

    Without it, clients that open connections and send a byte now and then would keep them for ever.
    """

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop waiting when a head is complete; begin to when another one starts."""
        super().data_received(data)
        if self._busy():
            self._unwatch()
        elif self._head is None:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._unwatch()
        super().connection_lost(exc)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        self._head = self.loop.call_later(self.config.head_timeout, self._give_up)

    def _unwatch(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if not self._busy() and not self.transport.is_closing():
            self.transport.close()
