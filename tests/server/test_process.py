"""The server as a process: how it starts, what it logs, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ochre.local.engine import LocalEngine
from ochre.model.requests import CountRecords
from tests.server.conftest import COLLECTIONS, ROOT

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `ochre run` on the folder `db` and a free port; returns the process and its address once it answers."""
    processes = []

    def run(*options: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "ochre.cli.main",
            "run",
            "--path",
            str(tmp_path / "db"),
            "--port",
            str(port),
            *options,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OCHRE_", "CHROMA_"))}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment | variables)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            try:
                httpx.get(f"{url}{ROOT}/heartbeat")
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        return process, url

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> str:
    """Ask a server to stop; return what it logged."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return log


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--host", "0.0.0.0"], {}, "keys create"),
        ([], {"OCHRE_PROT": "1"}, "OCHRE_PROT is unknown"),
        ([], {"CHROMA_SERVER_AUTHN_PROVIDER": "x"}, "create an API key"),
        (["--tls-cert", "nowhere.pem"], {}, "go together"),
        (["nowhere.yaml"], {}, "cannot be read"),
    ],
)
def test_a_wrong_setting_is_one_message_and_no_server(start: Start, options: Any, variables: Any, message: str) -> None:
    process, _ = start(*options, **variables)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in log.replace("\n", " ")
    assert "Traceback" not in log


def test_the_log_is_a_line_of_json_a_request_without_secrets(start: Start) -> None:
    process, url = start("--log-format", "json")
    httpx.get(f"{url}{COLLECTIONS}/nowhere", headers={"Authorization": "Bearer sesame"})
    log = end(process)
    lines = [json.loads(line) for line in log.splitlines()]
    found = next(line for line in lines if line.get("operation") == "get_collection")
    assert (found["status"], found["level"], found["message"]) == (404, "info", f"GET {COLLECTIONS}/nowhere")
    assert "sesame" not in log


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process could answer")
def test_a_server_told_to_stop_loses_nothing_that_it_acknowledged(start: Start, tmp_path: Path) -> None:
    process, url = start("--log-level", "error")
    made = httpx.post(f"{url}{COLLECTIONS}", json={"name": "things"}).json()
    acknowledged: list[int] = []
    odd: list[Any] = []

    def write(first: int) -> None:
        with httpx.Client(base_url=url) as client:
            for number in range(first, first + 100_000):
                body = {"ids": [f"id{number}"], "embeddings": [[1.0]]}
                try:
                    response = client.post(f"{COLLECTIONS}/{made['id']}/add", json=body)
                except httpx.TransportError:
                    return
                if response.status_code != 201:
                    odd.append(response.status_code)
                    return
                acknowledged.append(number)

    writers = [threading.Thread(target=write, args=(start,)) for start in (0, 1_000_000)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < 100:
        time.sleep(0.01)
    end(process)
    for writer in writers:
        writer.join(60)
    engine = LocalEngine.open(tmp_path / "db")
    (info,) = engine.list_collections("default_tenant", "default_database")
    assert engine.count(CountRecords(info.id)) >= len(acknowledged)
    engine.close()
    assert set(odd) <= {503}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process could answer")
def test_several_workers_give_the_same_answers(start: Start) -> None:
    process, url = start("--workers", "2", "--log-level", "error")
    made = httpx.post(f"{url}{COLLECTIONS}", json={"name": "things"}).json()
    path = f"{url}{COLLECTIONS}/{made['id']}"
    for number in range(20):  # each call its own connection, so that both processes get some
        body = {"ids": [f"id{number}"], "embeddings": [[float(number)]]}
        assert httpx.post(f"{path}/add", json=body).status_code == 201
        assert httpx.get(f"{path}/count").json() == number + 1
    text = httpx.get(f"{url}/metrics").text
    assert 'ochre_requests_total{operation="add",status="201"} 20.0' in text
    end(process)
