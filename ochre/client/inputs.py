"""From what users pass as records and queries to vectors: which of several sources is embedded, and the rules for it.

Everything here computes on the caller's thread, embedding included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np

from ochre.client.functions import Embedder
from ochre.client.normalize import parse_images
from ochre.errors import InvalidArgumentError
from ochre.model.records import check_count, parse_ids, parse_metadatas, parse_texts
from ochre.model.requests import WriteKind, WriteRecords
from ochre.model.text import preview
from ochre.model.vectors import Matrix, parse_matrix


def parse_records(
    embedder: Embedder,
    collection: UUID,
    kind: WriteKind,
    ids: Any,
    embeddings: Any,
    metadatas: Any,
    documents: Any,
    images: Any,
    uris: Any,
) -> WriteRecords:
    """Parse the columns of a write, embedding the one source there is if there are no embeddings.

    Raises:
        InvalidArgumentError: a column breaks a rule, or there is no source, or more than one.
    """
    names = parse_ids(ids)
    texts = parse_texts(documents, "documents", len(names))
    places = parse_texts(uris, "uris", len(names))
    metadata = parse_metadatas(metadatas, len(names))
    pictures = parse_images(images, len(names))
    if embeddings is not None:
        vectors: Matrix | None = parse_matrix(embeddings)
    else:
        vectors = _embedded(embedder, kind, texts, pictures, places)
    if vectors is not None:
        check_count(len(vectors), "embeddings", len(names))
    return WriteRecords(collection, kind, names, vectors, texts, metadata, places)


def _embedded(
    embedder: Embedder,
    kind: WriteKind,
    texts: list[str | None] | None,
    images: list[Any] | None,
    uris: list[str | None] | None,
) -> Matrix | None:
    """Embed the one source there is; an update may have none."""
    sources = {"documents": texts, "images": images}
    if kind == "add":
        sources["uris"] = uris
    given = [name for name, source in sources.items() if source is not None]
    if kind == "update" and not given:
        return None
    if len(given) != 1:
        raise InvalidArgumentError(
            f"Exactly one of {', '.join(sources)} must be provided in {kind} when there are no embeddings, "
            f"got {' and '.join(given) or 'none'}"
        )
    return embedder.documents(_loaded(embedder, given[0], sources[given[0]] or [], kind))


def parse_queries(embedder: Embedder, embeddings: Any, texts: Any, images: Any, uris: Any) -> Matrix:
    """Parse the one source of query vectors there is, embedding it if it is not vectors: `(q, d)`.

    Raises:
        InvalidArgumentError: there is none, or more than one, or it breaks a rule.
    """
    sources = {"query_embeddings": embeddings, "query_texts": texts, "query_images": images, "query_uris": uris}
    given = [name for name, source in sources.items() if source is not None]
    if len(given) != 1:
        raise InvalidArgumentError(
            f"Exactly one of {', '.join(sources)} must be provided in query, got {' and '.join(given) or 'none'}"
        )
    if embeddings is not None:
        return parse_matrix(embeddings, "query_embeddings")
    if images is not None:
        return embedder.queries(parse_images(images) or [])
    name, source = given[0], texts if texts is not None else uris
    values = [source] if isinstance(source, str) else source
    if not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise InvalidArgumentError(
            f"Expected {name} to be a non-empty list of strings, got {preview(source)} in query."
        )
    return embedder.queries(_loaded(embedder, name, parse_texts(values, name, len(values)) or [], "query"))


def _loaded(embedder: Embedder, name: str, source: list[Any], operation: str) -> list[Any]:
    """Return what is embedded of a source: of uris, what they lead to."""
    missing = next((index for index, item in enumerate(source) if item is None), None)
    if missing is not None:
        raise InvalidArgumentError(
            f"{name}[{missing}] is None and there is no embedding for it in {operation}: "
            "give the text, or pass embeddings"
        )
    return embedder.load(source) if name in {"uris", "query_uris"} else source
