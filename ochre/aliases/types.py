"""What `chromadb.api.types`, `chromadb.types` and `chromadb.base_types` hold: types for annotations, and checks.

The checks are Ochre's own parsers under Chroma's names: they return what they were given, or raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from ochre.aliases import search
from ochre.aliases.search import *  # noqa: F403  (Chroma shows these names here too)
from ochre.client._sync.collection import Collection
from ochre.client.normalize import Where, WhereDocument, parse_include, parse_n_results
from ochre.client.results import Database, DeleteResult, GetResult, QueryResult, Tenant
from ochre.embedding.base import EmbeddingFunction, Space, check_signature, normalize_embeddings
from ochre.embedding.default import DefaultEmbeddingFunction
from ochre.errors import InvalidArgumentError
from ochre.model.filters import parse_filters
from ochre.model.records import parse_ids, parse_metadata, parse_texts
from ochre.model.vectors import SparseVector, parse_matrix

__all__ = [  # noqa: PLE0604  (names of names)
    *search.__all__,
    "ID",
    "URI",
    "Collection",
    "CollectionMetadata",
    "D",
    "DataLoader",
    "Database",
    "DefaultEmbeddingFunction",
    "DeleteResult",
    "Document",
    "Documents",
    "Embeddable",
    "Embedding",
    "EmbeddingFunction",
    "Embeddings",
    "GetResult",
    "IDs",
    "Image",
    "ImageDType",
    "Images",
    "InclusionExclusionOperator",
    "Include",
    "IncludeMetadataDocuments",
    "IncludeMetadataDocumentsDistances",
    "IncludeMetadataDocumentsEmbeddings",
    "IncludeMetadataDocumentsEmbeddingsDistances",
    "L",
    "LiteralValue",
    "Loadable",
    "LogicalOperator",
    "Metadata",
    "Metadatas",
    "OneOrMany",
    "OperatorExpression",
    "PyEmbedding",
    "PyEmbeddings",
    "QueryResult",
    "Space",
    "SparseVector",
    "SparseVectors",
    "Tenant",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Vector",
    "Where",
    "WhereDocument",
    "WhereDocumentOperator",
    "WhereOperator",
    "convert_list_embeddings_to_np",
    "convert_np_embeddings_to_list",
    "is_document",
    "is_image",
    "maybe_cast_one_to_many",
    "normalize_embeddings",
    "normalize_metadata",
    "validate_documents",
    "validate_embedding_function",
    "validate_embeddings",
    "validate_ids",
    "validate_include",
    "validate_metadata",
    "validate_metadatas",
    "validate_n_results",
    "validate_update_metadata",
    "validate_where",
    "validate_where_document",
]

T = TypeVar("T")
OneOrMany = Union[T, list[T]]  # noqa: UP007  (mypy takes it for a value otherwise)

ID = str
IDs = list[str]
URI = str
URIs = list[str]
Document = str
Documents = list[str]
ImageDType = np.uint | np.int64 | np.float64
Image = NDArray[Any]
Images = list[Image]
Vector = NDArray[np.int32 | np.float32]
Embedding = Vector
Embeddings = list[Embedding]
PyEmbedding = Sequence[float] | Sequence[int]
PyEmbeddings = list[PyEmbedding]
SparseVectors = list[SparseVector]

LiteralValue = str | int | float | bool
Metadata = Mapping[str, Any]
UpdateMetadata = Mapping[str, Any]
CollectionMetadata = dict[str, Any]
UpdateCollectionMetadata = dict[str, Any]
Metadatas = list[Metadata]

LogicalOperator = Literal["$and", "$or"]
WhereOperator = Literal["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]
InclusionExclusionOperator = Literal["$in", "$nin"]
WhereDocumentOperator = Literal["$contains", "$not_contains", "$regex", "$not_regex", "$and", "$or"]
OperatorExpression = dict[str, Any]

Include = list[Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]]
IncludeMetadataDocuments: Include = ["metadatas", "documents"]
IncludeMetadataDocumentsEmbeddings: Include = ["metadatas", "documents", "embeddings"]
IncludeMetadataDocumentsDistances: Include = ["metadatas", "documents", "distances"]
IncludeMetadataDocumentsEmbeddingsDistances: Include = ["metadatas", "documents", "embeddings", "distances"]

Embeddable = Documents | Images
D = TypeVar("D", bound=Embeddable, contravariant=True)  # noqa: PLC0105  (Chroma's name)
Loadable = list[Image | None]
L = TypeVar("L", covariant=True)  # noqa: PLC0105  (Chroma's name)


class DataLoader(Protocol[L]):
    """Turns uris into what an embedding function takes."""

    def __call__(self, uris: Sequence[str | None]) -> L:
        """Return the data behind each uri, None for None."""


def maybe_cast_one_to_many(target: Any) -> Any:
    """Return a list as it is, None as it is, and anything else as a list of one."""
    return target if target is None or isinstance(target, list) else [target]


def is_document(target: Any) -> bool:
    """Tell whether `target` is a text."""
    return isinstance(target, str)


def is_image(target: Any) -> bool:
    """Tell whether `target` is an array of two dimensions or more."""
    return isinstance(target, np.ndarray) and target.ndim >= 2


def convert_np_embeddings_to_list(embeddings: Embeddings) -> PyEmbeddings:
    """Return vectors as lists of numbers."""
    return [embedding.tolist() for embedding in embeddings]


def convert_list_embeddings_to_np(embeddings: PyEmbeddings) -> Embeddings:
    """Return lists of numbers as vectors."""
    return [np.array(embedding) for embedding in embeddings]


def normalize_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return metadata with its sparse vectors as `SparseVector`."""
    return None if metadata is None else parse_metadata(metadata)


