"""What keeps one client from taking the server away from the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.server import ServerState

from ochre.local.engine import LocalEngine
from ochre.server.runner import configure
from ochre.server.settings import ServerSettings
from tests.server.conftest import COLLECTIONS, DATABASE, FAST, ROOT, error_of
from tests.server.live import live

HEARTBEAT = f"{ROOT}/heartbeat"
COUNT = f"{DATABASE}/collections_count"
Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server with settings; returns a client of it."""
    with contextlib.ExitStack() as stack:

        def start(engine: Any = None, **settings: Any) -> httpx.Client:
            url = stack.enter_context(live(engine or LocalEngine.open(tmp_path, FAST), ServerSettings(**settings)))
            return stack.enter_context(httpx.Client(base_url=url, timeout=30))

        yield start


class Held(LocalEngine):
    """Does not count collections before it is told to."""

    def hold(self) -> Held:
        self.entered, self.release = threading.Semaphore(0), threading.Event()
        return self

    def count_collections(self, tenant: str, database: str) -> int:
        self.entered.release()
        assert self.release.wait(30)
        return super().count_collections(tenant, database)


@contextlib.contextmanager
def busy(engine: Held, client: httpx.Client, calls: int) -> Iterator[None]:
    """Keep calls under way while the block runs; they must succeed afterwards."""
    with ThreadPoolExecutor(calls) as callers:
        pending = [callers.submit(client.get, COUNT) for _ in range(calls)]
        for _ in range(calls):
            assert engine.entered.acquire(timeout=30)
        try:
            yield
        finally:
            engine.release.set()
        assert [call.result().status_code for call in pending] == [200] * calls


def connect(client: httpx.Client) -> socket.socket:
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 80))
    connection.settimeout(30)
    return connection


