"""Reading: get, peek, count and scan; the shape of results, pages and order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ochre
from ochre import ClientType, Collection
from tests.client.conftest import Loader, fill

IDS = [f"id{n}" for n in range(10)]
KEYS = {"ids", "embeddings", "documents", "metadatas", "uris", "data", "included"}
COLUMNS = ("embeddings", "documents", "metadatas", "uris")


# -- get ---------------------------------------------------------------------------------------------------------


def test_get_returns_every_key_and_by_default_documents_and_metadatas(filled: Collection) -> None:
    found = filled.get()
    assert found.keys() == KEYS
    assert found["ids"] == IDS
    assert found["included"] == ["metadatas", "documents"]
    assert found["documents"] == [None if n % 3 == 2 else f"doc {n}" for n in range(10)]
    assert found["metadatas"] == [{"n": n, "even": n % 2 == 0, "half": n / 2, "name": f"n{n}"} for n in range(10)]
    assert found["embeddings"] is found["uris"] is found["data"] is None


@pytest.mark.parametrize(
    "include",
    [[], ["uris"], ["embeddings"], ["metadatas", "embeddings"], list(COLUMNS), ("documents",), ["uris", "uris"]],
    ids=str,
)
def test_get_returns_what_is_included_and_none_for_the_rest(filled: Collection, include: Any) -> None:
    found = filled.get(include=include)
    assert found["included"] == list(include)
    for column in COLUMNS:
        assert (found[column] is not None) == (column in include)
        if column in include:
            assert len(found[column]) == 10


def test_embeddings_are_one_float32_array(filled: Collection) -> None:
    found = filled.get(include=["embeddings"])["embeddings"]
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (np.float32, (10, 2))
    assert found.flags.writeable, "it is the caller's to change"


def test_results_are_the_callers_to_change(filled: Collection) -> None:
    found = filled.get(include=["embeddings", "metadatas", "documents"])
    found["embeddings"][:] = 7
    found["metadatas"][0]["n"] = 77
    found["ids"].clear()
    again = filled.get(include=["embeddings", "metadatas"])
    assert again["ids"] == IDS
    assert again["embeddings"][0].tolist() == [0, 0]
    assert again["metadatas"][0]["n"] == 0


@pytest.mark.parametrize("make", [lambda c: c.get(include=COLUMNS), lambda c: c.peek()], ids=["get", "peek"])
def test_an_empty_collection_gives_empty_columns(empty: Collection, make: Any) -> None:
    found = make(empty)
    assert found["ids"] == found["documents"] == found["metadatas"] == []
    assert found["embeddings"].shape[0] == 0
    assert list(empty.scan()) == []
    assert empty.count() == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"ids": "id3"}, [3]),
        ({"ids": ["id7", "id3"]}, [3, 7]),
        ({"ids": ["id3", "nobody", ""]}, [3]),
        ({"ids": ["nobody"]}, []),
        ({"limit": 3}, [0, 1, 2]),
        ({"limit": 3, "offset": 8}, [8, 9]),
        ({"offset": 7}, [7, 8, 9]),
        ({"offset": 10}, []),
        ({"offset": 2**70}, []),
        ({"limit": 0}, []),
        ({"limit": 2**70}, list(range(10))),
        ({"limit": np.int64(1), "offset": np.uint8(1)}, [1]),
        ({"where": {"even": True}, "limit": 2, "offset": 1}, [2, 4]),
        ({"ids": ["id9", "id8", "id2"], "where": {"even": True}}, [2, 8]),
        ({"ids": ["id1", "id2"], "where_document": {"$contains": "doc"}}, [1]),
        ({"where": {"n": {"$gt": 2}}, "where_document": {"$regex": "[45]$"}}, [4]),
        ({"where": {"name": {"$in": ["n3", "n1"]}}}, [1, 3]),
    ],
    ids=str,
)
def test_get_selects_in_insertion_order(filled: Collection, arguments: Any, expected: list[int]) -> None:
    assert filled.get(**arguments)["ids"] == [f"id{n}" for n in expected]


def test_every_column_is_aligned_with_the_ids(filled: Collection) -> None:
    found = filled.get(where={"n": {"$in": [8, 2, 5]}}, include=COLUMNS)
    numbers = [int(id_[2:]) for id_ in found["ids"]]
    assert numbers == [2, 5, 8]
    assert found["embeddings"].tolist() == [[n, 0] for n in numbers]
    assert [metadata["n"] for metadata in found["metadatas"]] == numbers
    assert found["uris"] == [f"file:{n}" for n in numbers]
    assert found["documents"] == [None, None, None]


# -- order_by ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ranked(empty: Collection) -> Collection:
    """Records a to f of mixed values under `k`; e has an array there, f has nothing at all."""
    empty.add(
        ids=list("abcdef"),
        embeddings=[[n] for n in range(6)],
        metadatas=[
            {"k": 2, "g": "x"},
            {"k": 1.5, "g": "y"},
            {"k": "text", "g": "x"},
            {"k": True, "g": "y"},
            {"k": [1], "g": "x"},
            None,
        ],
    )
    return empty


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("k", "dbacef"),
        ("-k", "cabdef"),
        (("k", "desc"), "cabdef"),
        (("k", "asc"), "dbacef"),
        (["g", "-k"], "caebdf"),
        ([("g", "desc"), "k"], "dbacef"),
        ("nothing", "abcdef"),
        (["g"], "acebdf"),
    ],
    ids=str,
)
def test_order_by_sorts_and_leaves_the_rest_in_insertion_order(
    ranked: Collection, order_by: Any, expected: str
) -> None:
    assert "".join(ranked.get(order_by=order_by)["ids"]) == expected
    assert "".join(ranked.get(order_by=order_by, limit=3, offset=1)["ids"]) == expected[1:4]


def test_order_by_moves_every_column(filled: Collection) -> None:
    found = filled.get(order_by="-n", limit=2, where={"even": True}, include=COLUMNS)
    assert found["ids"] == ["id8", "id6"]
    assert found["embeddings"].tolist() == [[8, 0], [6, 0]]
    assert found["documents"] == [None, "doc 6"]


# -- peek, count, scan -------------------------------------------------------------------------------------------


def test_peek_shows_the_first_records_with_their_embeddings(filled: Collection) -> None:
    found = filled.peek(3)
    assert found["ids"] == IDS[:3]
    assert found["included"] == ["metadatas", "documents", "embeddings"]
    assert found["embeddings"].tolist() == [[0, 0], [1, 0], [2, 0]]
    assert found["uris"] is None
    assert len(filled.peek()["ids"]) == 10
    assert filled.peek(limit=0)["ids"] == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, 10),
        ({"where": {"even": True}}, 5),
        ({"where_document": {"$contains": "doc"}}, 7),
        ({"where": {"even": True}, "where_document": {"$contains": "doc"}}, 3),
        ({"where": {"n": 99}}, 0),
        ({"where": {"nothing": {"$exists": False}}}, 10),
    ],
    ids=str,
)
def test_count_counts_what_matches(filled: Collection, filters: Any, expected: int) -> None:
    assert filled.count(**filters) == expected


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000, np.int64(4), 2**70])
def test_scan_walks_everything_once_in_order(filled: Collection, batch_size: Any) -> None:
    batches = list(filled.scan(batch_size))
    assert [id_ for batch in batches for id_ in batch["ids"]] == IDS
    assert all(len(batch["ids"]) <= batch_size for batch in batches)
    assert all(batch.keys() == KEYS for batch in batches)


def test_scan_filters_and_includes(filled: Collection) -> None:
    (batch,) = filled.scan(where={"even": True}, where_document={"$contains": "doc"}, include=["embeddings"])
    assert batch["ids"] == ["id0", "id4", "id6"]
    assert batch["embeddings"].tolist() == [[int(id_[2:]), 0] for id_ in batch["ids"]]
    assert batch["documents"] is batch["metadatas"] is None


def test_scan_stays_right_while_the_records_change(filled: Collection) -> None:
    """Deleted records are left out, new ones too; changed ones come as they are, and only while they match."""
    scan = filled.scan(batch_size=2, where={"n": {"$lt": 100}})
    assert next(scan)["ids"] == ["id0", "id1"]
    filled.delete(ids=["id0", "id3"])
    filled.update(ids=["id4", "id5"], metadatas=[{"n": 100}, {"n": 50}])
    filled.add(ids=["new"], embeddings=[[1, 1]], metadatas=[{"n": 1}])
    rest = list(scan)
    assert [id_ for batch in rest for id_ in batch["ids"]] == ["id2", "id5", *IDS[6:]]
    assert [metadata["n"] for batch in rest for metadata in batch["metadatas"]] == [2, 50, 6, 7, 8, 9]


def test_a_scan_may_be_left_in_the_middle(client: ClientType, filled: Collection) -> None:
    scan = filled.scan(batch_size=1)
    next(scan)
    filled.add(ids=["new"], embeddings=[[1, 1]])
    del scan
    client.delete_collection("filled")


# -- data --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(client: ClientType) -> Collection:
    collection = client.create_collection("pictures", embedding_function=None, data_loader=Loader())
    collection.add(ids=["a", "b"], embeddings=[[1], [2]], uris=["xxx", None])
    return collection


def test_data_is_loaded_from_the_uris_and_none_where_there_is_none(pictures: Collection) -> None:
    found = pictures.get(include=["data"])
    assert np.array_equal(found["data"][0], np.full((2, 2), 3))
    assert found["data"][1] is None
    assert found["uris"] is None, "it was not asked for"
    assert pictures.get(include=["data", "uris"])["uris"] == ["xxx", None]
    (batch,) = pictures.scan(include=["data"])
    assert np.array_equal(batch["data"][0], np.full((2, 2), 3))


def test_data_of_a_query_is_nested_like_its_other_columns(pictures: Collection) -> None:
    found = pictures.query(query_embeddings=[[2], [1]], n_results=1, include=["data"])
    assert found["ids"] == [["b"], ["a"]]
    assert found["data"][0] == [None]
    assert np.array_equal(found["data"][1][0], np.full((2, 2), 3))


def test_data_without_a_loader_is_an_error_in_get_and_absent_in_query(filled: Collection) -> None:
    for read in (filled.get, filled.scan):
        with pytest.raises(ValueError, match="You must set a data loader"):
            read(include=["data"])
    assert filled.query(query_embeddings=[[1, 0]], include=["data"])["data"] is None


def test_a_data_loader_is_given_again_when_a_collection_is_opened(client: ClientType, pictures: Collection) -> None:
    with pytest.raises(ValueError, match="data loader"):
        client.get_collection("pictures").get(include=["data"])
    assert client.get_collection("pictures", data_loader=Loader()).get(include=["data"])["data"] is not None


def test_a_persistent_client_reads_what_another_wrote_between_two_reads(tmp_path: Any) -> None:
    with ochre.PersistentClient(tmp_path) as one, ochre.PersistentClient(tmp_path) as other:
        mine = one.create_collection("things", embedding_function=None)
        theirs = other.get_collection("things")
        fill(mine)
        assert (theirs.count(), theirs.count(where={"even": True})) == (10, 5)
        theirs.update(ids=["id0"], metadatas=[{"even": False}])
        assert mine.count(where={"even": True}) == 4
        assert mine.query(query_embeddings=[[0, 0]], n_results=1, where={"even": False})["ids"] == [["id0"]]
