"""What the tests of the command line share: running a command in this process."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from ochre.cli.main import main

COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Done(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: object
    out: str
    err: str


Ochre = Callable[..., Done]


@pytest.fixture
def ochre(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ochre:
    """Run `ochre` with arguments; what it prints comes back without colours, which some environments force."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["ochre", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return Done(stopped.value.code or 0, *(COLOURS.sub("", text) for text in capsys.readouterr()))

    return run
