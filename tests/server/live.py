"""A real server on a free port of this machine, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ochre.engine import Engine
from ochre.server.app import create_app
from ochre.server.auth import Authenticator
from ochre.server.keys import KeyStore
from ochre.server.runner import configure
from ochre.server.settings import ServerSettings


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def live(engine: Engine, settings: ServerSettings | None = None, keys: KeyStore | None = None) -> Iterator[str]:
    """Serve an engine while the block runs; yields the address. The engine is closed at the end."""
    settings = settings or ServerSettings()
    app = create_app(engine, settings, Authenticator(keys))
    server = _Server(configure(app, settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert server.listening.wait(30), "the server did not start"
            protocol = "https" if settings.tls_cert else "http"
            yield f"{protocol}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()
