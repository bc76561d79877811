"""Pages read one by one: the rows SQLite reads, without the pages above them, and none that were deleted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from ochre.local import pages
from ochre.local.leaves import HEADER, Leaves, mend

SQL = 'SELECT key, id, size, ratio, data, "empty" FROM things ORDER BY key'
VALUES = (0, 1, -1, 127, -129, 2**15, -(2**23), 2**31, -(2**47), 2**62, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    connection = pages.connect(str(path))
    pages.ask_for_checksums(connection)
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL").fetchall()
    connection.execute(
        'CREATE TABLE things (key INTEGER PRIMARY KEY, id TEXT, size ANY, ratio REAL, data BLOB, "empty")'
    )
    connection.execute("CREATE TABLE others (key INTEGER PRIMARY KEY, id TEXT)")
    randomness = random.Random(1)
    rows = [
        (
            key * 1000 + 2**40,
            f"id {key} ü" * randomness.choice([1, 1, 1, 30, 400, 2000]),
            randomness.choice(VALUES),
            randomness.choice([0.0, 1.5, -1e300]),
            randomness.randbytes(randomness.choice([0, 7, 3900, 4060, 9000])),
            None,
        )
        for key in range(400)
    ]
    connection.executemany("INSERT INTO things VALUES (?,?,?,?,?,?)", rows)
    connection.executemany("INSERT INTO others VALUES (?,?)", [(2**40 + n, "other") for n in range(500)])
    yield connection
    connection.close()


def folded(connection: apsw.Connection) -> list[tuple]:
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return connection.execute(SQL).fetchall()


def read(path: Path, first: int = 0, last: int = 2**62, *, trust: bool = False) -> list[tuple]:
    with Leaves(path) as leaves:
        return [(key, *values[1:]) for key, values in leaves.rows(6, first, last, trust=trust)]


def test_the_rows_are_those_sqlite_reads(connection: apsw.Connection, path: Path) -> None:
    rows = folded(connection)
    assert len(rows) == 400
    assert read(path) == rows
    first, last = rows[100][0], rows[299][0]
    assert read(path, first, last) == rows[100:300]
    assert read(path, first + 1, last - 1) == rows[101:299]


def test_deleted_and_replaced_rows_do_not_come_back(connection: apsw.Connection, path: Path) -> None:
    connection.execute("DELETE FROM things WHERE (key - (1 << 40)) / 1000 BETWEEN 100 AND 350")
    connection.execute("UPDATE things SET data=zeroblob(3000), id='new' || key")
    rows = folded(connection)
    assert len(rows) == 149
    assert read(path) == rows


def test_what_sqlite_no_longer_reaches_is_read(connection: apsw.Connection, path: Path) -> None:
    rows = folded(connection)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name='things'").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    for number in (1, root):
        data[(number - 1) * 4096 + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(apsw.Error):
        pages.connect(str(path)).execute(SQL).fetchall()
    assert read(path) == rows


def test_a_damaged_leaf_gives_its_rows_to_those_who_trust_it_only(connection: apsw.Connection, path: Path) -> None:
    rows = folded(connection)
    data = bytearray(path.read_bytes())
    place = data.index(b"id 123 ")
    data[place] ^= 1
    path.write_bytes(data)
    found = {row[0] for row in read(path)}
    assert rows[123][0] not in found
    assert len(found) > 350
    trusted = {row[0]: row[1:] for row in read(path, trust=True)}
    assert trusted[rows[123][0]][0] == rows[123][1].replace("id", "hd", 1)
    assert len(trusted) == 400


def test_a_row_that_continues_on_a_damaged_page_ends_there(connection: apsw.Connection, path: Path) -> None:
    rows = folded(connection)
    number = next(n for n, row in enumerate(rows) if len(row[4]) == 9000 and len(row[1]) < 20)
    data = bytearray(path.read_bytes())
    data[data.index(rows[number][4][8000:8050])] ^= 1
    path.write_bytes(data)
    found = {row[0]: row for row in read(path)}
    assert found.pop(rows[number][0]) == rows[number][:4]
    assert all(found[row[0]] == row for row in rows if row[0] in found)
    assert len(found) == 399


def test_a_header_is_mended_and_missing_pages_are_made_up_for(connection: apsw.Connection, path: Path) -> None:
    folded(connection)
    connection.close()
    whole = path.read_bytes()
    path.write_bytes(bytes(16) + whole[16:-9000])
    mend(path)
    assert path.read_bytes() == HEADER + whole[len(HEADER) : -9000] + bytes(9000)
