"""`python -m peer`: run Chroma's test-suite against a server and compare with what passes on Chroma's own."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks import chroma_model
from peer import server, suite
from peer.suite import Outcome, Selection

HERE = Path(__file__).parent
PASSES, FLAKY, EXCEPTIONS = HERE / "passes.txt", HERE / "flaky.txt", HERE / "exceptions.txt"
RESULTS = suite.ROOT / "build" / "peer"


def main() -> int:
    """Run, compare, and return the exit code: 1 if a required test did not pass."""
    options = _options()
    selection = Selection(tuple(options.paths), options.expression)
    suite.prepare()
    chroma_model.provide()
    if options.record:
        record([_run("chroma", preset, seed, selection) for preset, seed in (("fast", 0), ("fast", 1), ("normal", 2))])
        return 0
    return compare(_run(options.server, options.preset, options.seed, selection), whole=not selection)


def record(runs: list[dict[str, Outcome]]) -> None:
    """Write what passed in all runs of Chroma's server, and apart what passed in some only, with the reason seen."""
    names = sorted(set().union(*runs))
    kinds = {name: {outcomes[name].kind if name in outcomes else "absent" for outcomes in runs} for name in names}
    passes = [name for name in names if kinds[name] == {"passed"}]
    flaky = [name for name in names if "passed" in kinds[name] and len(kinds[name]) > 1]
    PASSES.write_text("".join(f"{name}\n" for name in passes), encoding="utf-8")
    FLAKY.write_text("".join(f"{name}\t{_reason(name, runs)}\n" for name in flaky), encoding="utf-8")
    print(
        f"{len(passes)} tests pass, {len(flaky)} sometimes, {len(names) - len(passes) - len(flaky)} fail or are skipped"
    )


def compare(outcomes: dict[str, Outcome], *, whole: bool) -> int:
    """Say which required tests did not pass, and return 1 if there are any that no exception excuses."""
    absent = Outcome("failed", "it was not run")
    required = {name: outcomes.get(name, absent) for name in _names(PASSES) if whole or name in outcomes}
    excused = set(_names(EXCEPTIONS))
    failed = {name: found for name, found in required.items() if found.kind != "passed" and name not in excused}
    for name in sorted(excused & required.keys()):
        print(f"excused, {required[name].kind}: {name}")
    for name, found in failed.items():
        print(f"{found.kind}: {name}\n    {found.reason}")
    others = len(outcomes.keys() - required.keys())
    print(
        f"\n{len(required)} required tests, {len(excused & required.keys())} of them excused; {others} others were run"
    )
    passed = sum(found.kind == "passed" for found in required.values())
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not required else 0


def _run(name: str, preset: str, seed: int, selection: Selection) -> dict[str, Outcome]:
    folder = RESULTS / f"{name}-{preset}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.monotonic()
    with server.running(name, suite.BIN / "chroma", folder) as port:
        print(f"{name}, preset {preset}, seed {seed}, port {port}, results in {folder}", flush=True)
        outcomes = suite.run(port, folder, preset, seed, selection)
    print(
        f"{name}, preset {preset}: {len(outcomes)} tests in {(time.monotonic() - start) / 60:.1f} minutes", flush=True
    )
    return outcomes


def _reason(name: str, runs: list[dict[str, Outcome]]) -> str:
    return next(outcomes[name].reason for outcomes in runs if name in outcomes and outcomes[name].kind != "passed")


def _names(path: Path) -> list[str]:
    """Read the node ids of a list; in a line a tab and a reason may follow, and a line may be a comment."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.partition("\t")[0] for line in lines if line and not line.startswith("#")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peer", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or node ids, named as in passes.txt (default: all)")
    parser.add_argument("-k", dest="expression", default="", help="run tests whose names match, as pytest has it")
    parser.add_argument("--server", choices=["ochre", "chroma"], default="ochre", help="the server under test")
    parser.add_argument("--preset", choices=["fast", "normal"], default="fast", help="how many examples to try")
    parser.add_argument("--seed", type=int, default=0, help="what the examples are drawn from")
    parser.add_argument("--record", action="store_true", help="with --server chroma: write passes.txt and flaky.txt")
    options = parser.parse_args()
    if options.record and (options.server != "chroma" or options.paths or options.expression):
        parser.error("--record takes the whole suite and --server chroma")
    return options


if __name__ == "__main__":
    sys.exit(main())
