"""What `chromadb.telemetry.product` holds: base classes for telemetry of one's own. Nothing here ever calls them."""

from __future__ import annotations

__all__ = ["ProductTelemetryClient", "ProductTelemetryEvent"]


class ProductTelemetryEvent:
    """An event; none is ever made."""


class ProductTelemetryClient:
    """Takes events; it is never given any."""

    def __init__(self, system: object = None) -> None:
        """Take what Chroma hands over, and keep nothing."""

    def capture(self, event: ProductTelemetryEvent) -> None:
        """Take an event."""
