"""Filters on documents: from the text index where it knows, from the documents where it does not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ochre.local import log
from ochre.local.engine import LocalEngine
from ochre.model.filters import parse_filters
from ochre.model.requests import DeleteRecords, GetRecords, WriteRecords
from tests.local.conftest import publish_text, text_index

COUNT = 300
WORDS = ("red", "Red", "réd", "日本語", "ß", "a b")


def document(n: int) -> str | None:
    return None if n % 7 == 0 else f"{n:04} {WORDS[n % len(WORDS)]} {WORDS[n % 5]}"


def write(engine: LocalEngine, collection: UUID, documents: dict[int, str | None], kind: Any = "upsert") -> None:
    ids = [f"{n:04}" for n in documents]
    engine.write(WriteRecords(collection, kind, ids, np.zeros((len(ids), 2), np.float32), list(documents.values())))


def found(engine: LocalEngine, collection: UUID, where_document: Any, where: Any = None) -> list[str]:
    return engine.get(GetRecords(collection, filter=parse_filters(where, where_document))).ids


@pytest.fixture
def indexed(engine: LocalEngine, collection: UUID) -> UUID:
    write(engine, collection, {n: document(n) for n in range(COUNT)})
    publish_text(engine, collection, *text_index(engine, collection))
    return collection


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ordinals whose documents were read."""
    ordinals: list[int] = []

    def noting(name: str) -> None:
        original = getattr(log, name)

        def noted(session: Any, row: Any, wanted: Any, *rest: Any) -> Any:
            ordinals.extend(wanted.tolist())
            return original(session, row, wanted, *rest)

        monkeypatch.setattr(log, name, noted)

    noting("containing")
    noting("documents")
    return ordinals


@pytest.mark.parametrize(
    ("where_document", "holds"),
    [
        ({"$contains": "réd"}, lambda text: "réd" in text),
        ({"$not_contains": "本"}, lambda text: "本" not in text),
        ({"$icontains": "RED"}, lambda text: "red" in text.lower()),
        ({"$contains": "2"}, lambda text: "2" in text),
        ({"$regex": "zebra"}, lambda text: False),
    ],
)
def test_the_index_spares_reading(engine: LocalEngine, indexed: UUID, read, where_document: Any, holds: Any) -> None:
    without = next(iter(where_document)).startswith("$not")
    texts = {n: document(n) for n in range(COUNT)}
    expected = [f"{n:04}" for n, text in texts.items() if (without if text is None else holds(text))]
    assert found(engine, indexed, where_document) == expected
    assert read == []


def test_a_pattern_is_tried_where_the_documents_have_its_literals(engine: LocalEngine, indexed: UUID, read) -> None:
    candidates = {n: text for n in range(COUNT) if "réd" in (text := document(n) or "")}
    matches = [f"{n:04}" for n, text in candidates.items() if text.endswith("réd")]
    assert found(engine, indexed, {"$regex": ".*réd$"}) == matches
    assert 0 < len(matches) < len(candidates) < COUNT / 2
    assert read == list(candidates)


@pytest.mark.parametrize("where_document", [{"$contains": "red"}, {"$icontains": "SS"}, {"$regex": "red|ß"}])
def test_other_conditions_narrow_what_is_found(engine: LocalEngine, indexed: UUID, where_document: Any) -> None:
    marked = [f"{n:04}" for n in range(COUNT // 2)]
    engine.write(WriteRecords(indexed, "update", marked, None, metadatas=[{"v": 1}] * len(marked)))
    publish_text(engine, indexed, *text_index(engine, indexed))
    everywhere = found(engine, indexed, where_document)
    assert found(engine, indexed, where_document, {"v": 1}) == [id_ for id_ in everywhere if id_ in marked]
    assert not set(everywhere) <= set(marked)


def test_few_candidates_are_read_without_the_index(engine: LocalEngine, indexed: UUID, read) -> None:
    engine.write(WriteRecords(indexed, "update", ["0005", "0006"], None, metadatas=[{"v": 1}, {"v": 1}]))
    publish_text(engine, indexed, *text_index(engine, indexed))
    read.clear()
    assert found(engine, indexed, {"$contains": "0005"}, {"v": 1}) == ["0005"]
    assert read == [5, 6]


def test_what_was_written_since_is_looked_at(engine: LocalEngine, indexed: UUID) -> None:
    write(engine, indexed, {3: "zebra", 4: "zebra", COUNT: "zebra", COUNT + 1: None})
    engine.delete(DeleteRecords(indexed, ids=["0004", "0006"]))
    assert found(engine, indexed, {"$contains": "zebra"}) == ["0003", f"{COUNT:04}"]
    assert found(engine, indexed, {"$regex": "z.b"}) == ["0003", f"{COUNT:04}"]
    assert "0003" not in found(engine, indexed, {"$contains": "日本語"})


def test_what_was_written_between_build_and_adoption_is_looked_at(engine: LocalEngine, indexed: UUID) -> None:
    arrays, sequence = text_index(engine, indexed)
    write(engine, indexed, {3: "zebra", COUNT: "zebra"})
    publish_text(engine, indexed, arrays, sequence)
    assert found(engine, indexed, {"$icontains": "ZEBRA"}) == ["0003", f"{COUNT:04}"]
    assert "0003" not in found(engine, indexed, {"$icontains": "日本語"})


def test_segments_older_than_the_change_log_are_not_adopted(engine: LocalEngine, indexed: UUID, monkeypatch) -> None:
    arrays, sequence = text_index(engine, indexed)
    write(engine, indexed, {3: "zebra"})
    monkeypatch.setattr(log, "changes_since", lambda session, row, since: None)
    publish_text(engine, indexed, arrays, sequence)
    assert found(engine, indexed, {"$contains": "zebra"}) == ["0003"]
