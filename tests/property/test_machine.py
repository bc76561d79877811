"""The embedded engine against the oracle, under random calls through two handles on one folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from ochre.local.engine import LocalEngine
from ochre.settings import Settings
from ochre.testing.machine import EngineMachine


class LocalMachine(EngineMachine):
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__()

    def open_handle(self) -> LocalEngine:
        return LocalEngine.open(Path(self._folder.name) / "db", Settings(synchronous="off"))

    def close_all(self) -> None:
        self._folder.cleanup()


TestLocalEngine = LocalMachine.TestCase
TestLocalEngine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
