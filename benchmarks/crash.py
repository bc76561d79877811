"""`python -m benchmarks.crash`: several processes on one folder, and writers that are killed, in Ochre and its peers.

Each system is used with its safest settings: what returns counts as acknowledged. With `--out` the table goes into a
page, between the lines `<!-- peers -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.systems import FailedError, System, system

TITLES = {"ochre": "Ochre", "chroma": "Chroma", "lancedb": "LanceDB", "milvus": "Milvus Lite"}
RECORDS = 20_000
LIMIT = 1200.0
HEAD = [
    "system",
    "four writers: failed",
    "records there, of 12,000",
    "not found, of 200",
    "`kill -9` survived",
    "stale reads",
]


def main() -> None:
    """Run the workloads with every system, and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="ochre-crash-") as name:
        scratch = Path(name)
        wordnet = data.load(options.data, RECORDS, scratch / "data")
        lines = [_line(each, scratch, str(wordnet.folder), options.kills) for each in options.systems]
    table = "\n".join(f"| {' | '.join(line)} |" for line in [HEAD, ["---"] * len(HEAD), *lines])
    print(table)
    if options.out:
        page = options.out.read_text(encoding="utf-8")
        place = re.compile(r"(<!-- peers -->\n).*?(<!-- end -->)", re.DOTALL)
        made = place.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)
        options.out.write_text(made, encoding="utf-8")


def _line(name: str, scratch: Path, source: str, kills: int) -> list[str]:
    measured = system(name)
    shared = _phase(measured, "processes", folder=str(scratch / f"{name}-shared"), data=source)
    killed = _phase(measured, "kills", folder=str(scratch / f"{name}-killed"), data=source, times=kills)
    fresh = _phase(measured, "fresh", folder=str(scratch / f"{name}-fresh"), data=source, calls=100)
    return [
        f"{TITLES[name]} {measured.version()}",
        f"{shared.get('failed_writers', '-')}",
        _counted(shared.get("count")),
        _counted(shared.get("missing")),
        f"{killed['survived']} of {killed['of']}{_why(killed)}" if "of" in killed else "-",
        f"{fresh['stale']} of {fresh['of']}{_why(fresh)}" if "of" in fresh else "-",
    ]


def _phase(measured: System, phase: str, **arguments: Any) -> dict[str, Any]:
    try:
        return measured.run(phase, LIMIT, **arguments)
    except FailedError as error:
        print(error, file=sys.stderr, flush=True)
        return {}


def _counted(count: int | None) -> str:
    return "cannot be read" if count is None else f"{count:,}"


def _why(found: dict[str, Any]) -> str:
    return f": {found['why']}" if found["why"] else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="the folder with the WordNet files")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=list(TITLES), help=",".join(TITLES))
    parser.add_argument("--kills", type=int, default=30, help="how often a writer is killed")
    parser.add_argument("--out", type=Path, help="the page whose table is made anew")
    return parser.parse_args()


if __name__ == "__main__":
    main()
