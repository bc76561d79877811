"""When two engines' answers count as equal: exactly, but for rounding in the last places of a distance."""

from __future__ import annotations

import numpy as np

from ochre.model.requests import QueryReply, RecordBatch

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""How far two distances may be apart and still count as one: float32 has seven digits."""


def assert_same_batch(actual: RecordBatch, expected: RecordBatch) -> None:
    """Compare two batches: everything, in order, vectors bit for bit."""
    assert actual.ids == expected.ids
    assert actual.documents == expected.documents
    assert actual.uris == expected.uris
    assert _typed(actual.metadatas) == _typed(expected.metadatas)
    assert (actual.vectors is None) == (expected.vectors is None)
    if actual.vectors is not None and expected.vectors is not None and expected.ids:
        assert actual.vectors.dtype == np.float32
        assert np.array_equal(actual.vectors, expected.vectors)


def assert_same_reply(actual: QueryReply, expected: QueryReply) -> None:
    """Compare two replies: the same distances, and the same records wherever distances tell them apart."""
    assert len(actual.batches) == len(expected.batches)
    for one, two, near, far in zip(actual.batches, expected.batches, actual.distances, expected.distances, strict=True):
        assert len(one.ids) == len(two.ids) == len(near) == len(far)
        assert near == sorted(near)
        assert np.allclose(near, far, rtol=RELATIVE, atol=ABSOLUTE)
        if one.ids != two.ids:  # only records at almost one distance may change places, or fall off the end
            assert all(_tied(ids, near, two.ids, far) for ids in one.ids), (one.ids, two.ids, near, far)
            _assert_equals_in_order(one, two)
        else:
            assert_same_batch(one, two)


def _tied(id_: str, near: list[float], others: list[str], far: list[float]) -> bool:
    if id_ in others:
        return True
    return bool(far) and np.isclose(near[-1], far[-1], rtol=RELATIVE, atol=ABSOLUTE).item()


def _assert_equals_in_order(actual: RecordBatch, expected: RecordBatch) -> None:
    """Equal vectors are at equal distances, whatever the rounding: among them insertion decides."""
    if actual.vectors is None or expected.vectors is None:
        return
    orders: list[dict[bytes, list[str]]] = [{}, {}]
    for order, batch in zip(orders, (actual, expected), strict=True):
        assert batch.vectors is not None
        for id_, vector in zip(batch.ids, batch.vectors, strict=True):
            order.setdefault((vector + 0.0).tobytes(), []).append(id_)  # -0.0 is 0.0
    for vector, ids in orders[0].items():
        others = orders[1].get(vector, [])
        assert ids[: len(others)] == others[: len(ids)], (actual.ids, expected.ids)


def _typed(metadatas: list[dict[str, object] | None] | None) -> object:
    """Tell 1, 1.0 and True apart, which Python calls equal."""
    if metadatas is None:
        return None
    return [None if m is None else {key: (_kind(value), value) for key, value in m.items()} for m in metadatas]


def _kind(value: object) -> object:
    return [type(item) for item in value] if isinstance(value, list) else type(value)