def post(length: int) -> bytes:
    """The head of a request with a body of that length."""
    head = (
        f"POST {COLLECTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode()


# -- numbers ----------------------------------------------------------------------------------------------------


def test_more_requests_than_allowed_are_told_to_come_back(serve: Serve, tmp_path: Path) -> None:
    engine = Held.open(tmp_path, FAST).hold()
    client = serve(engine, max_requests=2, threads=2)
    with busy(engine, client, 2):
        response = client.get(COUNT)
        assert error_of(response) == (429, "Backoff")
        assert response.headers["retry-after"] == "1"
    assert client.get(COUNT).status_code == 200


def test_a_full_house_does_not_wait_for_a_body(serve: Serve, tmp_path: Path) -> None:
    engine = Held.open(tmp_path, FAST).hold()
    client = serve(engine, max_requests=1, threads=1)
    with busy(engine, client, 1), connect(client) as connection:
        connection.sendall(post(100))
        assert connection.recv(1000).startswith(b"HTTP/1.1 429")


@pytest.mark.parametrize("path", [HEARTBEAT, f"{ROOT}/healthcheck", f"{ROOT}/version"])
def test_signs_of_life_are_given_while_everything_is_busy(serve: Serve, tmp_path: Path, path: str) -> None:
    engine = Held.open(tmp_path, FAST).hold()
    client = serve(engine, max_requests=1, threads=1)
    with busy(engine, client, 1):
        assert client.get(path).status_code == 200


def test_clients_that_are_still_sending_take_nobodys_place(serve: Serve) -> None:
    client = serve(max_requests=1)
    with connect(client) as slow:
        slow.sendall(post(100) + b"{")
        assert client.get(COUNT).status_code == 200


# -- bodies -----------------------------------------------------------------------------------------------------


def test_a_body_declared_too_large_is_refused_unread(serve: Serve) -> None:
    client = serve(max_body_bytes=1_000_000)
    with connect(client) as connection:
        connection.sendall(post(1_000_001))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_that_grows_too_large_is_refused(serve: Serve) -> None:
    client = serve(max_body_bytes=1_000_000)
    headers = {"Content-Type": "application/json"}
    response = client.post(COLLECTIONS, content=(b" " * 100_000 for _ in range(11)), headers=headers)
    assert error_of(response) == (413, "ChromaError")


def test_a_body_of_the_largest_size_is_taken(serve: Serve) -> None:
    client = serve(max_body_bytes=1_000_000)
    content = json.dumps({"name": "cars"}).encode().ljust(1_000_000)
    assert client.post(COLLECTIONS, content=content).status_code == 200


@pytest.mark.parametrize("route", ["add", "update", "upsert", "query", "get", "delete"])
def test_the_refusal_of_a_large_body_has_the_form_of_chroma(serve: Serve, route: str) -> None:
    client = serve(max_body_bytes=2_000)
    response = client.post(f"{COLLECTIONS}/x/{route}", content=b" " * 3_000)
    assert "Payload too large" in response.text
    if route in {"get", "delete"}:
        assert error_of(response) == (413, "ChromaError")
    else:
        assert (response.status_code, response.headers["content-type"]) == (413, "text/plain; charset=utf-8")


def test_a_connection_goes_on_after_a_refused_body(serve: Serve) -> None:
    client = serve(max_body_bytes=1_000_000)
    with connect(client) as connection:
        connection.sendall(post(2_000_000) + b" " * 2_000_000)
        answer = connection.recv(10_000)
        connection.sendall(f"GET {HEARTBEAT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while b"nanosecond" not in answer:
            received = connection.recv(10_000)
            assert received, answer
            answer += received
    assert answer.startswith(b"HTTP/1.1 413")


def test_large_bodies_held_at_once_are_bounded(serve: Serve) -> None:
    client = serve(max_body_bytes=400_000, max_buffered_bytes=400_000)
    large = b" " * 300_000
    with connect(client) as slow:
        slow.sendall(post(400_000) + large)
        while (response := client.post(COLLECTIONS, content=large)).status_code != 429:
            assert response.status_code == 400  # the slow client's body has not arrived yet
        assert error_of(response) == (429, "Backoff")
    while client.post(COLLECTIONS, content=large).status_code == 429:
        pass  # until the server has noticed that the slow client left


def test_small_bodies_are_taken_whatever_large_ones_are_held(serve: Serve) -> None:
    client = serve(max_body_bytes=400_000, max_buffered_bytes=400_000)
    with connect(client) as slow, connect(client) as slow_too:
        slow.sendall(post(400_000) + b" " * 399_999)
        slow_too.sendall(post(400_000) + b" " * (400_000 - (399_999 - 65_536) + 65_536))  # all but 64 KiB of each count
        while client.post(COLLECTIONS, content=b" " * 65_600).status_code != 429:
            pass  # until both have arrived
        assert client.post(COLLECTIONS, content=b'{"name": "cars"}').status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "cars", "metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"name": "cars", "metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=["objects", "arrays"],
)
def test_a_body_that_nests_too_deeply_is_refused(serve: Serve, content: bytes) -> None:
    response = serve().post(COLLECTIONS, content=content)
    assert error_of(response) == (400, "InvalidArgumentError")
    assert "nests too deeply" in response.json()["message"]


# -- time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET /api/v2/heartbeat HTTP/1.1\r\nHost: x\r\nX-"], ids=["silent", "dripping"])
def test_a_head_that_does_not_come_is_given_up(serve: Serve, sent: bytes) -> None:
    client = serve(header_timeout=0.2)
    with connect(client) as connection:
        connection.sendall(sent)
        assert client.get(HEARTBEAT).status_code == 200
        assert connection.recv(1000) == b""


def test_a_head_that_is_too_long_is_refused(serve: Serve) -> None:
    client = serve()
    with connect(client) as connection:
        head = b"GET /api/v2/heartbeat HTTP/1.1\r\nHost: x\r\n" + b"X-: " + b"a" * 2_000_000
        with contextlib.suppress(ConnectionError):  # it may hang up while we still send
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 431")
            assert connection.recv(100) == b""
    assert client.get(HEARTBEAT).status_code == 200


def test_a_second_head_that_does_not_come_is_given_up(serve: Serve) -> None:
    client = serve(header_timeout=0.2)
    with connect(client) as connection:
        connection.sendall(f"GET {HEARTBEAT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /api")
        while connection.recv(1000):
            pass


def test_a_body_that_does_not_come_is_given_up(serve: Serve) -> None:
    client = serve(body_timeout=0.2)
    with connect(client) as connection:
        connection.sendall(post(9) + b"{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert client.get(HEARTBEAT).status_code == 200


class Transport(asyncio.Transport):
    """A connection whose other end reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = asyncio.Event()

    def abort(self) -> None:
        self.aborted.set()


@pytest.fixture
def protocol() -> Callable[[], Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""

    config = configure(app, ServerSettings(body_timeout=0.1))
    return lambda: config.http(config, ServerState(), {})  # type: ignore[operator]


def test_an_answer_that_nobody_reads_is_given_up(protocol: Callable[[], Any]) -> None:
    async def scene() -> None:
        connection, transport = protocol(), Transport()
        connection.connection_made(transport)
        connection.pause_writing()
        await asyncio.wait_for(transport.aborted.wait(), 30)

    asyncio.run(scene())


def test_an_answer_that_was_read_late_is_not_given_up(protocol: Callable[[], Any]) -> None:
    async def scene() -> None:
        slow, stuck, transports = protocol(), protocol(), (Transport(), Transport())
        for connection, transport in zip((slow, stuck), transports, strict=True):
            connection.connection_made(transport)
            connection.pause_writing()
        slow.resume_writing()
        await asyncio.wait_for(transports[1].aborted.wait(), 30)
        assert not transports[0].aborted.is_set()

    asyncio.run(scene())
