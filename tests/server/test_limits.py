"""What keeps one client from taking the server away from the others, and what a server says of itself."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ochre.local.engine import LocalEngine
from ochre.server.operations import TABLE
from ochre.server.settings import ServerSettings
from ochre.settings import Settings
from tests.server.conftest import error_of
from tests.server.live import live

ROOT = "/api/v2"
DATABASE = f"{ROOT}/tenants/default_tenant/databases/default_database"
COLLECTIONS = f"{DATABASE}/collections"
HEAD = f"POST {COLLECTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {{size}}\r\n\r\n"
FAST = Settings(synchronous="off")


class SlowEngine(LocalEngine):
    """Counts collections only when it is told to go on."""

    def wait_for(self, event: threading.Event) -> None:
        self.go_on = event
        self.entered = threading.Semaphore(0)

    def count_collections(self, tenant: str, database: str) -> int:
        self.entered.release()
        assert self.go_on.wait(30)
        return super().count_collections(tenant, database)


def test_more_requests_than_allowed_are_told_to_come_back(tmp_path: Path) -> None:
    engine, go_on = SlowEngine.open(tmp_path, FAST), threading.Event()
    assert isinstance(engine, SlowEngine)
    engine.wait_for(go_on)
    statuses: list[int] = []
    with live(engine, ServerSettings(max_requests=2, threads=2)) as url:
        count = f"{url}{DATABASE}/collections_count"
        callers = [threading.Thread(target=lambda: statuses.append(httpx.get(count).status_code)) for _ in range(2)]
        for caller in callers:
            caller.start()
            assert engine.entered.acquire(timeout=30)
        response = httpx.get(count)
        assert error_of(response) == (429, "Backoff")
        assert response.headers["retry-after"] == "1"
        go_on.set()
        for caller in callers:
            caller.join(30)
        assert statuses == [200, 200]
        assert httpx.get(count).status_code == 200


def test_bodies_held_at_once_are_bounded(tmp_path: Path) -> None:
    settings = ServerSettings(max_body_bytes=300_000, max_buffered_bytes=300_000)
    large = {"name": "abc", "metadata": {"text": "x" * 200_000}, "get_or_create": True}
    with live(LocalEngine.open(tmp_path, FAST), settings) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 80)) as slow:
            slow.sendall(HEAD.format(size=290_000).encode() + b" " * 280_000)
            deadline = time.monotonic() + 10
            while (response := httpx.post(f"{url}{COLLECTIONS}", json=large)).status_code == 200:
                assert time.monotonic() < deadline  # until the server has read what the slow client sent
            assert error_of(response) == (429, "Backoff")
            assert httpx.post(f"{url}{COLLECTIONS}", json={"name": "small"}).status_code == 200
        while httpx.post(f"{url}{COLLECTIONS}", json=large).status_code == 429:
            assert time.monotonic() < deadline, "what a client that left had sent is given back"


def test_slow_heads_and_bodies_are_given_up(tmp_path: Path) -> None:
    settings = ServerSettings(header_timeout=0.2, body_timeout=0.2)
    with live(LocalEngine.open(tmp_path, FAST), settings) as url:
        address = httpx.URL(url)
        target = (address.host, address.port or 80)
        with socket.create_connection(target) as silent, socket.create_connection(target) as dripping:
            dripping.sendall(b"GET /api/v2/heartbeat HT")
            assert httpx.get(f"{url}{ROOT}/heartbeat").status_code == 200
            for connection in (silent, dripping):
                connection.settimeout(10)
                assert connection.recv(1000) == b""
        with socket.create_connection(target) as stuck:
            stuck.settimeout(10)
            stuck.sendall(HEAD.format(size=9).encode() + b"{")
            assert stuck.recv(1000).startswith(b"HTTP/1.1 408")


def test_metrics_count_what_was_answered(tmp_path: Path) -> None:
    with live(LocalEngine.open(tmp_path, FAST)) as url:
        httpx.get(f"{url}{ROOT}/heartbeat")
        httpx.get(f"{url}{COLLECTIONS}/nowhere")
        text = httpx.get(f"{url}/metrics").text
        assert 'ochre_requests_total{operation="heartbeat",status="200"} 1.0' in text
        assert 'ochre_requests_total{operation="get_collection",status="404"} 1.0' in text
    with live(LocalEngine.open(tmp_path, FAST), ServerSettings(metrics=False)) as url:
        assert httpx.get(f"{url}/metrics").status_code == 404


def test_pages_of_other_origins_are_let_in_when_the_settings_say_so(tmp_path: Path) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    with live(LocalEngine.open(tmp_path, FAST), ServerSettings(cors_allow_origins=("https://a.example",))) as url:
        response = httpx.options(f"{url}{COLLECTIONS}", headers=headers)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "https://a.example")
    with live(LocalEngine.open(tmp_path, FAST)) as url:
        assert httpx.options(f"{url}{COLLECTIONS}", headers=headers).status_code == 405


def test_a_server_whose_engine_fails_says_that_it_is_not_ready(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, FAST)
    with live(engine) as url:
        engine.close()
        response = httpx.get(f"{url}{ROOT}/healthcheck")
        assert response.status_code == 503
        assert response.json()["is_executor_ready"] is False
        assert error_of(httpx.get(f"{url}{COLLECTIONS}")) == (503, "ChromaError")


def test_an_error_of_our_own_tells_nothing_but_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("division")

    engine = LocalEngine.open(tmp_path, FAST)
    monkeypatch.setattr(engine, "list_collections", broken)
    with live(engine) as url:
        response = httpx.get(f"{url}{COLLECTIONS}")
        assert error_of(response) == (500, "InternalError")
        assert response.headers["chroma-trace-id"] in response.json()["message"]
        assert "division" not in response.text


def test_the_documents_are_served(tmp_path: Path) -> None:
    with live(LocalEngine.open(tmp_path, FAST)) as url:
        document = httpx.get(f"{url}/openapi.json").json()
        named = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
        assert named == {(operation.path, operation.method) for operation in TABLE.operations}
        assert "/openapi.json" in httpx.get(f"{url}/docs").text
