"""Collection: one collection of records, with the methods of Chroma's Python API and what its users ask for besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np

from ochre.client import normalize, present
from ochre.client.functions import Embedder, Function, check_function, name_of
from ochre.client.normalize import GET_DEFAULT, PEEK, QUERY_DEFAULT, Include, parse_include
from ochre.client.results import DeleteResult, GetResult, QueryResult
from ochre.embedding.registry import to_envelope
from ochre.engine import Engine
from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.filters import parse_filters
from ochre.model.names import parse_collection_name
from ochre.model.records import check_count, parse_collection_metadata, parse_ids, parse_metadatas, parse_texts
from ochre.model.requests import (
    CollectionInfo,
    CountRecords,
    DeleteRecords,
    GetRecords,
    ModifyCollection,
    QueryRecords,
    ScanRecords,
    WriteKind,
    WriteRecords,
)
from ochre.model.text import preview
from ochre.model.vectors import Matrix, parse_matrix

Where = Mapping[str, Any]
"""A filter on metadata, such as `{"year": {"$gte": 1990}}`."""

WhereDocument = Mapping[str, Any]
"""A filter on documents, such as `{"$contains": "river"}`."""


class Collection:
    """A collection of records. Clients make these; a handle may be used by several threads."""

    def __init__(self, engine: Engine, info: CollectionInfo, function: Function, data_loader: Any = None) -> None:
        self._engine = engine
        self._info = info
        self._function = function
        self._embedder = Embedder(function, info.configuration.embedding_function)
        self._data_loader = data_loader
        self._count = CountRecords(info.id)

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """The collection's id; it never changes."""
        return self._info.id

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._info.name

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The collection's metadata, None when it has none."""
        return self._info.metadata

    @property
    def tenant(self) -> str:
        """The tenant it belongs to."""
        return self._info.tenant

    @property
    def database(self) -> str:
        """The database it belongs to."""
        return self._info.database

    @property
    def schema(self) -> None:
        """None: indexes need no description here; every metadata key can be filtered as it is."""
        return

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The settings as JSON: `hnsw`, `spann` (None here) and the persisted form of the embedding function."""
        return self._info.configuration.to_public()

    @property
    def configuration(self) -> dict[str, Any]:
        """The settings, with the embedding function itself; it can be passed to `create_collection`.

        Raises:
            InvalidArgumentError: the persisted function is not registered here.
        """
        configuration = self.configuration_json
        persisted = configuration["embedding_function"]
        if persisted is not None:
            configuration["embedding_function"] = self._embedder.function() if persisted["type"] == "known" else None
        return configuration

    def __repr__(self) -> str:
        return f"Collection(name={self.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Collection):
            return NotImplemented
        mine, theirs = self._info, other._info
        return (mine.id, mine.name, mine.metadata) == (theirs.id, theirs.name, theirs.metadata) and bool(
            self._function == other._function
        )

    __hash__ = None  # type: ignore[assignment]  # it compares by what it holds, which changes

    # -- reading ------------------------------------------------------------------------------------------------

    def count(self, where: Where | None = None, where_document: WhereDocument | None = None) -> int:
        """Return how many records there are, or how many match the filters."""
        if where is None and where_document is None:
            return self._engine.count(self._count)
        return self._engine.count(CountRecords(self.id, parse_filters(where, where_document)))

    def get(
        self,
        ids: str | Sequence[str] | None = None,
        where: Where | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Sequence[str] = GET_DEFAULT.names,
        *,
        order_by: Any = None,
    ) -> GetResult:
        """Return records, in the order they were first added unless `order_by` says otherwise.

        Args:
            ids: only these; unknown ones are ignored.
            where: a filter on metadata.
            limit: at most so many; None for all.
            offset: skip so many of those that match.
            where_document: a filter on documents.
            include: which of `documents`, `embeddings`, `metadatas`, `uris`, `data` to return.
            order_by: a metadata key, `"-key"` for descending, `(key, "asc" or "desc")`, or a list of those. Records
                without the key come last.

        Raises:
            InvalidArgumentError: an argument breaks a rule. NotFoundError: the collection was deleted.
        """
        wanted = GET_DEFAULT if include is GET_DEFAULT.names else parse_include(include, "get")
        request = GetRecords(
            self.id,
            None if ids is None else parse_ids(ids, allow_blank=True),
            parse_filters(where, where_document),
            normalize.parse_order_by(order_by),
            normalize.parse_count(limit, "limit", "get"),
            normalize.parse_count(offset, "offset", "get") or 0,
            wanted.fields,
        )
        load = self._loader(wanted, required=True)
        return present.get_result(self._engine.get(request), wanted, load)

    def peek(self, limit: int = 10) -> GetResult:
        """Return the first records, embeddings included."""
        count = normalize.parse_count(limit, "limit", "peek")
        return present.get_result(self._engine.get(GetRecords(self.id, limit=count, include=PEEK.fields)), PEEK, None)

    def scan(
        self,
        batch_size: int = 1000,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Sequence[str] = GET_DEFAULT.names,
    ) -> Iterator[GetResult]:
        """Walk all records that match, in insertion order, `batch_size` at a time.

        It stays right while others write: it yields each record that was there when the scan began, once, if it is
        still there and matches when the scan reaches it, and as it is then.
        """
        wanted = parse_include(include, "scan")
        size = normalize.parse_batch_size(batch_size)
        request = ScanRecords(self.id, parse_filters(where, where_document), size, wanted.fields)
        return self._walk(request, wanted, self._loader(wanted, required=True))

    def _walk(self, request: ScanRecords, wanted: Include, load: present.Load | None) -> Iterator[GetResult]:
        while True:
            reply = self._engine.scan(request)
            if reply.batch.ids:
                yield present.get_result(reply.batch, wanted, load)
            if reply.cursor is None:
                return
            request = replace(request, cursor=reply.cursor)

    def query(
        self,
        query_embeddings: Any = None,
        query_texts: str | Sequence[str] | None = None,
        query_images: Any = None,
        query_uris: str | Sequence[str] | None = None,
        ids: str | Sequence[str] | None = None,
        n_results: int = 10,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Sequence[str] = QUERY_DEFAULT.names,
        *,
        exact: bool = False,
        max_distance: float | None = None,
        explain: bool = False,
    ) -> QueryResult:
        """Return the records nearest to each of one or more queries, nearest first.

        Give exactly one of `query_embeddings`, `query_texts`, `query_images`, `query_uris`.

        Args:
            query_embeddings: one vector or several, `(q, d)`.
            query_texts: texts, embedded by the collection's embedding function.
            query_images: arrays, embedded likewise.
            query_uris: loaded by the data loader, then embedded.
            ids: only these records; an unknown one is an error unless there is a filter too.
            n_results: how many a query; fewer come only if fewer match.
            where: a filter on metadata.
            where_document: a filter on documents.
            include: which of `documents`, `embeddings`, `metadatas`, `distances`, `uris`, `data` to return.
            exact: never answer from an approximate index.
            max_distance: leave out what is farther.
            explain: add `explain` to the result: how the query was answered, and why.

        Raises:
            InvalidArgumentError: an argument breaks a rule. NotFoundError: the collection was deleted.
        """
        wanted = QUERY_DEFAULT if include is QUERY_DEFAULT.names else parse_include(include, "query")
        count = normalize.parse_n_results(n_results)
        farthest = normalize.parse_max_distance(max_distance)
        filter_ = parse_filters(where, where_document)
        chosen = None if ids is None else parse_ids(ids, allow_empty=True, allow_blank=True, unique=False)
        load = self._loader(wanted, required=False)
        vectors = self._query_vectors(query_embeddings, query_texts, query_images, query_uris)
        request = QueryRecords(
            self.id, vectors, count, chosen, filter_, farthest, bool(exact), bool(explain), wanted.fields
        )
        return present.query_result(self._engine.query(request), wanted, load)

    # -- writing ------------------------------------------------------------------------------------------------

    def add(
        self,
        ids: str | Sequence[str],
        embeddings: Any = None,
        metadatas: Any = None,
        documents: str | Sequence[str | None] | None = None,
        images: Any = None,
        uris: str | Sequence[str | None] | None = None,
    ) -> None:
        """Add records, all of them or none; ids that exist already are left as they are.

        Without `embeddings`, exactly one of `documents`, `images`, `uris` is embedded.

        Args:
            ids: one a record.
            embeddings: `(n, d)`: a NumPy array, or lists of numbers. All records of a collection have the same d.
            metadatas: one dict a record (or None): str, int, float, bool and lists of one of them.
            documents: one text a record (or None).
            images: one array a record; embedded, not stored.
            uris: one a record (or None); stored, and loaded by the data loader.

        Raises:
            InvalidArgumentError: an argument breaks a rule; nothing is added.
        """
        self._write("add", ids, embeddings, metadatas, documents, images, uris)

    def update(
        self,
        ids: str | Sequence[str],
        embeddings: Any = None,
        metadatas: Any = None,
        documents: str | Sequence[str | None] | None = None,
        images: Any = None,
        uris: str | Sequence[str | None] | None = None,
    ) -> None:
        """Change records, all of them or none; ids that do not exist are ignored.

        Metadata is merged into what is stored: given keys replace, a None value deletes its key. Documents without
        `embeddings` are embedded anew. Arguments as in `add`.
        """
        self._write("update", ids, embeddings, metadatas, documents, images, uris)

    def upsert(
        self,
        ids: str | Sequence[str],
        embeddings: Any = None,
        metadatas: Any = None,
        documents: str | Sequence[str | None] | None = None,
        images: Any = None,
        uris: str | Sequence[str | None] | None = None,
    ) -> None:
        """Add records that are new and change those that exist, as `update` does. Arguments as in `add`."""
        self._write("upsert", ids, embeddings, metadatas, documents, images, uris)

    def delete(
        self,
        ids: str | Sequence[str] | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
    ) -> DeleteResult:
        """Delete records by ids, by filters, or by both; return how many there were.

        Args:
            ids: ids that do not exist are ignored.
            where: a filter on metadata.
            where_document: a filter on documents.
            limit: with a filter: at most so many, the oldest first.

        Raises:
            InvalidArgumentError: no selection at all, or a limit without a filter.
        """
        if ids is None and where is None and where_document is None:
            raise InvalidArgumentError("At least one of ids, where, or where_document must be provided in delete.")
        filter_ = parse_filters(where, where_document)
        if limit is not None and filter_ is None:
            raise InvalidArgumentError(
                "limit can only be specified when a where or where_document clause is provided in delete."
            )
        chosen = None if ids is None else parse_ids(ids, allow_blank=True)
        count = normalize.parse_count(limit, "limit", "delete")
        return {"deleted": self._engine.delete(DeleteRecords(self.id, chosen, filter_, count))}

    def modify(
        self,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """Change the collection's name, metadata (replaced as a whole) or settings; None leaves a part as it is.

        Args:
            name: a name that is free.
            metadata: str, int, float and bool values; None values are dropped.
            configuration: `{"hnsw": {...}}` with `ef_search`, `max_neighbors`, `num_threads`, `resize_factor`,
                `sync_threshold` or `batch_size`, or `{"embedding_function": ...}` of the persisted name.

        Raises:
            InvalidArgumentError: what is fixed at creation, such as the space. AlreadyExistsError: the name is taken.
        """
        parsed_metadata = parse_collection_metadata(metadata)
        if parsed_metadata is not None and "hnsw:space" in parsed_metadata:
            raise InvalidArgumentError(
                "Changing the distance function of a collection once it is created is not supported: "
                "leave 'hnsw:space' out, or copy the records into a new collection"
            )
        function, changes = self._changed_function(configuration)
        self._info = self._engine.modify_collection(
            ModifyCollection(
                self.id,
                None if name is None else parse_collection_name(name),
                parsed_metadata,
                changes,
            )
        )
        self._function = function
        self._embedder = Embedder(function, self._info.configuration.embedding_function)

    # -- parts --------------------------------------------------------------------------------------------------

    def _changed_function(self, configuration: Mapping[str, Any] | None) -> tuple[Function, dict[str, Any] | None]:
        """Return the function from now on, and the changes with its persisted form in place of it."""
        if configuration is None:
            return self._function, None
        changes = dict(normalize.parse_configuration_argument(configuration) or {})
        if changes.get("spann") is not None:
            raise InvalidArgumentError(
                "Trying to update the spann configuration of a collection whose index is hnsw: pass "
                "configuration={'hnsw': {...}}"
            )
        function = changes.get("embedding_function")
        if function is None or isinstance(function, Mapping):
            return self._function, changes
        check_function(function)
        persisted = self._info.configuration.embedding_function
        envelope = to_envelope(function)
        if persisted and persisted.get("type") == "known":
            if persisted["name"] != name_of(function):
                raise InvalidArgumentError(
                    f"The embedding function {name_of(function)!r} cannot replace {persisted['name']!r}: vectors "
                    "of two "
                    "models do not compare; copy the records into a new collection"
                )
            function.validate_config_update(persisted["config"], envelope["config"])
        changes["embedding_function"] = envelope
        return function, changes

    def _write(
        self, kind: WriteKind, ids: Any, embeddings: Any, metadatas: Any, documents: Any, images: Any, uris: Any
    ) -> None:
        names = parse_ids(ids)
        texts = parse_texts(documents, "documents", len(names))
        places = parse_texts(uris, "uris", len(names))
        metadata = parse_metadatas(metadatas, len(names))
        pictures = _parse_images(images, len(names))
        if embeddings is not None:
            vectors: Matrix | None = parse_matrix(embeddings)
        else:
            vectors = self._embedded(kind, texts, pictures, places)
        if vectors is not None:
            check_count(len(vectors), "embeddings", len(names))
        self._engine.write(WriteRecords(self.id, kind, names, vectors, texts, metadata, places))

    def _embedded(
        self, kind: WriteKind, texts: list[str | None] | None, images: list[Any] | None, uris: list[str | None] | None
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
        return self._embedder.documents(self._inputs(given[0], sources[given[0]] or [], kind))

    def _inputs(self, name: str, source: list[Any], operation: str) -> list[Any]:
        missing = next((index for index, item in enumerate(source) if item is None), None)
        if missing is not None:
            raise InvalidArgumentError(
                f"{name}[{missing}] is None and there is no embedding for it in {operation}: "
                "give the text, or pass embeddings"
            )
        return self._load(source) if name in {"uris", "query_uris"} else source

    def _query_vectors(self, embeddings: Any, texts: Any, images: Any, uris: Any) -> Matrix:
        sources = {"query_embeddings": embeddings, "query_texts": texts, "query_images": images, "query_uris": uris}
        given = [name for name, source in sources.items() if source is not None]
        if len(given) != 1:
            raise InvalidArgumentError(
                f"Exactly one of {', '.join(sources)} must be provided in query, got {' and '.join(given) or 'none'}"
            )
        if embeddings is not None:
            return parse_matrix(embeddings, "query_embeddings")
        if images is not None:
            return self._embedder.queries(_parse_images(images) or [])
        name, source = given[0], texts if texts is not None else uris
        values = [source] if isinstance(source, str) else source
        if not isinstance(values, Sequence | np.ndarray) or not len(values):
            raise InvalidArgumentError(
                f"Expected {name} to be a non-empty list of strings, got {preview(source)} in query."
            )
        return self._embedder.queries(self._inputs(name, parse_texts(values, name, len(values)) or [], "query"))

    def _loader(self, include: Include, *, required: bool) -> present.Load | None:
        if not include.data or (self._data_loader is None and not required):
            return None
        self._require_loader()
        return self._load

    def _require_loader(self) -> None:
        if self._data_loader is None:
            raise InvalidArgumentError(
                "You must set a data loader on the collection if loading from URIs: "
                "pass data_loader=... when you open it"
            )

    def _load(self, uris: Sequence[str | None]) -> Any:
        self._require_loader()
        return self._data_loader(list(uris))


def _parse_images(images: Any, count: int | None = None) -> list[Any] | None:
    """Parse images: one array of 2 or more dimensions, or a list of them."""
    if images is None:
        return None
    if hasattr(images, "ndim"):
        images = [images]
    if not isinstance(images, Sequence) or not images:
        raise InvalidTypeError(
            "Expected images to be a non-empty list of arrays; an image is an array (height, width, ...)"
        )
    for index, image in enumerate(images):
        if getattr(image, "ndim", 0) < 2:
            raise InvalidTypeError(
                f"Expected images[{index}] to be an array of 2 or more dimensions (height, width, ...)"
            )
    if count is not None:
        check_count(len(images), "images", count)
    return list(images)
