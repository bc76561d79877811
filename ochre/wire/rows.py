"""Vectors in JSON, row by row: arrays of numbers either way, and base64 texts on their way in.

Of a large call only one row at a time is numbers of Python's, which are several times as large; and between two rows
other threads get their turn.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.errors import InvalidArgumentError
from ochre.model.text import preview
from ochre.model.vectors import Matrix

_numbers = msgspec.json.Decoder(list[float] | None).decode
_encode = msgspec.json.Encoder().encode


def to_json(matrix: Matrix) -> list[msgspec.Raw]:
    """Return vectors as arrays of numbers."""
    return [msgspec.Raw(_encode(row.tolist())) for row in matrix]


def from_json(text: msgspec.Raw) -> NDArray[np.float32] | None:
    """Return the vector that an array of numbers is, None for null; a number beyond float32 becomes infinity.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    numbers = _numbers(text)
    if numbers is None:
        return None
    with np.errstate(over="ignore"):
        return np.array(numbers, np.float32)


def from_base64(text: str) -> NDArray[Any]:
    """Return the vector whose little-endian float32 a text holds.

    Raises:
        InvalidArgumentError: it holds something else.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"embeddings holds {preview(text)}, which is not base64: {error}") from error
    if not data or len(data) % 4:
        raise InvalidArgumentError(
            f"embeddings holds {len(data)} bytes in base64: expected little-endian float32, 4 bytes a number"
        )
    return np.frombuffer(data, "<f4")
