"""The page docs/reference/cli.md is what the commands say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ochre.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "make format brings it up to date"


@pytest.mark.parametrize("arguments", [[], ["page.md"]], ids=["printed", "written"])
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_module_prints_or_writes_the_page(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["reference", *arguments])
    runpy.run_module("ochre.cli.reference", run_name="__main__")
    made = Path("page.md").read_text(encoding="utf-8") if arguments else capsys.readouterr().out
    assert made == reference()
