"""Chroma's own clients against a server: python tests/clients/run.py [NAME ...] [--server chroma | --url URL]

Builds each program of this folder whose toolchain is here, starts a server on an empty folder for it, and runs it;
says which were not run, and why. Everything it installs or builds goes to .venv-clients at the root of the checkout,
and is kept for the next run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WORK = HERE.parents[1] / ".venv-clients"
BIN = "Scripts" if os.name == "nt" else "bin"
EXE = ".exe" if os.name == "nt" else ""

CHROMA = "1.5.9"
SERVE = {
    "ochre": [f"{sysconfig.get_path('scripts')}/ochre", "run", "--allow-reset"],
    "chroma": [f"{WORK / 'chroma' / BIN}/chroma", "run"],
}
"""How each server is started; its folder, address and port come after."""

BUILD_SECONDS = 1800  # the Rust client alone takes minutes on two cores
RUN_SECONDS = 300
START_SECONDS = 60


class FailureError(Exception):
    """A command that did not do its work; the text is what it printed last."""


class OfflineError(Exception):
    """Packages that could not be fetched; the text is what was printed last."""


@dataclass(frozen=True)
class Program:
    name: str
    tools: tuple[str, ...]
    """Commands without which it is skipped."""
    build: Callable[[], list[str]]
    """Makes the program ready, and returns the command that takes a URL."""
    arguments: tuple[str, ...] = ()


def fetch(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a step that fetches packages, once more if it fails."""
    try:
        work(*command, cwd=cwd)
    except FailureError:
        try:
            work(*command, cwd=cwd)
        except FailureError as failure:
            raise OfflineError(str(failure)) from failure


def work(*command: str | Path, cwd: Path | None = None, **variables: str) -> None:
    """Run a build step quietly."""
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=BUILD_SECONDS,
    )
    if ended.returncode:
        raise FailureError(f"{' '.join(map(str, command))}\n{ended.stdout[-3000:]}")


def tool(name: str) -> str:
    return shutil.which(name) or name


