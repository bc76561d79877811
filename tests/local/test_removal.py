"""What a commit gave up is removed once that commit is on the disk, whatever `synchronous` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ochre.local import compaction, wal
from ochre.local import engine as engines
from ochre.local.arena import arena_path
from ochre.local.engine import LocalEngine
from ochre.model.requests import DeleteRecords
from ochre.settings import Settings
from tests.local.conftest import add, make_collection


def drop(engine: LocalEngine, collection: UUID) -> None:
    engine.delete_collection("things", "default_tenant", "default_database")


def compact(engine: LocalEngine, collection: UUID) -> None:
    engine.delete(DeleteRecords(collection, ids=["id1"]))
    compaction.compact(engine._file, collection)


def leave_an_orphan(engine: LocalEngine, collection: UUID) -> None:
    arena_path(engine._folder, uuid4()).touch()
    engine._sweep(1.0)


@pytest.mark.parametrize("synchronous", ["normal", "full"])
@pytest.mark.parametrize("remove", [drop, compact, leave_an_orphan])
def test_vectors_are_removed_once_the_commit_that_gave_them_up_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: Any, synchronous: Any
) -> None:
    """With `synchronous="normal"` a power cut may undo a commit, be it another process's; its vectors must be there."""
    engine = LocalEngine.open(tmp_path / "db", Settings(synchronous=synchronous, background_indexing=False))
    collection = make_collection(engine)
    add(engine, collection, range(3))
    log = tmp_path / "db" / "ochre.sqlite3-wal"
    done: list[Any] = []
    monkeypatch.setattr(wal, "sync_path", done.append)
    for module in (engines, compaction):
        monkeypatch.setattr(module, "remove_file", lambda path: done.append(path.suffix))
    remove(engine, collection)
    assert done == [log, ".f32"]
    engine.close()


def test_a_backup_is_never_ahead_of_what_a_power_cut_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine.open(tmp_path / "db", Settings(synchronous="normal", background_indexing=False))
    add(engine, make_collection(engine), range(3))
    synced: list[Any] = []

    def sync(path: Path) -> None:
        synced.append((path, engine._file._active, (tmp_path / "copy" / "ochre.sqlite3").exists()))

    monkeypatch.setattr(wal, "sync_path", sync)
    engine.backup(tmp_path / "copy")
    # In the middle of the read whose state is copied: what comes later is not in the copy, what is in it is synced.
    assert synced == [(tmp_path / "db" / "ochre.sqlite3-wal", 1, False)]
    engine.close()
