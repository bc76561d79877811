"""Which embedding function embeds, what a collection remembers of it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ochre
from ochre import ClientType, Collection, EmbeddingFunction
from ochre.embedding import registry
from ochre.errors import InvalidArgumentError, InvalidTypeError
from tests.client.conftest import Letters, Loader, Words, everything

KNOWN = {"type": "known", "name": "letters", "config": {"scale": 2.0}}


class Nameless(EmbeddingFunction):
    """Cannot be remembered: it has no name."""

    def __call__(self, input: list[str]) -> Any:
        return [[7.0, 7.0] for _ in input]


class Stub(EmbeddingFunction):
    """Stands for the default model, which these tests do not load."""

    def __call__(self, input: list[str]) -> Any:
        return [[42.0, 42.0] for _ in input]

    @staticmethod
    def name() -> str:
        return "default"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        return Stub()


class Duck:
    """An embedding function that inherits nothing."""

    def __call__(self, input: list[str]) -> Any:
        return [[3.0, 3.0] for _ in input]


def plain(input: list[str]) -> Any:
    return [[5.0, 5.0] for _ in input]


@pytest.fixture(autouse=True)
def _stub_default(_own_registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._classes, "default", Stub)


def embedded(collection: Collection, document: str = "four") -> list[float]:
    """The vector that a collection makes of a document."""
    collection.upsert(ids=["a"], documents=[document])
    return everything(collection)["embeddings"][0]


# -- what is remembered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "remembered"),
    [
        ({}, {"type": "known", "name": "default", "config": {}}),
        ({"embedding_function": None}, None),
        ({"embedding_function": Letters(2.0)}, KNOWN),
        ({"embedding_function": Nameless()}, {"type": "legacy"}),
        ({"embedding_function": Duck()}, {"type": "legacy"}),
        ({"embedding_function": plain}, {"type": "legacy"}),
        ({"configuration": {"embedding_function": Letters(2.0)}}, KNOWN),
        ({"configuration": {"embedding_function": KNOWN}}, KNOWN),
        ({"configuration": {"embedding_function": Letters(2.0)}, "embedding_function": None}, KNOWN),
        ({"configuration": {"embedding_function": Letters(2.0)}, "embedding_function": Letters(5.0)}, KNOWN),
    ],
    ids=["nothing", "None", "a known one", "nameless", "duck", "plain"] + ["in the configuration"] * 4,
)
def test_a_collection_remembers_name_and_configuration(client: ClientType, arguments: Any, remembered: Any) -> None:
    made = client.create_collection("things", **arguments)
    assert made.configuration_json["embedding_function"] == remembered
    assert client.get_collection("things").configuration_json["embedding_function"] == remembered


def with_space(space: str) -> dict[str, Any]:
    vector = {"vector_index": {"enabled": True, "config": {"space": space}}}
    return {"defaults": {}, "keys": {"#embedding": {"float_list": vector}}}


@pytest.mark.parametrize(
    ("arguments", "space"),
    [
        ({"embedding_function": Words()}, "cosine"),
        ({"embedding_function": Words(), "configuration": {"hnsw": {"ef_search": 50}}}, "cosine"),
        ({"embedding_function": Words(), "configuration": {"spann": {}}}, "cosine"),
        ({"configuration": {"embedding_function": Words()}}, "cosine"),
        ({"embedding_function": Words(), "configuration": {"hnsw": {"space": "ip"}}}, "ip"),
        ({"embedding_function": Words(), "metadata": {"hnsw:space": "ip"}}, "ip"),
        ({"embedding_function": Words(), "schema": {"defaults": {}, "keys": {}}}, "cosine"),
        ({"embedding_function": Words(), "schema": with_space("ip")}, "ip"),
        ({"embedding_function": Words(), "configuration": {"spann": {}}, "metadata": {"hnsw:space": "ip"}}, "cosine"),
        ({"embedding_function": Letters()}, "l2"),
        ({"embedding_function": Nameless()}, "l2"),
        ({}, "l2"),
    ],
)
def test_the_functions_space_counts_where_nothing_else_is_said(client: ClientType, arguments: Any, space: str) -> None:
    made = client.create_collection("things", **arguments)
    assert made.configuration_json["hnsw"]["space"] == space


@pytest.mark.parametrize("chosen", [{"configuration": {"hnsw": {"space": "l2"}}}, {"schema": with_space("l2")}])
def test_a_space_the_function_is_not_made_for_is_a_warning(client: ClientType, chosen: Any) -> None:
    with pytest.warns(UserWarning, match="not for 'l2'"):
        made = client.create_collection("things", embedding_function=Words(), **chosen)
    assert made.configuration_json["hnsw"]["space"] == "l2"


# -- which one embeds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "opened", "vector"),
    [
        ({"embedding_function": Letters(2.0)}, {}, [8, 1]),
        ({"embedding_function": Letters(2.0)}, {"embedding_function": None}, [8, 1]),
        ({"embedding_function": Letters(2.0)}, {"embedding_function": Stub()}, [8, 1]),
        ({"embedding_function": Letters(2.0)}, {"embedding_function": Letters(3.0)}, [12, 1]),
        ({"embedding_function": None}, {"embedding_function": Letters(3.0)}, [12, 1]),
        ({"embedding_function": None}, {"embedding_function": plain}, [5, 5]),
        ({"embedding_function": None}, {}, [42, 42]),
        ({"embedding_function": None}, {"embedding_function": None}, [42, 42]),
        ({}, {}, [42, 42]),
        ({}, {"embedding_function": None}, [42, 42]),
        ({"embedding_function": Nameless()}, {"embedding_function": Nameless()}, [7, 7]),
        ({"embedding_function": Nameless()}, {"embedding_function": Letters()}, [4, 1]),
    ],
)
def test_the_one_given_embeds_then_the_one_remembered_then_the_default(
    client: ClientType, created: Any, opened: Any, vector: list[float]
) -> None:
    client.create_collection("things", **created)
    assert embedded(client.get_collection("things", **opened)) == vector


@pytest.mark.parametrize(
    ("created", "vector"),
    [
        ({"embedding_function": Letters(2.0)}, [8, 1]),
        ({"configuration": {"embedding_function": Letters(2.0)}}, [8, 1]),
        ({"configuration": {"embedding_function": Letters(2.0)}, "embedding_function": None}, [8, 1]),
        ({"embedding_function": Nameless()}, [7, 7]),
        ({"embedding_function": None}, [42, 42]),
        ({}, [42, 42]),
    ],
)
def test_a_new_collection_embeds_with_what_it_was_created_with(
    client: ClientType, created: Any, vector: list[float]
) -> None:
    assert embedded(client.create_collection("things", **created)) == vector


def test_a_client_opened_later_rebuilds_the_function_from_its_name(tmp_path: Any) -> None:
    with ochre.PersistentClient(tmp_path) as client:
        client.create_collection("things", embedding_function=Letters(2.0))
    with ochre.PersistentClient(tmp_path) as client:
        (listed,) = client.list_collections()
        assert listed.configuration["embedding_function"].get_config() == {"scale": 2.0}
        assert embedded(listed) == [8, 1]


def test_a_function_that_cannot_be_rebuilt_has_to_be_given_again(client: ClientType) -> None:
    client.create_collection("things", embedding_function=Nameless())
    with pytest.raises(InvalidArgumentError, match="You must provide an embedding function"):
        embedded(client.get_collection("things", embedding_function=None))
    with pytest.warns(UserWarning, match="cannot be rebuilt"):
        assert embedded(client.get_collection("things")) == [42, 42]


def test_an_unregistered_name_is_an_error_only_when_something_must_be_embedded(client: ClientType) -> None:
    client.create_collection("things", embedding_function=Letters(2.0))
    del registry._classes["letters"]
    collection = client.get_collection("things")
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["x"])
    assert collection.query(query_embeddings=[[1, 2]])["ids"] == [["a"]]
    for call in (
        lambda: collection.add(ids=["b"], documents=["x"]),
        lambda: collection.query(query_texts="x"),
        lambda: collection.configuration,
    ):
        with pytest.raises(InvalidArgumentError, match="'letters' is not registered here"):
            call()
    assert collection.count() == 1


# -- conflicts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [Words(), Nameless(), plain], ids=["named", "nameless", "plain"])
def test_a_function_of_another_name_does_not_open_a_collection(client: ClientType, other: Any) -> None:
    made = client.create_collection("things", embedding_function=Letters())
    for call in (
        lambda: client.get_collection("things", embedding_function=other),
        lambda: client.get_collection_by_id(made.id, embedding_function=other),
        lambda: client.get_or_create_collection("things", embedding_function=other),
    ):
        with pytest.raises(InvalidArgumentError, match="embedding function already exists in the collection config"):
            call()


def test_two_functions_of_different_names_create_nothing(client: ClientType) -> None:
    with pytest.raises(InvalidArgumentError, match="Multiple embedding functions provided"):
        client.create_collection("things", embedding_function=Words(), configuration={"embedding_function": Letters()})
    assert client.list_collections() == []


@pytest.mark.parametrize("function", [5, "default", Letters, lambda texts: [], lambda input, more: []])
def test_what_cannot_be_called_with_input_is_refused(client: ClientType, filled: Collection, function: Any) -> None:
    for call in (
        lambda: client.create_collection("things", embedding_function=function),
        lambda: client.create_collection("things", configuration={"embedding_function": function}),
        lambda: client.get_collection("filled", embedding_function=function),
        lambda: filled.modify(configuration={"embedding_function": function}),
    ):
        with pytest.raises(InvalidTypeError, match=r"(?i)embedding ?function"):
            call()
    assert client.count_collections() == 1


def test_modify_takes_a_function_of_the_same_name(client: ClientType) -> None:
    made = client.create_collection("things", embedding_function=Letters(2.0))
    made.modify(configuration={"embedding_function": Letters(3.0), "hnsw": {"ef_search": 7}})
    assert embedded(made) == [12, 1]
    again = client.get_collection("things")
    assert again.configuration_json["embedding_function"]["config"] == {"scale": 3.0}
    assert again.configuration_json["hnsw"]["ef_search"] == 7


def test_modify_of_other_settings_keeps_the_function(client: ClientType) -> None:
    made = client.create_collection("things", embedding_function=Letters(2.0))
    made.modify(name="renamed", configuration={"hnsw": {"ef_search": 7}})
    assert made.configuration_json["embedding_function"] == KNOWN
    assert embedded(client.get_collection("renamed")) == [8, 1]


def test_modify_gives_a_function_to_a_collection_without_one(client: ClientType) -> None:
    made = client.create_collection("things", embedding_function=None)
    made.modify(configuration={"embedding_function": Letters(2.0)})
    assert embedded(client.get_collection("things")) == embedded(made) == [8, 1]


@pytest.mark.parametrize(
    ("created", "changed", "words"),
    [(Letters(), Words(), "cannot replace 'letters'"), (Words(1.0), Words(2.0), "the scale of words is fixed")],
)
def test_modify_refuses_another_name_and_what_the_function_refuses(
    client: ClientType, created: Any, changed: Any, words: str
) -> None:
    made = client.create_collection("things", embedding_function=created)
    before = made.configuration_json
    with pytest.raises(ValueError, match=words):
        made.modify(name="renamed", configuration={"embedding_function": changed})
    assert client.get_collection("things").configuration_json == before


# -- what is embedded --------------------------------------------------------------------------------------------


@pytest.fixture
def lettered(client: ClientType) -> Collection:
    return client.create_collection("lettered", embedding_function=Letters(), data_loader=Loader())


@pytest.mark.parametrize("operation", ["add", "upsert"])
@pytest.mark.parametrize(
    ("columns", "vectors"),
    [
        ({"documents": ["x", "xxx"]}, [[1, 1], [3, 1]]),
        ({"documents": ("", "xxx"), "metadatas": [{"n": 1}, None]}, [[0, 1], [3, 1]]),
        ({"images": [np.ones((2, 2)), np.ones((3, 3, 3))]}, [[4, 1], [27, 1]]),
        ({"documents": ["x", "y"], "embeddings": [[9, 9], [8, 8]]}, [[9, 9], [8, 8]]),
    ],
    ids=["documents", "a tuple of documents", "images", "embeddings given"],
)
def test_what_is_given_without_embeddings_is_embedded(
    lettered: Collection, operation: str, columns: Any, vectors: Any
) -> None:
    getattr(lettered, operation)(ids=["a", "b"], **columns)
    found = everything(lettered)
    assert found["embeddings"] == vectors
    assert found["documents"] == list(columns.get("documents", [None, None]))


def test_given_embeddings_spare_the_function(client: ClientType) -> None:
    function = Letters()
    collection = client.create_collection("things", embedding_function=function)
    collection.add(ids=["a"], embeddings=[[1, 1]], documents=["x"])
    collection.update(ids=["a"], embeddings=[[2, 2]], documents=["y"])
    collection.update(ids=["a"], metadatas=[{"n": 1}])
    assert function.seen == []


def test_uris_are_loaded_and_embedded_by_add(lettered: Collection) -> None:
    lettered.add(ids=["a"], uris=["uuu"])
    found = everything(lettered)
    assert (found["embeddings"], found["uris"], found["documents"]) == ([[12, 1]], ["uuu"], [None])


def test_update_embeds_a_new_document_and_not_a_new_uri(lettered: Collection) -> None:
    lettered.add(ids=["a"], documents=["x"])
    lettered.update(ids=["a"], documents=["xxxxx"], uris=["u"])
    assert everything(lettered)["embeddings"] == [[5, 1]]
    lettered.update(ids=["a"], uris=["uuuuuuu"])
    assert everything(lettered)["embeddings"] == [[5, 1]]


@pytest.mark.parametrize(
    ("operation", "columns", "words"),
    [
        ("add", {}, "Exactly one of documents, images, uris"),
        ("add", {"metadatas": [{"n": 1}]}, "Exactly one of documents, images, uris"),
        ("add", {"documents": ["x"], "images": [np.ones((2, 2))]}, "got documents and images"),
        ("add", {"documents": ["x"], "uris": ["u"]}, "got documents and uris"),
        ("add", {"documents": [None]}, r"documents\[0\] is None"),
        ("add", {"uris": [None]}, r"uris\[0\] is None"),
        ("upsert", {"uris": ["u"]}, "Exactly one of documents, images"),
        ("upsert", {"documents": [None]}, r"documents\[0\] is None"),
        ("update", {"documents": ["x"], "images": [np.ones((2, 2))]}, "got documents and images"),
        ("update", {"documents": [None]}, r"documents\[0\] is None"),
    ],
)
def test_exactly_one_thing_is_embedded(lettered: Collection, operation: str, columns: Any, words: str) -> None:
    lettered.add(ids=["a"], documents=["x"])
    before = everything(lettered)
    with pytest.raises(InvalidArgumentError, match=words):
        getattr(lettered, operation)(ids=["a"], **columns)
    assert everything(lettered) == before


def test_uris_without_a_data_loader_are_not_embedded(client: ClientType) -> None:
    collection = client.create_collection("things", embedding_function=Letters())
    with pytest.raises(InvalidArgumentError, match="You must set a data loader"):
        collection.add(ids=["a"], uris=["u"])
    assert collection.count() == 0


def test_questions_may_be_embedded_in_a_way_of_their_own(client: ClientType) -> None:
    class Asking(Letters):
        def embed_query(self, input: list[str]) -> Any:
            return [[100.0, 0.0] for _ in input]

    collection = client.create_collection("things", embedding_function=Asking())
    collection.add(ids=["a", "b"], documents=["x", "x" * 100])
    assert collection.query(query_texts="x", n_results=1)["distances"] == [[1.0]]


@pytest.mark.parametrize(
    "returned",
    [None, [], [[1.0, 2.0]] * 3, [["a", "b"]], [[1.0], [1.0, 2.0]], [[float("nan"), 1.0]], "text", 5, [None], [[]]],
    ids=repr,
)
def test_a_function_that_returns_no_vectors_writes_nothing(client: ClientType, returned: Any) -> None:
    def broken(input: list[str]) -> Any:
        return returned

    collection = client.create_collection("things", embedding_function=broken)
    with pytest.raises(InvalidArgumentError, match="the embedding function"):
        collection.add(ids=["a"], documents=["x"])
    with pytest.raises(InvalidArgumentError, match="the embedding function"):
        collection.query(query_texts="x")
    assert collection.count() == 0


def test_an_error_inside_the_function_comes_through_and_writes_nothing(client: ClientType) -> None:
    def failing(input: list[str]) -> Any:
        raise ConnectionError("the provider is away")

    collection = client.create_collection("things", embedding_function=failing)
    with pytest.raises(ConnectionError, match="the provider is away"):
        collection.add(ids=["a"], documents=["x"])
    assert collection.count() == 0


def test_a_model_of_another_dimension_is_refused(client: ClientType) -> None:
    collection = client.create_collection("things", embedding_function=Letters())
    collection.add(ids=["a"], embeddings=[[1, 2, 3]])
    with pytest.raises(InvalidArgumentError, match="dimension of 3, got 2"):
        collection.add(ids=["b"], documents=["x"])
    with pytest.raises(InvalidArgumentError, match="dimension of 3, got 2"):
        collection.query(query_texts="x")
