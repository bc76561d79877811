"""The demo, run as a newcomer runs it, on a few modules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"
MODULES = "calendar,collections,gzip,shlex,shutil,subprocess"

pytestmark = pytest.mark.model


def demo(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(DEMO), *arguments]
    environment = os.environ | {"PYTHONUTF8": "1", "COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def best(printed: str) -> dict[str, str]:
    """The nearest docstring's name for each question."""
    pattern = r"^(\S.+?)   \d+ ms$\n(?:  where.*\n)?  \d\.\d\d  ([\w.]+)"
    return dict(re.findall(pattern, printed, re.MULTILINE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first_run(folder: Path) -> str:
    return demo(folder, "--modules", MODULES)


def test_questions_are_answered_rightly(first_run: str) -> None:
    assert best(first_run) == {
        "split a string the way a shell does": "shlex.split",
        "delete a folder with everything inside": "shutil.rmtree",
        "a dictionary that counts things": "collections.Counter",
        "run a command and get its output": "subprocess.getoutput",
        "read a compressed file": "gzip.open",
        "when does the next leap year come": "calendar.leapdays",
    }


def test_filters_are_shown_and_hold(first_run: str) -> None:
    assert 'where_document={"$contains": "gzip"}' in first_run
    answers = first_run.partition('where={"kind": "class"}\n')[2].partition("\n\n")[0]
    titles = answers.splitlines()[::2]
    assert len(titles) == 3
    assert not any("(" in title for title in titles)  # functions and methods have parameters


def test_indexing_and_what_to_do_next_are_told(first_run: str) -> None:
    assert re.search(r"^Indexing \d+ docstrings of Python ", first_run)
    assert re.search(
        r"The folder ochre-demo holds \d+ docstrings: \d+ classes, \d+ functions, \d+ methods\.", first_run
    )
    assert f'{sys.executable} {DEMO} "' in first_run


def test_a_second_run_indexes_nothing_and_answers_the_question_given(folder: Path, first_run: str) -> None:
    printed = demo(folder, "--modules", MODULES, "how", "full", "the", "disk", "is")
    assert "Indexing" not in printed
    assert best(printed) == {"how full the disk is": "shutil.disk_usage"}


def test_a_run_goes_on_where_another_stopped(folder: Path, first_run: str) -> None:
    indexed = int(re.search(r"Indexing (\d+)", first_run)[1])
    printed = demo(folder, "--modules", f"{MODULES},heapq", "the smallest items")
    assert f"{indexed} docstrings are indexed already.\nIndexing " in printed
    assert best(printed) == {"the smallest items": "heapq.nsmallest"}


def test_output_is_plain_where_there_is_no_terminal(first_run: str) -> None:
    assert "\x1b" not in first_run


def test_each_answer_is_two_lines_cut_to_the_width(first_run: str) -> None:
    answers = [line for line in first_run.splitlines() if line.startswith("  ") and "where" not in line][:-1]
    assert len(answers) == 6 * 3 * 2
    assert all(len(line) <= 100 for line in answers)
    unindented = first_run.partition("\n\n")[2].partition("The folder")[0]
    assert all(line.endswith(" ms") for line in unindented.splitlines() if line[:1].strip())
