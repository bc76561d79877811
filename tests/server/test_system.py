"""System routes, unknown routes, and how a request is read before anybody looks at what it asks."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest

from tests.server.conftest import COLLECTIONS, DATABASE, ROOT, error_of

INVALID, CHROMA = "InvalidArgumentError", "ChromaError"


# -- system -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/heartbeat"])
def test_the_heartbeat_is_the_time_in_nanoseconds(http: httpx.Client, path: str) -> None:
    before = time.time_ns()
    answer = http.get(path).json()
    assert list(answer) == ["nanosecond heartbeat"]
    assert before <= answer["nanosecond heartbeat"] <= time.time_ns()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("version", "1.0.0"),
        ("healthcheck", {"is_executor_ready": True, "is_log_client_ready": True}),
        ("pre-flight-checks", {"max_batch_size": 50_000, "supports_base64_encoding": True}),
        ("auth/identity", {"user_id": "", "tenant": "default_tenant", "databases": ["default_database"]}),
    ],
)
def test_a_system_route_answers(http: httpx.Client, path: str, answer: Any) -> None:
    response = http.get(f"{ROOT}/{path}")
    assert (response.status_code, response.json()) == (200, answer)
    assert response.headers["content-type"] == "application/json"


def test_reset_leaves_the_default_tenant_and_database_alone(http: httpx.Client) -> None:
    http.post(COLLECTIONS, json={"name": "cars"})
    http.post(f"{ROOT}/tenants", json={"name": "acme"})
    http.delete(DATABASE)
    assert http.post(f"{ROOT}/reset").json() is True
    assert http.get(DATABASE).status_code == 200
    assert http.get(COLLECTIONS).json() == []
    assert http.get(f"{ROOT}/tenants/acme").status_code == 404


# -- unknown routes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/api", 404),
        ("GET", "/api/v1", 404),
        ("GET", f"{ROOT}/", 404),
        ("GET", f"{ROOT}/heartbeat/", 404),
        ("GET", f"{COLLECTIONS}/", 404),
        ("POST", f"{COLLECTIONS}/0/nothing", 404),
        ("POST", f"{ROOT}/heartbeat", 405),
        ("DELETE", f"{ROOT}/tenants", 405),
        ("OPTIONS", f"{ROOT}/heartbeat", 405),
    ],
)
def test_an_unknown_route_has_no_body_but_a_trace(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.content) == (status, b"")
    assert len(response.headers["chroma-trace-id"]) == 32


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_version_one_is_gone(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/api/v1/collections")
    assert error_of(response) == (410, "Unimplemented")
    assert "v1 API is deprecated" in response.json()["message"]


# -- plumbing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"name": "cars"}{}',
        b"{'name': 'cars'}",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "cars", "metadata": {"a": 1e400}}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "cars", "metadata": {"a": ' + b"9" * 10_000 + b"}}",
    ],
    ids=lambda content: content[:40],
)
def test_what_is_not_json_is_400(http: httpx.Client, content: bytes) -> None:
    assert error_of(http.post(COLLECTIONS, content=content)) == (400, INVALID)


@pytest.mark.parametrize(
    "content",
    [b"null", b"[]", b'"cars"', b"{}", b'{"name": null}', b'{"name": 1}', b'{"name": "cars", "get_or_create": "yes"}'],
)
def test_json_of_another_shape_is_422(http: httpx.Client, content: bytes) -> None:
    assert error_of(http.post(COLLECTIONS, content=content)) == (422, CHROMA)


def test_the_message_names_the_place_in_the_json(http: httpx.Client) -> None:
    response = http.post(COLLECTIONS, json={"name": "cars", "metadata": 5})
    assert "$.metadata" in response.json()["message"]


def test_unknown_fields_are_ignored(http: httpx.Client) -> None:
    assert http.post(COLLECTIONS, json={"name": "cars", "colour": "red"}).status_code == 200


@pytest.mark.parametrize(
    "declared", [None, "application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"]
)
def test_a_body_is_json_if_it_says_so_or_nothing(http: httpx.Client, declared: str | None) -> None:
    headers = {} if declared is None else {"Content-Type": declared}
    assert http.post(COLLECTIONS, content=b'{"name": "cars"}', headers=headers).status_code == 200


@pytest.mark.parametrize("declared", ["application/x-www-form-urlencoded", "text/plain", "application/octet-stream"])
def test_a_body_that_says_it_is_something_else_is_415(http: httpx.Client, declared: str) -> None:
    response = http.post(COLLECTIONS, content=b'{"name": "cars"}', headers={"Content-Type": declared})
    assert error_of(response) == (415, CHROMA)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_without_a_body_may_say_that_it_is_json(http: httpx.Client, method: str) -> None:
    http.post(COLLECTIONS, json={"name": "cars"})
    headers = {"Content-Type": "application/json"}
    assert http.request(method, f"{COLLECTIONS}/cars", headers=headers).status_code == 200


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=1.5", "limit=4294967296", "offset=-1", "limit=²"])
def test_a_page_that_is_no_number_is_400(http: httpx.Client, query: str) -> None:
    assert error_of(http.get(f"{COLLECTIONS}?{query}")) == (400, INVALID)


def test_a_connection_takes_one_request_after_another(url: str) -> None:
    address = httpx.URL(url)
    request = f"GET {ROOT}/version HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.settimeout(30)
        connection.sendall(request + request)  # the second before the first was answered
        answers = b""
        while answers.count(b'"1.0.0"') < 2:
            answers += connection.recv(1000)


def test_a_request_that_is_no_http_is_refused(url: str) -> None:
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.settimeout(30)
        connection.sendall(b"what is this\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
