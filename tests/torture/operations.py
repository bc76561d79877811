"""What is done to a folder while its disk fails: each operation is one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import DeleteRecords, ModifyCollection
from tests.torture.content import PLACE, Content, content, create, of_folder, quiet, write

FOLDER = "data"
BACKUP, SNAPSHOT = "backup", "snapshot.ochre"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the engine, or some that belong together.

    Attributes:
        name: of the operation.
        act: does it, to the collection that holds 40 records; it may write beside the folder as well.
        mostly_dead: whether nine tenths of 400 records were deleted before.
    """

    name: str
    act: Callable[[LocalEngine, UUID, Path], object]
    mostly_dead: bool = False


OPERATIONS = (
    Operation("open and close", lambda engine, things, beside: None),
    Operation("create a collection", lambda engine, things, beside: create(engine, "new")),
    Operation("rename a collection", lambda engine, things, beside: _rename(engine, things)),
    Operation("delete a collection", lambda engine, things, beside: engine.delete_collection("things", *PLACE)),
    Operation("add one record", lambda engine, things, beside: write(engine, things, "add", [100])),
    Operation("add 300 records", lambda engine, things, beside: write(engine, things, "add", range(100, 400))),
    Operation("update", lambda engine, things, beside: write(engine, things, "update", range(10, 20), version=1)),
    Operation("upsert", lambda engine, things, beside: write(engine, things, "upsert", range(30, 50), version=1)),
    Operation("delete", lambda engine, things, beside: _delete(engine, things)),
    Operation("erase", lambda engine, things, beside: _delete(engine, things, erase=True)),
    Operation("vacuum", lambda engine, things, beside: engine.vacuum(), mostly_dead=True),
    Operation("build indexes", lambda engine, things, beside: engine.maintain()),
    Operation("compact", lambda engine, things, beside: engine.maintain(), mostly_dead=True),
    Operation("back up", lambda engine, things, beside: engine.backup(beside / BACKUP)),
    Operation("write a snapshot", lambda engine, things, beside: engine.snapshot(beside / SNAPSHOT)),
)


def prepare(place: Path, operation: Operation) -> Content:
    """Make the folder that an operation is done to; return what it holds."""
    engine = LocalEngine.open(place / FOLDER, quiet())
    things = create(engine)
    write(engine, things, "add", range(400 if operation.mostly_dead else 40))
    if operation.mostly_dead:
        engine.delete(DeleteRecords(things, filter=parse_filters({"n": {"$gte": 40}}, None)))
    other = create(engine, "other")
    write(engine, other, "add", range(5))
    engine.close()
    return of_folder(place / FOLDER)


def do(place: Path, operation: Operation, engine: LocalEngine) -> None:
    """Do an operation in an opened folder."""
    operation.act(engine, engine.get_collection("things", *PLACE).id, place)


def check_beside(place: Path, holds: Content) -> None:
    """Look at copies that were being made: there is none, or it is whole."""
    backup, snapshot = place / BACKUP, place / SNAPSHOT
    if (backup / "ochre.sqlite3").exists():
        assert of_folder(backup) == holds, "the backup is something else"
    if snapshot.exists():
        engine = LocalEngine.open(snapshot, quiet(), mode="r")
        try:
            assert content(engine) == holds, "the snapshot is something else"
        finally:
            engine.close()


def _rename(engine: LocalEngine, things: UUID) -> None:
    engine.modify_collection(ModifyCollection(things, name="renamed"))


def _delete(engine: LocalEngine, things: UUID, *, erase: bool = False) -> None:
    engine.delete(DeleteRecords(things, filter=parse_filters({"n": {"$lt": 10}}, None), erase=erase))
