"""Running the application: sockets, TLS, processes, time limits on connections, and an orderly end."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from ochre.errors import InvalidArgumentError, OchreError
from ochre.server import metrics
from ochre.server.logs import LOGGER
from ochre.server.settings import ServerSettings

_BALANCED = sys.platform == "linux"
"""Whether the system spreads connections among sockets of one address; elsewhere all workers share one."""

_PARENT_POLL = 1.0  # seconds between looks at whether the first process is there


class Config(uvicorn.Config):
    """The web server's settings, and two of ours. It travels to worker processes as it is."""

    head_timeout: float = 10.0
    body_timeout: float = 300.0


def configure(application: Any, settings: ServerSettings) -> Config:
    """Return the web server's settings; arguments as in `run`."""
    config = Config(
        application,
        factory=isinstance(application, str),
        workers=settings.workers,
        http=TimedProtocol,
        ws="none",
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        timeout_keep_alive=math.ceil(settings.keep_alive),
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    config.head_timeout = settings.header_timeout
    config.body_timeout = settings.body_timeout
    return config


def run(application: Any, settings: ServerSettings) -> None:
    """Serve until told to stop.

    Args:
        application: an ASGI application; with several workers the import name of a function that makes one.
        settings: where and how.

    Raises:
        InvalidArgumentError: the address is taken, or is not one of this machine's.
        OchreError: the worker processes did not start.
    """
    sets = [listen(settings)]
    addresses = [listener.getsockname()[:2] for listener in sets[0]]
    while _BALANCED and len(sets) < settings.workers:
        sets.append([_listener(one.family, address) for one, address in zip(sets[0], addresses, strict=True)])
    _allow_many_connections()
    config = configure(application, settings)
    protocol = "https" if settings.tls_cert else "http"
    for host, port in addresses:
        LOGGER.info("listening on %s://%s:%d", protocol, f"[{host}]" if ":" in host else host, port)
    if settings.workers == 1:
        OneProcess(config).run(sets[0])
        return
    workers = Workers(config, sets)
    workers.run()
    if workers.failed:
        raise OchreError("the worker processes did not start: the lines above tell why")


def listen(settings: ServerSettings) -> list[socket.socket]:
    """Open a socket for each address that the host's name stands for; raises `InvalidArgumentError`."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        port = settings.port
        for family, address in dict.fromkeys((entry[0], str(entry[4][0])) for entry in found):
            sockets.append(_listener(family, (address, port), shared=_BALANCED and settings.workers > 1))
            port = sockets[-1].getsockname()[1]  # of 0 the first socket makes a number
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise InvalidArgumentError(
            f"cannot listen on host {settings.host!r}, port {settings.port} ({error}): choose others by --host, --port"
        ) from error
    return sockets


def _listener(family: int, address: tuple[str, int], *, shared: bool = True) -> socket.socket:
    listener = socket.create_server(address, family=family, backlog=2048, reuse_port=shared)
    listener.set_inheritable(True)
    return listener


def _allow_many_connections() -> None:
    """Raise the number of open files from what is usual to what is allowed: a connection is one."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class OneProcess(uvicorn.Server):
    """The web server in this process: told to stop by a signal, it ends as if it had not been one."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop once requests are done; at once when told a second time."""
        self.force_exit = self.should_exit
        self.should_exit = True


class Workers(Multiprocess):
    """Worker processes; one that ends is replaced.

    Each has a set of sockets of its own, among which the system spreads new connections. On one set, the worker that is
    awake first would take all that come at a time. This process keeps the sets open: what arrives while a worker is
    replaced waits for the next.
    """

    def __init__(self, config: Config, sets: list[list[socket.socket]]) -> None:
        """Prepare as many workers as the configuration says, on as many sets of sockets, or on one."""
        super().__init__(config, sets[0])
        self._sets = sets

    def init_processes(self) -> None:
        """Start all of them."""
        for place in range(self.processes_num):
            self.processes.append(self._started(place))

    def _replace(self, place: int) -> None:
        """Start another in the place of one that has ended, and forget what that had under way."""
        ended, self.processes[place] = self.processes[place], self._started(place)
        metrics.forget(ended.pid or 0)

    def _started(self, place: int) -> Process:
        process = Process(self.config, self._sets[place % len(self._sets)])
        process.start()
        return process

    def restart_all(self) -> None:
        """Replace them, one after another; each finishes what it has begun."""
        for place, process in enumerate(list(self.processes)):
            process.terminate()
            process.join()
            self._replace(place)

    def handle_ttin(self) -> None:
        """Change nothing: each worker has its sockets."""
        LOGGER.warning("the number of workers is that of --workers")

    handle_ttou = handle_ttin

    @property
    def failed(self) -> bool:
        """Whether a worker could not start, which ends all of them."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended; stop all if one could not start."""
        for place, process in enumerate(list(self.processes)):
            if self.should_exit.is_set() or process.is_alive(self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                self.should_exit.set()
                return
            self._replace(place)
            LOGGER.error("worker process %d ended and was replaced", process.pid)


def end_with(parent: int) -> None:
    """End this worker process when the one that started it is gone: nobody would ever replace or stop it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL)
        LOGGER.error("the server's first process is gone: this worker ends")
        os.kill(os.getpid(), signal.SIGTERM)

    if sys.platform != "win32":  # there a process keeps its parent's number
        threading.Thread(target=watch, name="ochre-parent", daemon=True).start()


class Timer:
    """Does something unless it is stopped in time."""

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._seconds = seconds
        self._act = act
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count, if it does not already."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._seconds, self._ring)

    def stop(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._act()


MAX_HEAD_BYTES = 64 * 1024
"""Bytes that may come before a request's head is complete."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TimedProtocol(HttpToolsProtocol):
    """The web server's protocol with limits on a request's head, and on how long that and taking the answer may take.

    Without them, clients that send a byte now and then would keep their connections for ever, and clients that ask for
    much and read nothing would keep the answers in memory.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        self._head = Timer(self.config.head_timeout, self._give_up)  # type: ignore[attr-defined]
        self._answer = Timer(self.config.body_timeout, transport.abort)  # type: ignore[attr-defined]
        self._in_head, self._head_bytes = False, 0
        super().connection_made(transport)
        self._head.start()

    def data_received(self, data: bytes) -> None:
        """Stop waiting when a head is complete; begin to when another one starts."""
        super().data_received(data)
        if self._busy():
            self._head.stop()
        else:
            self._head.start()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count the bytes of a head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no more: what follows is the body."""
        self._in_head = False
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Begin to wait until the client has read what it was sent."""
        self._answer.start()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Stop waiting for that."""
        self._answer.stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for anything."""
        self._head.stop()
        self._answer.stop()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End the connection once no request is under way; an idle one of TLS at once, whatever the client answers."""
        if self.scheme == "https" and not self._busy():
            self.transport.abort()
        else:
            super().shutdown()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _give_up(self) -> None:
        if not self._busy() and not self.transport.is_closing():
            self.transport.close()
