"""Loading images from paths."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ochre.embedding.loaders import ImageLoader
from ochre.errors import InvalidArgumentError, ModelUnavailableError


def saved(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (2, 3, 4)], ids=["grey", "colours", "with transparency"])
def test_pixels_are_those_that_were_saved(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (loaded,) = ImageLoader()([saved(tmp_path / "image.png", pixels)])
    np.testing.assert_array_equal(loaded, pixels)


@pytest.mark.parametrize("workers", [None, 1, 8])
def test_images_come_in_the_order_of_their_paths(tmp_path: Path, workers: int | None) -> None:
    uris = [saved(tmp_path / f"{n}.png", np.full((n % 5 + 1, 2), n, np.uint8)) for n in range(20)]
    images = ImageLoader(workers)(uris[::-1])
    assert [image[0, 0] for image in images] == list(range(20))[::-1]


def test_none_stays_none(tmp_path: Path) -> None:
    uri = saved(tmp_path / "image.png", np.zeros((2, 2), np.uint8))
    images = ImageLoader()([None, uri, None])
    assert [image is None for image in images] == [True, False, True]


def test_nothing_gives_nothing() -> None:
    assert ImageLoader()([]) == []


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"missing\.png.*must be the path of an image file"):
        ImageLoader()([str(tmp_path / "missing.png")])


def test_a_file_that_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(InvalidArgumentError, match=r"text\.png.*cannot identify"):
        ImageLoader()([str(tmp_path / "text.png")])


@pytest.mark.parametrize("uri", ["http://127.0.0.1/image.png", "", "nul\0byte", 5])
def test_what_is_no_path_is_told(uri: object) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be loaded"):
        ImageLoader()([uri])


def test_at_least_one_worker_is_needed() -> None:
    with pytest.raises(InvalidArgumentError, match="max_workers is 0"):
        ImageLoader(0)


def test_without_pillow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModelUnavailableError, match=r"pip install \"ochre\[images\]\""):
        ImageLoader()(["image.png"])
