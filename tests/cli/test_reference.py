"""The pages that are made from the code are what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ochre.cli.reference import reference, server_settings, with_server_settings
from ochre.server.settings import OPTIONS

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    assert (PAGES / "cli.md").read_text(encoding="utf-8") == reference(), "make format brings it up to date"


def test_the_page_of_the_settings_is_up_to_date() -> None:
    page = (PAGES / "settings.md").read_text(encoding="utf-8")
    assert server_settings() in page, "make format brings it up to date"
    assert with_server_settings(page) == page


@pytest.mark.parametrize("name", OPTIONS)
def test_every_setting_has_a_row_with_all_its_names(name: str) -> None:
    (row,) = [row for row in server_settings().splitlines() if row.startswith(f"| `{name}` |")]
    assert f"`--{name.replace('_', '-')}` | `OCHRE_{name.upper()}`" in row
    assert all(f"`{alias}`" in row for alias in OPTIONS[name].metadata["chroma"])


def test_a_switch_is_shown_with_its_opposite_and_its_default() -> None:
    assert "| `--metrics`, `--no-metrics` | `on` |" in reference()


def test_a_choice_is_shown_with_what_there_is_to_choose_from() -> None:
    assert "(debug, info, warning, error) |" in reference()


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


def test_the_module_renews_the_table_and_leaves_the_rest_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (PAGES / "settings.md").read_text(encoding="utf-8")
    old = tmp_path / "settings.md"
    old.write_text(page.replace(server_settings(), "an old table\n"), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["reference", str(old)])
    with pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("ochre.cli.reference", run_name="__main__")
    assert old.read_text(encoding="utf-8") == page
