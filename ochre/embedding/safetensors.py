"""Reading a safetensors file: arrays mapped straight from the disk, nothing copied and nothing executed.

The format: 8 bytes of header length (little-endian), a JSON header naming each tensor's dtype, shape and place, then
the numbers. Only float32 tensors are read; the default model has no others that matter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.errors import ModelUnavailableError

Tensors = dict[str, NDArray[np.float32]]
"""Arrays by name, read-only and mapped from the file; they keep it open as long as they live."""

_LENGTH_BYTES = 8


def read_tensors(path: Path) -> Tensors:
    """Map the float32 tensors of a file.

    Raises:
        ModelUnavailableError: the file is not a safetensors file, or is cut short.
    """
    try:
        raw = np.memmap(path, dtype=np.uint8, mode="r")
        start = _LENGTH_BYTES + int(raw[:_LENGTH_BYTES].view("<u8")[0])
        header: dict[str, Any] = json.loads(raw[_LENGTH_BYTES:start].tobytes())
        return {
            name: _tensor(raw[start:], entry)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] == "F32"
        }
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise ModelUnavailableError(
            f"{path} is not a safetensors file that can be read ({error}): run `ochre model fetch` to replace it"
        ) from error


def _tensor(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[np.float32]:
    begin, end = entry["data_offsets"]
    tensor: NDArray[np.float32] = data[begin:end].view("<f4").reshape(entry["shape"])
    return tensor
