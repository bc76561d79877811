"""What `chromadb.utils.embedding_functions` holds: the functions that Ochre has, the registry, names of the others."""

from __future__ import annotations

from typing import Any

from ochre.aliases import providers
from ochre.aliases.providers import *  # noqa: F403  (one table holds the names)
from ochre.aliases.search import SparseEmbeddingFunction
from ochre.aliases.types import Documents, EmbeddingFunction, Embeddings, Space
from ochre.embedding import registry
from ochre.embedding.default import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from ochre.embedding.registry import register_embedding_function

__all__ = [  # noqa: PLE0604  (names of names)
    *providers.__all__,
    "DefaultEmbeddingFunction",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "ONNXMiniLM_L6_V2",
    "Space",
    "SparseEmbeddingFunction",
    "config_to_embedding_function",
    "known_embedding_functions",
    "register_embedding_function",
]

known_embedding_functions = registry.known_embedding_functions()
"""The registered classes by name, as they are when this is first imported."""


def config_to_embedding_function(config: dict[str, Any]) -> Any:
    """Build a registered function from `{"name": ..., "config": ...}`; raises `InvalidArgumentError`."""
    return registry.build_embedding_function(config["name"], config["config"])
