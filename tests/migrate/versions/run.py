"""Folders that releases of Chroma write, imported and compared with what they answer.

    python tests/migrate/versions/run.py

Makes an environment for each release, under .venv-migrate at the root of the checkout, kept for the next run. A folder
is written by one release, which ends in good order or is killed; a copy of it is asked by the same release, or a later
one where that one cannot read what it wrote; and what was imported has to hold the same, record by record.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ochre
from ochre.migrate import Report, from_chroma

HERE = Path(__file__).parent
WORK = HERE.parents[2] / ".venv-migrate"
PYTHON = Path("Scripts/python.exe") if os.name == "nt" else Path("bin/python")
PACKAGES = {
    "0.4.24": ["chromadb==0.4.24", "numpy<2"],  # it uses names that NumPy 2 does not have
    "0.5.23": ["chromadb==0.5.23", "numpy<2"],
    "1.0.20": ["chromadb==1.0.20"],
    "1.5.9": ["chromadb==1.5.9"],
}


@dataclass(frozen=True)
class Case:
    """What is written, in turn, by which releases; how the last one ends; and which one is asked."""

    writers: tuple[str, ...]
    end: str
    reader: str

    def __str__(self) -> str:
        return f"written by {', then '.join(self.writers)} ({self.end}), read by {self.reader}"


# Chroma 0.4.24 cannot read vectors back where a record was deleted and added anew and not yet written to the index.
CASES = [
    *(Case((release,), end, release) for release in ("0.5.23", "1.0.20", "1.5.9") for end in ("clean", "killed")),
    *(Case(("0.4.24",), end, "0.5.23") for end in ("clean", "killed")),
    Case(("0.4.24",), "clean", "1.5.9"),
    Case(("0.5.23", "1.5.9"), "clean", "1.5.9"),
]


def python_of(release: str) -> Path:
    """Return the Python of an environment with that release."""
    folder, packages = WORK / release, PACKAGES[release]
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(packages):
        print(f"making an environment with {' and '.join(packages)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / PYTHON, "-m", "pip", "install", "--quiet", *packages], check=True)
        stamp.write_text("\n".join(packages))
    return folder / PYTHON


def run(release: str, script: str, *arguments: Path | str, may_die: bool = False) -> None:
    """Run a script of this folder; raise what it printed if it fails."""
    command = [python_of(release), HERE / script, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env={**os.environ, "ANONYMIZED_TELEMETRY": "False"}
    )
    if done.returncode and not may_die:
        raise AssertionError(f"{script} failed with Chroma {release}:\n{done.stderr[-3000:]}")


def check(case: Case, place: Path) -> int:
    """Carry out a case; return how many records were compared."""
    folder, asked, answers, made = (place / name for name in ("chroma", "asked", "answers.json", "made"))
    for step, release in enumerate(case.writers):
        end = case.end if release == case.writers[-1] else "clean"
        run(release, "write.py", folder, end, f"step{step}-" if step else "", may_die=end == "killed")
    shutil.copytree(folder, asked)
    run(case.reader, "read.py", asked, answers)
    before = files_of(folder)
    report = from_chroma(folder, made)
    assert files_of(folder) == before, "the import changed the folder"
    told = json.loads(answers.read_text(encoding="utf-8"))
    return compare(told, made, report, settings=case.writers == (case.reader,))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def compare(told: list[dict[str, Any]], made: Path, report: Report, *, settings: bool) -> int:
    """Compare what Chroma told with what is there now; its settings only where the releases agree what they mean."""
    assert report.complete, "\n".join(report.lines())
    assert sorted((entry.tenant, entry.database, entry.name) for entry in report.collections) == sorted(
        tuple(entry["place"]) for entry in told
    )
    with ochre.PersistentClient(made) as client:
        for expected in told:
            tenant, database, name = expected["place"]
            client.set_tenant(tenant, database)
            collection = client.get_collection(name)
            assert_equal(collection.metadata, expected["metadata"], expected, "metadata")
            if settings:
                ours, theirs = collection.configuration_json["hnsw"], expected["settings"]
                assert_equal({key: ours[key] for key in ours.keys() & theirs.keys()}, theirs, expected, "settings")
            if expected["ids"]:
                compare_records(collection, expected)
    return sum(len(entry["ids"]) for entry in told)


def compare_records(collection: ochre.Collection, expected: dict[str, Any]) -> None:
    """Compare the records of one collection with what Chroma told of them."""
    found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
    assert_equal(found["ids"], expected["ids"], expected, "ids")
    for column in ("documents", "metadatas", "uris"):
        theirs = expected[column] or [None] * len(found["ids"])
        assert_equal([entry or None for entry in found[column]], [entry or None for entry in theirs], expected, column)
    vectors = np.array(expected["embeddings"], np.float32)
    exact = collection.configuration_json["hnsw"]["space"] != "cosine"  # Chroma keeps those as direction and length
    tolerance = 0.0 if exact else 1e-6
    place = "/".join(expected["place"])
    np.testing.assert_allclose(found["embeddings"], vectors, rtol=tolerance, atol=tolerance, err_msg=place)
    nearest = expected["nearest"]
    count = len(nearest["ids"])
    answer = collection.query([nearest["query"]], ids=nearest["ids"], n_results=count, include=["distances"])
    np.testing.assert_allclose(answer["distances"][0], nearest["distances"], rtol=1e-3, atol=1e-4, err_msg=place)


def assert_equal(found: Any, told: Any, expected: dict[str, Any], what: str) -> None:
    """Fail with the first difference."""
    if found == told:
        return
    pairs = zip(found, told, strict=False) if isinstance(found, list) else [(found, told)]
    first = next((pair for pair in pairs if pair[0] != pair[1]), (len(found), len(told)))
    raise AssertionError(f"{'/'.join(expected['place'])}: {what}: {first[0]!r}, but Chroma says {first[1]!r}")


def main() -> int:
    """Carry out every case; return how many failed."""
    failures = 0
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="ochre-versions-") as place:
            try:
                print(f"ok: {case}: {check(case, Path(place))} records", flush=True)
            except AssertionError as error:
                failures += 1
                print(f"FAILED: {case}\n{error}", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
