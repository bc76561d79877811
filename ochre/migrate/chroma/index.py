"""The vectors in a collection's hnswlib index: `data_level0.bin`, with `header.bin` and `length.bin` beside it.

A row of the file is an element of the graph: its links, its vector, its label. In `cosine` space the vector is
normalised, and `length.bin` has its length. Only rows that prove to be what they should be are used.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ochre.migrate.chroma.pickles import IndexMetadata, read_index_metadata

_HEADER = struct.Struct("<i6QiI3QdQ")
_MAX_LINKS = 1 << 12
_LABEL = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a row.

    Attributes:
        rows: how many the index has; None when only the file's length tells.
        size: bytes of a row.
        vector, label: offsets in it. The label follows the vector.
    """

    rows: int | None
    size: int
    vector: int
    label: int

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return (self.label - self.vector) // 4

    @classmethod
    def of_header(cls, header: bytes) -> Layout | None:
        """Read `header.bin`; None when it is not sound."""
        if len(header) < _HEADER.size:
            return None
        fields = _HEADER.unpack_from(header)
        rows, size, label, vector, links = fields[3], fields[4], fields[5], fields[6], fields[10]
        layout = cls(rows, size, vector, label)
        sound = vector == 4 * links + 4 and label > vector and label % 4 == 0 and size == label + _LABEL
        return layout if sound and links <= _MAX_LINKS else None

    @classmethod
    def guess(cls, dimension: int, neighbors: int) -> Layout:
        """Work out the layout of vectors of that dimension in a graph of so many neighbors."""
        vector = 4 * 2 * neighbors + 4
        label = vector + 4 * dimension
        return cls(None, label + _LABEL, vector, label)


class VectorIndex:
    """One index, opened to be read: the vectors of ids.

    Attributes:
        metadata: what the pickle beside it says.
        troubles: what is wrong with its files, in sentences.
        intact: whether nothing is.
        without_length: whether the vectors are of `cosine` space and their lengths are not to be had.
    """

    def __init__(self, folder: Path, space: str, dimension: int | None, neighbors: int, *, expected: bool) -> None:
        """Open the index in a folder, or note that there is none; that is trouble only if one is expected."""
        self.troubles: list[str] = []
        self.metadata = IndexMetadata()
        self.without_length = False
        self._rows: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._lengths: NDArray[np.float32] | None = None
        self._layout = Layout.guess(dimension or 1, neighbors)
        if not (folder / "index_metadata.pickle").exists() and _is_empty(folder):
            if expected:
                self._complain("the index is missing")
            return
        self.metadata = read_index_metadata(folder / "index_metadata.pickle")
        if self.metadata.trouble:
            self._complain(self.metadata.trouble)
        self._open(folder, dimension or self.metadata.dimension, neighbors)
        if space == "cosine":
            self._lengths = self._read_lengths(folder / "length.bin")
        self._positions = self._find_labels()

    @property
    def intact(self) -> bool:
        """Tell whether nothing is wrong with its files."""
        return not self.troubles

    def __contains__(self, id_: str) -> bool:
        return id_ in self.metadata.labels

    def vector(self, id_: str) -> NDArray[np.float32] | None:
        """Return the vector of an id, `(d,)`; None when the index does not have it."""
        label = self.metadata.labels.get(id_)
        position = None if label is None else self._positions.get(label)
        if position is None:
            return None
        layout = self._layout
        vector = self._rows[position, layout.vector : layout.label].copy().view(np.float32)
        return vector if self._lengths is None else vector * self._lengths[position]

    def _complain(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _open(self, folder: Path, dimension: int | None, neighbors: int) -> None:
        layout = Layout.of_header(_bytes(folder / "header.bin"))
        if layout is None or dimension not in {None, layout.dimension}:
            self._complain("header.bin is missing or damaged")
            if dimension is None:
                return
            layout = Layout.guess(dimension, neighbors)
        path = folder / "data_level0.bin"
        size = path.stat().st_size if path.exists() else 0
        rows = size // layout.size
        if layout.rows is not None and rows < layout.rows:
            self._complain(f"data_level0.bin has {rows} of {layout.rows} vectors")
        rows = rows if layout.rows is None else min(rows, layout.rows)
        self._layout = layout
        if rows:
            self._rows = np.memmap(path, np.uint8, "r", shape=(rows, layout.size))

    def _find_labels(self) -> dict[int, int]:
        """Return the row of each label that the pickle knows and that one row, and only one, has."""
        if not len(self._rows):
            return {}
        labels = self._rows[:, self._layout.label :].copy().view(np.uint64)[:, 0]
        wanted = np.fromiter(self.metadata.labels.values(), np.uint64, len(self.metadata.labels))
        found, first, counts = np.unique(labels, return_index=True, return_counts=True)
        known = np.isin(found, wanted) & (counts == 1)
        missing = len(self.metadata.labels) - int(known.sum())
        if missing:
            self._complain(f"{missing} vectors that index_metadata.pickle names are not in data_level0.bin")
        return dict(zip(found[known].tolist(), first[known].tolist(), strict=True))

    def _read_lengths(self, path: Path) -> NDArray[np.float32] | None:
        count = len(self._rows)
        lengths = np.frombuffer(_bytes(path)[: 4 * count], np.float32) if count else np.empty(0, np.float32)
        if len(lengths) < count or not (np.isfinite(lengths) & (lengths >= 0)).all():
            self._complain("length.bin is missing or damaged: vectors of cosine space come with length 1")
            self.without_length = True
            return None
        return lengths


def _is_empty(folder: Path) -> bool:
    """Tell whether an index is not there, or was laid out and never filled."""
    layout = Layout.of_header(_bytes(folder / "header.bin"))
    return not (folder / "data_level0.bin").exists() or (layout is not None and layout.rows == 0)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
