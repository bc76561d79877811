"""The registry, and what a collection remembers: a stored configuration never builds what is not registered."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import numpy as np
import pytest

from ochre.embedding import registry
from ochre.embedding.base import EmbeddingFunction
from ochre.embedding.default import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from ochre.embedding.registry import (
    build_embedding_function,
    from_envelope,
    known_embedding_functions,
    register_embedding_function,
    to_envelope,
)
from ochre.errors import InvalidArgumentError, InvalidTypeError


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


class Scaled(EmbeddingFunction):
    """The length of a text, times a factor."""

    built: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **config: Any) -> None:
        self.config = config

    def __call__(self, input: list[str]) -> Any:
        return [[len(text) * self.config.get("factor", 1)] for text in input]

    @staticmethod
    def name() -> str:
        return "scaled"

    def get_config(self) -> dict[str, Any]:
        return self.config

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Scaled:
        Scaled.built.append(config)
        return Scaled(**config)


class Duck:
    """Has the protocol's methods, and is none of its classes."""

    def __call__(self, input: list[str]) -> Any:
        return [[1.0]] * len(input)

    name = staticmethod(lambda: "duck")
    get_config = staticmethod(dict)
    build_from_config = staticmethod(lambda config: Duck())


def known(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"type": "known", "name": name, "config": config}


# Registering


@pytest.mark.parametrize(
    "register",
    [register_embedding_function, register_embedding_function(), lambda cls: register_embedding_function(cls=cls)],
    ids=["bare decorator", "called decorator", "call"],
)
def test_a_registered_class_is_built_by_its_name(register: Any) -> None:
    assert register(Scaled) is Scaled
    function = build_embedding_function("scaled", {"factor": 3})
    assert function(["ab"])[0].tolist() == [6]


@pytest.mark.parametrize("name", ["scaled", "default"])
def test_the_latest_registration_of_a_name_wins(name: str) -> None:
    register_embedding_function(Scaled)
    latest = register_embedding_function(type("Latest", (Scaled,), {"name": staticmethod(lambda: name)}))
    assert known_embedding_functions()[name] is latest


@pytest.mark.parametrize("name", [None, "", 5, NotImplemented])
def test_a_class_without_a_name_cannot_be_registered(name: Any) -> None:
    with pytest.raises(InvalidTypeError, match="has no name"):
        register_embedding_function(type("Nameless", (), {"name": staticmethod(lambda: name)}))


def test_a_class_of_another_family_without_name_cannot_be_registered() -> None:
    with pytest.raises(InvalidTypeError, match="has no name"):
        register_embedding_function(dict)


def test_the_packages_own_functions_are_known() -> None:
    functions = known_embedding_functions()
    assert functions["default"] is DefaultEmbeddingFunction
    assert functions["onnx_mini_lm_l6_v2"] is ONNXMiniLM_L6_V2


# The persisted form


def test_a_function_is_remembered_by_name_and_configuration() -> None:
    config = {"factor": 2, "text": "é", "none": None, "deep": {"list": [1, 2.5, True]}}
    envelope = to_envelope(Scaled(**config))
    assert envelope == known("scaled", config)
    assert from_envelope(envelope).config == config


def test_a_configuration_is_remembered_as_json_gives_it_back() -> None:
    assert to_envelope(Scaled(pair=(1, 2)))["config"] == {"pair": [1, 2]}


def test_the_process_that_remembers_a_function_can_build_it_without_registering_it() -> None:
    assert isinstance(from_envelope(to_envelope(Scaled())), Scaled)


def test_a_class_with_the_protocols_methods_is_remembered_too() -> None:
    assert isinstance(from_envelope(to_envelope(Duck())), Duck)


def test_an_instance_does_not_take_the_name_of_the_packages_own_function() -> None:
    impostor = type("Impostor", (Scaled,), {"name": staticmethod(lambda: "default")})()
    assert to_envelope(impostor)["name"] == "default"
    assert known_embedding_functions()["default"] is DefaultEmbeddingFunction


@pytest.mark.parametrize(
    "function",
    [
        None,
        lambda input: [[1.0]],
        type("Plain", (EmbeddingFunction,), {})(),
        type("Half", (Duck,), {"build_from_config": None})(),
        type("Unnamed", (Duck,), {"name": staticmethod(lambda: NotImplemented)})(),
        type("Unconfigured", (Duck,), {"get_config": lambda self: NotImplemented})(),
    ],
    ids=["none", "function", "no name", "no way back", "name not implemented", "configuration not implemented"],
)
def test_what_cannot_be_rebuilt_is_legacy(function: Any) -> None:
    assert to_envelope(function) == {"type": "legacy"}


@pytest.mark.parametrize("envelope", [None, {"type": "legacy"}, {"type": "unknown"}])
def test_nothing_is_rebuilt_from_what_remembers_nothing(envelope: Any) -> None:
    assert from_envelope(envelope) is None


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", {1, 2}, float("nan"), float("inf"), np.float32(1), np.zeros(2), "\ud800", {(1, 2): 3}],
    ids=["object", "bytes", "set", "nan", "infinity", "numpy number", "array", "lone surrogate", "tuple as key"],
)
def test_a_configuration_that_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="get_config of Scaled returned what JSON cannot hold"):
        to_envelope(Scaled(value=value))
    assert "scaled" not in known_embedding_functions()


@pytest.mark.parametrize("name", [5, "", None])
def test_a_name_that_is_no_string_is_refused(name: Any) -> None:
    with pytest.raises(InvalidTypeError, match=r"name\(\) of Odd returned .*expected a string"):
        to_envelope(type("Odd", (Scaled,), {"name": staticmethod(lambda: name)})())


# Building


@pytest.mark.parametrize("name", ["scaled", "os:getcwd", "ochre.embedding.default:DefaultEmbeddingFunction", ""])
def test_a_name_that_is_not_registered_builds_nothing(name: str) -> None:
    Scaled.built.clear()
    with pytest.raises(InvalidArgumentError, match="is not registered here .*register its class with"):
        from_envelope(known(name, {}))
    assert not Scaled.built


def test_a_name_that_is_not_registered_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with pytest.raises(InvalidArgumentError):
        from_envelope(known("antigravity:geohash", {}))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "config",
    [
        {"trust_remote_code": True},
        {"trust_remote_code": False},
        {"kwargs": {"trust_remote_code": True}},
        {"a": [{"b": ({"trust_remote_code": True},)}]},
    ],
)
def test_trust_in_remote_code_is_refused_at_any_depth(config: dict[str, Any]) -> None:
    register_embedding_function(Scaled)
    Scaled.built.clear()
    with pytest.raises(InvalidArgumentError, match="'scaled' names trust_remote_code: it is never honoured"):
        from_envelope(known("scaled", config))
    assert not Scaled.built


def test_an_error_of_building_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: dict[str, Any]) -> None:
        raise KeyError("factor")

    register_embedding_function(Scaled)
    monkeypatch.setattr(Scaled, "build_from_config", staticmethod(fail))
    with pytest.raises(InvalidArgumentError, match="Could not build embedding function 'scaled' .*'factor'") as caught:
        build_embedding_function("scaled", {"other": 1})
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_built_cannot_change_what_is_stored() -> None:
    register_embedding_function(Scaled)
    stored = {"factor": 1}
    build_embedding_function("scaled", stored)
    Scaled.built[-1]["factor"] = 2
    assert stored == {"factor": 1}
