"""Names of Chroma that Ochre does not have: they import, annotate and subclass like any class, and refuse to be used.

So a program that names them and never uses them runs, and one that uses them is told what to do instead.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ochre.errors import UnsupportedError


class Unsupported(type):
    """The class of such a class. `refusal` is what its use is answered with."""

    refusal: str

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        """Refuse to make an instance, of subclasses too."""
        raise UnsupportedError(cls.refusal)

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(f"{cls.__name__} has no {name}: {cls.refusal}")

    def __getitem__(cls, _: Any) -> Unsupported:
        return cls  # `SparseEmbeddingFunction[Documents]`, in an annotation or as a base class


def unsupported(name: str, instead: str) -> Any:
    """Make a class that refuses to be used.

    Args:
        name: Chroma's name.
        instead: what to do, as an imperative.
    """
    refusal = f"{name} is not supported yet: {instead}"
    return Unsupported(name, (), {"__doc__": f"{refusal}.", "refusal": refusal})
