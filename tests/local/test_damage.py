"""Nothing that happens to the bytes of a folder is silent. `make damage` runs the same sweep for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local import damage


@pytest.mark.parametrize("hot", [False, True], ids=["in the file", "in the log"])
def test_damage_heals_is_refused_or_is_reported(tmp_path: Path, hot: bool) -> None:
    outcomes = damage.run(60, 20, tmp_path / "sweep", hot=hot)
    refused = {outcome.split(":")[0] for outcome in outcomes if "refused, found" in outcome}
    assert refused == {".f32", ".sqlite3-wal" if hot else ".sqlite3"}, "the sweep must have hit each kind of file"
    assert outcomes["index: right, not found"], "and files that are derived"
