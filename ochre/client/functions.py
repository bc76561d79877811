"""Which embedding function embeds, and the rules about giving two of them.

In order: the one passed when the collection was opened, unless it is the default; the one persisted in the
collection's configuration, rebuilt from its name and settings; the default one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ochre.client.normalize import parse_configuration_argument
from ochre.client.present import Load
from ochre.embedding.base import check_signature, normalize_embeddings
from ochre.embedding.registry import from_envelope, to_envelope
from ochre.errors import InvalidArgumentError
from ochre.model.vectors import Matrix

Function = Any
"""An embedding function: ours, Chroma's or any callable from a list of inputs to vectors."""


class _Default:
    """Stands for "the default embedding function", without building it."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Any = _Default()
"""The value of `embedding_function` when the caller gives none."""


def check_function(function: Function) -> None:
    """Refuse what cannot be called as an embedding function."""
    if function is not None and function is not DEFAULT:
        check_signature(function)


def is_default(function: Function) -> bool:
    """Tell whether a function is the default one, or stands for it."""
    return function is DEFAULT or name_of(function) == "default"


def name_of(function: Function) -> str | None:
    """Return the registered name of a function, None when it has none."""
    envelope = envelope_of(function)
    return str(envelope["name"]) if envelope and envelope["type"] == "known" else None


def envelope_of(function: Function) -> Mapping[str, Any] | None:
    """Return what a collection persists of a function: its name and settings, never code; None for None."""
    if function is None:
        return None
    if function is DEFAULT:
        return {"type": "known", "name": "default", "config": {}}
    return to_envelope(function)


def configured(configuration: Mapping[str, Any] | None, function: Function) -> dict[str, Any]:
    """Return the configuration of a new collection, with the function to persist and the space it prefers.

    Raises:
        InvalidArgumentError: two functions of different names.
    """
    given = dict(configuration or {})
    own = given.get("embedding_function")
    if own is None:
        given["embedding_function"] = envelope_of(function)
        return given
    if not isinstance(own, Mapping):
        check_function(own)
        given["embedding_function"] = envelope_of(own)
    chosen = given["embedding_function"].get("name")
    if function is not None and not is_default(function) and chosen != name_of(function):
        raise InvalidArgumentError(
            f"Multiple embedding functions provided: {name_of(function)!r} as argument and {chosen!r} in the "
            "configuration; give one"
        )
    return given


def preferred_space(function: Function) -> str | None:
    """Return the space a function's vectors are made for, None when it does not say."""
    if function is None or function is DEFAULT:
        return None  # the default function's is the default space
    envelope = envelope_of(function)
    if envelope is None or envelope["type"] != "known":
        return None
    space = getattr(function, "default_space", None)
    return str(space()) if callable(space) else None


def check_conflict(persisted: Mapping[str, Any] | None, function: Function) -> None:
    """Refuse to open a collection with a function of another name than the persisted one.

    Raises:
        InvalidArgumentError: the names differ.
    """
    if function is None or is_default(function) or not persisted or persisted.get("type") != "known":
        return
    if persisted["name"] != name_of(function):
        raise InvalidArgumentError(
            "An embedding function already exists in the collection configuration, and a new one is provided: "
            f"Embedding function conflict: new: {name_of(function)!r} vs persisted: {persisted['name']!r}. "
            "Vectors of two models do not compare; leave the argument out, or copy the records into a new collection"
        )


def changed_function(
    configuration: Mapping[str, Any] | None,
    function: Function,
    persisted: Mapping[str, Any] | None,
    *,
    lists: bool = False,
) -> tuple[Function, dict[str, Any] | None]:
    """Parse the changes of `modify(configuration=...)`.

    Args:
        configuration: as the user gave it.
        function: the one that embeds so far.
        persisted: the form in which the collection keeps it.
        lists: whether the collection was created with a `spann` configuration.

    Returns:
        The function that embeds from now on, and the changes with its persisted form in place of it.

    Raises:
        InvalidArgumentError: it changes what cannot change.
    """
    if configuration is None:
        return function, None
    changes = dict(parse_configuration_argument(configuration) or {})
    if changes.get("spann") is not None and not lists:
        raise InvalidArgumentError(
            "Trying to update the spann configuration of a collection whose index is hnsw: pass "
            "configuration={'hnsw': {...}}"
        )
    given = changes.get("embedding_function")
    if given is None or isinstance(given, Mapping):
        return function, changes
    check_function(given)
    envelope = to_envelope(given)
    if persisted and persisted.get("type") == "known":
        if persisted["name"] != name_of(given):
            raise InvalidArgumentError(
                f"The embedding function {name_of(given)!r} cannot replace {persisted['name']!r}: vectors of two "
                "models do not compare; copy the records into a new collection"
            )
        given.validate_config_update(persisted["config"], envelope["config"])
    changes["embedding_function"] = envelope
    return given, changes


class Embedder:
    """Embeds and loads on behalf of one collection; what is rebuilt from the configuration is kept."""

    def __init__(self, function: Function, persisted: Mapping[str, Any] | None, data_loader: Any = None) -> None:
        self._function = function
        self._persisted = persisted
        self._data_loader = data_loader
        self._resolved: Function = None

    def load(self, uris: Sequence[str | None]) -> Any:
        """Return the data behind uris; None stays None.

        Raises:
            InvalidArgumentError: there is no data loader.
        """
        self._require_loader()
        return self._data_loader(list(uris))

    def loader(self, *, required: bool) -> Load | None:
        """Return what loads data, None if there is no data loader; raises `InvalidArgumentError` if it is required."""
        if required:
            self._require_loader()
        return None if self._data_loader is None else self.load

    def _require_loader(self) -> None:
        if self._data_loader is None:
            raise InvalidArgumentError(
                "You must set a data loader on the collection if loading from URIs: "
                "pass data_loader=... when you open it"
            )

    def function(self) -> Function:
        """Return the function that embeds.

        Raises:
            InvalidArgumentError: the persisted function is not registered here, or there is none.
        """
        if self._resolved is None:
            self._resolved = self._resolve()
        return self._resolved

    def documents(self, inputs: list[Any]) -> Matrix:
        """Embed what is stored: `(n, d)` for n inputs."""
        return self._run(self.function(), inputs)

    def queries(self, inputs: list[Any]) -> Matrix:
        """Embed what is asked: `(n, d)` for n inputs; a function may treat questions in a way of its own."""
        function = self.function()
        call: Callable[..., Any] = getattr(function, "embed_query", None) or function
        return self._run(call, inputs)

    def _run(self, call: Callable[..., Any], inputs: list[Any]) -> Matrix:
        return normalize_embeddings(call(input=inputs), len(inputs), type(self._resolved).__name__)

    def _resolve(self) -> Function:
        persisted = self._persisted
        if self._function is not None and not is_default(self._function):
            return self._function
        if persisted and persisted.get("type") == "known":
            return from_envelope(persisted)
        if self._function is None and persisted:
            raise InvalidArgumentError(
                "You must provide an embedding function to compute embeddings: this collection was made with one that "
                "cannot be rebuilt; pass embedding_function=... when you open it, or pass embeddings"
            )
        if persisted:
            warnings.warn(
                "this collection was made with an embedding function that cannot be rebuilt, so the default embeds: "
                "vectors of two models do not compare; pass embedding_function=... when you open the collection",
                stacklevel=5,
            )
        return from_envelope({"type": "known", "name": "default", "config": {}})
