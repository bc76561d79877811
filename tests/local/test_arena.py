"""The arena: rows that are written once, a file that grows under its readers, and damage that is named."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ochre.errors import CorruptError
from ochre.local import arena as module
from ochre.local.arena import HEADER_BYTES, Arena, arena_path

OWNER = UUID("00000000-0000-4000-8000-000000000001")
DIMENSION = 3


def rows_of(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.float32)[:, np.newaxis] + np.zeros(DIMENSION, np.float32)


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    return Arena(tmp_path, OWNER, DIMENSION)


@pytest.fixture(params=["pwrite", "seek and write"])
def writing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of writing at a place: platforms without `pwrite` seek first."""
    if request.param == "seek and write":
        monkeypatch.delattr(os, "pwrite", raising=False)


@pytest.mark.usefixtures("writing")
def test_rows_come_back_bit_for_bit(arena: Arena) -> None:
    values = np.array([[0.1, -0.0, 1e-45], [3e38, 2.0**-126, -1.0]], np.float32)
    arena.append(0, values, sync=True)
    arena.append(2, rows_of(2, 5), sync=False)
    assert arena.rows(2).tobytes() == values.tobytes()
    assert np.array_equal(arena.rows(7)[2:], rows_of(2, 5))


@pytest.mark.usefixtures("writing")
def test_a_call_larger_than_one_write_is_written_whole(arena: Arena, monkeypatch) -> None:
    monkeypatch.setattr(module, "_WRITE_BYTES", 40)
    arena.append(0, rows_of(0, 100), sync=False)
    assert np.array_equal(arena.rows(100), rows_of(0, 100))


@pytest.mark.parametrize("name", ["pwrite", "write"])
def test_a_system_that_writes_less_than_asked_is_asked_again(arena: Arena, monkeypatch, name: str) -> None:
    if name == "write":
        monkeypatch.delattr(os, "pwrite", raising=False)
    elif not hasattr(os, "pwrite"):
        pytest.skip("this platform has no pwrite")
    whole = getattr(os, name)
    monkeypatch.setattr(os, name, lambda file, data, *where: whole(file, data[:7], *where))
    arena.append(0, rows_of(0, 20), sync=False)
    assert np.array_equal(arena.rows(20), rows_of(0, 20))


def test_the_file_is_a_header_and_rows(arena: Arena) -> None:
    arena.append(0, rows_of(5, 2), sync=True)
    content = arena.path.read_bytes()
    assert content[:8] == b"OCHREVEC"
    assert np.frombuffer(content[8:16], "<u4").tolist() == [1, DIMENSION]
    assert content[16:32] == OWNER.bytes
    assert content[32:64] == bytes(32)
    assert np.frombuffer(content[HEADER_BYTES:][: 2 * DIMENSION * 4], "<f4").tolist() == [5.0] * 3 + [6.0] * 3


def test_rows_are_read_only_and_not_copied(arena: Arena) -> None:
    arena.append(0, rows_of(0, 4), sync=False)
    assert np.shares_memory(arena.rows(4), arena.rows(2))
    with pytest.raises(ValueError, match="read-only"):
        arena.rows(4)[0, 0] = 1


def test_a_reader_keeps_its_rows_while_a_writer_grows_the_file(tmp_path: Path, arena: Arena) -> None:
    reader = Arena(tmp_path, OWNER, DIMENSION)
    arena.append(0, rows_of(0, 2), sync=False)
    old = reader.rows(2)
    count = 2
    for step in (1, 1000, 50_000, 1):
        arena.append(count, rows_of(count, step), sync=False)
        count += step
        assert np.array_equal(reader.rows(count)[-step:], rows_of(count - step, step))
    assert np.array_equal(old, rows_of(0, 2))


def test_rows_that_were_not_committed_are_overwritten_for_every_reader(tmp_path: Path, arena: Arena) -> None:
    """Two processes: one's transaction failed after it had written; the other writes in the same place."""
    other = Arena(tmp_path, OWNER, DIMENSION)
    arena.append(0, rows_of(0, 2), sync=False)
    assert len(arena.rows(2)) == 2
    arena.append(2, rows_of(70, 9), sync=False)  # rolled back
    other.append(2, rows_of(2, 3), sync=False)
    arena.append(5, rows_of(5, 1), sync=False)
    for reader in (arena, other):
        assert np.array_equal(reader.rows(6), rows_of(0, 6))


