"""The name `chromadb` for what is here, so that code written for Chroma runs unchanged.

    import ochre

    ochre.install_as_chromadb()
    import chromadb  # Ochre, from here on

Nothing is aliased unless asked. The modules of this package hold what scripts and integrations import from Chroma's
modules of similar names; `MODULES` says which is which. They never hold an implementation of their own of anything
that Ochre has under its own name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ochre.errors import AlreadyExistsError

NAME = "chromadb"

MODULES = {
    NAME: "ochre.aliases.root",
    f"{NAME}.api": "ochre.aliases.api",
    f"{NAME}.api.client": "ochre.aliases.clients",
    f"{NAME}.api.collection_configuration": "ochre.aliases.configuration",
    f"{NAME}.api.configuration": "ochre.aliases.configuration",
    f"{NAME}.api.models": "ochre.aliases.models",
    f"{NAME}.api.models.Collection": "ochre.aliases.models",
    f"{NAME}.api.shared_system_client": "ochre.aliases.clients",
    f"{NAME}.api.types": "ochre.aliases.types",
    f"{NAME}.base_types": "ochre.aliases.types",
    f"{NAME}.config": "ochre.aliases.config",
    f"{NAME}.errors": "ochre.aliases.errors",
    f"{NAME}.types": "ochre.aliases.types",
    f"{NAME}.utils": "ochre.aliases.utils",
    f"{NAME}.utils.batch_utils": "ochre.aliases.batches",
    f"{NAME}.utils.data_loaders": "ochre.aliases.data_loaders",
    f"{NAME}.utils.distance_functions": "ochre.aliases.distances",
    f"{NAME}.utils.embedding_functions": "ochre.aliases.embedding_functions",
    f"{NAME}.utils.embedding_functions.onnx_mini_lm_l6_v2": "ochre.aliases.embedding_functions",
}
"""Chroma's modules, and the modules here whose public names they show."""


def install_as_chromadb() -> None:
    """Make `import chromadb` and the imports of its public modules give what Ochre has under those names.

    It concerns the whole process, from now on, and is for applications to call, first thing. Calling it again is fine.

    Raises:
        AlreadyExistsError: Chroma itself was imported before.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if NAME in sys.modules:
        place = getattr(sys.modules[NAME], "__file__", None) or "an unknown place"
        raise AlreadyExistsError(
            f"{NAME} is imported already, from {place}: call ochre.install_as_chromadb() before anything imports {NAME}"
        )
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder, Loader):
    """Finds and makes the modules of `MODULES`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  (Python's protocol)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname in MODULES:
            # Each counts as a package: so a name that is missing from it comes here too, for the message below.
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{NAME}."):
            # Without `name=`, which would make `from chromadb import missing` swallow the message.
            raise ModuleNotFoundError(_missing(fullname))
        return None

    def create_module(self, spec: ModuleSpec) -> None:  # noqa: ARG002  (None: Python makes the module)
        return

    def exec_module(self, module: ModuleType) -> None:
        home = import_module(MODULES[module.__name__])
        module.__doc__ = home.__doc__
        module.__file__ = home.__file__
        for name in home.__all__:
            setattr(module, name, getattr(home, name))
        module.__dict__["__all__"] = [name for name in home.__all__ if not name.startswith("_")]

        def missing(name: str) -> Any:
            raise AttributeError(_missing(f"{module.__name__}.{name}"), name=name, obj=module)

        module.__dict__["__getattr__"] = missing


def _missing(name: str) -> str:
    return f"{name} is not provided by Ochre, which stands in for {NAME} here (ochre.install_as_chromadb was called)"
