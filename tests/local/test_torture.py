"""A short run of the torture: failpoints, power loss, processes that are killed. `make torture` runs it for long."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHORT = {
    "failpoints": ["--points", "150", "--cuts", "0", "--seconds", "0"],
    "power loss": ["--points", "0", "--cuts", "240", "--seconds", "0"],
    "processes": ["--points", "0", "--cuts", "0", "--seconds", "6", "--processes", "4"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="it forks, and looks into /proc")
@pytest.mark.parametrize("options", SHORT.values(), ids=SHORT)
def test_nothing_acknowledged_is_lost(options: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.torture", *options], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert " 0 losses" in done.stdout
