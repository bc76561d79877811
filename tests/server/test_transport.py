"""Around the API: TLS, pages of other origins, the documents, and how paths are read."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme
from openapi_spec_validator import validate

from ochre.local.engine import LocalEngine
from ochre.server.keys import KeyStore
from ochre.server.operations import TABLE
from ochre.server.settings import ServerSettings
from tests.server.conftest import COLLECTIONS, DATABASE, FAST, ROOT
from tests.server.live import live

HEARTBEAT = f"{ROOT}/heartbeat"


# -- TLS --------------------------------------------------------------------------------------------------------


def test_a_certificate_makes_the_server_speak_tls_alone(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    settings = ServerSettings(tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    with live(LocalEngine.open(tmp_path / "db", FAST), settings) as url:
        assert httpx.get(f"{url}{HEARTBEAT}", verify=trusting).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}{HEARTBEAT}")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}{HEARTBEAT}".replace("https", "http"))


# -- pages of other origins -------------------------------------------------------------------------------------

ASKED = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    ("origins", "status", "allowed"),
    [
        ((), 405, None),
        (("https://a.example",), 200, "https://a.example"),
        (("https://b.example",), 400, None),
        (("*",), 200, "*"),
    ],
)
def test_pages_of_other_origins_are_let_in_if_the_settings_say_so(
    tmp_path: Path, origins: Any, status: int, allowed: Any
) -> None:
    with live(LocalEngine.open(tmp_path, FAST), ServerSettings(cors_allow_origins=origins)) as url:
        response = httpx.options(f"{url}{COLLECTIONS}", headers=ASKED)
        assert (response.status_code, response.headers.get("access-control-allow-origin")) == (status, allowed)
        answered = httpx.get(f"{url}{COLLECTIONS}/nowhere", headers={"Origin": "https://a.example"})
        assert answered.headers.get("access-control-allow-origin") == allowed


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize(
    ("origin", "with_key", "without"),
    [
        (None, True, True),
        ("http://{address}", True, True),
        ("http://localhost:1", False, False),
        ("http://127.0.0.1", False, False),
        ("https://a.example", False, False),
        ("null", False, False),
        ("http://[", False, False),
        ("http://b.example", True, False),  # a name may be made to stand for this machine
    ],
)
def test_pages_that_nobody_allowed_are_refused(
    tmp_path: Path, locked: bool, origin: str | None, with_key: bool, without: bool
) -> None:
    keys = KeyStore(tmp_path)
    key = {"x-chroma-token": keys.create("ann", "write")[1]} if locked else {}
    allowed = with_key if locked else without
    with live(LocalEngine.open(tmp_path, FAST), keys=keys if locked else None) as url:
        headers = key if origin is None else {**key, "Origin": origin.format(address=url.partition("://")[2])}
        if origin == "http://b.example":
            headers["Host"] = "b.example"
        for method, path, body in [("GET", COLLECTIONS, None), ("POST", COLLECTIONS, {"name": "things"})]:
            answer = httpx.request(method, f"{url}{path}", json=body, headers=headers)
            assert answer.status_code == (200 if allowed else 403), answer.text
            assert allowed or "--cors-allow-origins" in answer.json()["message"]
        assert httpx.get(f"{url}{HEARTBEAT}", headers=headers).status_code == 200  # a sign of life tells nothing


def test_pages_may_read_the_trace_id(tmp_path: Path) -> None:
    with live(LocalEngine.open(tmp_path, FAST), ServerSettings(cors_allow_origins=("*",))) as url:
        response = httpx.get(f"{url}{COLLECTIONS}/nowhere", headers={"Origin": "https://a.example"})
        assert "chroma-trace-id" in response.headers["access-control-expose-headers"]


# -- documents --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/openapi.json").json()
    return found


def test_the_openapi_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_the_openapi_document_has_every_operation(document: dict[str, Any]) -> None:
    named = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert named == {(operation.path, operation.method) for operation in TABLE.operations}


@pytest.mark.parametrize("operation", TABLE.operations, ids=lambda operation: operation.name)
def test_every_operation_is_described(document: dict[str, Any], operation: Any) -> None:
    described = document["paths"][operation.path][operation.method.lower()]
    assert described["operationId"] == operation.name
    assert described["summary"]
    assert described["tags"]
    assert ("requestBody" in described) == (operation.shape is not None)
    assert (str(operation.status) in described["responses"]) == operation.there
    assert ("501" in described["responses"]) != operation.there


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_of_the_documentation_asks_nobody_else(url: str, path: str) -> None:
    response = httpx.get(f"{url}{path}")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "/openapi.json" in response.text
    assert "://" not in response.text


# -- paths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["with a space", "a/b", "50%", "déjà vu", "a+b", "what?", "a%2Fb", "..."])
def test_any_name_of_a_tenant_can_be_sent_in_a_path(http: httpx.Client, name: str) -> None:
    assert http.post(f"{ROOT}/tenants", json={"name": name}).status_code == 200
    assert http.get(f"{ROOT}/tenants/{quote(name, safe='')}").json()["name"] == name


def test_a_name_may_be_escaped_more_than_it_needs(http: httpx.Client) -> None:
    http.post(COLLECTIONS, json={"name": "cars"})
    assert http.get(f"{COLLECTIONS}/%63ar%73").json()["name"] == "cars"


def test_a_path_that_is_no_utf8_leads_nowhere(http: httpx.Client) -> None:
    assert http.get(f"{COLLECTIONS}/%FF%FE").status_code == 404


@pytest.mark.parametrize("path", [HEARTBEAT, COLLECTIONS, "/openapi.json"])
def test_head_is_get_without_a_body(http: httpx.Client, path: str) -> None:
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == http.get(path).headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", f"{COLLECTIONS}/cars", "DELETE, GET, HEAD, PUT"),
        ("DELETE", f"{COLLECTIONS}/0/count", "GET, HEAD, POST"),
        ("OPTIONS", DATABASE, "DELETE, GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(http: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.content, response.headers["allow"]) == (405, b"", allowed)
