"""Takes Chroma's name before anything imports it, and gives every test an empty database."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any

import pytest

import ochre

ochre.install_as_chromadb()


def letters(text: str) -> list[float]:
    """Embed a text as how often each letter is in it: texts of the same words are near each other."""
    return [float(text.lower().count(letter)) for letter in ascii_lowercase]


@pytest.fixture
def client() -> Iterator[Any]:
    """Open an empty database, which stores that name no place share."""
    import chromadb

    chromadb.api.client.SharedSystemClient.clear_system_cache()
    with chromadb.EphemeralClient() as client:
        yield client
