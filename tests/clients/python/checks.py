"""What the Python client programs share: checks that print a line each, the server's address, and an embedding."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
HOST = str(urlsplit(URL).hostname)
PORT = urlsplit(URL).port or 80


class Checks:
    """Counts the checks; `done` prints the closing line and ends the program, with 1 when one failed."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failed += 1
            trace = error.__traceback__.tb_next if error.__traceback__ else None
            print(f"FAILED  {what}: {type(error).__name__}: {error} (line {trace.tb_lineno if trace else '?'})")
        else:
            self.passed += 1
            print(f"ok      {what}")

    def done(self) -> None:
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def same(given: object, wanted: object) -> None:
    assert given == wanted, f"{given!r} is not {wanted!r}"


@contextmanager
def refused(name: str, part: str = "") -> Iterator[None]:
    """Demand an exception of the class called `name`, whose text contains `part`."""
    error: Exception | None = None
    try:
        yield
    except Exception as caught:
        error = caught
    if type(error).__name__ != name or part not in str(error):
        raise AssertionError(f"wanted {name} with {part!r}, got {error!r}") from error


def letters(text: str) -> list[float]:
    """Embed deterministically: how often each letter occurs, and 1 so that no vector is zero."""
    return [float(text.count(chr(place))) for place in range(ord("a"), ord("z") + 1)] + [1.0]
