"""How commands speak: results on standard output, everything for a person's eyes on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)

Report = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it so far (bytes, or records), and all of it (None: not known)."""


def say(line: str) -> None:
    """Print one line of a result, as it is: no wrapping, no colours, fit for a pipe."""
    print(line)


def complain(message: str) -> None:
    """Print an error for a person."""
    Console(stderr=True).print(f"[bold red]error:[/] {_escaped(message)}", highlight=False, soft_wrap=True)


@contextmanager
def downloads() -> Iterator[Report]:
    """Show bars of downloads, in bytes, while the block runs; nothing when standard error is not a terminal."""
    with _bars(DownloadColumn(), TransferSpeedColumn()) as report:
        yield report


@contextmanager
def records() -> Iterator[Report]:
    """Show bars of collections, in records, likewise."""
    with _bars(MofNCompleteColumn()) as report:
        yield report


@contextmanager
def _bars(*columns: ProgressColumn) -> Iterator[Report]:
    console = Console(stderr=True)
    shown = (TextColumn("{task.description}"), BarColumn(), *columns)
    with Progress(*shown, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(_escaped(what), total=total)
            progress.update(progress.task_ids[tasks[what]], completed=done, total=total)

        yield report


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