def test_a_first_write_of_another_dimension_starts_the_file_over(tmp_path: Path, arena: Arena) -> None:
    """The one before was rolled back: nothing is committed, the dimension included."""
    arena.append(0, rows_of(0, 5), sync=False)
    other = Arena(tmp_path, OWNER, 7)
    other.append(0, np.ones((2, 7), np.float32), sync=False)
    assert np.array_equal(Arena(tmp_path, OWNER, 7).rows(2), np.ones((2, 7), np.float32))
    with pytest.raises(CorruptError, match="does not begin"):
        Arena(tmp_path, OWNER, DIMENSION).rows(1)


def test_the_room_of_a_small_arena_is_small_and_grows_with_it(arena: Arena) -> None:
    arena.append(0, rows_of(0, 1000), sync=False)
    first = arena.path.stat().st_size
    assert 1000 * DIMENSION * 4 + 10_000 < first < 40_000
    growths = 0
    for slot in range(1000, 60_000, 100):
        before = arena.path.stat().st_size
        arena.append(slot, rows_of(slot, 100), sync=False)
        growths += arena.path.stat().st_size > before
    assert growths < 30


def test_small_appends_find_room(arena: Arena) -> None:
    arena.append(0, rows_of(0, 1), sync=False)
    size = arena.path.stat().st_size
    for slot in range(1, 64):
        arena.append(slot, rows_of(slot, 1), sync=False)
    assert arena.path.stat().st_size == size


def test_large_appends_leave_the_map_as_it_is_for_a_while(arena: Arena) -> None:
    count, maps = 100_000, set()
    for slot in range(0, 20 * count, count):
        arena.append(slot, rows_of(slot, count), sync=False)
        maps.add(arena.rows(slot + count).__array_interface__["data"][0])
    assert len(maps) < 15
    assert arena.path.stat().st_size <= HEADER_BYTES + 1.25 * 20 * count * DIMENSION * 4
    assert np.array_equal(arena.rows(20 * count), rows_of(0, 20 * count))


def test_room_that_a_large_append_left_is_given_back(arena: Arena) -> None:
    arena.append(0, rows_of(0, 400_000), sync=False)
    rows = arena.rows(400_000)
    assert arena.spare(400_000)
    arena.trim(400_000)
    assert not arena.spare(400_000)
    assert arena.path.stat().st_size < HEADER_BYTES + 400_000 * DIMENSION * 4 + 2 * 1024 * 1024
    assert np.array_equal(rows, rows_of(0, 400_000))
    arena.append(400_000, rows_of(400_000, 10), sync=False)
    assert np.array_equal(arena.rows(400_010), rows_of(0, 400_010))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: HEADER_BYTES + 2 * DIMENSION * 4])


def spoil(path: Path) -> None:
    path.write_bytes(b"ZZ" + path.read_bytes()[2:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [(Path.unlink, "is missing"), (cut, "88 bytes, 100 were committed"), (spoil, "does not begin")],
    ids=["missing", "short", "spoiled"],
)
def test_a_damaged_file_is_neither_read_nor_written(tmp_path: Path, arena: Arena, damage, message: str) -> None:
    arena.append(0, rows_of(0, 3), sync=False)
    arena.close()
    damage(arena.path)
    before = arena.path.read_bytes() if arena.path.exists() else None
    for attempt in (
        lambda: Arena(tmp_path, OWNER, DIMENSION).rows(3),
        lambda: arena.append(3, rows_of(3, 1), sync=False),
    ):
        with pytest.raises(CorruptError, match=message + r".*: restore it from a backup"):
            attempt()
    assert (arena.path.read_bytes() if arena.path.exists() else None) == before


def test_another_collections_file_is_refused(tmp_path: Path, arena: Arena) -> None:
    arena.append(0, rows_of(0, 1), sync=False)
    stranger = UUID("00000000-0000-4000-8000-000000000002")
    arena.path.rename(arena_path(tmp_path, stranger))
    with pytest.raises(CorruptError, match="does not begin"):
        Arena(tmp_path, stranger, DIMENSION).rows(1)


def test_close_keeps_rows_that_are_still_in_use_and_the_arena_opens_again(arena: Arena) -> None:
    arena.append(0, rows_of(0, 3), sync=False)
    kept = arena.rows(3)
    arena.close()
    arena.close()
    assert np.array_equal(kept, rows_of(0, 3))
    arena.append(3, rows_of(3, 1), sync=False)
    assert np.array_equal(arena.rows(4), rows_of(0, 4))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists a process's open files")
def test_a_dropped_arena_gives_its_handles_back(tmp_path: Path) -> None:
    arena = Arena(tmp_path, OWNER, DIMENSION)
    arena.append(0, rows_of(0, 3), sync=False)
    assert len(arena.rows(3)) == 3
    del arena
    gc.collect()
    names = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert [name for name in names if str(tmp_path) in name] == []
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
