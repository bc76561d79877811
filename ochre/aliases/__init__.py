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
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ochre.aliases import providers
from ochre.errors import AlreadyExistsError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

NAME = "chromadb"

MODULES = {
    "": "root",
    "api": "api",
    "api.async_api": "server",
    "api.async_client": "server",
    "api.async_fastapi": "server",
    "api.client": "clients",
    "api.collection_configuration": "configuration",
    "api.configuration": "configuration",
    "api.fastapi": "server",
    "api.models": "packages",
    "api.models.AsyncCollection": "server",
    "api.models.Collection": "models",
    "api.shared_system_client": "clients",
    "api.types": "types",
    "auth": "server",
    "auth.token_authn": "server",
    "base_types": "types",
    "config": "config",
    "errors": "errors",
    "execution": "packages",
    "execution.expression": "search",
    "execution.expression.operator": "search",
    "execution.expression.plan": "search",
    "telemetry": "packages",
    "telemetry.product": "telemetry",
    "types": "types",
    "utils": "packages",
    "utils.batch_utils": "batches",
    "utils.data_loaders": "data_loaders",
    "utils.distance_functions": "distances",
    "utils.embedding_functions": "embedding_functions",
    "utils.embedding_functions.onnx_mini_lm_l6_v2": "embedding_functions",
    **{f"utils.embedding_functions.{module}": "providers" for module in providers.MODULES},
}
"""Chroma's modules, below its package, and the modules here whose public names they show."""


_HOMES = {f"{NAME}.{module}".rstrip("."): f"{__name__}.{home}" for module, home in MODULES.items()}


def install_as_chromadb() -> None:
    """Make `import chromadb` and the imports of its public modules give what Ochre has under those names.

    It concerns the whole process, from now on, and is for applications to call, first thing. Calling it again is fine.
    `importlib.metadata` knows a distribution of the name from then on, too.

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
    """Finds and makes the modules of `MODULES`, and finds the distribution."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  (Python's protocol)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname in _HOMES:
            # Each counts as a package: so a name that is missing from it comes here too, for the message below.
            return ModuleSpec(fullname, self, origin=_HOMES[fullname], is_package=True)
        if fullname.startswith(f"{NAME}."):
            # Without `name=`, which would make `from chromadb import missing` swallow the message.
            raise ModuleNotFoundError(_missing(fullname))
        return None

    def find_distributions(self, context: Any) -> Iterator[Distribution]:
        if context.name is None or context.name.lower() == NAME:
            from ochre.aliases.distribution import ChromaDistribution

            yield ChromaDistribution()

    def create_module(self, spec: ModuleSpec) -> None:  # noqa: ARG002  (None: Python makes the module)
        return

    def exec_module(self, module: ModuleType) -> None:
        home = import_module(_HOMES[module.__name__])
        module.__doc__ = home.__doc__
        module.__file__ = home.__file__
        for name in home.__all__:
            setattr(module, name, getattr(home, name))
        module.__dict__["__all__"] = [name for name in home.__all__ if not name.startswith("_")]

        def find(name: str) -> Any:
            """Import a module that is used as an attribute: `import chromadb` alone shows all of them."""
            fullname = f"{module.__name__}.{name}"
            if fullname in _HOMES:
                return import_module(fullname)
            raise AttributeError(_missing(fullname), name=name, obj=module)

        module.__dict__["__getattr__"] = find


def _missing(name: str) -> str:
    return f"{name} is not provided by Ochre, which stands in for {NAME} here (ochre.install_as_chromadb was called)"
