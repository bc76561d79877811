"""llama-index-vector-stores-chroma against a server: llama_index_store.py URL"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import chromadb
from checks import HOST, PORT, Checks, letters, same
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
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


def where(*filters: tuple[str, str, Any], condition: str = "and") -> MetadataFilters:
    parts = [MetadataFilter(key=key, operator=FilterOperator(sign), value=value) for key, sign, value in filters]
    return MetadataFilters(filters=parts, condition=FilterCondition(condition))


def ask(text: str, count: int = 4, **arguments: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=letters(text), similarity_top_k=count, **arguments)


NODES = [
    node("harbour", "the harbour of a small town", "guide", kind="port", year=1850),
    node("bridge", "an old stone bridge", "guide", kind="bridge", year=1410),
    node("footbridge", "an old wooden bridge", "walks", kind="bridge", year=1890),
    node("square", "the market square", "walks", kind="square", year=1600),
]
check = Checks()
client = chromadb.HttpClient(HOST, PORT)
name = f"places-{uuid.uuid4()}"
store = ChromaVectorStore.from_collection(client.create_collection(name, embedding_function=None))

with check("add nodes"):
    same(store.add(NODES), ["harbour", "bridge", "footbridge", "square"])
with check("query gives nodes as they were, nearest first"):
    found = store.query(ask("the market square"))
    same((found.ids[0], found.similarities[0]), ("square", 1.0))
    same((found.nodes[0].get_content(), found.nodes[0].ref_doc_id), ("the market square", "walks"))
    same(found.nodes[0].metadata, {"kind": "square", "year": 1600})
for filters, wanted in [
    (where(("kind", "!=", "bridge")), {"harbour", "square"}),
    (where(("year", ">=", 1600)), {"harbour", "footbridge", "square"}),
    (where(("kind", "in", ["port", "square"])), {"harbour", "square"}),
    (where(("kind", "==", "bridge"), ("year", ">", 1500)), {"footbridge"}),
    (where(("kind", "==", "port"), ("year", "<", 1500), condition="or"), {"harbour", "bridge"}),
]:
    with check(f"query and get where {[(f.key, f.operator.value, f.value) for f in filters.filters]}"):
        same(set(store.query(ask("bridge", filters=filters)).ids), wanted)
        same({one.node_id for one in store.get_nodes(None, filters)}, wanted)
with check("query by text, and in a coroutine"):
    same(store.query(ask("bridge"), where_document={"$contains": "wooden"}).ids, ["footbridge"])
    same(asyncio.run(store.aquery(ask("the market square", 1))).ids, ["square"])
with check("maximal marginal relevance reads the stored vectors"):
    various = store.query(ask("an old bridge", 2, mode=VectorStoreQueryMode.MMR), mmr_threshold=0.1)
    same(len(various.ids), 2)
with check("delete by document and by nodes, clear"):
    store.delete("guide")
    same({one.node_id for one in store.get_nodes(None, where(("year", ">", 0)))}, {"footbridge", "square"})
    store.delete_nodes(["square"])
    same(client.get_collection(name).count(), 1)
    store.clear()
    same(client.get_collection(name).count(), 0)
with check("an index is built on a store and found again"):
    context = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex(NODES, storage_context=context, embed_model=Letters())
    again = ChromaVectorStore.from_params(collection_name=name, host=HOST, port=str(PORT))
    index = VectorStoreIndex.from_vector_store(again, embed_model=Letters())
    same(
        [one.node.text for one in index.as_retriever(similarity_top_k=1).retrieve("an old stone bridge")],
        [NODES[1].text],
    )
client.delete_collection(name)
check.done()
