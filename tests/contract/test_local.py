"""The embedded engine keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ochre.engine import Engine
from ochre.local.engine import LocalEngine
from ochre.settings import Settings
from ochre.testing.contract import EngineContract, create, fill


class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[LocalEngine]:
        engine = LocalEngine.open(tmp_path / "db")
        yield engine
        engine.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path, request: pytest.FixtureRequest):
        def again(engine: Engine) -> LocalEngine:
            engine.close()
            opened = LocalEngine.open(tmp_path / "db")
            request.addfinalizer(opened.close)
            return opened

        return again


def test_reset_deletes_everything_where_it_is_allowed(tmp_path: Path) -> None:
    engine = LocalEngine.open(tmp_path, Settings(allow_reset=True))
    fill(engine, create(engine).id)
    engine.create_tenant("acme")
    engine.reset()
    assert engine.count_collections("default_tenant", "default_database") == 0
    assert list((tmp_path / "vectors").iterdir()) == []
    fill(engine, create(engine).id)
    engine.close()
