"""The threads of requests: one for short calls, more beside a long one, never more than allowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ochre.server import threads as module
from ochre.server.threads import Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(3)
    yield made
    made.shutdown(cancel_futures=True)


def number() -> int:
    return threading.get_ident()


def test_short_calls_share_one_thread(threads: Threads, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 3600)

    async def ask() -> set[int]:
        loop = asyncio.get_running_loop()
        return set(await asyncio.gather(*(loop.run_in_executor(threads, number) for _ in range(50))))

    assert len(asyncio.run(ask())) == 1


def test_a_long_call_keeps_nobody_waiting_as_long_as_there_are_threads(threads: Threads) -> None:
    done = threading.Event()

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        long = [loop.run_in_executor(threads, done.wait) for _ in range(2)]
        await asyncio.gather(*(loop.run_in_executor(threads, number) for _ in range(10)))
        assert not any(call.done() for call in long)
        done.set()
        assert await asyncio.gather(*long) == [True, True]

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_no_more_calls_than_threads_are_under_way(threads: Threads, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def work() -> int:
        begun.release()
        go_on.wait()
        return number()

    async def ask() -> set[int]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(threads, work) for _ in range(6)]
        for _ in range(3):
            while not begun.acquire(blocking=False):
                await asyncio.sleep(0)
        assert not begun.acquire(blocking=False)
        go_on.set()
        return set(await asyncio.gather(*calls))

    assert len(asyncio.run(asyncio.wait_for(ask(), 60))) <= 3


def test_a_call_that_fails_tells_whoever_waits_and_harms_no_other(threads: Threads) -> None:
    async def ask() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(threads, divmod, 1, 0)
        assert await loop.run_in_executor(threads, divmod, 7, 2) == (3, 1)

    asyncio.run(ask())


def test_shutdown_ends_what_was_begun_and_cancels_the_rest(monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 3600)
    threads, begun, go_on = Threads(3), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait()
        return "whole"

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.run_in_executor(threads, work), loop.run_in_executor(threads, work)
        await asyncio.to_thread(begun.wait)
        ending = asyncio.create_task(asyncio.to_thread(threads.shutdown, cancel_futures=True))
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        assert await first == "whole"
        await ending
        with pytest.raises(RuntimeError, match="after shutdown"):
            loop.run_in_executor(threads, number)

    asyncio.run(asyncio.wait_for(ask(), 60))
