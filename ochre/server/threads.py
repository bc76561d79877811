"""The threads that do the work of requests: one as long as requests are short, more when one takes long.

Python runs one thread at a time. Threads with a fraction of a millisecond to do each hand the interpreter to and fro at
every call that lets go of it, and get less done together than one of them alone; but a long request must not keep the
others waiting.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

PATIENCE = 0.002
"""Seconds that a request waits for those at work before another thread takes it."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Threads(Executor):
    """An executor for `loop.run_in_executor`: calls begin in their order, on as few threads as do."""

    def __init__(self, most: int) -> None:
        """Start none yet; there will be `most` at most."""
        self._most = most
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="ochre-request")
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._begun: dict[int, float] = {}  # by thread at work: when its present call began
        self._numbers = itertools.count()
        self._watching = False
        self._closed = False

    def submit(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Take a call; to be called in an event loop."""
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("no calls are taken after shutdown")
            self._waiting.append((future, partial(function, *args, **kwargs)))
            self._staff(asyncio.get_running_loop())
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; end those at work, and unless they are cancelled those that wait."""
        with self._lock:
            self._closed = True
            while cancel_futures and self._waiting:
                self._waiting.popleft()[0].cancel()
        self._pool.shutdown(wait)

    def _staff(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set one more thread to work if those that are have been at it for long; the caller holds the lock."""
        if not self._waiting or len(self._begun) >= self._most:
            return
        now = time.monotonic()
        if all(now - begun >= PATIENCE for begun in self._begun.values()):
            number = next(self._numbers)
            self._begun[number] = now
            self._pool.submit(self._work, number)
        if not self._watching and len(self._begun) < self._most:
            self._watching = True
            loop.call_later(PATIENCE, self._watch, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._watching = False
            self._staff(loop)

    def _work(self, number: int) -> None:
        """Do what waits until nothing does."""
        while True:
            with self._lock:
                if not self._waiting:
                    del self._begun[number]
                    return
                future, call = self._waiting.popleft()
                self._begun[number] = time.monotonic()
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:  # noqa: BLE001  (whoever waits for it gets it)
                    future.set_exception(error)
                else:
                    future.set_result(result)
