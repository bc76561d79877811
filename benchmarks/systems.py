"""The systems, each in a Python environment of its own, and how a phase is run in one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worker.sharing import command, result

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "chroma": ["chromadb==1.5.9"],
    "lancedb": ["lancedb==0.40.*"],
    "milvus": ["milvus-lite==3.2.*", "pymilvus==3.0.*"],
}
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as for anybody who installs one: compiled once, not in each process

TITLES = {"ochre": "Ochre", "chroma": "Chroma", "lancedb": "LanceDB"}


class FailedError(Exception):
    """A phase did not end well, or not in time."""


@dataclass(frozen=True)
class System:
    """A system and the Python that has it."""

    name: str
    python: Path

    def run(self, phase: str, within: float, **arguments: Any) -> dict[str, Any]:
        """Run a phase in a process of its own and return its result.

        Raises:
            FailedError: it failed, or did not finish in `within` seconds.
        """
        print(f"{self.name}: {phase}", file=sys.stderr, flush=True)
        line = [str(self.python), *command(self.name, phase, **arguments)[1:]]
        try:
            done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT, timeout=within)
        except subprocess.TimeoutExpired:
            raise FailedError(f"{self.name}: {phase} did not finish within {within:,.0f} s") from None
        found = result(done.stdout)
        if found is None:
            raise FailedError(f"{self.name}: {phase} failed\n{done.stderr[-1500:]}")
        return found

    def version(self) -> str:
        """Return the version of the system."""
        package = {"chroma": "chromadb", "milvus": "milvus-lite"}.get(self.name, self.name)
        code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
        done = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()


def system(name: str, python: Path | None = None) -> System:
    """Return a system; without a Python that has it, its environment is made, once."""
    if name == "ochre":
        return System(name, Path(sys.executable))
    return System(name, python or environment(name))


def environment(name: str) -> Path:
    """Make a system's own environment, once, and return its Python."""
    folder = ROOT / f".venv-{name}"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name], "psutil"], check=True)
    return python
