"""Data loaders: what turns a record's uri into the data behind it. A collection never remembers one.

Loading images needs Pillow, `pip install "ochre[images]"`. Nothing here opens a network connection.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.errors import InvalidArgumentError, ModelUnavailableError

Image = NDArray[Any]
"""Pixels: `(height, width)` or `(height, width, channels)`, uint8 for common formats."""


class ImageLoader:
    """Loads images from local paths, several at a time.

    Args:
        max_workers: how many threads; by default the number of processors.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise InvalidArgumentError(
                f"max_workers is {max_workers}: it must be at least 1; leave it out for the default"
            )
        self._max_workers = max_workers or os.cpu_count() or 1

    def __call__(self, uris: Sequence[str | None]) -> list[Image | None]:
        """Return the pixels behind each uri, in order; None for None.

        Raises:
            ModelUnavailableError: Pillow is not installed.
            InvalidArgumentError: a file is missing or is not an image.
        """
        if not uris:
            return []
        try:
            import PIL.Image  # noqa: F401
        except ImportError as error:
            raise ModelUnavailableError('loading images needs Pillow: pip install "ochre[images]"') from error
        with ThreadPoolExecutor(min(self._max_workers, len(uris)), thread_name_prefix="ochre-image") as pool:
            return list(pool.map(_load, uris))


def _load(uri: str | None) -> Image | None:
    if uri is None:
        return None
    import PIL.Image

    try:
        with PIL.Image.open(uri) as image:
            return np.array(image)
    except (OSError, ValueError, AttributeError, PIL.Image.DecompressionBombError) as error:
        raise InvalidArgumentError(
            f"the image {uri!r} cannot be loaded ({error}): a uri must be the path of an image file on this machine"
        ) from error
