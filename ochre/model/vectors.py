"""Dense and sparse vectors: what may be handed over, and the one form used inside.

Inside, dense vectors are `(n, d)` float32, C-contiguous, finite: a `Matrix`. Nothing here loops in Python over the
numbers of a NumPy array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ochre.errors import InvalidArgumentError, InvalidDimensionError, InvalidTypeError
from ochre.model.text import first_unencodable

Matrix = NDArray[np.float32]
"""Dense vectors, one a row: `(n, d)` float32, C-contiguous, finite."""

Space = Literal["cosine", "ip", "l2"]
"""How distance is measured; lower is nearer.

`l2` is the squared Euclidean distance, `ip` is 1 - a.b, `cosine` is 1 - a.b/(|a||b|) and 1.0 for a zero vector.
"""

SPACES: tuple[Space, ...] = ("l2", "cosine", "ip")

MAX_DIMENSION = 65_536
"""The longest vector a collection may hold."""

MAX_INDEX = 2**32 - 1
"""The largest index of a sparse vector."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_BOOLEANS = frozenset({bool, np.bool_})  # no other type can derive from them


def parse_matrix(value: object, what: str = "embeddings") -> Matrix:
    """Parse vectors as users hand them over.

    Args:
        value: a 2-D array, a list of 1-D arrays or of lists of numbers; one vector (a 1-D array or a flat list of
            numbers) counts as a list of one.
        what: the argument's name, for messages.

    Returns:
        `(n, d)` float32, C-contiguous; it may share memory with `value`.

    Raises:
        InvalidTypeError: not numbers.
        InvalidDimensionError: rows of different lengths, or of length 0.
        InvalidArgumentError: empty, or a value that is not finite in float32.
    """
    matrix = _as_array(value, what)
    if matrix.ndim == 1:
        matrix = matrix[np.newaxis, :]
    if matrix.ndim != 2:
        raise InvalidDimensionError(
            f"{what} has {matrix.ndim} dimensions: it must be a list of vectors, that is 2 dimensions (n, d); "
            "reshape it"
        )
    if matrix.shape[0] == 0:
        raise InvalidArgumentError(
            f"{what} is empty: an embedding per record is needed; leave the argument out if there are none"
        )
    if not 0 < matrix.shape[1] <= MAX_DIMENSION:
        raise InvalidDimensionError(
            f"{what} has vectors of dimension {matrix.shape[1]}: an embedding has 1 to {MAX_DIMENSION} numbers"
        )
    with np.errstate(over="ignore"):
        dense = np.ascontiguousarray(matrix, dtype=np.float32)
    _check_finite(dense, what)
    return dense


