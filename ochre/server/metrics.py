"""Counters for Prometheus: requests by operation and status, how long they took, and what is under way."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from ochre.server.limits import Gate

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one process; with several processes, each answers for all of them."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._registry = CollectorRegistry()
        labels = ("operation", "status")
        self.requests = Counter("ochre_requests", "Requests answered.", labels, registry=self._registry)
        self.seconds = Histogram(
            "ochre_request_seconds",
            "Seconds from head to answer.",
            ("operation",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self.active = Gauge(
            "ochre_requests_active", "Requests under way.", registry=self._registry, multiprocess_mode="livesum"
        )
        self.buffered = Gauge(
            "ochre_buffered_bytes", "Bytes of bodies held.", registry=self._registry, multiprocess_mode="livesum"
        )

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.labels(operation, str(status)).inc()
        self.active.set(self._gate.requests)
        self.buffered.set(self._gate.buffered)
        self.seconds.labels(operation).observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """Return the page for Prometheus, and its media type."""
        self.active.set(self._gate.requests)
        self.buffered.set(self._gate.buffered)
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


def forget(process: int) -> None:
    """Drop what a process that ended had under way from the counters of its neighbours."""
    multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]
