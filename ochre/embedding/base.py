"""The protocol of embedding functions, and the parsing of what they return.

A function takes a list of inputs and returns one vector each. A subclass of `EmbeddingFunction` with a name and a
configuration can be persisted with a collection and rebuilt from there; any other callable works too, but has to be
passed whenever the collection is opened.
"""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ochre.errors import InvalidArgumentError, InvalidTypeError

Vectors = NDArray[np.float32]
"""`(n, d)` float32, C-contiguous."""

Space = Literal["cosine", "l2", "ip"]


class DataLoader(Protocol):
    """Turns uris into what an embedding function takes: one item each, in order; None stays None."""

    def __call__(self, uris: Sequence[str | None]) -> Any:
        """Return the data behind each uri."""


class EmbeddingFunction:
    """Base class of embedding functions.

    A subclass implements `__call__(self, input)` and, to be remembered by collections, `name`, `get_config` and
    `build_from_config`. Whatever shape `__call__` returns, callers receive a list of 1-D float32 arrays, one an input.
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)
    """`EmbeddingFunction[Documents]`, as Chroma's users write it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("__call__")
        if own is not None:
            cls.__call__ = _shaping(own)  # type: ignore[method-assign]

    def __call__(self, input: list[Any]) -> Any:  # noqa: A002  (Chroma's name)
        """Return one vector an input, in order."""
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__(self, input)")

    def embed_query(self, input: list[Any]) -> Any:  # noqa: A002  (Chroma's name)
        """Return one vector a question. Override it where a model treats questions in a way of its own."""
        return self(input=input)

    def embed_with_retries(self, input: list[Any], *, attempts: int = 3, wait: float = 1.0) -> Any:  # noqa: A002
        """Call the function up to `attempts` times, waiting `wait` seconds, then twice as long, and so on."""
        for attempt in range(attempts - 1):
            try:
                return self(input=input)
            except Exception:  # noqa: BLE001  (whatever a provider raises)
                time.sleep(wait * 2**attempt)
        return self(input=input)

    @staticmethod
    def name() -> str:
        """Return the name that collections remember the function by."""
        return NotImplemented  # type: ignore[no-any-return]  # the sign of a function that cannot be remembered

    def get_config(self) -> dict[str, Any]:
        """Return what `build_from_config` needs to make an equal function: JSON, and never a secret."""
        return NotImplemented  # type: ignore[no-any-return]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        """Make a function from what `get_config` returned."""
        return NotImplemented  # type: ignore[no-any-return]

    def default_space(self) -> Space:
        """Return the space the vectors are made for; a new collection takes it unless told otherwise."""
        return "l2"

    def supported_spaces(self) -> list[Space]:
        """Return the spaces in which the vectors make sense."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise if `config` is not one of this function's."""

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise if a collection made with `old_config` may not go on with `new_config`."""

    def is_legacy(self) -> bool:
        """Tell whether the function cannot be remembered: it has no name, configuration or way back."""
        own, base = type(self), EmbeddingFunction
        if any(getattr(own, part) is getattr(base, part) for part in ("name", "get_config", "build_from_config")):
            return True
        return self.name() is NotImplemented or self.get_config() is NotImplemented


def _shaping(call: Callable[..., Any]) -> Callable[..., list[Vectors]]:
    @functools.wraps(call)
    def shaped(self: Any, input: Any) -> list[Vectors]:  # noqa: A002  (Chroma's name)
        if isinstance(input, str) or not hasattr(input, "__len__"):
            raise InvalidTypeError(f"the input is {input!r:.60}: expected a list; put a single item in brackets")
        if not len(input):
            return []
        return list(normalize_embeddings(call(self, input), len(input), type(self).__name__))

    return shaped


def check_signature(function: Any) -> None:
    """Refuse what cannot be called as `function(input=[...])`.

    Raises:
        InvalidTypeError: not callable, or its parameter is not called `input`.
    """
    if not callable(function) or isinstance(function, type):
        raise InvalidTypeError(
            f"the embedding function is {function!r}: expected an object that is called with a list of inputs"
        )
    parameters = list(inspect.signature(function).parameters)
    if parameters != ["input"]:
        raise InvalidTypeError(
            "Expected EmbeddingFunction.__call__ to have the parameters ['self', 'input'], got "
            f"{['self', *parameters]}; rename the parameter"
        )


def normalize_embeddings(result: Any, count: int, name: str) -> Vectors:
    """Parse what an embedding function returned: lists of numbers, arrays, one 2-D array, or one flat vector.

    Args:
        result: as returned.
        count: how many vectors there must be.
        name: of the function, for messages.

    Returns:
        `(count, d)` float32, C-contiguous.

    Raises:
        InvalidArgumentError: None, nothing, the wrong number, ragged, not numbers, or not finite.
    """
    if not isinstance(result, np.ndarray | Sequence):
        raise InvalidArgumentError(f"the embedding function {name!r} returned {result!r:.60}: expected {count} vectors")
    try:
        given = np.asarray(result)
    except ValueError as error:
        raise InvalidArgumentError(
            f"the embedding function {name!r} returned vectors of different lengths: expected {count} of one length"
        ) from error
    if given.dtype.kind not in "fiu":
        raise InvalidArgumentError(
            f"the embedding function {name!r} returned values of type {given.dtype}: expected integers or floats"
        )
    vectors = given[np.newaxis, :] if given.ndim == 1 else given
    if vectors.ndim != 2 or vectors.shape[0] != count or not vectors.shape[1]:
        raise InvalidArgumentError(
            f"the embedding function {name!r} returned an array of shape {given.shape} for {count} inputs: expected "
            "one vector an input"
        )
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise InvalidArgumentError(
            f"the embedding function {name!r} returned NaN, infinity, or a number too large for float32: every number "
            "must be finite"
        )
    return vectors


def json_config(function: Any) -> dict[str, Any]:
    """Return a function's configuration as JSON gives it back.

    Raises:
        InvalidTypeError: it is not a dict. InvalidArgumentError: JSON cannot hold it.
    """
    config = function.get_config()
    if not isinstance(config, Mapping):
        raise InvalidTypeError(f"get_config of {type(function).__name__} returned {config!r:.60}: expected a dict")
    try:
        text = json.dumps(dict(config), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"get_config of {type(function).__name__} returned what JSON cannot hold: {error}; make it of strings, "
            "finite numbers, booleans, None, lists and dicts"
        ) from error
    parsed: dict[str, Any] = json.loads(text)
    return parsed
