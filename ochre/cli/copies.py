"""`ochre backup`, `restore`, `snapshot` and `vacuum`: copies of a database folder, and its upkeep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ochre.cli.output import say
from ochre.errors import StorageError
from ochre.model.upkeep import CopyReport

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
    from ochre.connect import open_engine

    engine = open_engine(source, mode="r")
    try:
        _tell(engine.backup(target.expanduser().absolute()))
    finally:
        engine.close()


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup, or a snapshot.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
) -> None:
    """Make a database folder of a backup or a snapshot.

    Example: ochre restore /mnt/backup/data ./data
    """
    from ochre.connect import open_engine

    engine = open_engine(source, mode="r")
    try:
        _tell(engine.restore(target.expanduser().absolute()))
    finally:
        engine.close()


def snapshot(
    source: Source,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
) -> None:
    """Write a whole database into one file, while it is in use.

    The file can be opened as it is, to be read, and `ochre restore` makes a folder of it.

    Example: ochre snapshot ./data data.ochre
    """
    from ochre.connect import open_engine

    engine = open_engine(source, mode="r")
    try:
        _tell(engine.snapshot(target.expanduser().absolute()))
    finally:
        engine.close()


def vacuum(path: Annotated[Path, typer.Argument(metavar="PATH", help="The database folder.")]) -> None:
    """Leave no byte of what was deleted or replaced in any file, and give the space back.

    Others may use the folder; their writes wait meanwhile.

    Example: ochre vacuum ./data
    """
    if not path.exists():
        raise StorageError(f"there is no database at {path}: check the path")
    from ochre.connect import open_engine

    engine = open_engine(path)
    try:
        report = engine.vacuum()
    finally:
        engine.close()
    say(f"{report.before} bytes before, {report.after} after")


def _tell(report: CopyReport) -> None:
    say(f"{report.collections} collections, {report.records} records, {report.bytes} bytes, {report.written} written")
