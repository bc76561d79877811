"""Taking the name `chromadb`: when it happens, what it covers, and what a name that is missing is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aliases.conftest import Script

PUBLIC = {
    "chromadb": "Client ClientAPI Collection EphemeralClient HttpClient PersistentClient QueryResult Search Settings",
    "chromadb.api": "AdminAPI AsyncClientAPI ClientAPI CreateCollectionConfiguration EmbeddingFunction ServerAPI",
    "chromadb.api.async_api": "AsyncClientAPI",
    "chromadb.api.async_client": "AsyncAdminClient AsyncClient",
    "chromadb.api.client": "AdminClient Client ClientAPI SharedSystemClient",
    "chromadb.api.collection_configuration": "CreateCollectionConfiguration CreateHNSWConfiguration",
    "chromadb.api.configuration": "CollectionConfigurationInterface HNSWConfiguration",
    "chromadb.api.fastapi": "FastAPI",
    "chromadb.api.models.AsyncCollection": "AsyncCollection",
    "chromadb.api.models.Collection": "Collection",
    "chromadb.api.shared_system_client": "SharedSystemClient",
    "chromadb.api.types": "DataLoader Documents Embeddable EmbeddingFunction GetResult OneOrMany Where validate_where",
    "chromadb.auth.token_authn": "TokenTransportHeader",
    "chromadb.base_types": "Metadata Vector",
    "chromadb.config": "DEFAULT_DATABASE DEFAULT_TENANT Settings",
    "chromadb.errors": "ChromaError InvalidDimensionException NotFoundError UniqueConstraintError",
    "chromadb.execution.expression": "GroupBy Knn Search",
    "chromadb.execution.expression.operator": "Key Limit Rrf",
    "chromadb.telemetry.product": "ProductTelemetryClient ProductTelemetryEvent",
    "chromadb.types": "Collection Metadata Where",
    "chromadb.utils.batch_utils": "create_batches",
    "chromadb.utils.data_loaders": "ImageLoader",
    "chromadb.utils.distance_functions": "cosine ip l2",
    "chromadb.utils.embedding_functions": "DefaultEmbeddingFunction OpenAIEmbeddingFunction",
    "chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2": "ONNXMiniLM_L6_V2",
    "chromadb.utils.embedding_functions.openai_embedding_function": "OpenAIEmbeddingFunction",
}
"""What scripts and integrations import, by module."""


def test_nothing_is_aliased_unless_asked(run_script: Script) -> None:
    run_script("""
        import sys
        before = list(sys.meta_path)
        import ochre, ochre.aliases
        ochre.EphemeralClient().close()
        assert sys.meta_path == before
        assert "chromadb" not in sys.modules
    """)


def test_names_that_programs_import_resolve(run_chroma_script: Script) -> None:
    missing = run_chroma_script(f"""
        import importlib
        for module, names in {PUBLIC!r}.items():
            found = importlib.import_module(module)
            print(*(f"{{module}}.{{name}}" for name in names.split() if not hasattr(found, name)))
    """)
    assert not missing


def test_modules_show_themselves_after_the_package_alone_was_imported(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        chromadb.config.Settings
        chromadb.errors.NotFoundError
        chromadb.api.types.Documents
        chromadb.api.models.Collection.Collection
        chromadb.utils.embedding_functions.DefaultEmbeddingFunction
    """)


def test_a_module_named_like_its_class_is_imported_as_the_module(run_chroma_script: Script) -> None:
    run_chroma_script("""
        from chromadb.api.models import Collection
        assert Collection.__name__ == "chromadb.api.models.Collection"
    """)


def test_everything_can_be_imported_at_once(run_chroma_script: Script) -> None:
    run_chroma_script("""
        from chromadb import *
        from chromadb.api.types import *
        PersistentClient, Documents, validate_where
    """)


def test_calling_twice_is_fine(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import sys
        import chromadb
        before = list(sys.meta_path), chromadb
        ochre.install_as_chromadb()
        import chromadb
        assert (sys.meta_path, chromadb) == before
    """)


@pytest.fixture
def other_chroma(tmp_path: Path) -> Path:
    """A package of the name, where scripts find it."""
    package = tmp_path / "chromadb" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    return package


def test_calling_after_chroma_was_imported_is_refused(run_script: Script, other_chroma: Path) -> None:
    printed = run_script("""
        import chromadb, ochre
        try:
            ochre.install_as_chromadb()
        except ochre.errors.AlreadyExistsError as error:
            print(error)
    """)
    assert printed.startswith(f"chromadb is imported already, from {other_chroma}")
    assert "before anything imports chromadb" in printed


def test_the_name_is_taken_though_chroma_is_installed(run_chroma_script: Script, other_chroma: Path) -> None:
    run_chroma_script("import chromadb; assert chromadb.PersistentClient")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("from chromadb import nothing", "chromadb.nothing"),
        ("from chromadb.utils.embedding_functions import nothing", "chromadb.utils.embedding_functions.nothing"),
        ("import chromadb.nothing", "chromadb.nothing"),
        ("import chromadb.utils.nothing.deeper", "chromadb.utils.nothing"),
        ("from chromadb.segment.impl import nothing", "chromadb.segment"),
    ],
)
def test_importing_a_missing_name_fails_and_names_it(run_chroma_script: Script, statement: str, named: str) -> None:
    printed = run_chroma_script(f"""
        try:
            {statement}
        except ImportError as error:
            print(error)
    """)
    assert printed.startswith(f"{named} is not provided by Ochre, which stands in for chromadb here")


def test_a_missing_attribute_is_named(run_chroma_script: Script) -> None:
    printed = run_chroma_script("""
        import chromadb
        try:
            chromadb.api.nothing
        except AttributeError as error:
            print(error)
    """)
    assert printed.startswith("chromadb.api.nothing is not provided by Ochre")


def test_names_that_only_begin_alike_are_left_alone(run_chroma_script: Script) -> None:
    printed = run_chroma_script("""
        try:
            import chromadbapi
        except ModuleNotFoundError as error:
            print(error)
    """)
    assert printed == "No module named 'chromadbapi'"


def test_the_package_is_found_without_importing_it(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import sys
        from importlib.util import find_spec
        assert find_spec("chromadb").name == "chromadb"
        assert "chromadb" not in sys.modules
    """)


def test_the_installed_version_is_that_of_the_package(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from importlib.metadata import distribution, version
        assert version("chromadb") == version("ChromaDB") == chromadb.__version__
        assert tuple(map(int, chromadb.__version__.split("."))) >= (1, 5)
        assert not distribution("chromadb").files
    """)


def test_other_installed_distributions_are_found_as_before(run_script: Script) -> None:
    run_script("""
        from importlib import metadata
        import numpy, ochre
        def listed():
            return sorted(found.metadata["Name"] for found in metadata.distributions())
        before = listed()
        ochre.install_as_chromadb()
        assert listed() == sorted([*before, "chromadb"])
        assert metadata.version("numpy") == numpy.__version__
        assert "numpy" in metadata.packages_distributions()
    """)
