"""Checksums of vectors: one number a row, quick enough to make of every row that is written or read.

A row's checksum is the sum of its 32-bit words, each times an odd 64-bit weight of its place, modulo 2^64. Multiplying
by an odd number can be undone, so a change within one word is always seen; any other change goes unseen once in 2^32
(multilinear hashing: Lemire and Kaser, Strongly universal string hashing is fast, 2014).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ochre.model.vectors import Matrix

BYTES = 8
"""Of one checksum, as it is stored: little-endian."""

Checksums = NDArray[np.uint64]


def checksums(rows: Matrix) -> Checksums:
    """Return the checksum of each row (n, d), `(n,)`."""
    words = np.ascontiguousarray(rows, dtype="<f4").view("<u4")
    result: Checksums = np.einsum("ij,j->i", words, _weights(words.shape[1]))
    return result


@lru_cache(maxsize=64)
def _weights(count: int) -> Checksums:
    """Return the first numbers of SplitMix64 started at zero, made odd."""
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    weights: Checksums = (state ^ (state >> np.uint64(31))) | np.uint64(1)
    weights.flags.writeable = False
    return weights
