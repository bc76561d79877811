"""An engine on threads: what a task that is cancelled leaves behind, and what closing waits for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from ochre.engine.threads import THREADS, ThreadedEngine
from ochre.errors import ClosedError


class Slow:
    """An engine that creates tenants when it is let: `begun` counts those that wait for that."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()
        self.done: list[str] = []

    def create_tenant(self, name: str) -> None:
        self.begun.release()
        assert self.let.wait(30)
        self.done.append(name)

    def close(self) -> None:
        self.done.append("closed")


async def begin(engine: Any, slow: Slow, name: str) -> asyncio.Task[None]:
    """Start a call in a task, and wait until a thread is at it."""
    task = asyncio.create_task(engine.create_tenant(name))
    await asyncio.to_thread(slow.begun.acquire)
    return task


def test_a_cancelled_task_stops_waiting_and_its_call_ends_before_the_engine_closes() -> None:
    async def main() -> None:
        slow = Slow()
        engine: Any = ThreadedEngine(slow)
        task = await begin(engine, slow, "begun")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.done == []
        closing = asyncio.create_task(engine.close())
        slow.let.set()
        await closing
        assert slow.done == ["begun", "closed"]

    asyncio.run(main())


def test_a_call_that_was_cancelled_before_it_began_does_not_happen() -> None:
    async def main() -> None:
        slow = Slow()
        engine: Any = ThreadedEngine(slow)
        tasks = [await begin(engine, slow, "begun") for _ in range(THREADS)]
        late = asyncio.create_task(engine.create_tenant("late"))
        await asyncio.sleep(0)  # it is in the queue now
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        slow.let.set()
        await asyncio.gather(*tasks)
        await engine.close()
        assert slow.done == ["begun"] * THREADS + ["closed"]

    asyncio.run(main())


def test_calls_after_close_are_refused_even_while_it_waits() -> None:
    async def main() -> None:
        slow = Slow()
        engine: Any = ThreadedEngine(slow)
        task = await begin(engine, slow, "begun")
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await engine.create_tenant("late")
        slow.let.set()
        await asyncio.gather(task, closing)
        await engine.close()
        assert slow.done == ["begun", "closed", "closed"]

    asyncio.run(main())


def test_an_error_on_the_thread_is_the_callers() -> None:
    class Broken:
        def create_tenant(self, name: str) -> None:
            raise KeyError(name)

    with pytest.raises(KeyError):
        asyncio.run(ThreadedEngine(Broken()).create_tenant("a"))