def validate_ids(ids: Any) -> Any:
    """Check ids; raises `InvalidArgumentError`."""
    parse_ids(ids)
    return ids


def validate_metadata(metadata: Any) -> Any:
    """Check one record's metadata, None included; raises `InvalidArgumentError`."""
    if metadata is not None:
        parse_metadata(metadata)
    return metadata


validate_update_metadata = validate_metadata


def validate_metadatas(metadatas: Any) -> Any:
    """Check a list of metadata; raises `InvalidArgumentError`."""
    if not isinstance(metadatas, list):
        raise InvalidArgumentError(f"Expected metadatas to be a list, got {metadatas!r:.60}")
    for metadata in metadatas:
        validate_metadata(metadata)
    return metadatas


def validate_where(where: Any) -> Any:
    """Check a filter on metadata; raises `InvalidArgumentError`."""
    parse_filters(where, None)
    return where


def validate_where_document(where_document: Any) -> Any:
    """Check a filter on documents; raises `InvalidArgumentError`."""
    parse_filters(None, where_document)
    return where_document


def validate_documents(documents: Any, nullable: bool = False) -> None:
    """Check documents, None among them if `nullable`; raises `InvalidArgumentError`."""
    for index, document in enumerate(parse_texts(documents, "documents", len(documents)) or ()):
        if document is None and not nullable:
            raise InvalidArgumentError(f"Expected documents[{index}] to be a str, got None: give the text")


def validate_include(include: Any, dissalowed: Any = None) -> None:
    """Check an `include`; raises `InvalidArgumentError` for an unknown or a disallowed member."""
    parse_include(include, "query")
    for name in dissalowed or ():
        if name in include:
            raise InvalidArgumentError(f"Include item cannot be one of {', '.join(dissalowed)}, got {name}")


def validate_n_results(n_results: Any) -> int:
    """Check how many results are wanted; raises `InvalidTypeError`."""
    return parse_n_results(n_results)


def validate_embeddings(embeddings: Any) -> Any:
    """Check vectors; raises `InvalidArgumentError`."""
    parse_matrix(embeddings)
    return embeddings


validate_embedding_function: Callable[[Any], None] = check_signature
