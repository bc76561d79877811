"""The files of the default model: where they are, how they get here, and whether they are the right ones.

Two files make the model: `model.safetensors` (91 MB of numbers) and `tokenizer.json`. They are looked for in the path
that `OCHRE_MODEL_PATH` names, then in the cache, then fetched (`download`). Whatever its source, a file is checked
against the hash written here before it is used: a wrong file would give wrong vectors without a sign. Nothing in them
is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ochre.errors import ModelUnavailableError

MODEL = "all-MiniLM-L6-v2"
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
WEIGHTS_SIZE = 90_868_376
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "66854eac0051205f3bc495b01f6e3db009bf68ae4357305b44d34019134e42f7"
"""Of what the tokenizer does, not of its bytes: see `tokenizer_digest`."""

PATH_VARIABLE, CACHE_VARIABLE = "OCHRE_MODEL_PATH", "OCHRE_CACHE"

ADVICE = (
    f"Run `ochre model fetch` where there is a network, or copy {WEIGHTS} and {TOKENIZER} of {MODEL} into a folder and "
    f"name it in {PATH_VARIABLE}, or pass an embedding_function (or embeddings) of your own"
)


@dataclass(frozen=True)
class ModelFiles:
    """The folder of a model whose two files have been found and checked."""

    folder: Path

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / WEIGHTS

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's definition."""
        return self.folder / TOKENIZER


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tokenizer_digest(path: Path) -> str:
    """Return the SHA-256 of a tokenizer's definition, formatting, truncation and padding left out.

    Libraries rewrite this file with settings of their own for the last two, which are set anew when the model is
    loaded; vocabulary and rules decide the tokens.
    """
    definition = json.loads(path.read_text(encoding="utf-8"))
    rules = {key: value for key, value in definition.items() if key not in {"truncation", "padding"}}
    return hashlib.sha256(json.dumps(rules, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def fault(path: Path) -> str | None:
    """Return what is wrong with a file of the model, told by its name; None if it is the right one."""
    try:
        if path.name == TOKENIZER:
            found, expected = tokenizer_digest(path), TOKENIZER_SHA256
        elif (size := path.stat().st_size) != WEIGHTS_SIZE:
            return f"{path} has {size} bytes instead of {WEIGHTS_SIZE}"
        else:
            found, expected = weights_digest(path), WEIGHTS_SHA256
    except FileNotFoundError:
        return f"{path} does not exist"
    except (OSError, ValueError, AttributeError) as error:
        return f"{path} cannot be read ({error})"
    return None if found == expected else f"{path} has the hash {found} instead of {expected}"


def folder_fault(folder: Path) -> str | None:
    """Return what is wrong with a folder of model files; None if both are there and right."""
    return fault(folder / TOKENIZER) or fault(folder / WEIGHTS)


def named_folder() -> Path | None:
    """Return the folder that `OCHRE_MODEL_PATH` names, itself or through its weights file; None if it is not set."""
    value = os.environ.get(PATH_VARIABLE)
    if not value:
        return None
    path = Path(value).expanduser()
    return path.parent if path.suffix == ".safetensors" else path


def cache_folder() -> Path:
    """Return the folder in the cache, whether it exists or not: under `OCHRE_CACHE`, or the platform's own place."""
    given = os.environ.get(CACHE_VARIABLE)
    return (Path(given).expanduser() if given else _platform_cache() / "ochre") / "models" / MODEL


def _platform_cache() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path.home() / ".cache"


def find() -> tuple[ModelFiles | None, list[str]]:
    """Look for the files on this machine.

    Returns:
        The files, or None and why each place has none.

    Raises:
        ModelUnavailableError: `OCHRE_MODEL_PATH` names a folder that does not hold the right files. A path given on
            purpose is never passed over silently.
    """
    named = named_folder()
    if named is not None:
        wrong = folder_fault(named)
        if wrong:
            raise ModelUnavailableError(
                f"{PATH_VARIABLE} is {os.environ[PATH_VARIABLE]!r}, but {wrong}. Put {WEIGHTS} and {TOKENIZER} of "
                f"{MODEL} there, or unset the variable"
            )
        return ModelFiles(named), []
    cache = cache_folder()
    wrong = folder_fault(cache)
    return (None, [f"cache: {wrong}"]) if wrong else (ModelFiles(cache), [])


def obtain(progress: Callable[[str, int, int | None], None] | None = None) -> ModelFiles:
    """Return the files, checked; fetch them into the cache if they are nowhere on this machine.

    Args:
        progress: called while fetching with what is being done, the bytes so far, and all of them (None: not known).

    Raises:
        ModelUnavailableError: no source has them; the message says why of each, and what to do.
    """
    files, tried = find()
    if files is not None:
        return files
    from ochre.embedding.download import SOURCES

    cache = cache_folder()
    for name, fetch in SOURCES.items():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            fetch(cache, progress or _silently)
        except (OSError, ModelUnavailableError) as error:
            tried.append(f"{name}: {error}")
            continue
        wrong = folder_fault(cache)
        if wrong is None:
            return ModelFiles(cache)
        tried.append(f"{name}: {wrong}")
    reasons = "".join(f"\n  - {reason}" for reason in tried)
    raise ModelUnavailableError(f"the files of {MODEL} cannot be had; tried:{reasons}\n{ADVICE}")


def _silently(what: str, done: int, total: int | None) -> None:
    """Report to nobody."""
