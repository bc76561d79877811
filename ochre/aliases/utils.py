"""What `chromadb.utils` holds: nothing but its modules."""

from __future__ import annotations

__all__: list[str] = []
