"""The layers of ARCHITECTURE.md, read from the imports; and the house rules that a program can check."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ochre"

LAYERS: dict[str, int] = {
    "errors": 0,
    "version": 0,
    "model": 1,
    "settings": 1,
    "engine": 2,
    "embedding": 2,
    "wire": 2,
    "local": 3,
    "remote": 3,
    "client": 4,
    "server": 4,
    "connect": 5,
    "aliases": 6,
    "migrate": 6,
    "cli": 7,
}
APART = {"client": {"local", "remote"}, "server": {"local", "remote"}, "remote": {"local"}, "local": {"remote"}}
"""Parts that a part must not import although they lie lower: clients and servers are handed an engine of any kind."""

LAZY = {"remote", "server"}
"""Parts that import heavy packages at their top, and are themselves imported on first use only."""

SIDE = "testing"  # sees layers 0 to 2 only: its oracle cannot share an engine's bug

HOMES: dict[str, tuple[str, ...]] = {
    # third-party package: the only places that may import it at all
    "apsw": ("local", "migrate"),
    "faiss": ("local",),
    "hypothesis": ("testing",),
    "pytest": ("testing",),
    "httpx": ("embedding", "remote"),
    "starlette": ("server",),
    "uvicorn": ("server",),
    "prometheus_client": ("server",),
    "opentelemetry": ("server",),
    "yaml": ("cli",),
    "onnxruntime": ("embedding",),
    "tokenizers": ("embedding",),
    "PIL": ("embedding",),
    "typer": ("cli",),
    "rich": ("cli",),
    "re2": ("model",),
    "xxhash": ("local",),
    "msgspec": ("local", "embedding", "wire", "remote", "server", "cli"),
    "numpy": ("model", "embedding", "wire", "local", "client", "aliases", "migrate", "testing"),
}
HEAVY = {
    "faiss",
    "httpx",
    "onnxruntime",
    "opentelemetry",
    "PIL",
    "prometheus_client",
    "starlette",
    "tokenizers",
    "uvicorn",
}
"""Never imported at the top of a module, except in the parts that are imported lazily as a whole."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    """The folder or module right under the package: `ochre.local.log` is of `local`."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """Full names of what a module imports, those of `if TYPE_CHECKING:` left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {inner for node in functions for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skipped or (top_only and node in inside):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_from_lower_layers_only(path: Path) -> None:
    own = part_of(name_of(path))
    if not own:
        return  # the package itself names everything, lazily
    for imported in imports(path):
        other = part_of(imported) if imported.startswith("ochre.") else ""
        if not other or other == own:
            continue
        limit = 3 if own == SIDE else LAYERS[own]
        assert LAYERS[other] < limit or other in {"errors", "version"}, f"{name_of(path)} imports {imported}"
        assert other not in APART.get(own, ()), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_lazy_parts_are_imported_on_first_use(path: Path) -> None:
    own = part_of(name_of(path))
    for imported in imports(path, top_only=True):
        other = part_of(imported) if imported.startswith("ochre.") else ""
        assert other not in LAZY or other == own, f"{name_of(path)} imports {imported} when it is itself imported"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_is_imported_where_it_belongs(path: Path) -> None:
    own = part_of(name_of(path))
    for imported in imports(path):
        package = imported.split(".")[0]
        if package in sys.stdlib_module_names or package == "ochre":
            continue
        assert own in HOMES[package], f"{name_of(path)} imports {package}"
    if own in LAZY:
        return
    heavy = {imported.split(".")[0] for imported in imports(path, top_only=True)} & HEAVY
    assert not heavy, f"{name_of(path)} imports {heavy} when it is itself imported"


def test_indexes_know_nothing_of_sqlite() -> None:
    allowed = {"ochre.local.index"}
    for path in (PACKAGE / "local" / "index").glob("*.py"):
        for imported in imports(path):
            if imported.startswith("ochre.local"):
                assert any(imported.startswith(prefix) for prefix in allowed), f"{path.name} imports {imported}"
            assert not imported.startswith("apsw")


def test_reading_chroma_knows_nothing_of_engines_and_clients() -> None:
    for path in (PACKAGE / "migrate" / "chroma").glob("*.py"):
        for imported in imports(path):
            if imported.startswith("ochre."):
                assert imported.startswith(("ochre.errors", "ochre.migrate.chroma")), f"{path.name} imports {imported}"


def test_only_the_log_writes_records() -> None:
    """SQL that changes the tables of records and changes stands in two modules: the log, and the catalog's deletes."""
    for path in (PACKAGE / "local").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "log.py":
            assert "INTO records" not in text, path
            assert "UPDATE records" not in text, path
            assert "INTO changes" not in text, path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    if part_of(name_of(path)) == SIDE:
        return  # the contract is one long list of short tests
    assert text.count("\n") <= 500, f"{name_of(path)} has {text.count(chr(10))} lines: which second noun is in here?"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 45, f"{name_of(path)}.{node.name} has {lines} lines"


def test_only_the_command_line_prints() -> None:
    for path in MODULES:
        if part_of(name_of(path)) == "cli":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "print"]
        assert not calls, f"{name_of(path)} prints"


def test_the_layers_are_those_of_the_page() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for name, layer in LAYERS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {layer} |"))
        assert f"`{name}`" in row, f"ARCHITECTURE.md does not list {name} in layer {layer}"
    assert page.count("\n") < 300
