"""Models written by hand: the encoding of numbers, and that ONNX Runtime understands what is written."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from ochre.embedding.onnx_bytes import Element, GraphWriter, _varint


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2**63 - 1, "ffffffffffffffff7f"),
        (-1, "ffffffffffffffffff01"),
        (-(2**63), "80808080808080808001"),
    ],
)
def test_varint_is_that_of_protobuf(number: int, encoded: str) -> None:
    assert _varint(number).hex() == encoded


def run(writer: GraphWriter, inputs: dict[str, np.ndarray], weights: dict[str, np.ndarray] | None = None) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in writer.weights]
        options.add_external_initializers(writer.weights, values)
    session = onnxruntime.InferenceSession(writer.to_bytes(), options, providers=["CPUExecutionProvider"])
    return session.run(["y"], inputs)[0]


def writer(*shape: str | int) -> GraphWriter:
    writer = GraphWriter("test")
    writer.input("x", Element.FLOAT, shape)
    writer.output("y", Element.FLOAT, [f"d{axis}" for axis in range(len(shape))])
    return writer


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_weights_are_handed_over_when_the_session_is_made() -> None:
    g = writer("n", 3)
    g.apply("MatMul", "x", g.weight("w", (3, 2)), outputs=["y"])
    w = np.array([[1, 0], [0, 2], [-1, 0.5]], np.float32)
    np.testing.assert_array_equal(run(g, {"x": X}, {"w": w}), X @ w)


def test_a_weight_used_twice_is_declared_once() -> None:
    g = writer("n", 3)
    g.apply("Mul", g.apply("Add", "x", g.weight("w", (3,))), g.weight("w", (3,)), outputs=["y"])
    assert g.weights == ["w"]
    w = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(run(g, {"x": X}, {"w": w}), (X + w) * w)


@pytest.mark.parametrize("constant", [0.0, -2.5, 1e-9])
def test_a_float_constant_is_a_scalar(constant: float) -> None:
    g = writer("n", 3)
    g.apply("Add", "x", g.constant(constant), outputs=["y"])
    np.testing.assert_array_equal(run(g, {"x": X}), X + np.float32(constant))


def test_constants_of_integers_may_be_negative() -> None:
    g = writer("n", 3)
    g.apply("Slice", "x", g.constant([-2]), g.constant([2**63 - 1]), g.constant([1]), outputs=["y"])
    np.testing.assert_array_equal(run(g, {"x": X}), X[:, -2:])


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_an_integer_attribute_may_be_negative(axis: int) -> None:
    g = writer("n", 3)
    g.apply("Softmax", "x", axis=axis, outputs=["y"])
    weights = np.exp(X)
    np.testing.assert_allclose(run(g, {"x": X}), weights / weights.sum(axis, keepdims=True), rtol=1e-6)


def test_a_list_attribute_keeps_its_order() -> None:
    g = writer("a", "b", "c")
    g.apply("Transpose", "x", perm=[2, 0, 1], outputs=["y"])
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(run(g, {"x": x}), x.transpose(2, 0, 1))


def test_a_float_attribute_arrives() -> None:
    g = writer("n", 3)
    g.apply("LeakyRelu", "x", alpha=0.25, outputs=["y"])
    np.testing.assert_array_equal(run(g, {"x": -X}), -X * 0.25)


def test_named_sizes_differ_from_call_to_call() -> None:
    g = writer("n", "m")
    g.apply("Neg", "x", outputs=["y"])
    assert run(g, {"x": np.zeros((1, 5), np.float32)}).shape == (1, 5)
    assert run(g, {"x": np.zeros((4, 2), np.float32)}).shape == (4, 2)


def test_an_operator_may_have_several_outputs() -> None:
    g = writer("n", 4)
    first = g.apply("Split", "x", axis=1, num_outputs=2, outputs=["left", "right"])
    assert first == "left"
    g.apply("Sub", "right", "left", outputs=["y"])
    x = np.array([[1, 2, 30, 40]], np.float32)
    np.testing.assert_array_equal(run(g, {"x": x}), [[29, 38]])
