"""Scripts as Chroma's users write them: embedding functions, errors, types, tools, and what there is not yet."""

from __future__ import annotations

import pytest

from tests.aliases.conftest import Script

EMBEDDING = """
import chromadb
from chromadb import Documents, EmbeddingFunction, Embeddings

class Lengths(EmbeddingFunction):
    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def __call__(self, input: Documents) -> Embeddings:
        return [[len(text) * self.scale, 1.0] for text in input]

    @staticmethod
    def name() -> str:
        return "lengths"

    def get_config(self):
        return {"scale": self.scale}

    @staticmethod
    def build_from_config(config):
        return Lengths(config["scale"])

"""


def test_an_embedding_function_of_ones_own_embeds(run_chroma_script: Script) -> None:
    printed = run_chroma_script(
        EMBEDDING
        + """
collection = chromadb.Client().create_collection("notes", embedding_function=Lengths(2.0))
collection.add(ids=["long", "short"], documents=["a sentence", "word"])
print(collection.query(query_texts=["four"], n_results=1)["ids"], collection.get("long", include=["embeddings"]))
"""
    )
    assert printed.startswith("[['short']]")
    assert "20." in printed


def test_a_registered_function_is_rebuilt_when_its_collection_is_opened(run_chroma_script: Script) -> None:
    run_chroma_script(
        EMBEDDING
        + """
chromadb.PersistentClient("db").create_collection("notes", embedding_function=Lengths(3.0))
"""
    )
    run_chroma_script(
        EMBEDDING
        + """
from chromadb.utils.embedding_functions import register_embedding_function
register_embedding_function(Lengths)
collection = chromadb.PersistentClient("db").get_collection("notes")
collection.add(ids=["1"], documents=["word"])
assert collection.get(include=["embeddings"])["embeddings"].tolist() == [[12.0, 1.0]]
"""
    )


def test_a_function_says_what_it_embeds(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.api.types import Documents, EmbeddingFunction, Embeddings

        class Ones(EmbeddingFunction[Documents]):
            def __call__(self, input: Documents) -> Embeddings:
                return [[1.0] for _ in input]

        def opened(function: EmbeddingFunction[Documents] | None = None):
            return chromadb.EphemeralClient().create_collection("notes", embedding_function=function)

        function = Ones()
        assert isinstance(function, EmbeddingFunction)
        opened(function).add(ids=["1"], documents=["word"])
    """)


def test_the_default_function_is_an_embedding_function(run_chroma_script: Script) -> None:
    run_chroma_script("""
        from chromadb.api.types import EmbeddingFunction
        from chromadb.utils import embedding_functions
        function = embedding_functions.DefaultEmbeddingFunction()
        assert isinstance(function, EmbeddingFunction)
        assert function.name() in embedding_functions.known_embedding_functions
        assert embedding_functions.config_to_embedding_function(
            {"name": function.name(), "config": function.get_config()}
        ).name() == function.name()
    """)


@pytest.mark.parametrize(
    ("provoke", "error"),
    [
        ("client.get_collection('nothing')", "NotFoundError"),
        ("client.delete_collection('nothing')", "NotFoundError"),
        ("client.create_collection('notes')", "UniqueConstraintError"),
        ("client.create_collection('no')", "InvalidArgumentError"),
        ("notes.add(ids=['1', '1'], embeddings=[[1, 2], [1, 2]])", "DuplicateIDError"),
        ("notes.query(query_embeddings=[[1, 2, 3]])", "InvalidDimensionException"),
        ("client.reset()", "AuthorizationError"),
        ("notes.get(where={'$nor': []})", "ChromaError"),
    ],
)
def test_errors_are_caught_by_chromas_names(run_chroma_script: Script, provoke: str, error: str) -> None:
    printed = run_chroma_script(f"""
        import chromadb
        import chromadb.errors
        client = chromadb.EphemeralClient()
        notes = client.create_collection("notes")
        notes.add(ids=["0"], embeddings=[[1, 2]])
        try:
            {provoke}
        except chromadb.errors.{error} as error:
            print("caught")
    """)
    assert printed == "caught"


def test_images_are_loaded_from_their_uris(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        import numpy as np
        from PIL import Image
        from chromadb.api.types import Embeddings, EmbeddingFunction
        from chromadb.utils.data_loaders import ImageLoader

        class Brightness(EmbeddingFunction):
            def __call__(self, input) -> Embeddings:
                return [[float(np.mean(image)), 1.0] for image in input]

        for name, value in (("dark", 10), ("bright", 240)):
            Image.fromarray(np.full((4, 4), value, np.uint8)).save(f"{name}.png")
        collection = chromadb.EphemeralClient().create_collection(
            "images", embedding_function=Brightness(), data_loader=ImageLoader()
        )
        collection.add(ids=["dark", "bright"], uris=["dark.png", "bright.png"])
        found = collection.query(query_images=[np.full((2, 2), 200)], n_results=1, include=["data", "uris"])
        assert found["ids"] == [["bright"]] and found["uris"] == [["bright.png"]]
        assert found["data"][0][0].shape == (4, 4)
    """)


