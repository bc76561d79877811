"""`ochre backup`, `restore`, `snapshot` and `vacuum`: copies of a database folder, and its upkeep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ochre.cli.output import say
from ochre.errors import StorageError
from ochre.model.upkeep import CopyReport
from ochre.settings import Mode

if TYPE_CHECKING:
    from ochre.local.engine import LocalEngine

Source = Annotated[Path, typer.Argument(metavar="SRC", help="The database folder.", show_default=False)]


def backup(
    source: Source,
    target: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new folder, or a backup of SRC to bring up to date.")
    ],
) -> None:
    """Back a database up into another folder, while it is in use.

    The backup holds one committed state and can be opened as it is. Of a backup that is there only what has changed is
    written; until the new state is complete, it is the old one, even if this is killed. What is written is read again
    and compared.

    Example: ochre backup ./data /mnt/backup/data
    """
    with _opened(source, "r") as engine:
        _tell(engine.backup(target.expanduser().absolute()))


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup, or a snapshot.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
) -> None:
    """Make a database folder of a backup or a snapshot.

    Example: ochre restore /mnt/backup/data ./data
    """
    with _opened(source, "r") as engine:
        _tell(engine.restore(target.expanduser().absolute()))


def snapshot(
    source: Source,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
) -> None:
    """Write a whole database into one file, while it is in use.

    The file can be opened as it is, to be read, and `ochre restore` makes a folder of it.

    Example: ochre snapshot ./data data.ochre
    """
    with _opened(source, "r") as engine:
        _tell(engine.snapshot(target.expanduser().absolute()))


def vacuum(path: Annotated[Path, typer.Argument(metavar="PATH", help="The database folder.")]) -> None:
    """Leave no byte of what was deleted or replaced in any file, and give the space back.

    Others may use the folder; their writes wait meanwhile.

    Example: ochre vacuum ./data
    """
    if not path.exists():
        raise StorageError(f"there is no database at {path}: check the path")
    with _opened(path, "w") as engine:
        report = engine.vacuum()
    say(f"{report.before} bytes before, {report.after} after")


@contextmanager
def _opened(path: Path, mode: Mode) -> Iterator[LocalEngine]:
    # Late: the server's command sets how NumPy is to compute before it is imported.
    from ochre.connect.engines import open_engine

    engine = open_engine(path, mode=mode)
    try:
        yield engine
    finally:
        engine.close()


def _tell(report: CopyReport) -> None:
    say(f"{report.collections} collections, {report.records} records, {report.bytes} bytes, {report.written} written")
