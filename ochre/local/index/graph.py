"""The vector index: an immutable file over the arena's first slots, built in the background and mapped by every reader.

A node's number is its slot, so the index needs no table of its own and never changes for an update or a delete: slots
that nobody names any more are left out by a selector. It holds each vector as one byte a dimension, or as it is where
that would blur who is near whom; normalised where the space is `cosine`. What it finds are candidates: whoever asks
computes their distances from the arena.

Two structures serve the two kinds of configuration: a graph (HNSW: Malkov and Yashunin, "Efficient and robust
approximate nearest neighbor search using Hierarchical Navigable Small World graphs", 2016) and inverted lists (IVF:
Sivic and Zisserman 2003; `spann`). Both come from FAISS.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ochre.errors import CorruptError
from ochre.model.configuration import Configuration
from ochre.model.vectors import Matrix, Space

_TRAINING_ROWS = 65_536
_STEP_ROWS = 4096  # rows added before it is asked again whether to go on
_LARGEST = 1e15  # values beyond it would leave the range of float32 when squared and summed
_BLUR = 0.05  # of the distance of neighbours: an error beyond it costs some of them
_NEAR_ROWS, _NEAR_SAMPLES = 4096, 256
_DRIFT_SHARE = 0.01  # of new values outside what the codes were trained on: more make a new training worth it
_PATIENCE = 1.0  # seconds that a thread may take to begin
_TURN = 8  # queries a thread takes at a time

Slots = NDArray[np.int64]
Bits = NDArray[np.uint8]
"""One bit a slot, the lowest first."""


class UnsuitableError(Exception):
    """These vectors cannot be indexed: their squares leave the range of float32."""


class StoppedError(Exception):
    """The build was told to stop."""


@dataclass(frozen=True, slots=True)
class _Range:
    """What one byte a dimension can express: from `low` on, `span` wide, `(d,)` each."""

    low: Matrix
    span: Matrix

    def outside(self, rows: Matrix) -> float:
        """Return the share of values that it cannot express."""
        slack = 0.05 * self.span
        return float(np.mean((rows < self.low - slack) | (rows > self.low + self.span + slack)))


class Graph:
    """An opened vector index. It is never changed; threads may search it at the same time.

    Attributes:
        slots: it covers the arena's rows below this.
        kind: which of the two structures it is.
    """

    def __init__(self, index: Any, space: Space) -> None:
        self._index = index
        self._space = space
        self.slots = int(index.ntotal)
        self.kind: Literal["graph", "lists"] = "graph" if _is_graph(index) else "lists"

    @classmethod
    def open(cls, path: Path, space: Space) -> Graph:
        """Map a published file. The caller has verified it: a damaged one could take the process down.

        Raises:
            CorruptError: FAISS cannot read it.
        """
        faiss = _faiss()
        try:
            return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), space)
        except RuntimeError as error:
            raise CorruptError(f"{path} cannot be read ({error}): it is made anew from the records") from error

    def search(self, queries: Matrix, count: int, effort: int, selected: Bits | None, threads: int = 1) -> list[Slots]:
        """Find about the `count` nearest slots of each query.

        Args:
            queries: `(q, d)`.
            count: how many are wanted.
            effort: a graph's candidate list (`ef_search`), or how many of the inverted lists to look into.
            selected: which slots may be found; None for all.
            threads: how many may be at work, each on queries of its own.

        Returns:
            Per query up to `count` slots, in no promised order; fewer where the search met fewer selected ones.
        """
        faiss = _faiss()
        selector = None if selected is None else faiss.IDSelectorBitmap(selected)
        if self.kind == "graph":
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort, count), sel=selector)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=min(effort, self._index.nlist), sel=selector)
        return _spread(
            lambda part: _searched(self._index, part, count, parameters), _prepared(queries, self._space), threads
        )

    def scan(self, queries: Matrix, count: int, selected: Bits, threads: int = 1) -> list[Slots]:
        """Compare the codes of all selected slots with each query; otherwise as `search`."""
        faiss = _faiss()
        selector = faiss.IDSelectorBitmap(selected)
        if self.kind == "graph":
            index, parameters = _concrete(self._index.storage), faiss.SearchParameters(sel=selector)
        else:
            index, parameters = self._index, faiss.SearchParametersIVF(nprobe=self._index.nlist, sel=selector)
        return _spread(lambda part: _searched(index, part, count, parameters), _prepared(queries, self._space), threads)


def build(
    arena: Matrix,
    configuration: Configuration,
    path: Path,
    *,
    previous: Path | None = None,
    going_on: Callable[[], bool] = lambda: True,
) -> None:
    """Write an index of all rows of `arena` to `path`, extending the previous one where its codes still fit.

    Args:
        arena: `(n, d)`, n at least 1.
        path: of the new file.
        configuration: its settings count: those of the graph, or of the inverted lists.
        previous: a published file over the first rows of the same arena, verified by the caller.
        going_on: asked between steps; a build that should not go on raises StoppedError.

    Raises:
        UnsuitableError: the vectors cannot be indexed.
        StoppedError: `going_on` said no.
    """
    faiss = _faiss()
    space = configuration.space
    faiss.omp_set_num_threads(startable(configuration.hnsw.threads))
    try:
        index = None if previous is None else _extendable(previous, arena, configuration)
        if index is None:
            sample = _sample(arena, space)
            index = _fresh(configuration, len(arena), sample)
            index.train(sample)
        if _is_graph(index):
            index.hnsw.efConstruction = configuration.hnsw.ef_construction
        for start in range(index.ntotal, len(arena), _STEP_ROWS):
            if not going_on():
                raise StoppedError
            index.add(_checked(arena[start : start + _STEP_ROWS], space))
        faiss.write_index(index, str(path))
    finally:
        _one_thread.done = False
        _single_threaded()


def startable(wanted: int) -> int:
    """Return how many threads of those wanted can be had: for lack of one, FAISS's runtime would end the process."""
    gate, ended, count = threading.Event(), threading.Semaphore(0), 1

    def stand() -> None:
        gate.wait()
        ended.release()

    try:
        for _ in range(wanted - 1):
            _thread.start_new_thread(stand, ())  # one of `threading` may never return for lack of memory
            count += 1
    except (RuntimeError, MemoryError):
        pass  # the system allows no more
    gate.set()
    begun = [ended.acquire(timeout=_PATIENCE) for _ in range(count - 1)]
    return count if all(begun) else 1


