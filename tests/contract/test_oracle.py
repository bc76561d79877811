"""The oracle keeps the contract too, which keeps it honest."""

from __future__ import annotations

import pytest

from ochre.testing.contract import EngineContract
from ochre.testing.oracle import Oracle


class TestOracle(EngineContract):
    @pytest.fixture
    def engine(self) -> Oracle:
        return Oracle()

    @pytest.fixture
    def reopen(self):
        return lambda engine: engine
