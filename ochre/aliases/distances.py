"""What `chromadb.utils.distance_functions` holds: the three distances, between two vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cosine", "ip", "l2"]

Vector = NDArray[Any]


def l2(x: Vector, y: Vector) -> float:
    """Return the squared Euclidean distance."""
    difference = np.asarray(x, np.float64) - np.asarray(y, np.float64)
    return float(difference @ difference)


def cosine(x: Vector, y: Vector) -> float:
    """Return 1 - x.y / (|x||y|), and 1.0 where a vector is zero."""
    left, right = np.asarray(x, np.float64), np.asarray(y, np.float64)
    norms = float(np.linalg.norm(left) * np.linalg.norm(right))
    return 1.0 - float(left @ right) / norms if norms else 1.0


def ip(x: Vector, y: Vector) -> float:
    """Return 1 - x.y."""
    return 1.0 - float(np.asarray(x, np.float64) @ np.asarray(y, np.float64))
