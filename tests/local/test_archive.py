"""Archives: arrays come back as they were, without being read; whatever is damaged is named, never believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ochre.errors import CorruptError
from ochre.local import archive
from ochre.local.archive import Archive, Digest

DTYPES = ["?", "i1", "u1", "i2", "u2", "<i4", ">i4", "u4", "i8", ">u8", "f4", ">f8"]
ARRAYS = {
    "ordinals": np.arange(10, dtype=np.int64),
    "nothing": np.empty((0, 3), np.float32),
    "flags": np.array([True, False, True]),
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
}
META = {"sequence": 7, "keys": ["a", "ключ"], "none": None}

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.arc"


def written(path: Path, arrays: Any = None, meta: Any = None) -> Digest:
    path.unlink(missing_ok=True)
    return archive.write(path, "kind", ARRAYS if arrays is None else arrays, meta or META, sync=False)


def refused(path: Path, digest: Digest | None, message: str = "delete it") -> None:
    with pytest.raises(CorruptError, match=message):
        archive.open_archive(path, "kind", digest)


def put_header(path: Path, header: Any, content: bytes = b"", **fixed: Any) -> None:
    """Write an archive whose header says what none of ours does."""
    text = header if isinstance(header, bytes) else msgspec.json.encode(header)
    body = text.ljust(-(-(24 + len(text)) // 64) * 64 - 24, b"\0") + content
    values = {"magic": archive.MAGIC, "version": archive.VERSION, "length": len(text), "size": 24 + len(body)} | fixed
    path.write_bytes(archive._FIXED.pack(*values.values()) + body)


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0))
        ),
        max_size=4,
    )
)
@in_one_folder
def test_arrays_of_any_type_and_shape_come_back_as_they_were(path: Path, arrays: dict[str, np.ndarray]) -> None:
    found = archive.open_archive(path, "kind", written(path, arrays))
    assert list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        mapped = found.arrays[name]
        assert (mapped.shape, mapped.dtype) == (array.shape, array.dtype.newbyteorder("<"))
        assert mapped.astype(array.dtype).tobytes() == array.tobytes()


def test_arrays_are_aligned_views_of_the_file_that_nobody_can_change(path: Path) -> None:
    found = archive.open_archive(path, "kind", written(path))
    for name in ARRAYS:
        mapped = found.arrays[name]
        assert mapped.ctypes.data % 64 == 0 or not mapped.size
        with pytest.raises(ValueError, match="read-only"):
            mapped[...] = 0


def test_an_array_outlives_its_archive(path: Path) -> None:
    def first() -> Any:
        return archive.open_archive(path, "kind", written(path)).arrays["ordinals"]

    assert first().tolist() == list(range(10))


def test_a_slice_and_a_transposed_array_are_stored_as_they_look(path: Path) -> None:
    matrix = np.arange(12, dtype=np.int32).reshape(3, 4)
    found = archive.open_archive(path, "kind", written(path, {"t": matrix.T, "s": matrix[:, ::2], "o": matrix[1:, 1]}))
    assert found.arrays["t"].tolist() == matrix.T.tolist()
    assert found.arrays["s"].tolist() == [[0, 2], [4, 6], [8, 10]]
    assert found.arrays["o"].tolist() == [5, 9]


def test_what_stands_beside_the_arrays_comes_back(path: Path) -> None:
    digest = written(path)
    assert archive.open_archive(path, "kind", digest).meta == META


def test_the_digest_is_that_of_the_file(path: Path) -> None:
    digest = written(path)
    assert digest.bytes == path.stat().st_size
    assert archive.digest(path) == digest
    archive.verify(path, digest)


def test_a_file_of_any_format_has_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum is XXH3's, which other tools compute too."""
    path = tmp_path / "any"
    path.write_bytes(b"")
    assert archive.digest(path) == Digest(0, 0x2D06800538D394C2)
    path.write_bytes(bytes(range(256)))
    whole = archive.digest(path)
    monkeypatch.setattr(archive, "_BLOCK_BYTES", 100)
    assert archive.digest(path) == whole


def test_an_existing_file_is_left_alone(path: Path) -> None:
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        archive.write(path, "kind", ARRAYS, META, sync=True)
    assert path.read_bytes() == b"mine"


