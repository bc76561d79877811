"""Reading safetensors files, right ones and others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ochre.embedding.safetensors import read_tensors
from ochre.errors import ModelUnavailableError

NUMBERS = np.arange(6, dtype="<f4")
HEADER: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "matrix": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "vector": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
    "positions": {"dtype": "I64", "shape": [3], "data_offsets": [0, 24]},
    "half": {"dtype": "F16", "shape": [12], "data_offsets": [0, 24]},
}


def encoded(header: Any, data: bytes = NUMBERS.tobytes()) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    return read_tensors(path)


def test_tensors_have_their_names_shapes_and_numbers(tmp_path: Path) -> None:
    tensors = read(tmp_path, encoded(HEADER))
    np.testing.assert_array_equal(tensors["matrix"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["vector"], [2])
    assert tensors["matrix"].dtype == np.float32


def test_other_types_are_left_out(tmp_path: Path) -> None:
    assert set(read(tmp_path, encoded(HEADER))) == {"matrix", "vector"}


def test_tensors_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        read(tmp_path, encoded(HEADER))["matrix"][0, 0] = 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x02",
        b"this is some text and no safetensors file",
        b"\xff" * 64,
        encoded(HEADER)[:40],
        encoded(HEADER)[:-4],
        encoded([]),
        encoded({"matrix": "F32"}),
        encoded({"matrix": {"dtype": "F32", "shape": [2, 3]}}),
        encoded({"matrix": {"dtype": "F32", "shape": [7], "data_offsets": [0, 24]}}),
        encoded({"matrix": {"dtype": "F32", "shape": [5], "data_offsets": [0, 23]}}),
        encoded({"matrix": {"dtype": "F32", "shape": [5], "data_offsets": 24}}),
    ],
    ids=[
        "empty", "two bytes", "text", "huge header", "half a header", "cut short", "no object", "no entry", "no place",
        "wrong shape", "part of a number", "wrong place",
    ],
)  # fmt: skip
def test_what_is_no_safetensors_file_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors is not a safetensors file.*ochre model fetch"):
        read(tmp_path, content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="missing"):
        read_tensors(tmp_path / "missing")
