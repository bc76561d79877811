"""Runs the phase named on the command line: system, phase, then its arguments as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.worker import loading, many, raw, reading, sharing

PHASES: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function
    for function in (
        loading.bulk,
        loading.single,
        loading.busy,
        loading.model,
        reading.cold,
        reading.reads,
        reading.effort,
        reading.selectivity,
        reading.profile,
        sharing.made,
        sharing.processes,
        sharing.writer,
        sharing.checker,
        sharing.kills,
        sharing.endless,
        sharing.counter,
        sharing.fresh,
        sharing.stepwise,
        many.make,
        many.use,
        raw.raw,
    )
}


def main() -> None:
    """Run one phase and print what it returns."""
    system, phase, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    print("RESULT " + json.dumps(PHASES[phase](system, **arguments)))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the threads of some systems linger
