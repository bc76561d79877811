"""The reference pages that are made from the code: of the command line, and the server's part of the settings.

`python -m ochre.cli.reference docs/reference/cli.md docs/reference/settings.md` brings them up to date; without an
argument it prints the first. Tests compare the pages with the code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from ochre.cli.main import app
from ochre.cli.serve import choices, shown

_BEGIN, _END = "<!-- server settings: made by `make format` -->", "<!-- end -->"
_HEAD = """# Command line

Made from the commands by `make format`: change them, not this page.

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
    names = (
        [*parameter.opts, *parameter.secondary_opts] if is_option else [(parameter.metavar or parameter.name).upper()]
    )
    spelt = ", ".join(f"`{name}`" for name in names)
    return f"| {spelt} | {_default(parameter)} | {getattr(parameter, 'help', None) or ''} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    told = getattr(parameter, "show_default", None)  # of an option whose value is found later
    default = told if isinstance(told, str) else parameter.default
    return "" if default in (None, False) else f"`{default}`"


def with_server_settings(page: str) -> str:
    """Return a page with its table of the server's settings renewed; it stands between two marks."""
    head, rest = page.split(_BEGIN)
    _, tail = rest.split(_END)
    return f"{head}{_BEGIN}\n\n{server_settings()}\n{_END}{tail}"


def server_settings() -> str:
    """Return the table of the server's settings, in Markdown."""
    from ochre.server.settings import OPTIONS

    head = "| setting | flag | environment | Chroma's name | default | meaning |\n|---|---|---|---|---|---|\n"
    return head + "".join(_setting(name, item) for name, item in OPTIONS.items())


def _setting(name: str, item: Any) -> str:
    from ochre.server.settings import chroma_variable

    flag = f"`--{name.replace('_', '-')}`"
    theirs = {spelt for alias in item.metadata["chroma"] for spelt in (alias, chroma_variable(alias))}
    chroma = ", ".join(f"`{spelt}`" for spelt in sorted(theirs, key=lambda text: (text.isupper(), text)))
    default = f"`{shown(item.default)}`" if shown(item.default) else ""
    meaning = item.metadata["meaning"] + choices(item)
    return f"| `{name}` | {flag} | `OCHRE_{name.upper()}` | {chroma} | {default} | {meaning} |\n"


def main(paths: list[str]) -> None:
    """Write the pages, each by its name, or print that of the command line."""
    for path in map(Path, paths):
        text = with_server_settings(path.read_text(encoding="utf-8")) if path.name == "settings.md" else reference()
        path.write_text(text, encoding="utf-8", newline="\n")
    if not paths:
        sys.stdout.write(reference())


if __name__ == "__main__":
    main(sys.argv[1:])
