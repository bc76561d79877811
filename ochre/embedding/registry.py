"""The registry: which names build which embedding functions, and the form in which a collection remembers one.

A stored configuration only ever builds classes that are registered here: the package's own, and what the application
registered. It is the one piece of mutable state that belongs to the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar, overload

from ochre.embedding.base import EmbeddingFunction, json_config
from ochre.errors import InvalidArgumentError, InvalidTypeError

Class = TypeVar("Class", bound=type)

_classes: dict[str, type | str] = {
    # Names of modules, so that nothing heavy is imported before it is needed.
    "default": "ochre.embedding.default:DefaultEmbeddingFunction",
    "onnx_mini_lm_l6_v2": "ochre.embedding.default:ONNXMiniLM_L6_V2",
}


@overload
def register_embedding_function(cls: Class) -> Class: ...
@overload
def register_embedding_function(cls: None = None) -> Callable[[Class], Class]: ...
def register_embedding_function(cls: type | None = None) -> Any:
    """Register a class under its `name()`, as a decorator (with or without parentheses) or by a call.

    From then on collections that remember the name are opened with it. A later registration of the same name wins.

    Raises:
        InvalidTypeError: the class has no name.
    """
    if cls is None:
        return register_embedding_function
    name = cls.name() if callable(getattr(cls, "name", None)) else None  # type: ignore[attr-defined]
    if not isinstance(name, str) or not name:
        raise InvalidTypeError(f"{cls!r} has no name: give it a static method name() that returns a string")
    _classes[name] = cls
    return cls


def known_embedding_functions() -> dict[str, type]:
    """Return the registered classes by name."""
    return {name: _class(name) for name in list(_classes)}


def build_embedding_function(name: str, config: Mapping[str, Any]) -> Any:
    """Build a registered function from a stored configuration.

    Raises:
        InvalidArgumentError: the name is not registered, the configuration asks to trust remote code, or the class
            refuses it.
    """
    if name not in _classes:
        raise InvalidArgumentError(
            f"the embedding function {name!r} is not registered here (known: {', '.join(sorted(_classes))}): register "
            "its class with register_embedding_function, or pass embedding_function=... when you open the collection"
        )
    _refuse_remote_code(name, config)
    try:
        return _class(name).build_from_config(dict(config))  # type: ignore[attr-defined]
    except InvalidArgumentError:
        raise
    except Exception as error:
        raise InvalidArgumentError(
            f"Could not build embedding function {name!r} from its stored configuration {dict(config)!r:.200}: {error}"
        ) from error


def to_envelope(function: Any) -> dict[str, Any]:
    """Return the persisted form: `{"type": "known", "name", "config"}`, or `{"type": "legacy"}` for what has no name.

    The class is registered on the way, so that the process that made a collection can open it again.

    Raises:
        InvalidTypeError: the name is not a string, or the configuration not a dict.
        InvalidArgumentError: JSON cannot hold the configuration.
    """
    if function is None or _is_legacy(function):
        return {"type": "legacy"}
    name, config = function.name(), json_config(function)
    if not isinstance(name, str) or not name:
        raise InvalidTypeError(f"name() of {type(function).__name__} returned {name!r}: expected a string")
    if name not in _classes or (name not in _OWN and _classes[name] is not type(function)):
        _classes[name] = type(function)
    return {"type": "known", "name": name, "config": config}


def from_envelope(envelope: Mapping[str, Any] | None) -> Any:
    """Rebuild a function from its persisted form; None for what cannot be rebuilt."""
    if envelope is None or envelope.get("type") != "known":
        return None
    return build_embedding_function(envelope["name"], envelope["config"])


def _is_legacy(function: Any) -> bool:
    if isinstance(function, EmbeddingFunction):
        return function.is_legacy()
    if not all(callable(getattr(function, part, None)) for part in ("name", "get_config", "build_from_config")):
        return True
    return function.name() is NotImplemented or function.get_config() is NotImplemented


def _class(name: str) -> type:
    found = _classes[name]
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = _classes[name] = getattr(import_module(module), attribute)
    assert isinstance(found, type)
    return found


def _refuse_remote_code(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        if "trust_remote_code" in value:
            raise InvalidArgumentError(
                f"the stored configuration of {name!r} names trust_remote_code: it is never honoured"
            )
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _refuse_remote_code(name, item)


_OWN = frozenset(_classes)
