"""The installed distribution that `importlib.metadata` finds under Chroma's name: some programs ask there."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

__all__ = ["ChromaDistribution", "__version__"]

__version__ = "1.5.9"
"""The release of Chroma whose Python API is here: integrations compare it with what they need."""


class ChromaDistribution(importlib.metadata.Distribution):
    """A distribution that has a name and a version, and no files."""

    def read_text(self, filename: str) -> str | None:
        """Return the metadata; there is no other text."""
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: chromadb\nVersion: {__version__}\nSummary: Ochre, under Chroma's name\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Return where a file would be."""
        return Path(__file__).parent / path
