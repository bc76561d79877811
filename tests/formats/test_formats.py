"""Folders of every format that was ever released are read right; the page about the format is that of the code."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from ochre.local import pages, schema
from ochre.local.engine import LocalEngine
from ochre.model.requests import CountRecords, GetRecords, WriteRecords
from tests.formats import make

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "storage-format.md"
VERSIONS = range(1, schema.FORMAT_VERSION + 1)


def opened(version: int, folder: Path) -> LocalEngine:
    shutil.copytree(make.HERE / f"v{version}", folder)
    return LocalEngine.open(folder)


def typed(value: Any) -> Any:
    """Tell 1, 1.0 and True apart, and 0.0 from -0.0."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, repr(value)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_folder_is_read_to_the_last_bit(version: int, tmp_path: Path) -> None:
    engine = opened(version, tmp_path / "db")
    found = make.describe(engine)
    engine.close()
    expected = json.loads((make.HERE / f"v{version}" / "expected.json").read_text(encoding="utf-8"))
    assert found.keys() == expected.keys()
    for name in expected:
        assert typed(json.loads(json.dumps(found[name]))) == typed(expected[name]), name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_folder_takes_new_records(version: int, tmp_path: Path) -> None:
    engine = opened(version, tmp_path / "db")
    for info in engine.list_collections("default_tenant", "default_database"):
        before = engine.get(GetRecords(info.id)).ids
        engine.write(WriteRecords(info.id, "add", ["later"], np.ones((1, 3), np.float32)))
        assert engine.get(GetRecords(info.id)).ids == [*before, "later"]
    engine.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_folder_is_small_and_whole(version: int) -> None:
    files = [path for path in (make.HERE / f"v{version}").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100_000
    assert not [path.name for path in files if path.name.endswith(("-wal", "-shm"))], "the log is folded in"
    connection = apsw.Connection(
        f"file:{make.HERE / f'v{version}' / 'ochre.sqlite3'}?immutable=1",
        apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
    )
    assert connection.pragma("user_version") == version
    assert connection.pragma("integrity_check") == "ok"
    connection.close()


def test_the_example_can_still_be_made(tmp_path: Path) -> None:
    """Otherwise the next format would have none."""
    make.make(tmp_path / "made")
    engine = LocalEngine.open(tmp_path / "made")
    expected = json.loads((tmp_path / "made" / "expected.json").read_text(encoding="utf-8"))
    assert typed(json.loads(json.dumps(make.describe(engine)))) == typed(expected)
    counts = [engine.count(CountRecords(info.id)) for info in engine.list_collections("acme", "stock")]
    assert counts == [5, 0, 5, 5]
    engine.close()


def tables() -> dict[str, dict[str, tuple[str, bool]]]:
    """Per table its columns, each with its type and whether it may be NULL."""
    connection = apsw.Connection(":memory:")
    schema.ensure(connection, Path(__file__).parent)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
    return {
        name: {
            column: (kind, not required and not key)
            for _, column, kind, required, _, key in connection.execute(f"PRAGMA table_info({name})")
        }
        for name in names
    }


def documented() -> dict[str, dict[str, tuple[str, bool]]]:
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for section in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        columns = found[section.split("`")[1]] = {}
        for names, kind in re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", section.split("\n## ")[0], re.MULTILINE):
            for name in re.findall(r"`(\w+)`", names):
                columns[name] = re.split(r"[, ]", kind)[0], "or NULL" in kind
    return found


def test_the_page_describes_the_tables_that_are_made() -> None:
    assert documented() == tables()


def test_the_page_names_the_version_and_the_ids() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.startswith(f"# Storage format, version {schema.FORMAT_VERSION}\n")
    assert f"0x{schema.APPLICATION_ID:X}" in page
    assert f"`collections.key << {schema.ORDINAL_BITS}`" in page


def test_a_folder_is_copied_while_others_write_by_sqlite_first_and_vectors_after(tmp_path: Path) -> None:
    """What SQLite copies is one state, and the vectors it names are never changed, whatever is written meanwhile."""
    engine = LocalEngine.open(tmp_path / "db")
    make.fill(engine)
    expected = make.describe(engine)
    (tmp_path / "copy").mkdir()
    connection = pages.connect(str(tmp_path / "db" / "ochre.sqlite3"))
    connection.execute("VACUUM INTO ?", (str(tmp_path / "copy" / "ochre.sqlite3"),))
    connection.close()
    for info in engine.list_collections("acme", "stock"):
        engine.write(WriteRecords(info.id, "upsert", ["a", "later"], np.full((2, 3), 9, np.float32)))
    shutil.copytree(tmp_path / "db" / "vectors", tmp_path / "copy" / "vectors")
    engine.close()
    copy = LocalEngine.open(tmp_path / "copy")
    found = make.describe(copy)
    copy.close()
    assert typed(json.loads(json.dumps(found))) == typed(json.loads(json.dumps(expected)))
