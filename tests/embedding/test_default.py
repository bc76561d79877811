"""The default function under its two names: what is remembered of it, and what it tells before a model is loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ochre.embedding import minilm
from ochre.embedding.default import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from ochre.embedding.registry import from_envelope, to_envelope
from ochre.errors import InvalidArgumentError, InvalidTypeError, ModelUnavailableError

BOTH = pytest.mark.parametrize("function", [DefaultEmbeddingFunction(), ONNXMiniLM_L6_V2()], ids=["default", "onnx"])


@pytest.fixture
def unloaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is loaded in this process, and its files cannot be had."""
    monkeypatch.setattr(minilm, "_models", {})


@pytest.mark.parametrize(
    ("function", "name", "config", "space"),
    [
        (DefaultEmbeddingFunction(), "default", {}, "l2"),
        (ONNXMiniLM_L6_V2(), "onnx_mini_lm_l6_v2", {"preferred_providers": None}, "cosine"),
        (ONNXMiniLM_L6_V2(["A", "B"]), "onnx_mini_lm_l6_v2", {"preferred_providers": ["A", "B"]}, "cosine"),
    ],
)
def test_it_is_remembered_and_comes_back(function: Any, name: str, config: dict[str, Any], space: str) -> None:
    envelope = to_envelope(function)
    assert envelope == {"type": "known", "name": name, "config": config}
    again = from_envelope(envelope)
    assert type(again) is type(function)
    assert again.get_config() == config
    assert again.default_space() == space
    assert again.supported_spaces() == ["cosine", "l2", "ip"]
    assert again.max_tokens() == 256


def test_a_configuration_written_by_another_client_makes_no_difference() -> None:
    envelope = {"type": "known", "name": "default", "config": {"model": "other", "quantized": True}}
    assert from_envelope(envelope).get_config() == {}


@pytest.mark.parametrize("providers", ["CPUExecutionProvider", ("A",), [1], {"A"}])
def test_providers_that_are_no_list_of_strings_are_refused(providers: Any) -> None:
    with pytest.raises(InvalidTypeError, match="preferred_providers is .*expected a list of strings"):
        ONNXMiniLM_L6_V2(providers)


def test_a_provider_named_twice_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="names one twice"):
        ONNXMiniLM_L6_V2(["A", "A"])


@BOTH
def test_no_texts_need_no_model(function: Any, unloaded: None) -> None:
    assert function([]) == []


@BOTH
def test_a_bare_string_is_refused(function: Any, unloaded: None) -> None:
    with pytest.raises(InvalidTypeError, match="the input is 'text': expected a list"):
        function("text")


@BOTH
def test_a_model_that_cannot_be_had_is_told_when_the_first_text_comes(function: Any, unloaded: None) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be had; tried:"):
        function(["text"])


@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_a_missing_library_is_told_with_the_command_that_installs_it(
    library: str, unloaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModelUnavailableError, match=rf"needs {library}: pip install \"ochre\[minilm\]\""):
        DefaultEmbeddingFunction()(["text"])


def test_a_broken_library_is_told(unloaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizers.py").write_text("raise ImportError('built for another system')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tokenizers", raising=False)
    with pytest.raises(ModelUnavailableError, match="cannot be imported .built for another system.: install it again"):
        DefaultEmbeddingFunction()(["text"])
