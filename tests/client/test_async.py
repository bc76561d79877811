"""Asynchronous clients, over a folder and over a server: the same flows, many tasks at once, opening and closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ochre
from ochre import AsyncClientType
from ochre.connect.engines import open_engine
from ochre.errors import ClosedError, InvalidArgumentError, NotFoundError, ReadOnlyError
from ochre.local.engine import LocalEngine
from tests.client.conftest import Letters, Loader
from tests.server.live import live

Open = Callable[[], Any]


@pytest.fixture(params=["folder", "server"])
def open_client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    if request.param == "folder":
        yield lambda **place: ochre.AsyncClient(tmp_path / "db", **place)
        return
    with live(open_engine(tmp_path / "db")) as url:
        yield lambda **place: ochre.AsyncHttpClient(url, **place)


def run(open_client: Open, flow: Callable[[AsyncClientType], Awaitable[Any]]) -> Any:
    """Open a client, do something with it, and close it."""

    async def main() -> Any:
        async with open_client() as client:
            return await flow(client)

    return asyncio.run(main())


def test_a_collection_is_written_asked_and_deleted(open_client: Open) -> None:
    async def flow(client: AsyncClientType) -> None:
        things = await client.create_collection("things", embedding_function=Letters(), metadata={"owner": "ann"})
        await things.add(["a", "b"], documents=["one", "three"], metadatas=[{"n": 1}, {"n": 2}])
        await things.update(["a"], metadatas=[{"n": 5}])
        await things.upsert(["c"], embeddings=[[9.0, 1.0]])
        assert await things.count() == 3
        assert (await things.query(query_texts=["five!"], n_results=1))["ids"] == [["b"]]
        assert (await things.get(where={"n": 5}))["ids"] == ["a"]
        assert (await things.peek(1))["ids"] == ["a"]
        await things.modify(name="renamed")
        assert (await client.get_collection("renamed", embedding_function=Letters())).id == things.id
        assert await things.delete(["a", "b"]) == {"deleted": 2}
        assert [found.name for found in await client.list_collections()] == ["renamed"]
        await client.delete_collection("renamed")
        assert await client.count_collections() == 0

    run(open_client, flow)


def test_many_tasks_work_at_once(open_client: Open) -> None:
    async def flow(client: AsyncClientType) -> None:
        things = await client.create_collection("things", embedding_function=None)
        await asyncio.gather(*(things.add([str(n)], embeddings=[[float(n), 1.0]]) for n in range(40)))
        found = await asyncio.gather(*(things.query([[float(n), 1.0]], n_results=1) for n in range(40)))
        assert [result["ids"] for result in found] == [[[str(n)]] for n in range(40)]

    run(open_client, flow)


def test_a_scan_is_an_asynchronous_iterator(open_client: Open) -> None:
    async def flow(client: AsyncClientType) -> None:
        things = await client.create_collection("things", embedding_function=None)
        await things.add([str(n) for n in range(5)], embeddings=[[1.0]] * 5)
        assert [batch["ids"] async for batch in things.scan(2)] == [["0", "1"], ["2", "3"], ["4"]]
        with pytest.raises(InvalidArgumentError, match="batch_size"):
            things.scan(0)

    run(open_client, flow)


def test_embedding_and_loading_leave_the_event_loop_alone(open_client: Open) -> None:
    threads = set()

    class Noting(Letters):
        def __call__(self, input: list[Any]) -> Any:
            threads.add(threading.current_thread())
            return super().__call__(input)

    class NotingLoader(Loader):
        def __call__(self, uris: list[str | None]) -> list[Any]:
            threads.add(threading.current_thread())
            return super().__call__(uris)

    async def flow(client: AsyncClientType) -> None:
        things = await client.create_collection("things", embedding_function=Noting(), data_loader=NotingLoader())
        await things.add(["a"], uris=["file"])
        await things.query(query_texts=["one"])
        await things.get(include=["data"])

    run(open_client, flow)
    assert threads
    assert threading.current_thread() not in threads


def test_tenants_and_databases_are_managed_through_a_client(open_client: Open) -> None:
    async def flow(client: AsyncClientType) -> None:
        admin = await ochre.AsyncAdminClient(client)
        await admin.create_tenant("acme")
        await admin.create_database("letters", "acme")
        assert [database["name"] for database in await admin.list_databases(tenant="acme")] == ["letters"]
        await admin.close()
        await client.set_tenant("acme", "letters")
        assert await client.count_collections() == 0

    run(open_client, flow)


def test_a_client_can_be_awaited_and_closed(open_client: Open) -> None:
    async def main() -> None:
        client = await open_client()
        assert await client.heartbeat() > 1_600_000_000 * 10**9
        await client.close()
        await client.close()

    asyncio.run(main())


def test_a_tenant_that_is_not_there_is_an_error_when_the_client_opens(open_client: Open) -> None:
    async def main() -> None:
        with pytest.raises(NotFoundError):
            await open_client(tenant="nobody")

    asyncio.run(main())


def test_a_closed_client_of_a_folder_refuses_to_work(tmp_path: Path) -> None:
    async def main() -> None:
        async with ochre.AsyncClient(tmp_path) as client:
            pass
        with pytest.raises(ClosedError):
            await client.count_collections()

    asyncio.run(main())


def test_a_client_without_a_folder_has_a_temporary_one() -> None:
    async def main() -> Path:
        async with ochre.AsyncClient() as client:
            await client.create_collection("things")
            folder = client._engine._engine._folder
            assert folder.is_dir()
        return folder

    assert not asyncio.run(main()).exists()


def test_clients_opened_to_read_refuse_to_write(tmp_path: Path) -> None:
    async def main() -> None:
        ochre.PersistentClient(tmp_path).close()
        async with ochre.AsyncClient(tmp_path, mode="r") as client:
            with pytest.raises(ReadOnlyError):
                await client.create_collection("things")
        async with ochre.AsyncAdminClient(tmp_path, mode="r") as admin:
            with pytest.raises(ReadOnlyError):
                await admin.create_tenant("more")

    asyncio.run(main())


def test_a_client_makes_a_backup(tmp_path: Path) -> None:
    async def main() -> None:
        async with ochre.AsyncClient(tmp_path / "db") as client:
            await client.create_collection("things")
            assert (await client.backup(tmp_path / "backup")).collections == 1
            assert (await client.snapshot(tmp_path / "x.ochre")).collections == 1
            assert (await client.vacuum()).after > 0

    asyncio.run(main())


def test_an_admin_client_opens_a_folder_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with ochre.AsyncAdminClient(tmp_path) as admin:
            await admin.create_database("letters")
        async with ochre.AsyncClient(tmp_path, database="letters") as client:
            assert await client.count_collections() == 0
        with pytest.raises(InvalidArgumentError, match="names no folder"):
            await ochre.AsyncAdminClient(ochre.Settings())

    asyncio.run(main())


def test_a_client_that_cannot_open_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    close = LocalEngine.close
    monkeypatch.setattr(LocalEngine, "close", lambda engine: (closed.append(engine), close(engine))[1])

    async def main() -> None:
        with pytest.raises(NotFoundError):
            async with ochre.AsyncClient(tmp_path, database="nothing"):
                pass

    asyncio.run(main())
    assert len(closed) == 1


def test_a_task_that_is_cancelled_while_it_embeds_writes_nothing(open_client: Open) -> None:
    begun, let = threading.Event(), threading.Event()

    class Slow(Letters):
        def __call__(self, input: list[Any]) -> Any:
            begun.set()
            assert let.wait(30)
            return super().__call__(input)

    async def flow(client: AsyncClientType) -> None:
        things = await client.create_collection("things", embedding_function=Slow())
        task = asyncio.create_task(things.add(["a"], documents=["one"]))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        let.set()
        assert await things.count() == 0

    run(open_client, flow)
