"""The code of README and docs runs, in a folder of its own, and prints what the page says it prints.

A page's Python blocks run one after another in one namespace. A `text` block right after one is its output, where `...`
on a line stands for anything. A block that is not run says why: `<!-- not run: reason -->` on the line before it.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PORT = "18765"
"""The pages' servers are on it; a free one takes its place, so that no other server answers."""

FENCE = re.compile(
    r"(?:<!-- not run: (?P<excuse>.+?) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    line: int
    language: str
    body: str
    excuse: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("body")) + 1, found["language"], found["body"], found["excuse"])
        for found in FENCE.finditer(text)
    ]


def pages_with_code() -> list[Path]:
    return [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("page", pages_with_code(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "docs"}
    port = free_port()
    expected = blocks(page)
    for index, block in enumerate(expected):
        if block.language != "python" or block.excuse:
            continue
        # Compiled with the page's name and lines, so that a failure points into the page.
        code = compile("\n" * (block.line - 1) + block.body.replace(PORT, port), str(page), "exec")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, namespace)
        if index + 1 < len(expected) and expected[index + 1].language == "text":
            assert_printed(output.getvalue(), expected[index + 1].body, page, block.line)


def assert_printed(printed: str, documented: str, page: Path, line: int) -> None:
    pattern = ".*?".join(re.escape(part) for part in documented.strip().split("..."))
    if re.fullmatch(pattern, printed.strip(), re.DOTALL) is None:
        pytest.fail(f"{page}:{line} printed\n{printed}\nbut the page says\n{documented}")


def test_every_page_is_linked_from_the_index() -> None:
    """A page nobody links to is a page nobody reads."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs") for page in PAGES if page.parent != ROOT and page.name != "index.md"]
    assert [str(page) for page in pages if f"({page.as_posix()})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith(("http://", "https://", "mailto:"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_filter_operator_is_documented() -> None:
    source = (ROOT / "ochre" / "model" / "filters.py").read_text(encoding="utf-8")
    operators = set(re.findall(r'"(\$[a-z_]+)"', source)) - {"$not_"}
    page = (ROOT / "docs" / "reference" / "filters.md").read_text(encoding="utf-8")
    assert {operator for operator in operators if f"`{operator}`" not in page} == set()
    assert len(operators) > 12


def test_every_error_is_documented() -> None:
    from ochre.errors import error_classes

    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    missing = [kind.__name__ for code, kind in error_classes().items() if f"`{kind.__name__}` | `{code}`" not in page]
    assert missing == []


def test_every_setting_is_documented() -> None:
    from dataclasses import fields

    from ochre.model.configuration import Hnsw
    from ochre.settings import Settings

    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    names = [field.name for kind in (Settings, Hnsw) for field in fields(kind)]
    assert [name for name in names if f"`{name}`" not in page] == []
