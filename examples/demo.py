"""Two minutes with Ochre: index what Python's standard library says of itself, then ask for things in plain words.

Every machine with Python has this text. The embeddings come from the default model, all-MiniLM-L6-v2, which is
fetched once. Run it with `make demo`. The second run has nothing left to do but to answer; ask a question of your own
by appending it:

    .venv/bin/python examples/demo.py "compare two sequences and show the differences"
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

import ochre
from ochre.cli.output import downloads
from ochre.embedding import weights

FOLDER = "ochre-demo"
BATCH = 256
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "distutils", "site-packages", "turtledemo", "ensurepip"}

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("split a string the way a shell does", {}),
    ("delete a folder with everything inside", {"where": {"kind": "function"}}),
    ("a dictionary that counts things", {"where": {"kind": "class"}}),
    ("run a command and get its output", {"where": {"module": {"$in": ["os", "subprocess"]}}}),
    ("read a compressed file", {"where_document": {"$contains": "gzip"}}),
    ("when does the next leap year come", {}),
]

console = Console(highlight=False)


class Item(NamedTuple):
    """One docstring and what it belongs to."""

    id: str
    module: str
    kind: str
    name: str
    signature: str
    summary: str


def docstrings(only: set[str]) -> Iterator[Item]:
    """Yield what is public and documented in the standard library, or in the modules named only."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = [part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"]
        if SKIPPED.intersection(parts) or not all(part.isidentifier() and part[0] != "_" for part in parts):
            continue
        module = ".".join(parts)
        if only and not only.intersection({module, parts[0]}):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        yield from definitions(tree, module, "")


def definitions(node: ast.AST, module: str, prefix: str) -> Iterator[Item]:
    """Yield the documented classes, functions and methods under a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try | ast.ExceptHandler):
            yield from definitions(child, module, prefix)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith("_"):
            continue
        name = f"{prefix}{child.name}"
        text = ast.get_docstring(child) or ""
        if isinstance(child, ast.ClassDef):
            kind, signature = "class", ""
            yield from definitions(child, module, f"{name}.")
        else:
            kind, signature = ("method" if prefix else "function"), f"({ast.unparse(child.args)})"
        if len(text) > 20:
            # The line tells definitions of one name apart: in the branches of an if, a property and its setter.
            id_ = f"{module}.{name}:{child.lineno}"
            yield Item(id_, module, kind, f"{module}.{name}", signature, text.split("\n\n")[0])


def load_model() -> None:
    """Fetch the model if it is not on this machine yet, and load it: the times of the answers are those of a search."""
    if weights.find()[0] is None:
        console.print("Fetching the embedding model: 90 MB, this once.")
        with downloads() as report:
            weights.obtain(report)
    ochre.DefaultEmbeddingFunction()(["load"])


def index(collection: ochre.Collection, only: set[str]) -> None:
    """Embed and store what is not in the collection yet."""
    if not only and (collection.metadata or {}).get("complete"):
        return
    items = list(docstrings(only))
    known = set(collection.get(include=[])["ids"])
    missing = [item for item in items if item.id not in known]
    if known:
        console.print(f"{len(known):,} docstrings are indexed already.")
    start = time.perf_counter()
    if missing:
        console.print(f"Indexing {len(missing):,} docstrings of Python {platform.python_version()}'s standard library.")
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("docstrings"), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(missing))
        for first in range(0, len(missing), BATCH):
            batch = missing[first : first + BATCH]
            collection.add(
                ids=[item.id for item in batch],
                documents=[f"{item.name}\n{item.summary}" for item in batch],
                metadatas=[{"module": i.module, "kind": i.kind, "signature": i.signature} for i in batch],
            )
            progress.advance(task, len(batch))
    if missing:
        seconds = time.perf_counter() - start
        console.print(f"Done in {seconds:.0f} s: {len(missing) / seconds:,.0f} a second, embedded and on the disk.")
    if not only:
        collection.modify(metadata={"complete": True})


def ask(collection: ochre.Collection, question: str, filters: dict[str, Any]) -> None:
    """Print the three nearest docstrings and how near each is: 1 means the same, 0 nothing in common."""
    start = time.perf_counter()
    answer = collection.query(query_texts=[question], n_results=3, **filters)
    milliseconds = (time.perf_counter() - start) * 1000
    console.print()
    console.print(Text(question, style="bold").append(f"   {milliseconds:.0f} ms", style="not bold dim"))
    for name, value in filters.items():
        console.print(Text(f"  {name}={json.dumps(value)}", style="magenta"))
    rows = zip(answer["documents"][0], answer["metadatas"][0], answer["distances"][0], strict=True)
    for document, metadata, distance in rows:
        name, _, summary = document.partition("\n")
        title = Text(f"  {1 - distance:.2f}  ", style="dim").append(name, style="not dim cyan")
        print_line(title.append(metadata["signature"], style="dim"))
        print_line(Text(f"        {' '.join(summary.split())}"))


def print_line(text: Text) -> None:
    """Print one line, cut to the width of the terminal."""
    console.print(text, no_wrap=True, overflow="ellipsis")


def say_what_next(collection: ochre.Collection) -> None:
    """Print what is in the folder, and how to go on."""
    kinds = ", ".join(f"{collection.count(where={'kind': kind}):,} {name}" for kind, name in PLURALS.items())
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    console.print()
    console.print(f"The folder {FOLDER} holds {collection.count():,} docstrings: {kinds}.", soft_wrap=True)
    command = f'{python} {sys.argv[0]} "wait until several threads have finished"'
    console.print(Text("Ask it yourself:\n  ").append(command, style="bold"), soft_wrap=True)


PLURALS = {"class": "classes", "function": "functions", "method": "methods"}


def main() -> None:
    """Index, then answer the question on the command line, or a few of ours."""
    parser = argparse.ArgumentParser(description="Search Python's standard library by meaning.")
    parser.add_argument("question", nargs="*", help="what to look for; left out: a few examples")
    parser.add_argument("--modules", default="", help="index these modules only, separated by commas")
    arguments = parser.parse_args()
    load_model()
    with ochre.PersistentClient(FOLDER) as client:
        collection = client.get_or_create_collection(
            f"python-{platform.python_version()}", configuration={"hnsw": {"space": "cosine"}}
        )
        index(collection, set(filter(None, arguments.modules.split(","))))
        if arguments.question:
            ask(collection, " ".join(arguments.question), {})
            return
        for question, filters in QUESTIONS:
            ask(collection, question, filters)
        say_what_next(collection)


if __name__ == "__main__":
    try:
        main()
    except ochre.OchreError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        console.print("\nStopped. What was indexed so far is kept; the next run goes on from there.")
        sys.exit(130)