def environment(name: str, *packages: str, alone: tuple[str, ...] = ()) -> Path:
    """Return the folder of commands of a virtual environment with `packages`, and `alone` without what they ask for."""
    folder, wanted = WORK / name, "\n".join([*packages, "--no-deps", *alone])
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        work(sys.executable, "-m", "venv", "--clear", folder)
        pip = (folder / BIN / f"python{EXE}", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        fetch(*pip, *packages)
        if alone:
            fetch(*pip, "--no-deps", *alone)
        stamp.write_text(wanted)
    return folder / BIN


def python(script: str, name: str, *packages: str, alone: tuple[str, ...] = ()) -> Callable[[], list[str]]:
    return lambda: [str(environment(name, *packages, alone=alone) / f"python{EXE}"), str(HERE / "python" / script)]


def typescript() -> list[str]:
    folder = WORK / "typescript"
    shutil.copytree(HERE / "typescript", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    fetch(tool("npm"), "ci", "--omit=optional", "--no-audit", "--no-fund", cwd=folder)
    return [tool("node"), str(folder / "main.mjs")]


def go() -> list[str]:
    client = WORK / f"go-client{EXE}"
    fetch(tool("go"), "mod", "download", cwd=HERE / "go")
    work(tool("go"), "build", "-o", client, ".", cwd=HERE / "go")
    return [str(client)]


def rust() -> list[str]:
    """Build the Rust client; its build needs protoc, which a Python package brings where the machine has none."""
    protoc = shutil.which("protoc") or str(environment("protoc", "grpcio-tools") / f"python-grpc-tools-protoc{EXE}")
    target = WORK / "rust"
    fetch(tool("cargo"), "fetch", cwd=HERE / "rust")
    work(tool("cargo"), "build", "--target-dir", target, cwd=HERE / "rust", PROTOC=protoc)
    return [str(target / "debug" / f"client{EXE}")]


THIN = f"chromadb-client=={CHROMA}"
CLIENT = python("client.py", "client", THIN)
# What chromadb-data-pipes imports, within the versions it can work with. It asks for a chromadb below 0.6, which no
# server of Chroma's since 1.0 can talk to; with the current one it works.
PIPES = ("click<8.2", "datasets<3", "jinja2", "langchain<0.3", "langchain-community<0.3", "orjson", "py-ulid<2")
PIPES = (*PIPES, "pyarrow<20", "python-dotenv", "typer<0.10", f"chromadb=={CHROMA}")
PROGRAMS = [
    Program("typescript", ("node", "npm"), typescript),
    Program("go", ("go",), go),
    Program("rust", ("cargo",), rust),
    Program("python", (), CLIENT),
    Program("python-asynchronous", (), CLIENT, ("asynchronous",)),
    Program(
        "langchain",
        (),
        python("langchain_store.py", "langchain", THIN, "langchain-core>=1", alone=("langchain-chroma~=1.1",)),
    ),
    Program(
        "llama-index",
        (),
        python(
            "llama_index_store.py",
            "llama-index",
            THIN,
            "llama-index-core>=0.14",
            alone=("llama-index-vector-stores-chroma~=0.6",),
        ),
    ),
    Program("data-pipes", (), python("data_pipes.py", "data-pipes", *PIPES, alone=("chromadb-data-pipes==0.0.12",))),
]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v2/heartbeat", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def serving(server: str) -> Iterator[str]:
    """Run a server on an empty folder, and yield its URL once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, (Path(folder) / "log").open("w+") as log:
        command = [*SERVE[server], "--path", f"{folder}/data", "--host", "127.0.0.1", "--port", port]
        variables = {**os.environ, "CHROMA_ALLOW_RESET": "true"} if server == "chroma" else None
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise FailureError(f"{' '.join(command)}\n{Path(log.name).read_text(errors='replace')[-3000:]}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def run(program: Program, command: list[str], url: str) -> tuple[int, int]:
    """Run a program, showing what it prints; return how many of its checks passed and failed."""
    ended = subprocess.run(
        [*command, url, *program.arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=RUN_SECONDS,
    )
    print(ended.stdout, end="", flush=True)
    closing = re.search(r"^(\d+) passed, (\d+) failed\s*\Z", ended.stdout, re.MULTILINE)
    if not closing:
        raise FailureError(f"{program.name} ended with {ended.returncode}, before its closing line")
    return int(closing[1]), int(closing[2])


def attempt(program: Program, server: str, url: str | None) -> tuple[int, int]:
    """Build and run a program; what cannot be built, started or ended counts as one failure.

    Raises:
        OfflineError: its packages could not be fetched.
    """
    try:
        began = time.monotonic()
        command = program.build()
        print(f"built in {time.monotonic() - began:.0f} s", flush=True)
        if url:
            return run(program, command, url)
        with serving(server) as address:
            return run(program, command, address)
    except (FailureError, OSError, subprocess.TimeoutExpired) as failure:
        print(f"FAILED  {failure}", flush=True)
        return 0, 1


def main() -> int:
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(description="Run Chroma's own clients against a server.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(names)}; all by default")
    parser.add_argument("--server", choices=SERVE, default="ochre", help="the server to start for each program")
    parser.add_argument("--url", help="a server that runs already, instead of starting one")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no program is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    WORK.mkdir(exist_ok=True)
    if options.server == "chroma" and not options.url:
        environment("chroma", f"chromadb=={CHROMA}")
    lines, passed, failed, skipped = [], 0, 0, 0
    for program in PROGRAMS:
        if options.names and program.name not in options.names:
            continue
        if missing := [name for name in program.tools if not shutil.which(name)]:
            skipped += 1
            lines.append(f"{program.name:20} not run: no {' or '.join(missing)} on this machine")
            continue
        print(f"== {program.name}", flush=True)
        try:
            good, bad = attempt(program, options.server, options.url)
        except OfflineError as failure:
            skipped += 1
            print(f"NOT RUN {failure}", flush=True)
            lines.append(f"{program.name:20} not run: its packages could not be fetched")
            continue
        passed, failed = passed + good, failed + bad
        lines.append(f"{program.name:20} {good} passed, {bad} failed")
    print("==", *lines, sep="\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
