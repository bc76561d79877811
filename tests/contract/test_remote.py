"""The remote engine keeps the contract, over a server of the embedded engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ochre.engine import Engine
from ochre.local.engine import LocalEngine
from ochre.remote._sync.engine import RemoteEngine
from ochre.remote._sync.transport import Transport
from ochre.testing.contract import EngineContract
from tests.server.live import live


class TestRemoteEngine(EngineContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[RemoteEngine]:
        with live(LocalEngine.open(tmp_path / "db")) as url:
            engine = RemoteEngine(Transport(url, {}))
            yield engine
            engine.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path, request: pytest.FixtureRequest):
        def again(engine: Engine) -> RemoteEngine:
            server = live(LocalEngine.open(tmp_path / "db"))
            opened = RemoteEngine(Transport(server.__enter__(), {}))
            request.addfinalizer(lambda: server.__exit__(None, None, None))
            request.addfinalizer(opened.close)
            return opened

        return again
