"""The reference page of the command line, made from the commands themselves.

`python -m ochre.cli.reference` prints it, and writes it to a file whose path is given. A test compares the page with
the commands.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from ochre.cli.main import app

_HEAD = """# Command line

Made by `python -m ochre.cli.reference docs/reference/cli.md`; change the commands, not this page.

Exit codes: 0 when all went well, 1 for an error that is explained in one message, 2 for a command that does not exist
or lacks an argument. Results go to standard output, progress and errors to standard error.
"""


def reference() -> str:
    """Return the page, in Markdown: a section for each command, groups before their commands."""
    sections = [_section(path, command) for path, command in _walk("ochre", typer.main.get_command(app))]
    return "\n".join([_HEAD, *sections])


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _walk(f"{path} {name}", child)


def _section(path: str, command: Any) -> str:
    lines = [f"## `{path}`", "", *_help(command), ""]
    parameters = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    if parameters:
        lines += ["| parameter | default | meaning |", "|---|---|---|", *map(_row, parameters), ""]
    children = sorted(getattr(command, "commands", {}))
    if children:
        lines += ["Commands: " + ", ".join(f"`{path} {child}`" for child in children), ""]
    return "\n".join(lines)


def _help(command: Any) -> list[str]:
    """Return the help text, its examples as code."""
    marker = "Example: "
    lines = inspect.cleandoc(command.help or "").splitlines()
    return [f"Example: `{line.removeprefix(marker)}`" if line.startswith(marker) else line for line in lines]


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    name = ", ".join(parameter.opts) if is_option else str(parameter.name).upper()
    default = (
        "required" if parameter.required else "" if parameter.default in (None, False) else f"`{parameter.default}`"
    )
    return f"| `{name}` | {default} | {getattr(parameter, 'help', None) or ''} |"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8", newline="\n")
    else:
        sys.stdout.write(reference())
