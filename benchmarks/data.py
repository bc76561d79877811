"""The WordNet records: read once, shuffled with a fixed seed, and handed to all systems as the same files.

Beyond WordNet's 117,659 records, more are made of them: each vector turned a little, by a seeded angle in a seeded
direction, each document followed by a number.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import SHARES, matches

FOLDER = Path(os.environ.get("BENCHMARK_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Where WordNet's files are, unless a command is told otherwise."""

SEED = 20_26
ASKED = 300
TURNS = (0.1, 0.4)
"""The smallest and largest angle of a turn, in radians. WordNet's nearest neighbours are some 0.8 apart."""

BLOCK = 20_000
FILES = ("records.jsonl", "embeddings.npy", "queries.npy")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    """Records and queries, aligned: `embeddings` (count, d), mapped, and `queries` (q, d), both float32.

    Attributes:
        base: WordNet's records; those after them repeat them.
        folder: where the workers find `FILES`: a line of JSON a record, and plain arrays they can map.
    """

    base: list[dict[str, Any]]
    embeddings: NDArray[np.float32]
    queries: NDArray[np.float32]
    folder: Path

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.embeddings)

    def id(self, row: int) -> str:
        """Return a record's id."""
        return str(_copy(self.base, row)["id"])

    def mask(self, arguments: dict[str, Any]) -> Mask:
        """Tell which records the filters of a case match, `(count,)`. No filter looks at the number of a repetition."""
        return np.resize(np.array([matches(arguments, record) for record in self.base]), self.count)

    def filters_by_share(self) -> dict[str, dict[str, Any]]:
        """Return a filter for about each of `SHARES`, named by the share of records it does match."""
        lengths = np.array([record["metadata"]["length"] for record in self.base])
        filters = {}
        for share in SHARES:
            limit = float(np.quantile(lengths, share))
            matching = float(np.mean(lengths < limit))
            if matching * self.count >= 1:
                filters[f"{matching:.6f}"] = {"where": {"length": {"$lt": limit}}}
        return filters


def load(source: Path, count: int | None, folder: Path) -> Data:
    """Read and shuffle WordNet, keep the first `count` records or make more of them, and write them for the workers."""
    folder.mkdir(parents=True)
    with gzip.open(source / "wordnet.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    order = np.random.default_rng(SEED).permutation(len(records))[:count]
    base = [records[index] for index in order]
    count = count or len(base)
    vectors = np.load(source / "wordnet-embeddings.f16.npy")[order].astype(np.float32)
    queries = np.load(source / "wordnet-queries.f16.npy").astype(np.float32)
    queries = queries[np.random.default_rng(SEED).permutation(len(queries))[:ASKED]]
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_copy(base, row)) + "\n" for row in range(count))
    embeddings = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", np.float32, (count, vectors.shape[1]))
    start = 0
    for block in _blocks(vectors, count):
        embeddings[start : start + len(block)] = block
        start += len(block)
    embeddings.flush()
    np.save(folder / "queries.npy", queries)
    return Data(base, np.load(folder / "embeddings.npy", mmap_mode="r"), queries, folder)


def _copy(base: list[dict[str, Any]], row: int) -> dict[str, Any]:
    number, original = divmod(row, len(base))
    record = base[original]
    if not number:
        return record
    return {**record, "id": f"{record['id']}-{number}", "document": f"{record['document']} ({number})"}


def _blocks(vectors: NDArray[np.float32], count: int) -> Iterator[NDArray[np.float32]]:
    """Yield `count` vectors: the given ones as they are, then again and again, each time turned anew."""
    random = np.random.default_rng(SEED)
    yield vectors[:count]
    for first in range(len(vectors), count, BLOCK):
        rows = np.arange(first, min(first + BLOCK, count)) % len(vectors)
        yield turned(vectors[rows], random)


def turned(vectors: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Turn each vector by an angle out of `TURNS`, towards a random direction at right angles to it."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    aside = random.standard_normal(units.shape, dtype=np.float32)
    aside -= np.sum(aside * units, axis=1, keepdims=True) * units
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    angles = random.uniform(*TURNS, size=(len(units), 1)).astype(np.float32)
    result: NDArray[np.float32] = np.cos(angles) * units + np.sin(angles) * aside
    return result


def true_neighbours(data: Data, masks: dict[str, Mask], wanted: int = 10) -> dict[str, list[list[str]]]:
    """Return, per case, the ids of the nearest matching records for each query: cosine, brute force, float64."""
    queries = data.queries.astype(np.float64)
    best = {name: (np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)) for name in masks}
    for first in range(0, data.count, BLOCK):
        block = data.embeddings[first : first + BLOCK].astype(np.float64)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        scores = queries @ block.T
        for name, mask in masks.items():
            rows = np.flatnonzero(mask[first : first + BLOCK])
            near = scores[:, rows]
            chosen = np.argpartition(-near, wanted, axis=1)[:, :wanted] if len(rows) > wanted else np.argsort(-near)
            all_scores = np.concatenate([best[name][0], np.take_along_axis(near, chosen, 1)], axis=1)
            all_rows = np.concatenate([best[name][1], rows[chosen] + first], axis=1)
            order = np.argsort(-all_scores, axis=1, kind="stable")[:, :wanted]
            best[name] = (np.take_along_axis(all_scores, order, 1), np.take_along_axis(all_rows, order, 1))
    return {name: [[data.id(int(row)) for row in rows] for rows in found] for name, (_, found) in best.items()}


def recall(found: list[list[str]], truth: list[list[str]]) -> float:
    """Return the share of the true neighbours that was found, of as many queries as were asked."""
    asked = truth[: len(found)]
    total = sum(map(len, asked))
    return sum(len(set(mine) & set(true)) for mine, true in zip(found, asked, strict=True)) / total if total else 1.0
