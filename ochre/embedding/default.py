"""The default embedding function, under the two names that Chroma gives it.

Both run the one all-MiniLM-L6-v2 that the process shares (`minilm`); they differ in the space a new collection gets.
Making one costs nothing: files are looked for, and libraries imported, when the first text is embedded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.embedding.base import EmbeddingFunction, Space
from ochre.errors import InvalidArgumentError, InvalidTypeError

_MAX_TOKENS = 256


def _embed(texts: Any, providers: Sequence[str] | None) -> NDArray[np.float32]:
    from ochre.embedding.minilm import CPU, shared_model

    return shared_model(providers or CPU).embed(list(texts))


class DefaultEmbeddingFunction(EmbeddingFunction):
    """all-MiniLM-L6-v2: 384 dimensions, unit length, the first 256 tokens of a text. Remembered as `default`.

    Raises when called:
        InvalidTypeError: an input is not a string.
        InvalidArgumentError: a text has a lone surrogate.
        ModelUnavailableError: the model's files or libraries cannot be had.
    """

    def __init__(self) -> None:
        """Take no settings; nothing is loaded yet."""

    def __call__(self, input: list[str]) -> Any:  # noqa: A002  (Chroma's name)
        """Return one 384-dimensional vector a text, in order."""
        return _embed(input, None)

    @staticmethod
    def name() -> str:
        """Return `default`."""
        return "default"

    def get_config(self) -> dict[str, Any]:
        """Return the empty configuration."""
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> DefaultEmbeddingFunction:
        """Make one; whatever a configuration of another client holds makes no difference."""
        del config
        return DefaultEmbeddingFunction()

    def max_tokens(self) -> int:
        """Return how many tokens of a text count."""
        return _MAX_TOKENS


class ONNXMiniLM_L6_V2(EmbeddingFunction):  # noqa: N801  (Chroma's name)
    """all-MiniLM-L6-v2 for cosine collections, optionally on other hardware. Remembered as `onnx_mini_lm_l6_v2`.

    Args:
        preferred_providers: ONNX Runtime's execution providers, by preference. By default the processor alone, whose
            vectors are the same everywhere.

    Raises:
        InvalidTypeError: the providers are not a list of strings.
        InvalidArgumentError: one is named twice.
    """

    def __init__(self, preferred_providers: list[str] | None = None) -> None:
        if preferred_providers is not None:
            if not isinstance(preferred_providers, list) or not all(isinstance(p, str) for p in preferred_providers):
                raise InvalidTypeError(f"preferred_providers is {preferred_providers!r}: expected a list of strings")
            if len(set(preferred_providers)) != len(preferred_providers):
                raise InvalidArgumentError(
                    f"preferred_providers names one twice: {preferred_providers!r}; name each once"
                )
        self._providers = preferred_providers

    def __call__(self, input: list[str]) -> Any:  # noqa: A002  (Chroma's name)
        """Return one 384-dimensional vector a text, in order."""
        return _embed(input, self._providers)

    @staticmethod
    def name() -> str:
        """Return `onnx_mini_lm_l6_v2`."""
        return "onnx_mini_lm_l6_v2"

    def get_config(self) -> dict[str, Any]:
        """Return the preferred providers."""
        return {"preferred_providers": self._providers}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> ONNXMiniLM_L6_V2:
        """Make one from `get_config`."""
        return ONNXMiniLM_L6_V2(config.get("preferred_providers"))

    def default_space(self) -> Space:
        """Return `cosine`."""
        return "cosine"

    def max_tokens(self) -> int:
        """Return how many tokens of a text count."""
        return _MAX_TOKENS