def test_a_collection_is_configured_with_the_typed_dicts(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
        configuration = CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine"))
        collection = chromadb.EphemeralClient().create_collection("notes", configuration=configuration)
        assert collection.configuration_json["hnsw"]["space"] == "cosine"
    """)


def test_batches_are_what_a_call_takes(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.utils.batch_utils import create_batches
        client = chromadb.EphemeralClient()
        notes = client.create_collection("notes")
        for batch in create_batches(api=client, ids=["1", "2"], embeddings=[[1], [2]], documents=["one", "two"]):
            notes.add(*batch)
        assert notes.get()["documents"] == ["one", "two"]

        class Small:
            def get_max_batch_size(self):
                return 2

        batches = create_batches(Small(), ids=["1", "2", "3"], documents=["one", "two", "three"])
        assert batches == [(["1", "2"], None, None, ["one", "two"]), (["3"], None, None, ["three"])]
    """)


def test_distances_are_those_of_queries(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        import numpy as np
        from chromadb.utils import distance_functions
        client, x, y = chromadb.EphemeralClient(), np.array([1.0, 2.0]), np.array([3.0, -1.0])
        for space in ("cosine", "ip", "l2"):
            collection = client.create_collection(space * 2, metadata={"hnsw:space": space})
            collection.add(ids=["1"], embeddings=[x])
            measured = collection.query(query_embeddings=[y])["distances"][0][0]
            assert np.isclose(getattr(distance_functions, space)(x, y), measured), space
        assert distance_functions.cosine(x, np.zeros(2)) == 1.0
    """)


@pytest.mark.parametrize(
    ("validate", "right", "wrong"),
    [
        ("ids", ["1", "2"], ["1", "1"]),
        ("metadata", {"year": 1990}, {"year": {}}),
        ("metadatas", [{"year": 1990}, None], {"year": 1990}),
        ("update_metadata", {"year": None}, {"year": {}}),
        ("documents", ["one"], [None]),
        ("where", {"year": {"$gte": 1990}}, {"year": {"$about": 1990}}),
        ("where_document", {"$contains": "river"}, {"$sounds_like": "river"}),
        ("include", ["documents"], ["smells"]),
        ("n_results", 1, 0),
        ("embeddings", [[1.0, 2.0]], [["one"]]),
    ],
)
def test_validators_refuse_what_collections_refuse(
    run_chroma_script: Script, validate: str, right: object, wrong: object
) -> None:
    printed = run_chroma_script(f"""
        from chromadb.api.types import validate_{validate} as validate
        validate({right!r})
        try:
            validate({wrong!r})
        except ValueError:
            print("refused")
    """)
    assert printed == "refused"


def test_annotations_resolve(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import typing
        import chromadb
        from chromadb.api.types import (
            DataLoader, Documents, GetResult, IDs, Include, Loadable, Metadata, OneOrMany, QueryResult,
            SparseEmbeddingFunction, Where,
        )

        def kept(
            client: chromadb.ClientAPI | None, ids: IDs, metadatas: OneOrMany[Metadata], include: Include,
            where: Where | None, loader: DataLoader[Loadable], function: SparseEmbeddingFunction[Documents] | None,
        ) -> tuple[QueryResult, GetResult]: ...

        hints = typing.get_type_hints(kept)
        assert hints["metadatas"] == typing.Union[Metadata, list[Metadata]]
        assert typing.get_type_hints(QueryResult)["ids"] == list[list[str]]
    """)


def test_values_errors_and_settings_survive_pickling_and_copying(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import copy, pickle
        import chromadb
        from chromadb.errors import NotFoundError
        for value in (chromadb.SparseVector([1], [2.0]), chromadb.Settings(allow_reset=True)):
            assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
        assert str(pickle.loads(pickle.dumps(NotFoundError("gone")))) == "gone"
        for named in (chromadb.PersistentClient, chromadb.Collection, chromadb.api.types.EmbeddingFunction):
            assert pickle.loads(pickle.dumps(named)) is named
    """)


def test_telemetry_of_ones_own_is_never_called(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.telemetry.product import ProductTelemetryClient, ProductTelemetryEvent

        class Silent(ProductTelemetryClient):
            def capture(self, event: ProductTelemetryEvent) -> None:
                raise SystemExit("captured")

        chromadb.EphemeralClient(chromadb.Settings(chroma_product_telemetry_impl="__main__.Silent"))
    """)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("chromadb.Search()", "Search"),
        ("chromadb.K('year') >= 1990", "Key"),
        ("chromadb.Knn(query='river')", "Knn"),
        ("chromadb.Rrf(ranks=[])", "Rrf"),
        ("chromadb.Schema()", "Schema"),
        ("chromadb.VectorIndexConfig(space='cosine')", "VectorIndexConfig"),
        ("functions.OpenAIEmbeddingFunction(api_key='k')", "OpenAIEmbeddingFunction"),
        ("functions.create_langchain_embedding(object())", "create_langchain_embedding"),
        ("type('Own', (functions.OllamaEmbeddingFunction,), {})()", "OllamaEmbeddingFunction"),
    ],
)
def test_what_there_is_not_yet_says_so_when_it_is_used(run_chroma_script: Script, expression: str, named: str) -> None:
    printed = run_chroma_script(f"""
        import chromadb
        from chromadb.utils import embedding_functions as functions
        try:
            {expression}
        except NotImplementedError as error:
            assert isinstance(error, chromadb.errors.ChromaError)
            print(error)
    """)
    assert printed.startswith(f"{named} is not supported yet: ")


def test_an_attribute_of_what_there_is_not_yet_says_so(run_chroma_script: Script) -> None:
    printed = run_chroma_script("""
        import chromadb
        try:
            chromadb.K.DOCUMENT
        except AttributeError as error:
            print(error)
    """)
    assert printed.startswith("Key has no DOCUMENT: Key is not supported yet")
