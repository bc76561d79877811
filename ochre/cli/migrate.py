"""`ochre migrate-chroma`: a folder of Chroma's becomes one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ochre.cli.output import records, say


def migrate_chroma(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Chroma's folder, with chroma.sqlite3 in it.")],
    destination: Annotated[
        Path | None,
        typer.Argument(metavar="DEST", help="The new folder; not needed with --dry-run.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything and say what an import would bring; write nothing.")
    ] = False,
    re_embed: Annotated[
        bool,
        typer.Option(
            "--re-embed", help="Embed documents whose vector is lost, with the collection's embedding function."
        ),
    ] = False,
) -> None:
    """Import a folder that Chroma 0.4 to 1.5 wrote, without Chroma and without changing the folder.

    Stop what writes to it first. Damaged folders are read as far as they can be; what could not be imported is written
    to DEST.left-over.jsonl, and the report says what it is. Exit code 1 if there is something.

    Example: ochre migrate-chroma ./chroma ./data
    """
    from ochre.migrate import examine, from_chroma

    if destination is None and not dry_run:
        raise typer.BadParameter("DEST is missing: name a folder that is not there yet, or use --dry-run")
    with records() as progress:
        if destination is None or dry_run:
            report = examine(source, progress=progress)
        else:
            report = from_chroma(source, destination, re_embed=re_embed, progress=progress)
    for line in report.lines():
        say(line)
    if not report.complete:
        raise typer.Exit(1)
