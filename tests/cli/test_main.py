"""The command as a whole: version, help, exit codes, where output goes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ochre.cli import output
from ochre.cli.main import app
from ochre.errors import OchreError
from ochre.version import __version__
from tests.cli.conftest import Ochre


def walk(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command and group below one, itself included, with what is typed to run it."""
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, *path, name)


COMMANDS = dict(walk(typer.main.get_command(app), "ochre"))
GROUPS = [name for name, command in COMMANDS.items() if hasattr(command, "commands")]


def test_version_is_printed(ochre: Ochre) -> None:
    assert ochre("--version") == (0, f"ochre {__version__}\n", "")


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "ochre.cli.main", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ochre {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed(ochre: Ochre, name: str) -> None:
    done = ochre(*name.split()[1:], "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: {name} " in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_does(name: str) -> None:
    assert COMMANDS[name].help
    assert all(parameter.help for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in GROUPS])
def test_every_command_has_an_example_of_itself(name: str) -> None:
    assert f"\nExample: {name}" in COMMANDS[name].help


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_without_a_command_prints_help_and_fails(ochre: Ochre, name: str) -> None:
    done = ochre(*name.split()[1:])
    assert done.code == 2
    assert f"Usage: {name} " in done.out + done.err


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("--nonsense",), ("model", "nonsense"), ("model", "path", "more")]
)
def test_a_wrong_command_is_exit_code_2_told_on_standard_error(ochre: Ochre, arguments: tuple[str, ...]) -> None:
    done = ochre(*arguments)
    assert done.code == 2
    assert arguments[-1] in done.err
    assert not done.out


@pytest.mark.parametrize("message", ["folder [old] is gone", "a long line " * 30], ids=["brackets", "long"])
def test_an_error_of_ours_is_its_message_and_exit_code_1(
    ochre: Ochre, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def fail() -> None:
        raise OchreError(message)

    monkeypatch.setattr("ochre.cli.model.weights.find", fail)
    assert ochre("model", "path") == (1, "", f"error: {message}\n")


def test_a_result_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = "/a folder/[bold]" + "x" * 300
    output.say(line)
    assert capsys.readouterr() == (f"{line}\n", "")
