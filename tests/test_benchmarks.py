"""The benchmarks' own parts: what they hold to be true, and that the page of figures comes from the stored figures."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ochre
from benchmarks import data, report, results, rows
from benchmarks.cases import GETS, QUERIES, matches
from benchmarks.table import Row

WORDS = ("zebra of the plains", "plant", "a genus of cats", "ozebra", "genes of", "a zebXa", "of them", "of this")
BASE = [
    {
        "id": f"r{number}",
        "document": f"{WORDS[number % len(WORDS)]} {number}",
        "metadata": {
            "pos": ("noun", "adj", "verb")[number % 3],
            "lexname": ("noun.animal", "noun.food", "noun.feeling", "adj.all")[number % 4],
            "synonyms": number % 9,
            "length": float(number * 3),
        },
    }
    for number in range(40)
]
FILTERS = {
    name: {key: value for key, value in arguments.items() if key.startswith("where")}
    for name, arguments in {**GETS, **QUERIES}.items()
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    with gzip.open(folder / "wordnet.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in BASE)
    random = np.random.default_rng(0)
    np.save(folder / "wordnet-embeddings.f16.npy", random.standard_normal((len(BASE), 8)).astype(np.float16))
    np.save(folder / "wordnet-queries.f16.npy", random.standard_normal((5, 8)).astype(np.float16))
    return folder


@pytest.fixture
def many(source: Path, tmp_path: Path) -> data.Data:
    return data.load(source, 100, tmp_path / "data")


@pytest.fixture
def collection(many: data.Data) -> Iterator[ochre.Collection]:
    """All of `many`, as a database keeps them."""
    lines = (many.folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    with ochre.EphemeralClient() as client:
        made = client.create_collection("stored", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
        made.add(
            ids=[record["id"] for record in records],
            embeddings=np.array(many.embeddings),
            documents=[record["document"] for record in records],
            metadatas=[record["metadata"] for record in records],
        )
        yield made


def test_the_truth_has_the_records_that_a_database_finds(many: data.Data, collection: ochre.Collection) -> None:
    for name, filters in FILTERS.items():
        own = [many.id(int(row)) for row in np.flatnonzero(many.mask(filters))]
        assert collection.get(**filters)["ids"] == own, name


def test_every_filter_tells_records_apart() -> None:
    found = {name: {matches(filters, record) for record in BASE} for name, filters in FILTERS.items() if filters}
    assert {name for name, answers in found.items() if answers != {True, False}} == set()


def test_the_true_neighbours_are_those_of_an_exact_query(
    many: data.Data, collection: ochre.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "BLOCK", 7)
    filters = QUERIES["query where 6 %"]
    truth = data.true_neighbours(many, {"all": many.mask({}), "some": many.mask(filters)})
    assert truth["all"] == collection.query(query_embeddings=many.queries, exact=True)["ids"]
    assert truth["some"] == collection.query(query_embeddings=many.queries, exact=True, **filters)["ids"]


def test_more_records_than_there_are_begin_with_those_there_are(source: Path, many: data.Data, tmp_path: Path) -> None:
    plain = data.load(source, None, tmp_path / "plain")
    assert plain.count == len(BASE)
    assert np.array_equal(many.embeddings[: plain.count], plain.embeddings)
    assert [many.id(row) for row in range(plain.count)] == [plain.id(row) for row in range(plain.count)]
    assert len({many.id(row) for row in range(many.count)}) == many.count


def test_further_records_are_turned_a_little(many: data.Data) -> None:
    units = many.embeddings / np.linalg.norm(many.embeddings, axis=1, keepdims=True)
    turned = len(BASE) + np.arange(len(BASE))
    angles = np.arccos(np.sum(units[turned] * units[turned - len(BASE)], axis=1))
    least, most = data.TURNS
    assert np.all((angles > least - 1e-3) & (angles < most + 1e-3))


def test_recall_counts_only_the_queries_that_were_asked() -> None:
    assert data.recall([["a", "b"]], [["a", "c"], ["d", "e"]]) == 0.5


@pytest.mark.parametrize(("higher", "times"), [(True, 0.25), (False, 4.0)])
def test_a_ratio_says_how_many_times_better_we_are(higher: bool, times: float) -> None:
    row = Row("case", {"ochre": 2.0, "chroma": 8.0}, "ms", higher)
    assert row.times("chroma") == times
    assert row.times("lancedb") is None


def test_a_run_leaves_the_figures_of_other_sizes_and_phases(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for size, figures in [(10, {"cold": 1, "single": 2}), (20, {"cold": 3}), (10, {"cold": 4})]:
        about = {"records": size, "versions": {"ochre": "1"}}
        results.write(path, {"about": about, "ochre": figures})
    assert {size: run["ochre"] for size, run in results.read(path).items()} == {
        10: {"cold": 4, "single": 2},
        20: {"cold": 3},
    }


def test_the_page_of_figures_is_made_of_the_stored_ones() -> None:
    for page in report.PAGES:
        text = page.read_text(encoding="utf-8")
        assert report.fill(text, results.read(report.STORED)) == text, "run python -m benchmarks.report"


def test_the_page_has_every_table_and_plot() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in report.PAGES)
    assert set(re.findall(r"<!-- figures: (\w+) -->", text)) == {*rows.TABLES, *report.SECTIONS}
    plots = {path.name for path in report.STORED.parent.glob("*.svg")}
    assert set(re.findall(r"\]\(performance/(\w+\.svg)\)", text)) == plots


def test_plots_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in report.STORED.parent.glob("*.svg")}
    assert {name for name, size in sizes.items() if size > 60_000} == set()
