"""Makes the synchronous twins of asynchronous modules: `python tools/unasync.py` writes them, `--check` compares.

Every module of a folder `_async` becomes one of the folder `_sync` beside it, and a module `_async` becomes `_sync`, by
the substitutions below. A module named `compat` has a twin written by hand: it holds what really differs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BY_HAND = "compat.py"
HEADER = "# Made by tools/unasync.py from {source}: change that file, then run `make format`.\n"

SUBSTITUTIONS: list[tuple[str, str]] = [
    (r"\basync def\b", "def"),
    (r"\basync (for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\baclose\b", "close"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\b_async\b", "_sync"),
    (r"\bAsync(Client|Collection|AdminClient|Engine|Server|Folder|RemoteEngine|Transport)\b", r"\1"),
    (r"\basynchronous\b", "synchronous"),
    (r"any number of tasks of one event loop", "any number of threads"),
    (r"[;:] the source of the synchronous ones?", ""),
]


def main() -> int:
    """Write or compare every twin; return the exit code."""
    check = "--check" in sys.argv[1:]
    used: set[str] = set()
    stale = []
    for source in sorted((ROOT / "ochre").rglob("*.py")):
        parts = source.relative_to(ROOT).parts
        if not {"_async", "_async.py"} & {*parts} or source.name == BY_HAND:
            continue
        target = ROOT.joinpath(*(part.replace("_async", "_sync") for part in parts))
        text = formatted(translated(source, used), target)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(str(target.relative_to(ROOT)))
            if not check:
                target.parent.mkdir(exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
    unused = [pattern for pattern, _ in SUBSTITUTIONS if pattern not in used]
    for pattern in unused:
        print(f"the substitution {pattern!r} is not used: remove it")
    for name in stale:
        print(f"{name} is {'not what its source makes' if check else 'made anew'}")
    return int(bool(unused or (check and stale)))


def translated(source: Path, used: set[str]) -> str:
    """Return the synchronous text of a module; note in `used` which substitutions it took."""
    text = source.read_text(encoding="utf-8")
    for pattern, replacement in SUBSTITUTIONS:
        text, count = re.subn(pattern, replacement, text)
        if count:
            used.add(pattern)
    return HEADER.format(source=source.relative_to(ROOT).as_posix()) + text


def formatted(text: str, target: Path) -> str:
    """Return the text as the formatter leaves it: lines grow shorter without `await`."""
    for command in (["check", "--fix", "--quiet", "--select", "I"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(target), "-"],
            input=text, capture_output=True, text=True, encoding="utf-8", check=True, cwd=ROOT,
        )  # fmt: skip
        text = done.stdout
    return text


if __name__ == "__main__":
    sys.exit(main())
