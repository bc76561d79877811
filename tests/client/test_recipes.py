"""What Chroma's documentation shows people to do with collections, done here as shown there."""

from __future__ import annotations

from typing import Any

import pytest

import ochre
from ochre import ClientType, Collection, EmbeddingFunction
from tests.client.conftest import Letters, everything


@pytest.fixture
def notes(client: ClientType) -> Collection:
    """Twenty-five documents in four categories, embedded by their length."""
    collection = client.create_collection("notes", metadata={"owner": "ann"}, embedding_function=Letters())
    collection.add(
        ids=[f"note-{n}" for n in range(25)],
        documents=["x" * (n + 1) for n in range(25)],
        metadatas=[{"n": n, "category": "abcd"[n % 4]} for n in range(25)],
    )
    return collection


def test_copy_a_collection(client: ClientType, notes: Collection) -> None:
    copy = client.get_or_create_collection(name="copy", metadata=notes.metadata, embedding_function=Letters())
    batch_size = 10
    for offset in range(0, notes.count(), batch_size):
        batch = notes.get(include=["metadatas", "documents", "embeddings"], limit=batch_size, offset=offset)
        copy.add(
            ids=batch["ids"],
            documents=batch["documents"],
            metadatas=batch["metadatas"],
            embeddings=batch["embeddings"],
        )
    assert everything(copy) == everything(notes)
    assert copy.metadata == {"owner": "ann"}


def test_copy_into_another_client(tmp_path: Any, notes: Collection) -> None:
    with ochre.PersistentClient(tmp_path) as target:
        copy = target.create_collection("notes", metadata=notes.metadata, embedding_function=Letters())
        for batch in notes.scan(batch_size=10, include=["metadatas", "documents", "embeddings"]):
            copy.add(batch["ids"], batch["embeddings"], batch["metadatas"], batch["documents"])
        assert everything(copy) == everything(notes)


def test_clone_with_another_distance(client: ClientType, notes: Collection) -> None:
    clone = client.create_collection("clone", metadata={"hnsw:space": "cosine"}, embedding_function=Letters())
    existing = notes.get(include=["metadatas", "documents", "embeddings"])
    clone.add(existing["ids"], existing["embeddings"], existing["metadatas"], existing["documents"])
    assert clone.configuration_json["hnsw"]["space"] == "cosine"
    assert everything(clone) == everything(notes)
    nearest = clone.query(query_embeddings=[[0, 5]], n_results=2)
    assert nearest["ids"] == [["note-0", "note-1"]]
    assert nearest["distances"][0][0] == pytest.approx(1 - 0.5**0.5)


def test_clone_with_the_configuration_of_another(client: ClientType, notes: Collection) -> None:
    clone = client.create_collection("clone", configuration=notes.configuration)
    assert clone.configuration_json == notes.configuration_json
    clone.add(ids=["a"], documents=["xxx"])
    assert everything(clone)["embeddings"] == [[3, 1]]


def test_clone_with_another_embedding_function(client: ClientType, notes: Collection) -> None:
    class Longer(Letters):
        @staticmethod
        def name() -> str:
            return "longer"

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
            return Longer(**config)

    clone = client.create_collection("clone", embedding_function=Longer(10))
    existing = notes.get(include=["metadatas", "documents"])
    clone.add(ids=existing["ids"], documents=existing["documents"], metadatas=existing["metadatas"])
    assert everything(clone)["embeddings"][4] == [50, 1]


def test_clone_a_filtered_subset(client: ClientType, notes: Collection) -> None:
    subset = client.create_collection("subset", embedding_function=Letters())
    found = notes.get(where={"category": "b"}, include=["documents", "embeddings", "metadatas"])
    subset.add(found["ids"], found["embeddings"], found["metadatas"], found["documents"])
    assert subset.get()["ids"] == [f"note-{n}" for n in range(1, 25, 4)]
    assert {metadata["category"] for metadata in subset.get()["metadatas"]} == {"b"}


def test_walk_with_limit_and_offset_sees_every_record_once(notes: Collection) -> None:
    seen: list[str] = []
    while page := notes.get(limit=7, offset=len(seen))["ids"]:
        seen += page
    assert seen == [f"note-{n}" for n in range(25)]


def test_walk_the_ids_only(notes: Collection) -> None:
    found = notes.get(include=[])
    assert found["ids"] == [f"note-{n}" for n in range(25)]
    assert found["documents"] is found["metadatas"] is found["embeddings"] is None


def test_update_metadata_in_a_loop(notes: Collection) -> None:
    for id_, metadata in zip(*(notes.get(where={"category": "a"})[key] for key in ("ids", "metadatas")), strict=True):
        metadata["category"] = "z"
        metadata["checked"] = True
        notes.update(ids=[id_], metadatas=[metadata])
    assert notes.count(where={"category": "a"}) == 0
    changed = notes.get(where={"$and": [{"category": "z"}, {"checked": True}]})
    assert [metadata["n"] for metadata in changed["metadatas"]] == list(range(0, 25, 4))


def test_rename_a_metadata_key_in_pages(notes: Collection) -> None:
    for offset in range(0, notes.count(), 10):
        page = notes.get(limit=10, offset=offset)
        renamed = [{"kind": m["category"], "category": None} for m in page["metadatas"] or [] if m]
        notes.update(ids=page["ids"], metadatas=renamed)
    assert notes.get(limit=1)["metadatas"] == [{"n": 0, "kind": "a"}]
    assert notes.count(where={"category": {"$exists": True}}) == 0


def test_delete_page_by_page(notes: Collection) -> None:
    while ids := notes.get(where={"n": {"$gte": 5}}, limit=6, include=[])["ids"]:
        notes.delete(ids=ids)
    assert notes.count() == 5


def test_find_again_what_was_written_by_text(notes: Collection) -> None:
    found = notes.query(query_texts=["x" * 5, "x" * 20], n_results=1, where={"n": {"$lt": 15}})
    assert found["ids"] == [["note-4"], ["note-14"]]
    assert found["documents"] == [["x" * 5], ["x" * 15]]


def test_keep_the_collections_of_several_users_apart(client: ClientType) -> None:
    admin = ochre.AdminClient(client)
    admin.create_tenant("user-1")
    admin.create_database("user-1-db", "user-1")
    client.set_tenant("user-1", "user-1-db")
    client.create_collection("mine", embedding_function=None).add(ids=["a"], embeddings=[[1]])
    client.set_tenant("default_tenant")
    assert client.list_collections() == []
    client.set_tenant("user-1", "user-1-db")
    assert client.get_collection("mine").count() == 1
