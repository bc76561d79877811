"""Writing an ONNX model: just enough of protobuf's encoding for a graph of operators.

The `onnx` package does the same and more; it weighs tens of megabytes, and this is a page. Field numbers are those of
the published `onnx.proto`. Weights are never written: an initialiser only declares its name and shape, and the values
are handed to ONNX Runtime as arrays when the session is made.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

IR_VERSION = 9
"""ONNX file format of release 1.15, which introduced operator set 20."""

OPSET = 20
"""The first operator set with `Gelu`; 17 brought `LayerNormalization`."""

Attribute = int | float | Sequence[int]


class Element(IntEnum):
    """Element types, by their numbers in `TensorProto.DataType`."""

    FLOAT = 1
    INT64 = 7


_ELEMENTS = {"float32": Element.FLOAT, "int64": Element.INT64}


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative numbers are written as their 64-bit two's complement
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, value: bytes | str | int) -> bytes:
    """Encode one field: a varint for integers, a length and the bytes for everything else."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _field(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _field(20, 1)
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    return _field(1, name) + b"".join(_field(8, item) for item in value) + _field(20, 7)


def _value_info(name: str, element: Element, shape: Sequence[str | int]) -> bytes:
    dimensions = b"".join(_field(1, _field(2, size) if isinstance(size, str) else _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, element) + _field(2, dimensions)))


class GraphWriter:
    """Collects the operators, constants, inputs and outputs of one graph, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._parts: list[bytes] = []
        self._weights: dict[str, None] = {}

    @property
    def weights(self) -> list[str]:
        """The names of the weights the graph uses, in the order of their first use."""
        return list(self._weights)

    def input(self, name: str, element: Element, shape: Sequence[str | int]) -> str:
        """Declare an input; a named size may differ from call to call."""
        self._parts.append(_field(11, _value_info(name, element, shape)))
        return name

    def output(self, name: str, element: Element, shape: Sequence[str | int]) -> None:
        """Declare which value is an output."""
        self._parts.append(_field(12, _value_info(name, element, shape)))

    def weight(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 weight whose values are handed over when the session is made."""
        if name not in self._weights:
            self._weights[name] = None
            place = _field(13, _field(1, "location") + _field(2, "weights"))  # required; never opened
            head = b"".join(_field(1, size) for size in shape) + _field(2, Element.FLOAT) + _field(8, name)
            self._parts.append(_field(5, head + place + _field(14, 1)))
        return name

    def constant(self, value: Sequence[int] | float) -> str:
        """Add a small constant: a list of integers (int64) or one float (float32, a scalar)."""
        dtype = np.float32 if isinstance(value, float) else np.int64
        array: NDArray[np.generic] = np.asarray(value, dtype=dtype)
        name = self._fresh()
        head = b"".join(_field(1, size) for size in array.shape) + _field(2, _ELEMENTS[array.dtype.name])
        self._parts.append(
            _field(5, head + _field(8, name) + _field(9, array.astype(array.dtype.newbyteorder("<")).tobytes()))
        )
        return name

    def apply(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Attribute) -> str:
        """Add an operator and return the name of its (first) output, made up unless `outputs` gives it."""
        names = list(outputs) or [self._fresh()]
        node = b"".join(_field(1, name) for name in inputs) + b"".join(_field(2, name) for name in names)
        node += _field(4, operator) + b"".join(_field(5, _attribute(*item)) for item in attributes.items())
        self._parts.append(_field(1, node))
        return names[0]

    def to_bytes(self) -> bytes:
        """Return the model file."""
        graph = b"".join(self._parts) + _field(2, self._name)
        return (
            _field(1, IR_VERSION) + _field(2, "ochre") + _field(7, graph) + _field(8, _field(1, "") + _field(2, OPSET))
        )

    def _fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"
