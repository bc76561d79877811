"""What `chromadb.utils.data_loaders` holds."""

from __future__ import annotations

from ochre.embedding.loaders import ImageLoader

__all__ = ["ImageLoader"]