def measurable(rows: Matrix) -> bool:
    """Tell whether an index can hold or find these vectors: their squares stay within float32."""
    return not len(rows) or float(np.abs(rows).max()) < _LARGEST


def list_count(rows: int, split_threshold: int) -> int:
    """Return into how many inverted lists so many rows are divided: of `split_threshold` rows, more in large ones.

    Beyond four times the square root of `rows`, choosing among the lists would take longer than looking into them.
    """
    most = min(int(4 * rows**0.5), rows // 39)  # k-means wants 39 points a centroid
    return int(np.clip(rows // split_threshold, 1, max(most, 1)))


def _fresh(configuration: Configuration, rows: int, sample: Matrix) -> Any:
    """Return an empty index for so many rows, of which some are given."""
    faiss, dimension, code = _faiss(), sample.shape[1], _faiss().ScalarQuantizer.QT_8bit
    metric = faiss.METRIC_L2 if configuration.space == "l2" else faiss.METRIC_INNER_PRODUCT
    plain = _too_coarse(sample)
    if configuration.spann is None:
        neighbours = configuration.hnsw.max_neighbors
        if plain:
            return faiss.IndexHNSWFlat(dimension, neighbours, metric)
        return faiss.IndexHNSWSQ(dimension, code, neighbours, metric)
    coarse = faiss.IndexFlatL2(dimension) if configuration.space == "l2" else faiss.IndexFlatIP(dimension)
    lists = list_count(rows, configuration.spann.split_threshold)
    if plain:
        index = faiss.IndexIVFFlat(coarse, dimension, lists, metric)
    else:
        index = faiss.IndexIVFScalarQuantizer(coarse, dimension, lists, code, metric, False)
    index.cp.niter = 8
    index.cp.max_points_per_centroid = 64
    index.own_fields = True
    coarse.this.disown()
    return index


def _extendable(previous: Path, arena: Matrix, configuration: Configuration) -> Any | None:
    """Return the previous index, in memory, if it still suits what is to be added."""
    space = configuration.space
    index = _faiss().read_index(str(previous))
    known = int(index.ntotal)
    if known > len(arena):
        return None
    if _is_graph(index) and index.hnsw.nb_neighbors(1) != configuration.hnsw.max_neighbors:
        return None
    fresh = _checked(arena[known : known + _TRAINING_ROWS], space)
    trained = _trained(index)
    if len(fresh) and trained is not None and trained.outside(fresh) > _DRIFT_SHARE:
        return None
    if not _is_graph(index) and len(arena) > 2 * known:  # its lists would grow too long
        return None
    return index


def _trained(index: Any) -> _Range | None:
    """Return what the codes can express, None where vectors are held as they are."""
    coder = getattr(_concrete(index.storage) if _is_graph(index) else index, "sq", None)
    if coder is None:
        return None
    low, span = np.split(_faiss().vector_to_array(coder.trained), 2)
    return _Range(low, span)


def _too_coarse(sample: Matrix) -> bool:
    """Tell whether codes would blur who is near whom: few vectors lie far out, or one dimension is all that counts.

    A byte divides each dimension into 255 steps between its least and its greatest value. The error that makes, about
    the square root of a twelfth of the steps' squares, must be small beside the distance of neighbours.
    """
    steps = (sample.max(axis=0) - sample.min(axis=0)).astype(np.float64) / 255.0
    rows = sample[:_NEAR_ROWS].astype(np.float64)
    step = max(len(rows) // _NEAR_SAMPLES, 1)
    squares = np.einsum("ij,ij->i", rows, rows)
    apart = squares[::step, None] + squares - 2.0 * (rows[::step] @ rows.T)
    apart[apart <= 1e-9 * squares] = np.inf  # themselves, and their likes
    nearest = apart.min(axis=1)
    near = np.sqrt(nearest[np.isfinite(nearest)])
    return bool(len(near)) and float(np.sqrt(np.sum(steps**2) / 12.0)) > _BLUR * float(np.median(near))


def _sample(arena: Matrix, space: Space) -> Matrix:
    step = max(len(arena) // _TRAINING_ROWS, 1)
    return _checked(arena[::step][:_TRAINING_ROWS], space)


def _checked(rows: Matrix, space: Space) -> Matrix:
    """Return rows as the index holds them.

    Raises:
        UnsuitableError: a value is too large.
    """
    if not measurable(rows):
        raise UnsuitableError
    return _prepared(rows, space)


def _prepared(rows: Matrix, space: Space) -> Matrix:
    if space != "cosine":
        return np.ascontiguousarray(rows, np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    prepared: Matrix = np.divide(rows, np.where(norms > 0.0, norms, 1.0)).astype(np.float32)
    return prepared


def _searched(index: Any, queries: Matrix, count: int, parameters: Any) -> list[Slots]:
    _single_threaded()
    _, found = index.search(queries, count, params=parameters)
    return [row[row >= 0] for row in found]


def _spread(search: Callable[[Matrix], list[Slots]], queries: Matrix, threads: int) -> list[Slots]:
    """Divide queries among threads: FAISS's own would outlive a fork, and hang in the child."""
    parts = -(-len(queries) // _TURN)
    if min(threads, parts) < 2:
        return search(queries)
    with ThreadPoolExecutor(min(threads, parts)) as pool:
        return [row for part in pool.map(search, np.array_split(queries, parts)) for row in part]


_one_thread = threading.local()


def _single_threaded() -> None:
    """Keep FAISS from starting threads for a call of the present thread."""
    if not getattr(_one_thread, "done", False):
        _faiss().omp_set_num_threads(1)
        _one_thread.done = True


def _is_graph(index: Any) -> bool:
    return hasattr(index, "hnsw")


def _concrete(index: Any) -> Any:
    return _faiss().downcast_index(index)


def _faiss() -> Any:
    import faiss

    return faiss
