"""`python -m tests.torture`: run the sweeps, print what they came to; the exit code is 1 if anything was lost."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.torture import disk, failpoints, measures, power, processes
from tests.torture.report import Tally


def main() -> int:
    """Run what was asked for."""
    options = _options()
    disk.install()
    tallies = []
    with tempfile.TemporaryDirectory(prefix="ochre-torture-") as name:
        for title, sweep, amount in (
            ("failpoints", failpoints.sweep, options.points),
            ("power loss", power.sweep, options.cuts),
            ("processes", partial(processes.sweep, workers=options.processes), options.seconds),
        ):
            if amount:
                tallies.append(Tally(title, options.seed))
                sweep(Path(name) / title, tallies[-1], random.Random(options.seed), amount)
                print(tallies[-1], flush=True)
        if options.measure:
            print(", ".join(f"{what}: {figure}" for what, figure in measures.measure(Path(name) / "measures").items()))
    return 1 if any(tally.losses for tally in tallies) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=200, help="rounds of the failpoint sweep")
    parser.add_argument("--cuts", type=int, default=200, help="rounds of the power-loss simulation")
    parser.add_argument("--seconds", type=float, default=60, help="how long processes work and are killed")
    parser.add_argument("--measure", action="store_true", help="also measure what processes cost each other")
    parser.add_argument("--processes", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
