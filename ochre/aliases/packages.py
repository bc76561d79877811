"""What Chroma's packages hold that hold nothing but modules, such as `chromadb.utils`."""

from __future__ import annotations

__all__: list[str] = []
