"""`ochre model`: fetching the model's files and telling where they are, with small files in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ochre.embedding import download
from tests.cli.conftest import Ochre
from tests.embedding import stand_in
from tests.embedding.stand_in import is_whole, place

PRINTED = "{}\nsha256 " + stand_in.WEIGHTS_SHA256 + "  model.safetensors"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The empty cache's folder of the model."""
    return stand_in.install(monkeypatch, tmp_path / "cache")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> None:
    """One source of the files, which works."""

    def fetch(folder: Path, progress: download.Progress) -> None:
        progress("model.safetensors", 0, None)
        place(folder)
        progress("model.safetensors", stand_in.SIZE, stand_in.SIZE)

    monkeypatch.setattr(download, "SOURCES", {"a source": fetch})


def test_fetch_brings_the_files_and_prints_where_they_are(ochre: Ochre, cache: Path, source: None) -> None:
    assert ochre("model", "fetch") == (0, PRINTED.format(cache) + "\n", "")
    assert is_whole(cache)


def test_fetch_leaves_files_that_are_there(ochre: Ochre, cache: Path) -> None:
    place(cache)
    assert ochre("model", "fetch").code == 0


def test_fetch_shows_progress_on_a_terminal(
    ochre: Ochre, cache: Path, source: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as the bars can tell
    done = ochre("model", "fetch")
    assert done.out == PRINTED.format(cache) + "\n"
    assert "model.safetensors" in done.err
    assert "3.1/3.1 MB" in done.err


def test_fetch_without_a_source_tells_what_was_tried(ochre: Ochre, cache: Path) -> None:
    done = ochre("model", "fetch")
    assert done.code == 1
    assert not done.out
    assert done.err.startswith("error: the files of all-MiniLM-L6-v2 cannot be had; tried:\n  - cache: ")
    assert "Traceback" not in done.err


def test_path_prints_where_the_files_are(ochre: Ochre, cache: Path) -> None:
    place(cache)
    assert ochre("model", "path") == (0, PRINTED.format(cache) + "  verified\n", "")


def test_path_of_a_named_folder(ochre: Ochre, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCHRE_MODEL_PATH", str(place(tmp_path / "named")))
    assert ochre("model", "path").out.startswith(f"{tmp_path / 'named'}\n")


def test_path_of_missing_files_is_one_line_that_says_what_to_do(ochre: Ochre, cache: Path, source: None) -> None:
    done = ochre("model", "path")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: cache: {cache / 'tokenizer.json'} does not exist.")
    assert "ochre model fetch" in done.err
    assert done.err.count("\n") == 1
    assert not cache.exists()


def test_path_of_wrong_files_is_an_error(ochre: Ochre, cache: Path) -> None:
    place(cache, weights=b"x")
    done = ochre("model", "path")
    assert (done.code, done.out) == (1, "")
    assert "has 1 bytes instead of" in done.err


def test_path_of_a_wrong_named_folder_is_one_line(
    ochre: Ochre, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCHRE_MODEL_PATH", str(tmp_path / "missing"))
    done = ochre("model", "path")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: OCHRE_MODEL_PATH is ")
    assert done.err.count("\n") == 1
