"""What `chromadb.api.models` holds: the collection."""

from __future__ import annotations

from ochre.client._sync.collection import Collection

__all__ = ["Collection"]
