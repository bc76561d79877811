"""What the tests of the alias share: taking a name is for a whole process, so each script runs in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

INSTALL = "import ochre\nochre.install_as_chromadb()\n"

Script = Callable[[str], str]


@pytest.fixture
def run_script(tmp_path: Path) -> Script:
    """Run Python source in a process of its own, in the test's folder; return what it printed. Warnings are errors."""

    def run(source: str) -> str:
        command = [sys.executable, "-W", "error", "-c", dedent(source)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def run_chroma_script(run_script: Script) -> Script:
    """Run a script written for Chroma, with Ochre under its name."""
    return lambda source: run_script(INSTALL + dedent(source))
