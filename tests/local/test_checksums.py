"""Checksums of vectors: the ones the format's page defines, and different for whatever may become of a vector."""

from __future__ import annotations

import numpy as np
import pytest

from ochre.local.checksums import checksums

MASK = 2**64 - 1


def by_the_page(row: np.ndarray) -> int:
    """The definition, word by word."""
    state, total = 0, 0
    for word in row.view("<u4").tolist():
        state = (state + 0x9E3779B97F4A7C15) & MASK
        mixed = state
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & MASK
        total = (total + word * ((mixed ^ (mixed >> 31)) | 1)) & MASK
    return total


@pytest.mark.parametrize("dimension", [1, 3, 384])
def test_a_checksum_is_what_the_page_about_the_format_says(dimension: int) -> None:
    rows = np.random.default_rng(dimension).standard_normal((5, dimension)).astype(np.float32)
    assert checksums(rows).tolist() == [by_the_page(row) for row in rows]


def test_every_single_bit_counts() -> None:
    row = np.random.default_rng(0).standard_normal((1, 24)).astype(np.float32)
    whole = checksums(row)[0]
    for bit in range(24 * 32):
        data = bytearray(row.tobytes())
        data[bit // 8] ^= 1 << bit % 8
        assert checksums(np.frombuffer(data, np.float32)[np.newaxis])[0] != whole


@pytest.mark.parametrize(
    "change",
    [np.negative, np.zeros_like, lambda rows: rows[:, ::-1], lambda rows: np.roll(rows, 1, axis=1)],
    ids=["all signs", "zeros", "reversed", "shifted"],
)
def test_changes_of_many_words_count(change) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 24)).astype(np.float32)
    assert not (checksums(change(rows)) == checksums(rows)).any()


def test_rows_that_do_not_lie_in_a_line_have_the_same_checksums() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    assert np.array_equal(checksums(rows[::2]), checksums(rows)[::2])
    assert np.array_equal(checksums(np.asfortranarray(rows)), checksums(rows))