def test_a_write_that_fails_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_file: int) -> None:
        raise OSError

    monkeypatch.setattr(archive, "sync_file", fail)
    with pytest.raises(OSError):
        archive.write(path, "kind", ARRAYS, META, sync=True)
    assert not path.exists()


def test_a_synced_archive_is_on_the_disk_before_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(archive, "sync_file", lambda file: calls.append(path.stat().st_size))
    monkeypatch.setattr(archive, "sync_folder", calls.append)
    digest = archive.write(path, "kind", ARRAYS, META, sync=True)
    assert calls == [digest.bytes, path.parent]


# -- damage -------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(path: Path) -> None:
    digest = written(path)
    path.unlink()
    refused(path, digest, r"state\.arc is missing")
    for call in (lambda: archive.digest(path), lambda: archive.verify(path, digest)):
        with pytest.raises(CorruptError, match="is missing"):
            call()


def test_a_file_cut_short_anywhere_is_refused(path: Path) -> None:
    digest, whole = written(path), path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        refused(path, digest, f"has {size} bytes, {len(whole)} were written")
        refused(path, None)


def test_a_file_with_more_behind_it_is_refused(path: Path) -> None:
    digest = written(path)
    path.write_bytes(path.read_bytes() + bytes(64))
    refused(path, digest)
    refused(path, None)


def test_a_flipped_bit_anywhere_is_refused(path: Path) -> None:
    digest, whole = written(path), path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        refused(path, digest, "has the checksum")
        with pytest.raises(CorruptError, match="has the checksum"):
            archive.verify(path, digest)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
@in_one_folder
def test_a_damaged_header_never_leads_outside_the_file(path: Path, changes: list[tuple[int, int]]) -> None:
    """Without a digest nothing vouches for the bytes; still, an archive opens and can be read, or is refused."""
    written(path)
    damaged = bytearray(path.read_bytes())
    for position, value in changes:
        damaged[position] = value
    path.write_bytes(damaged)
    try:
        found = archive.open_archive(path, "kind", None)
    except CorruptError:
        return
    assert sum(array.nbytes for array in map(found.arrays.__getitem__, found.arrays)) < len(damaged)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"dtype": "<i8", "shape": [-8]}, "array of type"),
        ({"dtype": "<i8", "shape": [-1, -8]}, "array of type"),
        ({"dtype": "|O", "shape": [8]}, "array of type '|O'"),
        ({"dtype": ">i8", "shape": [8]}, "array of type"),
        ({"dtype": "no such type", "shape": [8]}, "array of type"),
        ({"dtype": "<i8", "shape": [2**62, 2**62]}, "its arrays take"),
        ({"dtype": "<i8", "shape": [9]}, "its arrays take"),
        ({"dtype": "<i8", "shape": []}, None),
        ({"dtype": "<i8", "shape": [2.5]}, "unreadable header"),
        ({"dtype": "<i8"}, "unreadable header"),
    ],
)
def test_an_array_that_cannot_be_is_refused(path: Path, shape: Any, message: str | None) -> None:
    put_header(path, {"kind": "kind", "meta": {}, "arrays": {"a": shape}}, bytes(64))
    if message is not None:
        refused(path, None, message)
    else:
        assert archive.open_archive(path, "kind", None).arrays["a"].shape == ()


@pytest.mark.parametrize(
    ("header", "fixed"),
    [
        (b"{", {}),
        (b"\xff\xfe", {}),
        ({"kind": "kind", "meta": {}, "arrays": {}}, {"magic": b"OCHREVEC"}),
        ({"kind": "kind", "meta": {}, "arrays": {}}, {"version": archive.VERSION + 1}),
        ({"kind": "kind", "meta": {}, "arrays": {}}, {"length": 2**32 - 1}),
        ({"kind": "kind", "meta": {}, "arrays": {}}, {"size": 2**64 - 1}),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(path: Path, header: Any, fixed: Any) -> None:
    put_header(path, header, **fixed)
    refused(path, None)


def test_an_archive_of_another_kind_is_refused(path: Path) -> None:
    digest = written(path)
    with pytest.raises(CorruptError, match="holds 'kind', not 'other'"):
        archive.open_archive(path, "other", digest)


def test_an_archive_says_where_it_is(path: Path) -> None:
    found = archive.open_archive(path, "kind", written(path))
    assert isinstance(found, Archive)
    assert found.path == path
