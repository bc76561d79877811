"""`python -m benchmarks.server`: both servers, one run, one table. It needs `wrk`, which asks faster than we could.

Each server gets the same records through Chroma's own Python client (and Ochre's through ours too), then the same
top-10 queries with documents and metadata over one connection and over eight, without a filter and with one. Chroma's
server uses all cores by itself; ours does with several processes, so that is measured as well, for eight connections.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.systems import ROOT, environment

CONNECTIONS = (1, 8)
WORKERS = 2
MORE = f", {WORKERS} workers"
ADDS = {
    "chromadb": "bulk add through Chroma's client, records/s",
    "ochre": "bulk add through our client, records/s",
}
FILTERS: dict[str, dict[str, Any] | None] = {"query": None, "query where 6 %": {"lexname": "noun.animal"}}
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
LOADER = """
import json, sys, time
import numpy as np
package, url, folder = sys.argv[1:]
records = [json.loads(line) for line in open(f"{folder}/records.jsonl", encoding="utf-8")]
embeddings = np.load(f"{folder}/embeddings.npy")
host, port = url.removeprefix("http://").split(":")
module = __import__(package)
client = module.HttpClient(host=host, port=int(port))
things = client.create_collection(package, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
size = min(client.get_max_batch_size(), 5000)
start = time.perf_counter()
for first in range(0, len(records), size):
    part = records[first : first + size]
    things.add(ids=[r["id"] for r in part], embeddings=embeddings[first : first + size],
               documents=[r["document"] for r in part], metadatas=[r["metadata"] for r in part])
assert things.count() == len(records)
print("RESULT", len(records) / (time.perf_counter() - start), things.id)
"""
SCRIPT = """
local bodies = {}
for line in io.lines(%s) do bodies[#bodies + 1] = line end
local at = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function() at = at %% #bodies + 1; return wrk.format(nil, nil, nil, bodies[at]) end
"""


def main() -> None:
    """Measure both servers and print the table."""
    options = _options()
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("this benchmark asks with wrk: install the package of that name")
    chroma = environment("chroma")
    with tempfile.TemporaryDirectory(prefix="ochre-bench-") as name:
        scratch = Path(name)
        wordnet = data.load(options.data, options.records, scratch / "data")
        scripts = {filter_: _script(scratch, filter_, wordnet.queries[:200]) for filter_ in FILTERS}
        clients = {"chroma": {"chromadb": chroma}, "ochre": {"chromadb": chroma, "ochre": Path(sys.executable)}}
        figures = {
            system: _measure(system, chroma, clients[system], scratch, scripts, wrk, options.seconds)
            for system in ("ochre", "chroma")
        }
    _show(figures, wordnet.count)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="the folder with the WordNet files")
    parser.add_argument("--records", type=int, default=40_000, help="how many records")
    parser.add_argument("--seconds", type=int, default=10, help="how long each load lasts")
    return parser.parse_args()


def _script(scratch: Path, name: str, queries: Any) -> Path:
    """Write what wrk sends: one body a line, and the script that takes them in turn."""
    bodies = scratch / f"{name}.jsonl"
    include = ["documents", "metadatas", "distances"]
    lines = [
        json.dumps({"query_embeddings": [query], "n_results": 10, "where": FILTERS[name], "include": include})
        for query in np.asarray(queries, np.float64).round(6).tolist()
    ]
    bodies.write_text("\n".join(lines), encoding="utf-8")
    script = scratch / f"{name}.lua"
    script.write_text(SCRIPT % json.dumps(str(bodies)), encoding="utf-8")
    return script


def _measure(
    system: str, chroma: Path, clients: dict[str, Path], scratch: Path, scripts: dict[str, Path], wrk: str, seconds: int
) -> dict[str, float]:
    figures: dict[str, float] = {}
    folder = scratch / system
    with _server(system, chroma, folder) as (url, _):
        collection = ""
        for package, python in clients.items():
            print(f"{system}: add through {package}", file=sys.stderr, flush=True)
            command = [str(python), "-c", LOADER, package, url, str(scratch / "data")]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            found = re.search(r"RESULT (\S+) (\S+)", done.stdout)
            if found is None:
                raise SystemExit(f"{package} on {system} failed\n{done.stderr[-3000:]}")
            figures[ADDS[package]] = float(found[1])
            collection = found[2]
        if system == "ochre":
            _wait_for_indexes(f"{url}{COLLECTIONS}/{collection}/indexing_status")
        figures |= _asked(wrk, f"{url}{COLLECTIONS}/{collection}/query", scripts, CONNECTIONS, seconds)
    if system == "ochre":
        with _server(system, chroma, folder, "--workers", str(WORKERS)) as (url, _):
            target = f"{url}{COLLECTIONS}/{collection}/query"
            more = _asked(wrk, target, scripts, CONNECTIONS[-1:], seconds)
            figures |= {case + MORE: figure for case, figure in more.items()}
    with _server(system, chroma, folder) as (url, started):
        body = scripts["query"].with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()[0].encode()
        request = urllib.request.Request(
            f"{url}{COLLECTIONS}/{collection}/query", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()
        figures["start to first answer, s"] = time.perf_counter() - started
    return figures


def _asked(
    wrk: str, url: str, scripts: dict[str, Path], connections: tuple[int, ...], seconds: int
) -> dict[str, float]:
    """Ask with each script over so many connections at a time, after a warm-up."""
    figures = {}
    for name, script in scripts.items():
        for count in connections:
            print(f"{url}: {name}, {count} connections", file=sys.stderr, flush=True)
            _load(wrk, script, url, count, 2)
            rate, middle = _load(wrk, script, url, count, seconds)
            figures[f"{name}, {count} connections, queries/s"] = rate
            figures[f"{name}, {count} connections, p50 ms"] = middle
    return figures


def _load(wrk: str, script: Path, url: str, connections: int, seconds: int) -> tuple[float, float]:
    """Return queries a second and the median latency in milliseconds."""
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), "--latency", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    middle = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert middle, text
    assert rate, text
    return float(rate[1]), float(middle[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[middle[2]]


@contextlib.contextmanager
def _server(system: str, chroma: Path, folder: Path, *options: str) -> Iterator[tuple[str, float]]:
    """Run a server while the block does; yields its address and when it was started."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    place = ["--path", str(folder), "--host", "127.0.0.1", "--port", port]
    if system == "ochre":
        command = [sys.executable, "-m", "ochre.cli.main", "run", *place, "--log-level", "warning", *options]
    else:
        command = [str(chroma.with_name("chroma")), "run", *place]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        _wait(f"http://127.0.0.1:{port}/api/v2/heartbeat")
        yield f"http://127.0.0.1:{port}", start
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def _wait_for_indexes(url: str) -> None:
    """Chroma builds its index while it adds; ours is built behind."""
    while True:
        with urllib.request.urlopen(url) as answer:
            if json.load(answer)["num_unindexed_ops"] == 0:
                return
        time.sleep(0.1)


def _show(figures: dict[str, dict[str, float]], records: int) -> None:
    table = Table(title=f"Servers: Ochre and chromadb 1.5.9, {records:,} records of WordNet, 384 dimensions, cosine")
    for name in ("case", "Ochre", "Chroma", "times better"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for case, ours in figures["ochre"].items():
        theirs = figures["chroma"].get(case.removesuffix(MORE), figures["chroma"][ADDS["chromadb"]])
        ratio = ours / theirs if case.removesuffix(MORE).endswith("/s") else theirs / ours
        table.add_row(case, f"{ours:,.2f}", f"{theirs:,.2f}", f"{ratio:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
