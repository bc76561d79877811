"""Exact nearest neighbours: every candidate is compared, and the best are right by proof.

A first pass in float32 gives each candidate's distance with a bound on its rounding error. Whatever could still be
among the nearest goes through a second pass in float64, which gives the distances that are reported. So the answer
is that of float64 arithmetic over the stored float32 vectors, at the speed of one float32 pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ochre.local.index.roster import Positions
from ochre.model.vectors import Matrix, Space

_BLOCK_BYTES = 512 * 1024  # of gathered rows: small enough to stay in a core's cache
_EXACT_ROWS = 2048  # rows of the second pass at a time
_QUERIES = 32  # query vectors of the first pass at a time: bounds the table of scores
_UNIT = 2.0**-24  # rounding unit of float32
_LARGE = 2.0**126  # below it neither a distance nor its error leaves the range of float32
_TINY = 2.0**-126  # the most that one product of floats too small for float32 can lose

Scores = NDArray[np.float64]


class Exact:
    """Distances from query vectors to rows of the arena, with the rows' lengths kept for `l2` and `cosine`."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._lengths = (0, np.empty(0, np.float64))  # of the rows from a first one on

    @property
    def measured(self) -> int:
        """The lengths of the rows below this are known."""
        start, known = self._lengths
        return 0 if start else len(known)

    @property
    def weight(self) -> int:
        """How many bytes of memory the lengths take, unless they lie in a checkpoint."""
        known = self._lengths[1]
        return known.nbytes if known.flags.writeable else 0

    def restore(self, lengths: NDArray[np.float64]) -> None:
        """Take over what `extend` returned for all rows, some time ago."""
        if self.measured < len(lengths):
            self._lengths = (0, lengths)

    def extend(self, arena: Matrix, first: int = 0) -> NDArray[np.float64]:
        """Return the Euclidean lengths of the rows of `arena` from `first` on, working out those not known yet."""
        start, known = self._lengths
        if first < start:
            start, known = first, known[:0]
        if start + len(known) < len(arena):
            fresh = [
                np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
                for begin in range(start + len(known), len(arena), 8192)
                for block in [arena[begin : min(begin + 8192, len(arena))]]
            ]
            known = np.concatenate([known, *fresh])
            self._lengths = (start, known)  # replaced, never changed: others may be reading it
        # Not the attribute: a thread with an older snapshot may just have put a shorter one there.
        return known[first - start : len(arena) - start]

    def follow(self, arena: Matrix, slot: int) -> None:
        """Work out the lengths of the rows from `slot` on if those before it are known."""
        start, known = self._lengths
        if start + len(known) == slot:
            self.extend(arena, start)

    def nearest(
        self, arena: Matrix, lengths: NDArray[np.float64], slots: NDArray[np.int64], queries: Matrix, count: int
    ) -> list[tuple[Positions, NDArray[np.float32]]]:
        """Return, for each query vector, the nearest candidates and their distances.

        Args:
            arena: `(m, d)`, the collection's committed rows.
            lengths: `(m,)`, as `extend` returned them.
            slots: `(n,)`, the candidates' rows, in insertion order.
            queries: `(q, d)`.
            count: how many are wanted; fewer come if there are fewer candidates.

        Returns:
            Per query: indices into `slots` and float32 distances, by distance and then insertion.
        """
        results = []
        own = lengths[slots]
        for start in range(0, len(queries), _QUERIES):
            group = queries[start : start + _QUERIES]
            dots = _dots(arena, slots, group)
            for query, row in zip(group, dots, strict=True):
                chosen = self._contenders(row, own, query, count)
                results.append(self._settle(arena, slots, chosen, query, count))
        return results

    def _contenders(self, dots: Matrix, lengths: NDArray[np.float64], query: Matrix, count: int) -> Positions:
        """Return the candidates that may be among the `count` nearest, given float32 products with the query."""
        if count >= len(dots):
            return np.arange(len(dots))
        with np.errstate(over="ignore", invalid="ignore"):
            norm = float(np.sqrt(np.dot(query.astype(np.float64), query)))
            distances, error = self._bounded(dots.astype(np.float64), lengths, norm, query.size + 8)
        # Beyond float32 all distances are the same infinity, and insertion decides; a NaN is not below either.
        if not -_LARGE < distances.min() <= distances.max() < _LARGE:
            return np.arange(len(dots))
        worst = float(np.partition(distances + error, count - 1)[count - 1])
        chosen: Positions = np.flatnonzero(distances - error <= worst)
        return chosen

    def _bounded(self, dots: Scores, lengths: Scores, norm: float, terms: int) -> tuple[Scores, Scores]:
        """Return distances and bounds of their errors.

        A product of `terms` terms in float32 is off by at most about terms * 2^-24 * |a||b| (Higham, Accuracy and
        Stability of Numerical Algorithms, section 3.1), and by what is lost below the smallest normal number.
        """
        products = lengths * norm
        unit, tiny = terms * _UNIT, terms * _TINY
        if self._space == "ip":
            return 1.0 - dots, unit * (products + 1.0) + tiny
        if self._space == "l2":
            squares = lengths * lengths + norm * norm
            return squares - 2.0 * dots, unit * (2.0 * products + squares) + 2.0 * tiny
        safe = np.where(products > 0.0, products, 1.0)
        return 1.0 - dots / safe, 2.0 * unit + tiny / safe

    def _settle(
        self, arena: Matrix, slots: NDArray[np.int64], chosen: Positions, query: Matrix, count: int
    ) -> tuple[Positions, NDArray[np.float32]]:
        """Compute the contenders' distances in float64 and return the `count` nearest of them."""
        distances = np.empty(len(chosen), np.float32)
        for start in range(0, len(chosen), _EXACT_ROWS):
            part = chosen[start : start + _EXACT_ROWS]
            with np.errstate(over="ignore"):
                distances[start : start + len(part)] = distance(arena[slots[part]], query, self._space)
        order = np.lexsort((chosen, distances))[:count]
        return chosen[order], distances[order]


