"""Two minutes with Ochre: index the docstrings of Python's standard library, then ask for things in plain words.

Every machine with Python has this text. The embeddings come from the default model, all-MiniLM-L6-v2, which is
fetched once. Run it with `make demo`, or `python examples/demo.py`; ask your own question by appending it:

    python examples/demo.py "compare two sequences and show the differences"
"""

from __future__ import annotations

import ast
import inspect
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

FOLDER = Path("ochre-demo")
BATCH = 512
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__", "turtledemo", "ensurepip"}

QUESTIONS: list[tuple[str, dict[str, Any] | None]] = [
    ("split a string the way a shell does", None),
    ("remove a directory and everything in it", {"kind": "function"}),
    ("a dictionary that counts things", {"kind": "class"}),
    ("run another program and read what it prints", {"module": {"$in": ["subprocess", "os", "asyncio.subprocess"]}}),
    ("when does the next leap year come", None),
]

console = Console(highlight=False)


class Item(NamedTuple):
    """One docstring and where it stands."""

    id: str
    module: str
    kind: str
    signature: str
    text: str


def docstrings() -> Iterator[Item]:
    """Yield the docstrings of the standard library's public functions, classes, methods and modules."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED.intersection(parts) or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        module = ".".join(part for part in parts if part != "__init__")
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        yield from _items(tree, module, "")


def _items(node: ast.AST, module: str, prefix: str) -> Iterator[Item]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith("_"):
            continue
        name = f"{prefix}{child.name}"
        text = ast.get_docstring(child)
        if isinstance(child, ast.ClassDef):
            kind, signature = "class", name
            yield from _items(child, module, f"{name}.")
        else:
            kind, signature = ("method" if prefix else "function"), f"{name}({ast.unparse(child.args)})"
        if text and len(text) > 20:
            # The line tells two definitions of one name apart (say, in the branches of an if).
            yield Item(f"{module}.{name}:{child.lineno}", module, kind, signature, inspect.cleandoc(text))


def index(collection: ochre.Collection) -> None:
    """Bring the collection up to date: embed and store what is not in it yet."""
    items = list(docstrings())
    known = set(collection.get(include=[])["ids"])
    missing = [item for item in items if item.id not in known]
    console.print(f"{len(items):,} docstrings on this machine, {len(items) - len(missing):,} of them indexed already.")
    if not missing:
        return
    start = time.perf_counter()
    columns = TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("embedding", total=len(missing))
        for first in range(0, len(missing), BATCH):
            batch = missing[first : first + BATCH]
            collection.add(
                ids=[item.id for item in batch],
                documents=[f"{item.signature}\n{item.text}" for item in batch],
                metadatas=[{"module": item.module, "kind": item.kind} for item in batch],
            )
            progress.advance(task, len(batch))
    seconds = time.perf_counter() - start
    console.print(f"Indexed {len(missing):,} docstrings in {seconds:.0f} s ({len(missing) / seconds:,.0f} a second).")


def ask(collection: ochre.Collection, question: str, where: dict[str, Any] | None = None) -> None:
    """Print the three nearest docstrings."""
    start = time.perf_counter()
    answer = collection.query(query_texts=[question], n_results=3, where=where)
    milliseconds = (time.perf_counter() - start) * 1000
    console.print()
    title = Text(question, style="bold")
    if where:
        title.append(f"   where {where}", style="dim")
    title.append(f"   {milliseconds:.0f} ms", style="dim")
    console.print(title)
    assert answer["documents"] is not None
    assert answer["distances"] is not None
    rows = zip(answer["ids"][0], answer["documents"][0], answer["distances"][0], strict=True)
    for number, (id_, document, distance) in enumerate(rows, 1):
        signature, _, text = document.partition("\n")
        module = id_.rpartition(":")[0].removesuffix(f".{signature.partition('(')[0]}")
        line = (
            Text(f"  {number}. ")
            .append(f"{module}.{signature}"[:88], style="cyan")
            .append(f"   {1 - distance:.2f}", "dim")
        )
        console.print(line)
        console.print(Text(f"     {' '.join(text.split())}"[:110]))


def main() -> None:
    """Index, then answer the question on the command line, or a few of ours."""
    with ochre.PersistentClient(FOLDER) as client:
        collection = client.get_or_create_collection("standard-library", configuration={"hnsw": {"space": "cosine"}})
        index(collection)
        if sys.argv[1:]:
            ask(collection, " ".join(sys.argv[1:]))
            return
        for question, where in QUESTIONS:
            ask(collection, question, where)
        console.print()
        console.print(f"All of it is in ./{FOLDER}. Ask your own question:")
        console.print('  python examples/demo.py "wait until several threads have finished"', style="bold")


if __name__ == "__main__":
    main()
