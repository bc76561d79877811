"""`ochre model`: the files of the default embedding function's model."""

from __future__ import annotations

import typer

from ochre.cli.output import complain, downloads, say
from ochre.embedding import weights

app = typer.Typer(no_args_is_help=True, help="The default embedding function's model: all-MiniLM-L6-v2.")


@app.command()
def fetch() -> None:
    """Fetch the model's files into the cache, unless they are there, and check them.

    Prints the folder and the SHA-256 of the weights. Exit code 1 if no source has the files.

    Example: ochre model fetch
    """
    with downloads() as report:
        files = weights.obtain(report)
    say(str(files.folder))
    say(f"sha256 {weights.WEIGHTS_SHA256}  {weights.WEIGHTS}")


@app.command()
def path() -> None:
    """Print where the model's files are, after checking them; fetch nothing.

    Exit code 1 if they are missing or are not the right ones.

    Example: ochre model path
    """
    files, reasons = weights.find()
    if files is None:
        complain(f"{'; '.join(reasons)}. {weights.ADVICE}")
        raise typer.Exit(1)
    say(str(files.folder))
    say(f"sha256 {weights.WEIGHTS_SHA256}  {weights.WEIGHTS}  verified")
