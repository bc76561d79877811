"""langchain-chroma: the vector store's methods, one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import chromadb
import pytest
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from integrations.conftest import letters
from ochre.errors import UnreachableError, UnsupportedError


class Letters(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [letters(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return letters(text)


PLACES = [
    Document("the harbour of a small town", metadata={"kind": "port", "year": 1850}, id="harbour"),
    Document("an old stone bridge", metadata={"kind": "bridge", "year": 1410}, id="bridge"),
    Document("an old wooden bridge", metadata={"kind": "bridge", "year": 1890}, id="footbridge"),
    Document("the market square", metadata={"kind": "square", "year": 1600}, id="square"),
]


@pytest.fixture
def store(client: chromadb.ClientAPI) -> Chroma:
    return Chroma.from_documents(PLACES, Letters(), collection_name="places", client=client)


def ids(found: list[Document]) -> list[str | None]:
    return [document.id for document in found]


def test_from_documents_keeps_ids_texts_and_metadata(store: Chroma) -> None:
    assert store.similarity_search("the market square", k=1) == [PLACES[3]]


def test_from_texts_makes_a_shared_temporary_store(client: chromadb.ClientAPI) -> None:
    store = Chroma.from_texts(["one", "two"], Letters(), metadatas=[{"n": 1}, {"n": 2}], collection_name="numbers")
    assert store.similarity_search("two", k=1)[0].metadata == {"n": 2}
    assert client.get_collection("numbers").count() == 2


def test_from_texts_adds_any_number_at_once(client: chromadb.ClientAPI) -> None:
    texts = [f"text {n}" for n in range(6000)]  # more than Chroma takes in a call
    store = Chroma.from_texts(texts, Letters(), collection_name="many", client=client)
    assert client.get_collection("many").count() == len(texts)
    assert len(store.get()["ids"]) == len(texts)


def test_add_texts_without_ids_makes_them(store: Chroma) -> None:
    added = store.add_texts(["a mill", "a barn"])
    assert len(set(added)) == 2
    assert store.get(added)["documents"] == ["a mill", "a barn"]


def test_add_texts_with_the_ids_of_others_replaces_them(store: Chroma) -> None:
    store.add_texts(["a new bridge"], metadatas=[{"year": 2001}], ids=["bridge"])
    assert store.get("bridge")["documents"] == ["a new bridge"]
    assert store.get("bridge")["metadatas"] == [{"kind": "bridge", "year": 2001}]


def test_documents_with_and_without_metadata_go_together(store: Chroma) -> None:
    store.add_documents([Document("a mill", id="mill"), Document("a barn", metadata={"kind": "barn"}, id="barn")])
    found = store.similarity_search("a mill, a barn", k=2)
    assert {document.id: document.metadata for document in found} == {"mill": {}, "barn": {"kind": "barn"}}


def test_metadata_that_cannot_be_stored_is_answered_with_what_helps(store: Chroma) -> None:
    with pytest.raises(ValueError, match="metadata"):
        store.add_texts(["a mill"], metadatas=[{"owner": {"name": "ann"}}])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"kind": "bridge"}, {"bridge", "footbridge"}),
        ({"year": {"$gte": 1850}}, {"harbour", "footbridge"}),
        ({"kind": {"$in": ["port", "square"]}}, {"harbour", "square"}),
        ({"$and": [{"kind": "bridge"}, {"year": {"$lt": 1500}}]}, {"bridge"}),
        ({"$or": [{"kind": "port"}, {"year": 1600}]}, {"harbour", "square"}),
        ({"kind": "castle"}, set()),
    ],
)
def test_similarity_search_filters_by_metadata(store: Chroma, where: Any, expected: set[str]) -> None:
    assert set(ids(store.similarity_search("bridge", k=4, filter=where))) == expected


def test_similarity_search_filters_by_text(store: Chroma) -> None:
    found = store.similarity_search("the market square", k=4, where_document={"$contains": "wooden"})
    assert ids(found) == ["footbridge"]


def test_similarity_search_with_score_gives_distances_nearest_first(store: Chroma) -> None:
    found = store.similarity_search_with_score("an old stone bridge", k=4)
    assert found[0] == (PLACES[1], 0.0)
    distances = [distance for _, distance in found]
    assert distances == sorted(distances)


def test_similarity_search_by_vector(store: Chroma) -> None:
    assert ids(store.similarity_search_by_vector(letters("an old stone bridge"), k=1)) == ["bridge"]
    scored = store.similarity_search_by_vector_with_relevance_scores(letters("an old stone bridge"), k=1)
    assert scored == [(PLACES[1], 0.0)]


def test_similarity_search_with_vectors_gives_what_was_stored(store: Chroma) -> None:
    ((document, vector),) = store.similarity_search_with_vectors("the market square", k=1)
    assert document == PLACES[3]
    assert vector.tolist() == letters("the market square")


def test_maximal_marginal_relevance_prefers_variety(store: Chroma) -> None:
    nearest = store.similarity_search("an old bridge", k=2)
    various = store.max_marginal_relevance_search("an old bridge", k=2, fetch_k=4, lambda_mult=0.1)
    assert set(ids(nearest)) == {"bridge", "footbridge"}
    assert len(various) == 2
    assert set(ids(various)) != {"bridge", "footbridge"}


def test_maximal_marginal_relevance_filters(store: Chroma) -> None:
    found = store.max_marginal_relevance_search("an old bridge", k=2, filter={"kind": "square"})
    assert ids(found) == ["square"]


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_relevance_scores_follow_the_space(client: chromadb.ClientAPI, space: str) -> None:
    class Units(Letters):
        def embed_query(self, text: str) -> list[float]:
            length = sum(number**2 for number in letters(text)) ** 0.5
            return [number / length for number in letters(text)]

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [self.embed_query(text) for text in texts]

    store = Chroma.from_documents(
        PLACES, Units(), collection_name=space * 2, collection_metadata={"hnsw:space": space}, client=client
    )
    found = store.similarity_search_with_relevance_scores("an old bridge", k=2)
    assert {document.id for document, _ in found} == {"bridge", "footbridge"}
    assert 1.0 > found[0][1] > found[1][1] > 0.5


def test_a_configuration_chooses_the_space(client: chromadb.ClientAPI) -> None:
    Chroma("places", Letters(), client=client, collection_configuration={"hnsw": {"space": "cosine"}})
    assert client.get_collection("places").configuration["hnsw"]["space"] == "cosine"


def test_get_filters_pages_and_includes(store: Chroma) -> None:
    assert store.get(where={"kind": "bridge"}, limit=1, offset=1)["ids"] == ["footbridge"]
    assert store.get(where_document={"$contains": "market"})["ids"] == ["square"]
    assert store.get("square")["embeddings"] is None
    assert store.get("square", include=["embeddings"])["embeddings"].tolist() == [letters("the market square")]


def test_get_by_ids_leaves_out_what_is_not_there(store: Chroma) -> None:
    assert store.get_by_ids(["square", "castle"]) == [PLACES[3]]


def test_update_document_embeds_anew(store: Chroma) -> None:
    store.update_document("square", Document("a fish pond", metadata={"kind": "pond"}))
    (found,) = store.similarity_search("a fish pond", k=1)
    assert (found.id, found.page_content, found.metadata["kind"]) == ("square", "a fish pond", "pond")


def test_update_documents_changes_each(store: Chroma) -> None:
    store.update_documents(
        ["bridge", "square"], [Document("one", metadata={"n": 1}), Document("two", metadata={"n": 2})]
    )
    assert store.get(["bridge", "square"])["documents"] == ["one", "two"]


def test_delete_by_ids_and_by_filter(store: Chroma) -> None:
    store.delete(["square"])
    store.delete(where={"kind": "bridge"})
    assert store.get()["ids"] == ["harbour"]


def test_a_folder_is_found_again(tmp_path: Path) -> None:
    folder = str(tmp_path / "db")
    Chroma.from_documents(PLACES, Letters(), collection_name="places", persist_directory=folder)
    reopened = Chroma("places", Letters(), persist_directory=folder)
    assert reopened.similarity_search("the market square", k=1) == [PLACES[3]]


def test_settings_name_the_folder(tmp_path: Path) -> None:
    settings = chromadb.config.Settings(is_persistent=True, persist_directory=str(tmp_path / "db"))
    Chroma.from_documents(PLACES, Letters(), collection_name="places", client_settings=settings)
    assert chromadb.PersistentClient(tmp_path / "db").get_collection("places").count() == len(PLACES)


def test_reset_collection_empties_the_store(store: Chroma) -> None:
    store.reset_collection()
    assert store.get()["ids"] == []
    store.add_documents(PLACES)
    assert len(store.similarity_search("bridge", k=9)) == len(PLACES)


def test_delete_collection_deletes_it(store: Chroma, client: chromadb.ClientAPI) -> None:
    store.delete_collection()
    assert client.list_collections() == []
    with pytest.raises(ValueError, match="not initialized"):
        store.get()


def test_a_collection_that_must_exist_is_asked_for(client: chromadb.ClientAPI) -> None:
    with pytest.raises(chromadb.errors.NotFoundError, match="does not exist"):
        Chroma("castles", Letters(), client=client, create_collection_if_not_exists=False)


@pytest.mark.parametrize(
    ("search_type", "options", "expected"),
    [
        ("similarity", {"k": 1}, ["bridge"]),
        ("mmr", {"k": 1, "fetch_k": 4}, ["bridge"]),
        ("similarity", {"k": 4, "filter": {"kind": "port"}}, ["harbour"]),
    ],
)
def test_a_retriever_retrieves(store: Chroma, search_type: str, options: Any, expected: list[str]) -> None:
    retriever = store.as_retriever(search_type=search_type, search_kwargs=options)
    assert ids(retriever.invoke("an old stone bridge")) == expected
    assert ids(asyncio.run(retriever.ainvoke("an old stone bridge"))) == expected


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(UnreachableError, match="http://localhost:1 does not answer"):
        Chroma("places", Letters(), host="localhost", port=1)


def test_the_cloud_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="not supported yet"):
        Chroma("places", Letters(), chroma_cloud_api_key="key", tenant="t", database="d")
