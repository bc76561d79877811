"""`ochre run` as a process: how it starts, what it logs, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ochre.local.engine import LocalEngine
from ochre.model.requests import GetRecords
from ochre.server.keys import KeyStore
from tests.server.conftest import COLLECTIONS, ROOT

pytestmark = pytest.mark.xdist_group("processes")  # one after another: each needs a core

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that ask a process to stop")


class Process:
    """A running `ochre run`; its log is read as it comes."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("OCHRE_", "CHROMA_"))}
        command = [sys.executable, "-m", "ochre.cli.main", "run", "--path", str(folder), "--port", "0", *options]
        self.lines: list[str] = []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=kept | variables)

    def wait_for(self, pattern: str) -> str:
        """Read the log until a line has the pattern; return what its group matched."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found[1]
        pytest.fail(f"the server ended:\n{self.log}")

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def start(self) -> httpx.Client:
        """Wait until it listens; return a client of it."""
        return httpx.Client(base_url=self.wait_for(r"listening on (http://\S+:\d+)"), timeout=60)

    def end(self, sign: int = signal.SIGTERM) -> int:
        """Ask it to stop; return the exit code."""
        self.process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        _, rest = self.process.communicate(timeout=60)
        self.lines.append(rest)
        return self.process.returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def run(folder: Path) -> Iterator[Any]:
    """Start `ochre run` on the folder and any free port, with options and environment variables."""
    started: list[Process] = []

    def start(*options: str, **variables: str) -> Process:
        started.append(Process(folder, *options, **variables))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.end()


def collection(client: httpx.Client) -> str:
    """Create a collection; return its path."""
    made = client.post(COLLECTIONS, json={"name": "things", "get_or_create": True}).json()
    return f"{COLLECTIONS}/{made['id']}"


def record(number: int) -> dict[str, Any]:
    return {"ids": [f"id{number}"], "embeddings": [[float(number)]]}


# -- starting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--host", "0.0.0.0"], {}, "ochre keys create"),
        (["--auth", "off", "--host", "0.0.0.0"], {}, "pass --insecure"),
        ([], {"OCHRE_PROT": "1"}, "OCHRE_PROT is unknown"),
        (["--cors-allow-origins", "app.example.com"], {}, "cors_allow_origins has 'app.example.com'"),
        ([], {"CHROMA_SERVER_AUTHN_PROVIDER": "x"}, "create an API key"),
        (["--tls-cert", "nowhere.pem"], {}, "go together"),
        (["nowhere.yaml"], {}, "cannot be read"),
        (["--host", "192.0.2.1", "--insecure"], {}, "cannot listen"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_one_message_and_no_server(run: Any, options: Any, variables: Any, message: str) -> None:
    server = run(*options, **variables)
    assert server.wait() == 1
    assert message in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prot: 1", "unknown key 'prot'"),
        ("port: [", "is not YAML"),
        ("just words", "holds no settings"),
    ],
)
def test_a_wrong_file_of_settings_stops_the_start(run: Any, tmp_path: Path, content: str, message: str) -> None:
    config = tmp_path / "ochre.yaml"
    config.write_text(content)
    server = run(str(config))
    assert server.wait() == 1
    assert message in server.log


def test_a_port_that_is_taken_is_told_as_such(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = run("--port", port)
        assert server.wait() == 1
    assert f"cannot listen on host '127.0.0.1', port {port}" in server.log


@posix
def test_settings_come_from_file_environment_and_flags(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "chroma.yaml"
    config.write_text("allow_reset: true\nlog_format: text\nsqlitedb:\n  hash_type: md5\n")
    server = run(str(config), "--log-level", "info", OCHRE_MAX_BATCH_SIZE="7", OCHRE_LOG_LEVEL="error")
    with server.start() as client:
        assert client.post(f"{ROOT}/reset").json() is True
        assert client.get(f"{ROOT}/pre-flight-checks").json()["max_batch_size"] == 7


@posix
def test_a_server_that_nobody_can_enter_says_so(run: Any, folder: Path) -> None:
    store = KeyStore(folder)
    key, secret = store.create("ann", "read")
    store.revoke(key.id)
    (store.folder / "broken.json").touch()  # opens nothing, and keeps nobody out
    server = run()
    assert server.wait_for("(no API key is left)")
    with server.start() as client:
        assert client.get(COLLECTIONS, headers={"x-chroma-token": secret}).status_code == 401


@posix
def test_a_folder_served_to_be_read_is_not_written(run: Any, folder: Path) -> None:
    LocalEngine.open(folder).close()
    with run("--read-only").start() as client:
        assert client.get(COLLECTIONS).json() == []
        answer = client.post(COLLECTIONS, json={"name": "things"})
        assert (answer.status_code, answer.json()["code"]) == (403, "read_only")


# -- running ----------------------------------------------------------------------------------------------------


@posix
def test_a_log_in_json_is_json_from_the_first_line_to_the_last(run: Any) -> None:
    server = run("--log-format", "json")
    url = server.wait_for(r"listening on (http://\S+:\d+)")
    httpx.get(f"{url}{COLLECTIONS}/nowhere", headers={"Authorization": "Bearer sesame"})
    assert server.end() == 0
    messages = [json.loads(line)["message"] for line in server.log.splitlines()]
    assert messages == [f"listening on {url}", f"GET {COLLECTIONS}/nowhere", "closed"]
    assert "sesame" not in server.log


@posix
def test_several_workers_give_the_same_answers(run: Any) -> None:
    server = run("--workers", "2")
    with server.start() as client:
        path = collection(client)
    answers = []
    for number in range(40):  # each call its own connection, so that both processes get some
        assert httpx.post(f"{client.base_url}{path}/add", json=record(number)).status_code == 201
        answers.append(httpx.get(f"{client.base_url}{path}/count").json())
    assert answers == list(range(1, 41))
    metrics = httpx.get(f"{client.base_url}/metrics").text
    assert 'ochre_requests_total{operation="add",status="201"} 40.0' in metrics
    assert 'ochre_request_seconds_count{operation="count"} 40.0' in metrics
    assert server.end() == 0


@posix
def test_a_worker_that_dies_is_replaced(run: Any) -> None:
    server = run("--workers", "2")
    with server.start() as client:
        path = collection(client)
        client.post(f"{path}/add", json=record(1))
    (first, *_) = workers_of(server.process.pid)
    first.kill()
    assert server.wait_for(r"worker process (\d+) ended and was replaced") == str(first.pid)
    assert httpx.get(f"{client.base_url}{path}/count").json() == 1
    assert server.end() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not spread connections")
def test_connections_that_come_at_a_time_are_spread_among_workers(run: Any) -> None:
    server = run("--workers", "2")
    with server.start() as client, ExitStack() as connections:
        address = ("127.0.0.1", client.base_url.port or 0)
        client.get(f"{ROOT}/heartbeat")
        for _ in range(24):  # that one worker gets all is as likely as 1 in 8 million
            connection = connections.enter_context(socket.create_connection(address))
            connection.sendall(f"GET {ROOT}/heartbeat HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        taken = [len(worker.net_connections("tcp")) for worker in workers_of(server.process.pid)]
    assert len(taken) == 2
    assert min(taken) > 2, taken  # besides the one that listens
    assert server.end() == 0


@posix
def test_workers_are_restarted_one_after_another_on_sighup(run: Any) -> None:
    server = run("--workers", "2")
    with server.start() as client:
        path = collection(client)
    before = {worker.pid for worker in workers_of(server.process.pid)}
    server.process.send_signal(signal.SIGHUP)
    while before & {worker.pid for worker in workers_of(server.process.pid)}:
        assert httpx.get(f"{client.base_url}{path}/count", timeout=60).json() == 0  # nobody is turned away meanwhile
    assert server.end() == 0


def workers_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children()
    return [child for child in children if any("spawn_main" in part for part in child.cmdline())]


# -- ending -----------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_stop_ends_well(run: Any, sign: int) -> None:
    server = run()
    with server.start() as client:
        collection(client)
        assert server.end(sign) == 0
    assert "closed" in server.log.splitlines()[-1]


@posix
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_acknowledged_before_the_end_is_there(run: Any, folder: Path, workers: str) -> None:
    server = run("--workers", workers)
    with server.start() as client:
        path = collection(client)
    acknowledged: set[str] = set()
    refusals: set[int] = set()
    enough = threading.Semaphore(0)

    def write(first: int) -> None:
        with httpx.Client(base_url=client.base_url) as own:
            for number in range(first, first + 1_000_000):
                try:
                    response = own.post(f"{path}/add", json=record(number))
                except httpx.TransportError:
                    return
                if response.status_code == 201:
                    acknowledged.add(f"id{number}")
                    enough.release()
                else:
                    refusals.add(response.status_code)

    with ThreadPoolExecutor(4) as writers:
        done = [writers.submit(write, number * 1_000_000) for number in range(4)]
        for _ in range(200):
            assert enough.acquire(timeout=60)
        assert server.end() == 0
    assert [write.result() for write in done] == [None] * 4
    assert refusals <= {503}
    engine = LocalEngine.open(folder)
    (info,) = engine.list_collections("default_tenant", "default_database")
    assert acknowledged <= set(engine.get(GetRecords(info.id)).ids)
    engine.close()


@posix
def test_a_request_under_way_is_answered_before_the_end(run: Any) -> None:
    server = run()
    with server.start() as client:
        path = collection(client)
        body = json.dumps(record(1)).encode()

        def slowly() -> Iterator[bytes]:
            yield body[:10]
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):  # new ones are refused from now on
                while True:
                    httpx.get(f"{client.base_url}{ROOT}/heartbeat")
            yield body[10:]

        headers = {"Content-Type": "application/json"}
        assert client.post(f"{path}/add", content=slowly(), headers=headers).status_code == 201
    assert server.wait() == 0


@posix
def test_a_request_that_never_ends_does_not_keep_the_server_from_ending(run: Any) -> None:
    server = run("--shutdown-timeout", "1")
    with server.start() as client, socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as stuck:
        head = f"POST {COLLECTIONS} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        stuck.sendall(head.encode())
        assert stuck.recv(1000).startswith(b"HTTP/1.1 100")
        assert server.end() == 0
        assert stuck.recv(1000).startswith(b"HTTP/1.1 503")
    assert "Traceback" not in server.log


WATCHED = """
import os, sys
from ochre.cli.main import main

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy comes with", os.environ.get("OPENBLAS_NUM_THREADS"))

sys.meta_path.insert(0, Watch())
sys.argv = ["ochre", "run", "--path", sys.argv[1], "--port", sys.argv[2]]
main()
"""


@pytest.mark.parametrize(("chosen", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_a_query_computes_on_one_thread_unless_the_environment_says_otherwise(
    folder: Path, chosen: dict[str, str], threads: str
) -> None:
    kept = {name: text for name, text in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that it ends at once
        command = [sys.executable, "-c", WATCHED, str(folder), str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, env=kept | chosen, timeout=60)
    assert "cannot listen" in done.stderr
    assert done.stdout == f"numpy comes with {threads}\n"
