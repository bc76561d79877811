"""Where the model's files are looked for, and that wrong ones are never used."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ochre.embedding import download, weights
from ochre.errors import ModelUnavailableError
from tests.embedding.stand_in import TOKENIZER_BYTES, WEIGHTS_BYTES, is_whole, place


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The only source of files: it works, and notes each time it is used."""
    used: list[Path] = []

    def fetch(folder: Path, progress: download.Progress) -> None:
        used.append(folder)
        place(folder)

    monkeypatch.setattr(download, "SOURCES", {"a source": fetch})
    return used


def test_files_in_the_cache_are_used(cache: Path, source: list[Path]) -> None:
    place(cache)
    assert weights.obtain().folder == cache
    assert not source


def test_missing_files_are_fetched_into_the_cache(cache: Path, source: list[Path]) -> None:
    files = weights.obtain()
    assert source == [cache]
    assert files.weights.read_bytes() == WEIGHTS_BYTES
    assert files.tokenizer.read_bytes() == TOKENIZER_BYTES


@pytest.mark.parametrize(
    "damage",
    [
        {"weights": WEIGHTS_BYTES[:-1]},
        {"weights": b"\xff" + WEIGHTS_BYTES[1:]},
        {"weights": b""},
        {"tokenizer": b'{"model": {"vocab": {"b": 0}}}'},
        {"tokenizer": b'{"model":'},
        {"tokenizer": b"\xff\xfe"},
        {"tokenizer": b"[]"},
    ],
    ids=["cut short", "other bytes", "empty", "other vocabulary", "half a tokenizer", "no text", "no object"],
)
def test_a_wrong_file_in_the_cache_is_replaced(cache: Path, source: list[Path], damage: dict[str, bytes]) -> None:
    place(cache, **damage)
    files, reasons = weights.find()
    assert files is None
    assert len(reasons) == 1
    weights.obtain()
    assert is_whole(cache)


def test_formatting_truncation_and_padding_of_a_tokenizer_do_not_matter(cache: Path) -> None:
    definition = {"padding": {"length": 128}, "truncation": {"max_length": 128}, **json.loads(TOKENIZER_BYTES)}
    place(cache, tokenizer=json.dumps(definition, indent=4).encode())
    assert weights.find()[0] is not None


def test_a_named_folder_comes_before_the_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(cache)
    named = place(tmp_path / "named")
    monkeypatch.setenv("OCHRE_MODEL_PATH", str(named))
    assert weights.obtain().folder == named


def test_a_named_weights_file_stands_for_its_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = place(tmp_path / "named")
    monkeypatch.setenv("OCHRE_MODEL_PATH", str(named / "model.safetensors"))
    assert weights.obtain().folder == named


def test_a_wrong_named_folder_is_an_error_though_the_cache_has_the_files(
    cache: Path, source: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(cache)
    named = place(tmp_path / "named", weights=b"x")
    monkeypatch.setenv("OCHRE_MODEL_PATH", str(named))
    with pytest.raises(ModelUnavailableError, match="has 1 bytes instead of") as caught:
        weights.obtain()
    assert str(named) in str(caught.value)
    assert "unset the variable" in str(caught.value)
    assert (named / "model.safetensors").read_bytes() == b"x"


def test_a_cache_that_cannot_be_written_is_told(
    cache: Path, source: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.setenv("OCHRE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelUnavailableError, match="a source: .*file"):
        weights.obtain()
    assert not source


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no write bit there")
def test_a_read_only_cache_that_has_the_files_serves(cache: Path) -> None:
    place(cache)
    cache.chmod(0o500)
    try:
        assert weights.obtain().folder == cache
    finally:
        cache.chmod(0o700)


def test_a_source_that_brings_the_wrong_files_is_not_trusted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SOURCES", {"a liar": lambda folder, progress: place(folder, weights=b"x")})
    with pytest.raises(ModelUnavailableError, match="a liar: .* has 1 bytes instead of"):
        weights.obtain()


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "named/ochre/models/all-MiniLM-L6-v2"),
        ("linux", None, "home/.cache/ochre/models/all-MiniLM-L6-v2"),
        ("darwin", None, "home/Library/Caches/ochre/models/all-MiniLM-L6-v2"),
        ("win32", "LOCALAPPDATA", "named/ochre/models/all-MiniLM-L6-v2"),
        ("win32", None, "home/AppData/Local/ochre/models/all-MiniLM-L6-v2"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str | None, expected: str
) -> None:
    for name in ("OCHRE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "named"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert weights.cache_folder() == tmp_path / expected
