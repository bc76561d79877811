"""Chroma's Python client against a server: client.py URL [asynchronous]

Does what the documentation's collection examples do, in databases of its own, and checks what comes back; by
HttpClient, or by AsyncHttpClient: one story serves both, since `now` awaits what has to be awaited.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
import uuid
from collections.abc import Sequence
from typing import Any

import chromadb
from checks import HOST, PORT, Checks, refused, same
from chromadb.api.async_client import AsyncAdminClient
from chromadb.config import Settings

ASYNCHRONOUS = "asynchronous" in sys.argv
TENANT = f"tenant-{uuid.uuid4()}"
PLAIN: dict[str, Any] = {"embedding_function": None}
RECORDS: dict[str, Any] = {
    "ids": ["apple", "bread", "carrot", "dates"],
    "embeddings": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]],
    "documents": ["Apple pie", "Bread and butter", "Carrot cake", "Dates, dried"],
    "metadatas": [
        {"kind": "fruit", "rank": 1, "fresh": True, "tags": ["red", "sweet"]},
        {"kind": "bakery", "rank": 2, "price": 2.0},
        {"kind": "vegetable", "rank": 3, "fresh": True, "sizes": [1, 2, 3]},
        {"kind": "fruit", "rank": 4, "fresh": False, "tags": ["brown", "sweet"]},
    ],
    "uris": ["file:///a", "file:///b", "file:///c", "file:///d"],
}
check = Checks()


async def now(reply: Any) -> Any:
    return await reply if inspect.isawaitable(reply) else reply


def administration() -> Any:
    kind = "async_fastapi.AsyncFastAPI" if ASYNCHRONOUS else "fastapi.FastAPI"
    settings = Settings(chroma_api_impl=f"chromadb.api.{kind}", chroma_server_host=HOST, chroma_server_http_port=PORT)
    return AsyncAdminClient(settings) if ASYNCHRONOUS else chromadb.AdminClient(settings)


async def connect(**place: str) -> Any:
    return await now((chromadb.AsyncHttpClient if ASYNCHRONOUS else chromadb.HttpClient)(host=HOST, port=PORT, **place))


async def server() -> None:
    client = await connect()
    with check("heartbeat is the time in nanoseconds"):
        assert await now(client.heartbeat()) > 10**18
    with check("version has three parts"):
        same(len((await now(client.get_version())).split(".")), 3)
    with check("the largest batch is known"):
        assert await now(client.get_max_batch_size()) > 0
    with check("identity names a tenant"):
        assert (await now(client.get_user_identity())).tenant


async def tenants(admin: Any) -> None:
    with check("create and get a tenant"):
        await now(admin.create_tenant(TENANT))
        same((await now(admin.get_tenant(TENANT)))["name"], TENANT)
    with check("a tenant exists once"), refused("ChromaError", "exists"):
        await now(admin.create_tenant(TENANT))
    with check("create, get, list and delete databases"):
        await now(admin.create_database("documents", TENANT))
        await now(admin.create_database("passing", TENANT))
        same((await now(admin.get_database("documents", TENANT)))["tenant"], TENANT)
        same([one["name"] for one in await now(admin.list_databases(tenant=TENANT))], ["documents", "passing"])
        await now(admin.delete_database("passing", TENANT))
        same([one["name"] for one in await now(admin.list_databases(tenant=TENANT))], ["documents"])
    with check("missing tenant and database"):
        with refused("NotFoundError"):
            await now(admin.get_tenant("nobody"))
        with refused("NotFoundError"):
            await connect(tenant=TENANT, database="passing")


async def collections(client: Any) -> None:
    with check("create a collection with metadata and configuration"):
        hnsw = {"space": "cosine", "ef_construction": 120, "max_neighbors": 24}
        topic = {"topic": "meals", "edition": 2}
        made = await now(client.create_collection("food", metadata=topic, configuration={"hnsw": hnsw}, **PLAIN))
        same((made.name, made.metadata, made.tenant, made.database), ("food", topic, TENANT, "documents"))
        same({key: made.configuration["hnsw"][key] for key in (*hnsw, "ef_search")}, {**hnsw, "ef_search": 100})
    with check("get and get_or_create return the stored collection"):
        food = await now(client.get_collection("food", **PLAIN))
        again = await now(client.get_or_create_collection("food", metadata={"topic": "other"}, **PLAIN))
        same((again.id, again.metadata), (food.id, topic))
    with check("list and count collections, in pages"):
        for name in ("one", "two"):
            await now(client.create_collection(name, **PLAIN))
        pages = [await now(client.list_collections(limit=2, offset=offset)) for offset in (0, 2)]
        same(sorted(one.name for page in pages for one in page), ["food", "one", "two"])
        same((len(await now(client.list_collections())), await now(client.count_collections())), (3, 3))
    with check("modify name, metadata and configuration"):
        one = await now(client.get_collection("one", **PLAIN))
        await now(one.modify(name="first", metadata={"seen": True}, configuration={"hnsw": {"ef_search": 50}}))
        first = await now(client.get_collection("first", **PLAIN))
        same((first.id, first.metadata, first.configuration["hnsw"]["ef_search"]), (one.id, {"seen": True}, 50))
    with check("delete a collection"):
        await now(client.delete_collection("two"))
        same(await now(client.count_collections()), 2)
    with check("missing collection"):
        with refused("NotFoundError", "does not exist"):
            await now(client.get_collection("absent"))
        with refused("NotFoundError", "does not exist"):
            await now(client.delete_collection("absent"))
    with check("a collection exists once"), refused("ChromaError", "already exists"):
        await now(client.create_collection("food", **PLAIN))
    with check("bad name"), refused("InvalidArgumentError", "name"):
        await now(client.create_collection("a!", **PLAIN))


async def reading(food: Any) -> None:
    async def got(wanted: Sequence[str], **arguments: Any) -> None:
        same((await now(food.get(**arguments)))["ids"], wanted)

    with check("add and count"):
        await now(food.add(**RECORDS))
        same(await now(food.count()), 4)
    with check("get gives back what was added"):
        everything = await now(food.get(include=["documents", "metadatas", "embeddings", "uris"]))
        parts = ("ids", "documents", "metadatas", "uris")
        same({part: everything[part] for part in parts}, {part: RECORDS[part] for part in parts})
        same(everything["embeddings"][:3].tolist(), RECORDS["embeddings"][:3])
        same(type(everything["metadatas"][1]["price"]), float)
    with check("get by ids, limit and offset; peek"):
        await got(["apple", "dates"], ids=["dates", "apple", "nothing"])
        await got(["bread", "carrot"], limit=2, offset=1)
        same((await now(food.peek(limit=2)))["ids"], ["apple", "bread"])
    with check("get where: comparison, membership, logic"):
        await got(["apple", "dates"], where={"kind": "fruit"})
        await got(["carrot", "dates"], where={"rank": {"$gte": 3}})
        await got(["bread", "carrot"], where={"kind": {"$nin": ["fruit"]}})
        await got(["bread", "dates"], where={"fresh": {"$ne": True}})
        await got(["apple"], where={"$and": [{"fresh": True}, {"rank": {"$lt": 3}}]})
        await got(["apple", "bread"], where={"$or": [{"price": 2.0}, {"rank": {"$in": [1]}}]})
    with check("get where: arrays"):
        await got(["apple", "dates"], where={"tags": {"$contains": "sweet"}})
        await got(["apple", "bread", "dates"], where={"sizes": {"$not_contains": 2}})
    with check("get where_document"):
        await got(["apple"], where_document={"$contains": "pie"})
        await got(["apple", "bread"], where_document={"$regex": "^[AB]"})
        either: Any = {"$or": [{"$contains": "cake"}, {"$contains": "pie"}]}
        await got(["carrot"], where={"rank": 3}, where_document=either)
    with check("query: nearest first, with distances"):
        found = await now(food.query(query_embeddings=[[2, 0, 0], [0, 0, 1]], n_results=2))
        same((found["ids"][0], found["ids"][1][0]), (["apple", "dates"], "carrot"))
        assert math.isclose(found["distances"][0][1], 1 - math.sqrt(0.5), abs_tol=1e-5), found["distances"]
        same(found["documents"][0], ["Apple pie", "Dates, dried"])
    with check("query with filters, ids and include"):
        near: dict[str, Any] = {"query_embeddings": [[1, 0, 0]], "include": ["uris"]}
        found = await now(food.query(**near, where={"kind": "fruit"}, where_document={"$contains": "pie"}))
        same((found["ids"], found["uris"], found["documents"]), ([["apple"]], [["file:///a"]], None))
        same((await now(food.query(**near, ids=["dates", "carrot"])))["ids"], [["dates", "carrot"]])


async def writing(food: Any) -> None:
    async def row(name: str) -> tuple[Any, Any]:
        found = await now(food.get(ids=[name]))
        return found["documents"][0], found["metadatas"][0]

    with check("update merges metadata, and None removes a key"):
        await now(food.update(ids=["apple", "absent"], metadatas=[{"rank": 10, "fresh": None}, {"rank": 11}]))
        same(await row("apple"), ("Apple pie", {"kind": "fruit", "rank": 10, "tags": ["red", "sweet"]}))
    with check("upsert inserts and updates"):
        vectors: Any = [[0, 1, 1], [1, 1, 1]]
        await now(food.upsert(ids=["apple", "egg"], embeddings=vectors, documents=["Apple tart", "Egg"]))
        same(((await row("apple"))[0], await row("egg"), await now(food.count())), ("Apple tart", ("Egg", None), 5))
    with check("delete by ids, by filter and with a limit"):
        same((await now(food.delete(ids=["egg"])))["deleted"], 1)
        same((await now(food.delete(where={"kind": "fruit"}, limit=1)))["deleted"], 1)
        await now(food.delete(where_document={"$contains": "cake"}))
        same((await now(food.get()))["ids"], ["bread", "dates"])


async def refusals(client: Any, food: Any) -> None:
    with check("wrong dimension"):
        with refused("InvalidArgumentError", "dimension"):
            await now(food.add(ids=["x"], embeddings=[[1, 2]]))
        with refused("InvalidArgumentError", "dimension"):
            await now(food.query(query_embeddings=[[1, 2]]))
    with check("bad filter"), refused("InvalidArgumentError"):
        await now(food.get(where_document={"$regex": "("}))
    with check("an error carries the server's trace id"):
        trace = None
        try:
            await now(client.get_collection("absent"))
        except chromadb.errors.NotFoundError as error:
            trace = error.trace_id
        assert trace
    with check("a handle of a deleted collection"):
        await now(client.delete_collection("food"))
        with refused("NotFoundError", "does not exist"):
            await now(food.get())


async def main() -> None:
    await server()
    await tenants(administration())
    client = await connect(tenant=TENANT, database="documents")
    await collections(client)
    food = await now(client.get_collection("food", **PLAIN))
    await reading(food)
    await writing(food)
    await refusals(client, food)
    check.done()


asyncio.run(main())
