"""langchain-chroma against a server: langchain_store.py URL"""

from __future__ import annotations

import uuid

import chromadb
from checks import HOST, PORT, Checks, letters, same
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings


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


def names(found: list[Document]) -> list[str | None]:
    return [document.id for document in found]


check = Checks()
collection = f"places-{uuid.uuid4()}"
client = chromadb.HttpClient(HOST, PORT)
store = Chroma(collection, Letters(), client=client, collection_configuration={"hnsw": {"space": "cosine"}})

with check("add documents"):
    store.add_documents(PLACES)
    same(client.get_collection(collection).count(), 4)
with check("search by similarity, with filters on metadata and text"):
    same(store.similarity_search("the market square", k=1), [PLACES[3]])
    same(
        names(store.similarity_search("an old stone bridge", k=4, filter={"kind": "bridge"})), ["bridge", "footbridge"]
    )
    same(names(store.similarity_search("bridge", where_document={"$contains": "wooden"})), ["footbridge"])
with check("scores are the distances of the collection's space"):
    ((document, distance),) = store.similarity_search_with_score("the market square", k=1)
    same((document, round(distance, 5)), (PLACES[3], 0))
    ((document, relevance),) = store.similarity_search_with_relevance_scores("the market squares", k=1)
    assert document == PLACES[3]
    assert 0.9 < relevance < 1, relevance
with check("maximal marginal relevance reads the stored vectors"):
    found = store.max_marginal_relevance_search("an old bridge", k=2, fetch_k=4, lambda_mult=0.1)
    same(len(set(names(found)) - {"bridge", "footbridge"}), 1)
with check("get by ids, by filter, in pages"):
    same(store.get_by_ids(["square", "castle"]), [PLACES[3]])
    same(store.get(where={"kind": "bridge"}, limit=1, offset=1)["ids"], ["footbridge"])
with check("update embeds anew"):
    store.update_document("square", Document("a fish pond", metadata={"kind": "pond"}))
    (pond,) = store.similarity_search("a fish pond", k=1)
    same((pond.id, pond.metadata), ("square", {"kind": "pond", "year": 1600}))
with check("a second store sees the first one's documents"):
    again = Chroma(collection, Letters(), host=HOST, port=PORT)
    same(names(again.similarity_search("an old stone bridge", k=1)), ["bridge"])
with check("delete documents, reset and delete the collection"):
    store.delete(["square"])
    same(sorted(store.get()["ids"]), ["bridge", "footbridge", "harbour"])
    store.reset_collection()
    same(store.get()["ids"], [])
    store.delete_collection()
    assert collection not in [one.name for one in client.list_collections()]
check.done()
