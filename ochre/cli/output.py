"""How commands speak: results on standard output, everything for a person's eyes on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

Report = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes so far, and all of them (None: not known)."""


def say(line: str) -> None:
    """Print one line of a result, as it is: no wrapping, no colours, fit for a pipe."""
    print(line)


def complain(message: str) -> None:
    """Print an error for a person."""
    Console(stderr=True).print(f"[bold red]error:[/] {_escaped(message)}", highlight=False, soft_wrap=True)


@contextmanager
def downloads() -> Iterator[Report]:
    """Show bars of downloads while the block runs; nothing when standard error is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(_escaped(what), total=total)
            progress.update(progress.task_ids[tasks[what]], completed=done, total=total)

        yield report


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
