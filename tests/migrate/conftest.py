"""What the tests of imports share: a folder in the making, and importing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ochre
from ochre.migrate import Report, from_chroma
from tests.migrate.builder import SourceFolder


class Imported:
    """What an import made: its report, a client of it, and the lines of what was left over."""

    def __init__(self, report: Report, client: ochre.ClientType) -> None:
        self.report, self.client = report, client

    def get(self, name: str = "things", **arguments: Any) -> dict[str, Any]:
        include = ["embeddings", "documents", "metadatas", "uris"]
        return dict(self.client.get_collection(name).get(include=include, **arguments))

    def vectors(self, name: str = "things") -> dict[str, list[float]]:
        """The vectors by id."""
        found = self.get(name)
        return dict(zip(found["ids"], found["embeddings"].tolist(), strict=True))

    def counts(self, number: int = 0) -> dict[str, tuple[int, list[str]]]:
        """The findings about a collection: by kind, how many, and the first ids."""
        findings = self.report.collections[number].findings
        return {kind: (finding.count, finding.first) for kind, finding in findings.items()}

    def left_over(self) -> list[dict[str, Any]]:
        path = self.report.left_over
        return [] if path is None else [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


Importing = Callable[..., Imported]


@pytest.fixture
def importing(tmp_path: Path) -> Iterator[Importing]:
    """Import a folder (or close one in the making first) into `made`, and open that."""
    clients: list[ochre.ClientType] = []

    def run(source: SourceFolder | Path, **options: Any) -> Imported:
        path = source.close() if isinstance(source, SourceFolder) else source
        report = from_chroma(path, tmp_path / "made", **options)
        clients.append(ochre.PersistentClient(tmp_path / "made"))
        return Imported(report, clients[-1])

    yield run
    for client in clients:
        client.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceFolder]:
    """A folder of the newest layout, in the making."""
    folder = SourceFolder(tmp_path / "chroma")
    yield folder
    folder.close()
