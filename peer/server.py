"""The server under test: one process on a free port with a new folder, resets allowed, waited for and stopped."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 60, 30
OCHRE = [sys.executable, "-m", "ochre.cli.main", "run", "--host", HOST, "--allow-reset"]
"""To which `--path` and `--port` are added."""


@contextmanager
def running(name: str, chroma: Path, folder: Path) -> Iterator[int]:
    """Run the server `ochre` or `chroma` for the length of a with-block, which gets its port.

    `chroma` is Chroma's command. Data go to `folder`/data, what the server prints to `folder`/server.log.
    """
    port = _free_port()
    command = _chroma(chroma, folder, port) if name == "chroma" else _ochre(folder, port)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, port, folder / "server.log")
            yield port
            if process.poll() is not None:
                sys.exit(f"The server ended during the tests, with code {process.returncode}; see {log.name}")
        finally:
            _stop(process)


def _ochre(folder: Path, port: int) -> list[str]:
    return [*OCHRE, "--path", str(folder / "data"), "--port", str(port)]


def _chroma(chroma: Path, folder: Path, port: int) -> list[str]:
    """Return Chroma's command; it takes the permission to reset from a file only."""
    settings = {"persist_path": str(folder / "data"), "listen_address": HOST, "port": port, "allow_reset": True}
    config = folder / "chroma.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return [str(chroma), "run", str(config)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/v2/heartbeat", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    sys.exit(f"No heartbeat from the server ({process.args!r}); it printed:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
