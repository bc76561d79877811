"""`ochre keys`: the API keys of a folder's server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ochre.cli.output import complain, say

app = typer.Typer(no_args_is_help=True, help="The API keys that open a server. They are stored as hashes.")

Folder = Annotated[
    Path,
    typer.Option(
        "--path", envvar=["OCHRE_PATH", "PERSIST_DIRECTORY"], help="The database folder, as the server has it."
    ),
]


def _store(path: Path) -> Any:
    from ochre.server.keys import KeyStore

    return KeyStore(path.expanduser().absolute())


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whom the key is for.")],
    path: Folder = Path("./data"),
    scope: Annotated[str, typer.Option(help="The most it allows: read, write or admin.")] = "read",
    tenant: Annotated[str | None, typer.Option(help="The only tenant it opens.")] = None,
    database: Annotated[str | None, typer.Option(help="The only database it opens; with --tenant.")] = None,
    collection: Annotated[str | None, typer.Option(help="The only collection it opens; with --database.")] = None,
) -> None:
    """Create a key and print it, this once.

    From the first key on, servers of the folder ask for one.

    Example: ochre keys create notebook --scope write
    """
    _, secret = _store(path).create(name, scope, tenant, database, collection)
    say(secret)


@app.command("list")
def list_(path: Folder = Path("./data")) -> None:
    """List the keys: id, scope, where they lead, date of creation (UTC), name.

    Example: ochre keys list
    """
    store = _store(path)
    if not store.exists():
        complain(f"no key was ever created for {path}: is that the folder that the server has?")
    for key in store.list():
        place = "/".join(part for part in (key.tenant, key.database, key.collection) if part) or "*"
        created = time.strftime("%Y-%m-%d %H:%M", time.gmtime(key.created))
        say(f"{key.id}  {key.scope:5}  {place}  {created}  {key.name}")


@app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `ochre keys list` shows it.")],
    path: Folder = Path("./data"),
) -> None:
    """Revoke a key: servers stop taking it within a second.

    Example: ochre keys revoke 3f9a0c21
    """
    _store(path).revoke(id_)