def distance(vectors: Matrix, query: Matrix, space: Space) -> Scores:
    """Return each row's distance (n, d) from `query` (d,), in float64: the definition of each space."""
    rows, point = vectors.astype(np.float64), query.astype(np.float64)
    if space == "l2":
        rows -= point
        return _squares(rows)
    # Not rows @ point: BLAS rounds a row by its place among the others, and equal vectors must be at equal distances.
    dots: Scores = np.einsum("ij,j->i", rows, point)
    if space == "ip":
        return 1.0 - dots
    norms = np.sqrt(_squares(rows) * (point @ point))
    cosine: Scores = np.where(norms > 0.0, 1.0 - dots / np.where(norms > 0.0, norms, 1.0), 1.0)
    return np.clip(cosine, 0.0, 2.0)  # rounding may step outside what a cosine can be


def _squares(rows: NDArray[np.float64]) -> Scores:
    result: Scores = np.einsum("ij,ij->i", rows, rows)
    return result


def _dots(arena: Matrix, slots: NDArray[np.int64], queries: Matrix) -> Matrix:
    """Return the float32 products `(q, n)` of every query with the rows at `slots`."""
    count = len(slots)
    result = np.empty((len(queries), count), np.float32)
    if not count:
        return result
    first, last = int(slots.min()), int(slots.max())
    with np.errstate(over="ignore", invalid="ignore"):
        if count == last - first + 1 and bool((slots[1:] > slots[:-1]).all()):
            np.matmul(queries, arena[first : last + 1].T, out=result)
            return result
        if count * 3 > last - first + 1:  # reading rows in a line and dropping some beats picking most of them
            everything: Matrix = np.matmul(queries, arena[first : last + 1].T)
            return everything[:, slots - first]
        step = max(_BLOCK_BYTES // (arena.shape[1] * 4), 1)
        buffer = np.empty((min(step, count), arena.shape[1]), np.float32)
        for start in range(0, count, step):
            part = slots[start : start + step]
            rows = np.take(arena, part, axis=0, out=buffer[: len(part)], mode="clip")
            np.matmul(queries, rows.T, out=result[:, start : start + len(part)])
    return result
