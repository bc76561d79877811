"""llama-index-vector-stores-chroma: the vector store, and an index on it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import chromadb
import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.chroma import ChromaVectorStore

from integrations.conftest import letters
from ochre.errors import UnreachableError


class Letters(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return letters(text.splitlines()[-1])  # the text without the metadata written above it

    def _get_query_embedding(self, query: str) -> list[float]:
        return letters(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return letters(query)


def node(name: str, text: str, source: str, **metadata: Any) -> TextNode:
    relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    return TextNode(id_=name, text=text, metadata=metadata, relationships=relationships, embedding=letters(text))


@pytest.fixture
def nodes() -> list[TextNode]:
    return [
        node("harbour", "the harbour of a small town", "guide", kind="port", year=1850),
        node("bridge", "an old stone bridge", "guide", kind="bridge", year=1410),
        node("footbridge", "an old wooden bridge", "walks", kind="bridge", year=1890),
        node("square", "the market square", "walks", kind="square", year=1600),
    ]


@pytest.fixture
def store(client: chromadb.ClientAPI) -> ChromaVectorStore:
    return ChromaVectorStore.from_collection(client.create_collection("places"))


@pytest.fixture
def filled(store: ChromaVectorStore, nodes: list[TextNode]) -> ChromaVectorStore:
    assert store.add(nodes) == ["harbour", "bridge", "footbridge", "square"]
    return store


@pytest.fixture
def index(store: ChromaVectorStore, nodes: list[TextNode]) -> VectorStoreIndex:
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(nodes, storage_context=context, embed_model=Letters())


def where(*filters: tuple[str, str, Any], condition: str = "and") -> MetadataFilters:
    parts = [MetadataFilter(key=key, operator=FilterOperator(sign), value=value) for key, sign, value in filters]
    return MetadataFilters(filters=parts, condition=FilterCondition(condition))


FILTERS = [
    (where(("kind", "==", "bridge")), {"bridge", "footbridge"}),
    (where(("kind", "!=", "bridge")), {"harbour", "square"}),
    (where(("year", ">", 1600)), {"harbour", "footbridge"}),
    (where(("year", ">=", 1600)), {"harbour", "footbridge", "square"}),
    (where(("year", "<", 1600)), {"bridge"}),
    (where(("year", "<=", 1600)), {"bridge", "square"}),
    (where(("kind", "in", ["port", "square"])), {"harbour", "square"}),
    (where(("kind", "nin", ["port", "square"])), {"bridge", "footbridge"}),
    (where(("kind", "==", "bridge"), ("year", ">", 1500)), {"footbridge"}),
    (where(("kind", "==", "port"), ("year", "<", 1500), condition="or"), {"harbour", "bridge"}),
    (
        MetadataFilters(
            filters=[
                where(("kind", "==", "port"), ("kind", "==", "square"), condition="or"),
                where(("year", ">", 1700)),
            ]
        ),
        {"harbour"},
    ),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_query_filters_by_metadata(filled: ChromaVectorStore, filters: MetadataFilters, expected: set[str]) -> None:
    query = VectorStoreQuery(query_embedding=letters("bridge"), similarity_top_k=4, filters=filters)
    assert set(filled.query(query).ids or []) == expected


@pytest.mark.parametrize(("filters", "expected"), FILTERS[:2])
def test_filters_alone_select(filled: ChromaVectorStore, filters: MetadataFilters, expected: set[str]) -> None:
    assert {found.node_id for found in filled.get_nodes(None, filters)} == expected
    assert set(filled.query(VectorStoreQuery(similarity_top_k=4, filters=filters)).ids or []) == expected


def test_a_query_gives_nodes_as_they_were_nearest_first(filled: ChromaVectorStore) -> None:
    found = filled.query(VectorStoreQuery(query_embedding=letters("the market square"), similarity_top_k=4))
    assert found.ids
    assert found.nodes
    assert found.similarities
    assert (found.ids[0], found.similarities[0]) == ("square", 1.0)
    assert found.nodes[0].get_content() == "the market square"
    assert found.nodes[0].metadata == {"kind": "square", "year": 1600}
    assert found.nodes[0].ref_doc_id == "walks"
    assert found.similarities == sorted(found.similarities, reverse=True)


def test_a_query_passes_filters_on_the_text(filled: ChromaVectorStore) -> None:
    query = VectorStoreQuery(query_embedding=letters("bridge"), similarity_top_k=4)
    assert filled.query(query, where_document={"$contains": "wooden"}).ids == ["footbridge"]


def test_a_query_runs_in_a_coroutine(filled: ChromaVectorStore) -> None:
    query = VectorStoreQuery(query_embedding=letters("the market square"), similarity_top_k=1)
    assert asyncio.run(filled.aquery(query)).ids == ["square"]


def test_maximal_marginal_relevance_prefers_variety(filled: ChromaVectorStore) -> None:
    embedding = letters("an old bridge")
    nearest = filled.query(VectorStoreQuery(query_embedding=embedding, similarity_top_k=2))
    query = VectorStoreQuery(query_embedding=embedding, similarity_top_k=2, mode=VectorStoreQueryMode.MMR)
    various = filled.query(query, mmr_threshold=0.1)
    assert set(nearest.ids or []) == {"bridge", "footbridge"}
    assert various.ids
    assert len(various.ids) == 2
    assert set(various.ids) != {"bridge", "footbridge"}


def test_nodes_are_got_by_id(filled: ChromaVectorStore) -> None:
    assert [found.node_id for found in filled.get_nodes(["square", "castle"])] == ["square"]


def test_nodes_are_deleted_by_id(filled: ChromaVectorStore) -> None:
    filled.delete_nodes(["bridge", "footbridge"])
    assert [found.node_id for found in filled.get_nodes(None)] == ["harbour", "square"]


def test_nodes_are_deleted_by_id_where_a_filter_holds(filled: ChromaVectorStore) -> None:
    filled.delete_nodes(["bridge", "square"], where(("kind", "==", "bridge")))
    assert [found.node_id for found in filled.get_nodes(None)] == ["harbour", "footbridge", "square"]


def test_nodes_are_deleted_by_the_document_they_come_from(filled: ChromaVectorStore) -> None:
    filled.delete("walks")
    assert [found.node_id for found in filled.get_nodes(None)] == ["harbour", "bridge"]


def test_clear_deletes_all(filled: ChromaVectorStore) -> None:
    filled.clear()
    assert filled.client.count() == 0


def test_only_a_collection_makes_a_store() -> None:
    with pytest.raises(Exception, match="not chromadb collection"):
        ChromaVectorStore.from_collection(object())


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(UnreachableError, match="http://localhost:1 does not answer"):
        ChromaVectorStore.from_params("places", host="localhost", port="1")


def test_a_folder_is_found_again(tmp_path: Path, nodes: list[TextNode]) -> None:
    ChromaVectorStore.from_params("places", persist_dir=str(tmp_path / "db")).add(nodes)
    reopened = ChromaVectorStore.from_params("places", persist_dir=str(tmp_path / "db"))
    index = VectorStoreIndex.from_vector_store(reopened, embed_model=Letters())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("the market square")
    assert found.node_id == "square"


def test_an_index_of_documents_retrieves_their_nodes(store: ChromaVectorStore) -> None:
    documents = [Document(text="a mill", id_="mill", metadata={"page": 3}), Document(text="a barn", id_="barn")]
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=Letters())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("a mill")
    assert (found.text, found.metadata, found.node.ref_doc_id) == ("a mill", {"page": 3}, "mill")
    assert found.score == 1.0


def test_an_index_retrieves_under_filters(index: VectorStoreIndex) -> None:
    retriever = index.as_retriever(similarity_top_k=4, filters=where(("kind", "==", "bridge"), ("year", ">", 1500)))
    assert [found.node_id for found in retriever.retrieve("an old stone bridge")] == ["footbridge"]


def test_an_index_retrieves_in_a_coroutine(index: VectorStoreIndex) -> None:
    (found,) = asyncio.run(index.as_retriever(similarity_top_k=1).aretrieve("the market square"))
    assert found.node_id == "square"


def test_an_index_retrieves_by_maximal_marginal_relevance(index: VectorStoreIndex) -> None:
    retriever = index.as_retriever(
        vector_store_query_mode="mmr", similarity_top_k=2, vector_store_kwargs={"mmr_threshold": 0.1}
    )
    found = {found.node_id for found in retriever.retrieve("an old bridge")}
    assert len(found) == 2
    assert found != {"bridge", "footbridge"}


def test_an_index_takes_more_nodes_and_documents(index: VectorStoreIndex) -> None:
    index.insert_nodes([node("mill", "a mill", "walks")])
    index.insert(Document(text="a quiet pond", id_="pond"))
    retriever = index.as_retriever(similarity_top_k=1)
    assert retriever.retrieve("a mill")[0].node_id == "mill"
    assert retriever.retrieve("a quiet pond")[0].node.ref_doc_id == "pond"


def test_an_index_forgets_documents_and_nodes(index: VectorStoreIndex) -> None:
    index.delete_ref_doc("walks")
    index.delete_nodes(["bridge"])
    assert [found.node_id for found in index.as_retriever(similarity_top_k=9).retrieve("a bridge")] == ["harbour"]


def test_a_pipeline_fills_the_store(store: ChromaVectorStore) -> None:
    IngestionPipeline(transformations=[Letters()], vector_store=store).run(documents=[Document(text="a mill")])
    assert store.client.get()["documents"] == ["a mill"]
