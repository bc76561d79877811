"""What the tests of embedding functions share: a cache of small stand-in files, and a hub on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.embedding import stand_in

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers a request for a file whose right content is given."""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The empty cache's folder of the model; the small files are the right ones, and no source has them."""
    return stand_in.install(monkeypatch, tmp_path / "cache")


class Hub:
    """A server of the model's files. `answers` says how a file is answered; by default as it should be."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.release = threading.Event()
        """Set it to let go of what waits; it is set at the end of the test in any case."""


def send(handler: BaseHTTPRequestHandler, content: bytes, *, length: int | None = None, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)
    handler.wfile.flush()


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.requests.append(self.path)
            name = self.path.rpartition("/")[2]
            hub.answers.get(name, send)(self, stand_in.CONTENTS[name])

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    yield hub
    hub.release.set()
    server.shutdown()
    thread.join()
    server.server_close()