def _as_array(value: object, what: str) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return _check_numeric(value, what)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
        raise InvalidTypeError(
            f"{what} is a {type(value).__name__}: an embedding is a list or array of numbers; pass a list of those"
        )
    if not value:
        raise InvalidArgumentError(
            f"{what} is empty: an embedding per record is needed; leave the argument out if there are none"
        )
    if isinstance(value[0], np.ndarray) and value[0].ndim > 0:
        return _stack(value, what)
    for row in value:
        if not _BOOLEANS.isdisjoint(map(type, row if isinstance(row, Sequence) else (row,))):
            raise InvalidTypeError(f"{what} holds a bool: an embedding is a list of int or float; convert it")
    try:
        array = np.array(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise _ragged(value, what) from error
    if array.dtype == object:
        return _from_objects(array, value, what)
    return _check_numeric(array, what)


def _from_objects(array: NDArray[Any], value: Sequence[Any], what: str) -> NDArray[Any]:
    """Convert what NumPy took for objects: integers beyond 64 bits are numbers all the same."""
    if not all(isinstance(number, int | float) for number in array.flat):
        raise _ragged(value, what)
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise InvalidArgumentError(
            f"{what} holds a number beyond float32: every number of an embedding is finite; embed it again"
        ) from error


def _stack(rows: Sequence[Any], what: str) -> NDArray[Any]:
    """Stack 1-D arrays: a quick way in for what most embedding functions return."""
    for index, row in enumerate(rows):
        if not isinstance(row, np.ndarray) or row.ndim != 1:
            raise InvalidTypeError(
                f"{what}[{index}] is not a 1-D array: every embedding is one list of numbers of the same length"
            )
        if row.shape != rows[0].shape:
            raise InvalidDimensionError(
                f"{what}[{index}] has dimension {row.shape[0]} but {what}[0] has {rows[0].shape[0]}: all vectors "
                "of a call "
                "have one dimension"
            )
        _check_numeric(row, what)
    return np.stack(rows)


def _check_numeric(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype.kind not in "fiu":
        raise InvalidTypeError(f"{what} holds {array.dtype} values: an embedding is a list of int or float; convert it")
    return array


def _ragged(value: Sequence[Any], what: str) -> InvalidArgumentError:
    """Name what is wrong with nested lists that NumPy cannot make one array of."""
    lengths = {len(row) for row in value if isinstance(row, Sequence | np.ndarray) and not isinstance(row, str)}
    if len(lengths) > 1:
        return InvalidDimensionError(
            f"{what} has vectors of dimension {sorted(lengths)}: all vectors of a call have one dimension"
        )
    return InvalidTypeError(f"{what} is not a list of lists of numbers: every embedding is a list of int or float")


def _check_finite(matrix: Matrix, what: str) -> None:
    finite = np.isfinite(matrix)
    if not finite.all():
        rows = np.flatnonzero(~finite.all(axis=1))
        raise InvalidArgumentError(
            f"{what}[{rows[0]}] holds NaN or infinity (or a number beyond float32): every number of an embedding is "
            "finite; leave that record out or embed it again"
        )


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A sparse vector, as a metadata value.

    Attributes:
        indices: strictly ascending, not negative.
        values: one finite number an index.
        labels: one text an index (say, the token), or None.

    Raises:
        InvalidTypeError, InvalidArgumentError: when built from anything else.
    """

    indices: list[int]
    values: list[float]
    labels: list[str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.indices, list):
            raise InvalidTypeError(f"Expected SparseVector indices to be a list, got {type(self.indices).__name__}")
        if not isinstance(self.values, list):
            raise InvalidTypeError(f"Expected SparseVector values to be a list, got {type(self.values).__name__}")
        if len(self.indices) != len(self.values):
            raise InvalidArgumentError(
                f"SparseVector indices and values must have the same length, got {len(self.indices)} and "
                f"{len(self.values)}"
            )
        self._check_labels()
        self._check_indices()
        self._check_values()

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        if not isinstance(self.labels, list):
            raise InvalidTypeError(f"Expected SparseVector labels to be a list, got {type(self.labels).__name__}")
        if len(self.labels) != len(self.indices):
            raise InvalidArgumentError(
                f"SparseVector labels must have the same length as indices, got {len(self.labels)} and "
                f"{len(self.indices)}"
            )
        if not all(isinstance(label, str) for label in self.labels):
            raise InvalidTypeError("SparseVector labels must be strings")
        if first_unencodable(self.labels) is not None:
            raise InvalidArgumentError(
                "SparseVector labels hold a lone surrogate: text is Unicode that UTF-8 can carry; clean it"
            )

    def _check_indices(self) -> None:
        previous = -1
        for index in self.indices:
            if not isinstance(index, int) or isinstance(index, bool):
                raise InvalidTypeError(f"SparseVector indices must be integers, got {index!r}")
            if index < 0:
                raise InvalidArgumentError(f"SparseVector indices must be non-negative, got {index}")
            if index <= previous:
                raise InvalidArgumentError(
                    f"SparseVector indices must be sorted in strictly ascending order, got {index} after {previous}"
                )
            previous = index
        if previous > MAX_INDEX:
            raise InvalidArgumentError(f"SparseVector indices must be at most {MAX_INDEX}, got {previous}")

    def _check_values(self) -> None:
        for value in self.values:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise InvalidTypeError(f"SparseVector values must be numbers, got {value!r}")
            if not abs(value) <= _FLOAT32_MAX:
                raise InvalidArgumentError(f"SparseVector values must be finite in float32, got {value!r:.60}")

    def to_dict(self) -> dict[str, Any]:
        """Return the form of the wire and of the stored metadata."""
        return {
            "#type": "sparse_vector",
            "indices": self.indices,
            "values": self.values,
            "tokens": self.labels,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SparseVector:
        """Build one from the form of `to_dict`."""
        return cls(value.get("indices"), value.get("values"), value.get("tokens"))  # type: ignore[arg-type]  # checked
