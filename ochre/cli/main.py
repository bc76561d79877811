"""The `ochre` command: its subcommands, and what becomes of an error.

An error that the package raises on purpose is one message and exit code 1, never a traceback.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ochre.cli import check, copies, keys, migrate, model, serve
from ochre.cli.output import complain, say
from ochre.errors import OchreError
from ochre.version import __version__

app = typer.Typer(
    name="ochre",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An embedding database that several processes can open at once.",
)
app.command("run")(serve.with_options(serve.run))
app.command()(check.check)
app.command()(check.repair)
app.command("migrate-chroma")(migrate.migrate_chroma)
app.command()(copies.backup)
app.command()(copies.restore)
app.command()(copies.snapshot)
app.command()(copies.vacuum)
app.add_typer(keys.app, name="keys")
app.add_typer(model.app, name="model")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"ochre {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a subcommand."""


def main() -> None:
    """Run the command line and exit: 0, 1 for an error of ours, 2 for a wrong command."""
    try:
        app(prog_name="ochre")
    except OchreError as error:
        complain(error.message)
        sys.exit(1)


if __name__ == "__main__":
    main()
