"""`ochre check` and `ochre repair`: damage to a folder, and what can be done about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ochre.cli.output import say

Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The database folder.")]


def check(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The database folder, or a snapshot.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Look for damage: read all of a database and compare it with its checksums.

    Prints a line for each damaged record, page and file, and how much was looked at. Writes nothing; others may use the
    folder meanwhile. Exit code 1 if there is damage; an index that is damaged is none, since it is built anew.

    Example: ochre check ./data
    """
    from ochre.local import check

    report = check.check(_absolute(path))
    if as_json:
        say(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        for finding in report.findings:
            say(f"damaged: {finding}")
        for note in report.notes:
            say(f"harmless: {note}")
        say(f"{report.collections} collections, {report.records} records and {report.vectors} vectors were looked at")
        say("no damage" if report.whole else f"{len(report.findings)} findings: see `ochre repair`")
    raise typer.Exit(0 if report.whole else 1)


def repair(
    path: Folder,
    into: Annotated[
        Path | None, typer.Option(help="The new folder; it must not exist.", show_default="PATH-repaired")
    ] = None,
    trust_pages: Annotated[
        bool,
        typer.Option(
            "--trust-pages", help="Take pages as they are, as after another program wrote to ochre.sqlite3 itself."
        ),
    ] = False,
) -> None:
    """Write all of a damaged folder that can be read into a new one, and list the rest.

    The damaged folder is left as it is; nothing may be using it. What was lost is listed beside the new folder, in a
    file named after it with .lost.jsonl: a JSON object a line. Exit code 1 if anything was lost.

    Example: ochre repair ./data
    """
    from ochre.local import repair

    source = _absolute(path)
    target = source.with_name(f"{source.name}-repaired") if into is None else _absolute(into)
    result = repair.repair(source, target, trust_pages=trust_pages)
    say(str(target))
    say(f"{result.saved} records saved, {result.lost} losses")
    if result.losses:
        listed = target.with_name(f"{target.name}.lost.jsonl")
        listed.write_bytes(b"".join(msgspec.json.encode(loss) + b"\n" for loss in result.losses))
        say(str(listed))
    raise typer.Exit(1 if result.lost else 0)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()
