"""The asynchronous engines keep the contract, called from an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochre.engine import AsyncEngine
from ochre.engine.threads import ThreadedEngine
from ochre.local.engine import LocalEngine
from ochre.remote._async.engine import AsyncRemoteEngine
from ochre.remote._async.transport import AsyncTransport
from ochre.testing.contract import EngineContract
from tests.server.live import live


class Blocking:
    """An asynchronous engine as a synchronous one: each call waits for its coroutine."""

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.loop = loop

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.engine, name)
        return lambda *arguments, **named: asyncio.run_coroutine_threadsafe(
            operation(*arguments, **named), self.loop
        ).result()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class TestThreadedEngine(EngineContract):
    @pytest.fixture
    def engine(self, tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Blocking]:
        engine = Blocking(ThreadedEngine(LocalEngine.open(tmp_path / "db")), loop)
        yield engine
        engine.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path, loop: asyncio.AbstractEventLoop, request: pytest.FixtureRequest):
        def again(engine: Blocking) -> Blocking:
            engine.close()
            opened = Blocking(ThreadedEngine(LocalEngine.open(tmp_path / "db")), loop)
            request.addfinalizer(opened.close)
            return opened

        return again


class TestAsyncRemoteEngine(EngineContract):
    @pytest.fixture
    def engine(self, tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Blocking]:
        with live(LocalEngine.open(tmp_path / "db")) as url:
            engine = Blocking(AsyncRemoteEngine(AsyncTransport(url, {})), loop)
            yield engine
            engine.close()

    @pytest.fixture
    def reopen(self):
        return lambda engine: engine
