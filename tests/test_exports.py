"""The public names: they resolve, they are documented, and importing the package costs next to nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import ochre

HEAVY = ("numpy", "apsw", "msgspec", "re2", "httpx", "typer", "rich", "onnxruntime", "tokenizers", "PIL")


def script(source: str) -> str:
    """Run Python code in a process of its own, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_resolves_and_no_other_is_promised() -> None:
    assert sorted(set(ochre.__all__)) == sorted(ochre.__all__) == dir(ochre)
    for name in ochre.__all__:
        assert getattr(ochre, name) is not None
    assert {*ochre._HOMES, *ochre._RENAMED, "__version__", "errors"} == set(ochre.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ochre' has no attribute 'Nothing'"):
        ochre.Nothing  # noqa: B018


def test_a_star_import_brings_the_public_names() -> None:
    assert script(
        "from ochre import *; print(len([n for n in dir() if n in __import__('ochre').__all__]))"
    ).strip() == (str(len(ochre.__all__)))


def test_importing_the_package_imports_no_other() -> None:
    loaded = script(f"import sys, ochre; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_a_client_needs_neither_the_model_nor_the_command_line() -> None:
    names = ("httpx", "typer", "rich", "onnxruntime", "tokenizers", "PIL")
    loaded = script(
        "import sys, ochre\n"
        "with ochre.EphemeralClient() as client:\n"
        "    client.create_collection('things').add(ids=['a'], embeddings=[[1.0]])\n"
        f"print([name for name in {names!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def public_parts() -> list[tuple[str, Any]]:
    """Every exported class and function, and every public method and property of the classes."""
    parts: list[tuple[str, Any]] = []
    for name in sorted(set(ochre.__all__) - {"errors", "Where", "WhereDocument"}):
        value = getattr(ochre, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts.append((name, value))
        if inspect.isclass(value):
            parts += [
                (f"{name}.{attribute}", member)
                for base in value.__mro__
                if base.__module__.startswith("ochre")
                for attribute, member in vars(base).items()
                if not attribute.startswith("_")
                and (inspect.isroutine(member) or isinstance(member, property | staticmethod | classmethod))
            ]
    parts += [(f"errors.{error.__name__}", error) for error in ochre.errors.error_classes().values()]
    return parts


def test_everything_public_has_a_docstring() -> None:
    undocumented = [name for name, part in public_parts() if not (part.__doc__ or "").strip()]
    assert undocumented == []


def test_everything_public_says_which_types_it_takes_and_returns() -> None:
    for name, part in public_parts():
        function = getattr(part, "fget", None) or getattr(part, "__func__", part)
        if not inspect.isfunction(function):
            continue
        signature = inspect.signature(function)
        unsaid = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name != "self"]
        assert unsaid in ([], ["cls"]), f"{name} does not say the type of {unsaid}"
        assert signature.return_annotation is not signature.empty, f"{name} does not say what it returns"
