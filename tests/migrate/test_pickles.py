"""Pickles are data here: nothing in them runs, and a broken one is read as far as it goes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from ochre.migrate.chroma.pickles import IndexMetadata, read_index_metadata
from tests.migrate.builder import class_pickle

LABELS = {f"id {n} ü": n for n in range(1, 2500)}
STATE = {"dimensionality": 8, "max_seq_id": 7, "id_to_label": LABELS, "label_to_id": {n: i for i, n in LABELS.items()}}


def read(tmp_path: Path, data: bytes) -> IndexMetadata:
    file = tmp_path / "index_metadata.pickle"
    file.write_bytes(data)
    return read_index_metadata(file)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_dict_is_read_whatever_the_protocol(tmp_path: Path, protocol: int) -> None:
    assert read(tmp_path, pickle.dumps(STATE, protocol)) == IndexMetadata(LABELS, 7, 8, None)


def test_the_attributes_of_the_class_that_chroma_pickles_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, class_pickle(STATE)) == IndexMetadata(LABELS, 7, 8, None)


@pytest.mark.parametrize("make", [class_pickle, lambda state: pickle.dumps(state, 3)], ids=["class", "dict"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.34])
def test_a_file_that_breaks_off_gives_what_it_has(tmp_path: Path, make: Any, share: float) -> None:
    whole = make(STATE)
    found = read(tmp_path, whole[: int(len(whole) * share)])
    assert 0 < len(found.labels) < len(LABELS)
    assert found.labels.items() <= LABELS.items()
    assert found.trouble == "index_metadata.pickle breaks off or is damaged"


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"nonsense", b"\x80\x04u.", b"\x80\x04h\x07.", b"\x80\x04b.", b"\x80\x04K\x01a."]
)
def test_what_is_no_pickle_of_data_gives_nothing(tmp_path: Path, data: bytes) -> None:
    found = read(tmp_path, data)
    assert found.labels == {}
    assert found.trouble is not None


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in str(read_index_metadata(tmp_path / "index_metadata.pickle").trouble)


class Calls:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda evil: evil, lambda evil: STATE | {"more": evil}, lambda evil: [evil]])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path: Path, protocol: int, wrap: Any) -> None:
    mark = tmp_path / "executed"
    evil = wrap(Calls(os.mkdir, str(mark)))
    found = read(tmp_path, pickle.dumps(evil, protocol))
    assert found.labels == {}
    assert "it is not read" in str(found.trouble)
    assert not mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04cbuiltins\neval\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
        b"\x80\x04cchromadb.segment.impl.vector.local_persistent_hnsw\nPersistentData\n(V1\ntR.",
        b"(S'touch'\nios\nsystem\n.",
        b"\x80\x04cchromadb.segment.impl.vector.local_persistent_hnsw\nPersistentData\n)\x81K\x01b.",
        b"\x80\x02\x82\x01.",
        b"P1\n.",
    ],
    ids=["global", "stack global", "call of the class", "inst", "state", "extension", "persistent id"],
)
def test_every_way_to_reach_code_is_refused(tmp_path: Path, data: bytes) -> None:
    found = read(tmp_path, data)
    assert found.labels == {}
    assert "it is not read" in str(found.trouble)


def test_labels_that_are_none_are_left_out(tmp_path: Path) -> None:
    state = {"id_to_label": {"a": 1, 2: 3, "b": "x", "c": True, "d": -1, "e": None}}
    assert read(tmp_path, pickle.dumps(state)).labels == {"a": 1}
