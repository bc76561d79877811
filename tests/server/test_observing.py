"""What can be seen of a server from outside: metrics, log, trace ids, traces, readiness."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ochre.errors import BusyError, InvalidArgumentError
from ochre.local.engine import LocalEngine
from ochre.server.keys import KeyStore
from ochre.server.logs import JsonFormatter, TextFormatter
from ochre.server.settings import ServerSettings
from ochre.server.tracing import Tracer
from tests.server.conftest import COLLECTIONS, FAST, ROOT, error_of
from tests.server.live import live

HEARTBEAT = f"{ROOT}/heartbeat"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    return LocalEngine.open(tmp_path, FAST)


@pytest.fixture
def client(engine: LocalEngine) -> Iterator[httpx.Client]:
    with live(engine) as url, httpx.Client(base_url=url) as found:
        yield found


# -- metrics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        'ochre_requests_total{operation="heartbeat",status="200"} 2.0',
        'ochre_requests_total{operation="get_collection",status="404"} 1.0',
        'ochre_requests_total{operation="unknown",status="405"} 1.0',
        'ochre_request_seconds_count{operation="heartbeat"} 2.0',
        'ochre_request_seconds_bucket{le="+Inf",operation="heartbeat"} 2.0',
        "ochre_requests_active 0.0",
        "ochre_buffered_bytes 0.0",
    ],
)
def test_metrics_count_what_was_answered(client: httpx.Client, line: str) -> None:
    for method, path in (("GET", HEARTBEAT), ("GET", HEARTBEAT), ("POST", HEARTBEAT), ("GET", f"{COLLECTIONS}/x")):
        client.request(method, path)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert line in response.text.splitlines()


def test_unknown_paths_make_no_metrics_of_their_own(client: httpx.Client) -> None:
    for number in range(3):
        client.get(f"/secret-{number}")
    text = client.get("/metrics").text
    assert 'ochre_requests_total{operation="unknown",status="404"} 3.0' in text
    assert "secret" not in text


def test_metrics_are_served_only_if_wanted(engine: LocalEngine) -> None:
    with live(engine, ServerSettings(metrics=False)) as url:
        assert httpx.get(f"{url}/metrics").status_code == 404


# -- readiness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BusyError("no turn"), ZeroDivisionError()], ids=repr)
def test_a_server_whose_engine_fails_is_not_ready(
    client: httpx.Client, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(engine, "list_databases", fail)
    response = client.get(f"{ROOT}/healthcheck")
    assert response.status_code == 503
    assert response.json() == {"is_executor_ready": False, "is_log_client_ready": False}
    assert client.get(HEARTBEAT).status_code == 200


# -- errors and trace ids ---------------------------------------------------------------------------------------


def test_a_failure_of_our_own_tells_nothing_but_where_to_look(
    client: httpx.Client, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "list_collections", lambda *_: 1 / 0)
    response = client.get(COLLECTIONS)
    trace = response.headers["chroma-trace-id"]
    assert error_of(response) == (500, "InternalError")
    assert trace in response.json()["message"]
    assert "division" not in response.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert (record.trace, record.exc_info[0]) == (trace, ZeroDivisionError)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{COLLECTIONS}/nowhere"),
        ("POST", COLLECTIONS),
        ("GET", "/nowhere"),
        ("POST", HEARTBEAT),
        ("GET", "/api/v1/x"),
    ],
)
def test_every_error_has_a_trace_id_of_its_own(client: httpx.Client, method: str, path: str) -> None:
    first, second = (client.request(method, path).headers["chroma-trace-id"] for _ in range(2))
    assert len(first) == 32
    assert int(first, 16)
    assert first != second


def test_the_callers_trace_id_comes_back(client: httpx.Client) -> None:
    assert client.get(f"{COLLECTIONS}/nowhere", headers=PARENT).headers["chroma-trace-id"] == TRACE


@pytest.mark.parametrize("sent", ["", "00-xyz-1-01", f"00-{TRACE.upper()}-b7ad6b7169203331-01", TRACE])
def test_a_trace_context_that_is_none_is_left_alone(client: httpx.Client, sent: str) -> None:
    response = client.get(f"{COLLECTIONS}/nowhere", headers={"traceparent": sent})
    assert response.headers["chroma-trace-id"].lower() != TRACE


def test_success_has_no_trace_id(client: httpx.Client) -> None:
    assert "chroma-trace-id" not in client.get(HEARTBEAT).headers


# -- the log ----------------------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ochre.server")
    return caplog


@pytest.mark.parametrize(
    ("method", "path", "operation", "status"),
    [
        ("GET", HEARTBEAT, "heartbeat", 200),
        ("GET", f"{COLLECTIONS}/nowhere", "get_collection", 404),
        ("DELETE", HEARTBEAT, "unknown", 405),
        ("GET", "/nowhere", "unknown", 404),
        ("GET", "/api/v1/x", "v1", 410),
        ("GET", "/metrics", "metrics", 200),
        ("GET", "/docs", "docs", 200),
    ],
)
def test_each_request_is_one_line(
    client: httpx.Client, log: pytest.LogCaptureFixture, method: str, path: str, operation: str, status: int
) -> None:
    client.request(method, path, headers=PARENT)
    (record,) = log.records
    assert record.getMessage() == f"{method} {path}"
    assert (record.operation, record.status, record.trace) == (operation, status, TRACE)
    assert record.ms > 0


def test_a_path_cannot_forge_a_line(client: httpx.Client, log: pytest.LogCaptureFixture) -> None:
    client.get("/nowhere%0A2026-01-01%20ERROR")
    (record,) = log.records
    assert record.getMessage() == "GET /nowhere%0A2026-01-01%20ERROR"


def test_the_log_names_the_key_and_holds_no_secret(tmp_path: Path, engine: LocalEngine, log: Any) -> None:
    keys = KeyStore(tmp_path)
    _, secret = keys.create("ann", "read")
    with live(engine, keys=keys) as url:
        httpx.get(f"{url}{COLLECTIONS}?key={secret}", headers={"x-chroma-token": secret})
    lines = [JsonFormatter().format(record) for record in log.records]
    assert json.loads(lines[0])["key"] == "ann"
    assert not any(secret in line for line in lines)


def record_of(message: str, **added: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "ochre.server", "levelno": 20, "levelname": "INFO", "msg": message, **added})
    made.created, made.msecs = 1_700_000_000.25, 250.0
    return made


def test_a_line_of_json_holds_everything() -> None:
    line = JsonFormatter().format(record_of('say "hi"\n', status=200, operation="get", path=Path("x")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "ochre.server",
        "message": 'say "hi"\n',
        "status": 200,
        "operation": "get",
        "path": "x",
    }


def test_a_line_of_json_holds_the_exception() -> None:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        line = JsonFormatter().format(record_of("failed", exc_info=sys.exc_info()))
    assert "ZeroDivisionError: division by zero" in json.loads(line)["exception"]


def test_a_line_of_text_ends_with_what_was_added() -> None:
    line = TextFormatter().format(record_of("GET /x", status=200, ms=1.5))
    assert line.endswith(" INFO    GET /x status=200 ms=1.5")


# -- traces -----------------------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What would be sent to a collector."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(exporter, "shutdown", lambda: None)  # it would forget them
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter"
    monkeypatch.setattr(name, lambda endpoint: exporter)
    return exporter


TRACED = ServerSettings(otel_endpoint="http://127.0.0.1:4318/v1/traces", otel_service_name="search")


def test_a_request_is_a_span_in_the_callers_trace(engine: LocalEngine, spans: InMemorySpanExporter) -> None:
    with live(engine, TRACED) as url:
        httpx.get(f"{url}{HEARTBEAT}", headers=PARENT)
    (span,) = spans.get_finished_spans()
    assert (span.name, span.attributes["http.response.status_code"]) == ("heartbeat", 200)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.resource.attributes["service.name"] == "search"
    assert span.status.is_unset


def test_the_trace_id_of_an_error_is_that_of_its_span(engine: LocalEngine, spans: InMemorySpanExporter) -> None:
    with live(engine, TRACED) as url:
        response = httpx.get(f"{url}{COLLECTIONS}/nowhere")
    (span,) = spans.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == response.headers["chroma-trace-id"]


def test_the_span_of_a_failure_is_marked(
    engine: LocalEngine, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "list_collections", lambda *_: 1 / 0)
    with live(engine, TRACED) as url:
        httpx.get(f"{url}{COLLECTIONS}")
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok


def test_traces_without_the_libraries_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidArgumentError, match=r'pip install "ochre\[otel\]"'):
        Tracer(TRACED)
