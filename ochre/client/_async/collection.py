"""AsyncCollection: one collection of records, with the methods of Chroma's API and what its users ask for besides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from ochre.client import normalize, present
from ochre.client._async.compat import in_thread
from ochre.client.functions import Embedder, Function, changed_function
from ochre.client.inputs import parse_queries, parse_records
from ochre.client.normalize import GET_DEFAULT, PEEK, QUERY_DEFAULT, Include, Where, WhereDocument, parse_include
from ochre.client.present import Load
from ochre.client.results import DeleteResult, GetResult, QueryResult
from ochre.engine import AsyncEngine
from ochre.errors import InvalidArgumentError, UnsupportedError
from ochre.model.filters import parse_filters
from ochre.model.names import parse_collection_name
from ochre.model.records import parse_collection_metadata, parse_ids
from ochre.model.requests import (
    CollectionInfo,
    CountRecords,
    DeleteRecords,
    GetRecords,
    IndexingStatus,
    ModifyCollection,
    QueryRecords,
    ScanRecords,
    WriteKind,
)
from ochre.model.text import preview

Reply = TypeVar("Reply")
Result = TypeVar("Result")


class AsyncCollection:
    """A collection of records. Clients make these; a handle may be used by any number of tasks of one event loop."""

    def __init__(self, engine: AsyncEngine, info: CollectionInfo, function: Function, data_loader: Any = None) -> None:
        self._engine = engine
        self._info = info
        self._function = function
        self._data_loader = data_loader
        self._embedder = Embedder(function, info.configuration.embedding_function, data_loader)
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
    def schema(self) -> dict[str, Any]:
        """What may be filtered, as JSON: `defaults`, and by key `keys`; as it was when the handle was made."""
        return self._info.schema.to_public(self._info.configuration)

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
        if not isinstance(other, AsyncCollection):
            return NotImplemented
        mine, theirs = self._info, other._info
        return (mine.id, mine.name, mine.metadata) == (theirs.id, theirs.name, theirs.metadata) and bool(
            self._function == other._function
        )

    __hash__ = None  # type: ignore[assignment]  # it compares by what it holds, which changes

    # -- reading ------------------------------------------------------------------------------------------------

    async def indexing_status(self) -> IndexingStatus:
        """Return how far the vector index has come: `total` vectors, of which `pending` wait for a build.

        Until then queries compare those one by one: they are slower, and miss nothing.
        """
        return await self._engine.indexing(self.id)

    async def recall(self, sample: int = 100, n_results: int = 10) -> float:
        """Measure the recall of `query` on this collection's own vectors.

        Args:
            sample: how many records, spread over the collection, serve as queries.
            n_results: nearest records asked for.

        Returns:
            The share of the nearest records, as `exact=True` finds them, that a plain `query` finds: 0.0 to 1.0, and
            1.0 for an empty collection.
        """
        sample = normalize.parse_positive(sample, "sample", "recall")
        count = await self.count()
        step = max(count // sample, 1)
        vectors: list[Any] = []
        for number in range(min(sample, count)):
            found = (await self.get(limit=1, offset=number * step, include=["embeddings"]))["embeddings"]
            assert found is not None
            vectors.extend(found)
        if not vectors:
            return 1.0
        nearest = await self.query(query_embeddings=vectors, n_results=n_results, include=[])
        exact = await self.query(query_embeddings=vectors, n_results=n_results, include=[], exact=True)
        pairs = list(zip(nearest["ids"], exact["ids"], strict=True))
        return sum(len({*quick} & {*right}) for quick, right in pairs) / sum(len(right) for _, right in pairs)

    async def count(self, where: Where | None = None, where_document: WhereDocument | None = None) -> int:
        """Return how many records there are, or how many match the filters."""
        if where is None and where_document is None:
            return await self._engine.count(self._count)
        return await self._engine.count(CountRecords(self.id, parse_filters(where, where_document)))

    async def get(
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
        return await _shown(present.get_result, await self._engine.get(request), wanted, load)

    async def peek(self, limit: int = 10) -> GetResult:
        """Return the first records, embeddings included."""
        count = normalize.parse_count(limit, "limit", "peek")
        return present.get_result(
            await self._engine.get(GetRecords(self.id, limit=count, include=PEEK.fields)), PEEK, None
        )

    def scan(
        self,
        batch_size: int = 1000,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Sequence[str] = GET_DEFAULT.names,
    ) -> AsyncIterator[GetResult]:
        """Walk all records that match, in insertion order, `batch_size` at a time.

        It stays right while others write: it yields each record that was there when the scan began, once, if it is
        still there and matches when the scan reaches it, and as it is then.
        """
        wanted = parse_include(include, "scan")
        size = normalize.parse_positive(batch_size, "batch_size", "scan")
        request = ScanRecords(self.id, parse_filters(where, where_document), size, wanted.fields)
        return self._walk(request, wanted, self._loader(wanted, required=True))

    async def _walk(self, request: ScanRecords, wanted: Include, load: present.Load | None) -> AsyncIterator[GetResult]:
        while True:
            reply = await self._engine.scan(request)
            if reply.batch.ids:
                yield await _shown(present.get_result, reply.batch, wanted, load)
            if reply.cursor is None:
                return
            request = replace(request, cursor=reply.cursor)

    async def query(
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
        # Vectors are parsed at once; texts wait for a thread, and for those that embed before them.
        sources = (self._embedder, query_embeddings, query_texts, query_images, query_uris)
        vectors = parse_queries(*sources) if query_embeddings is not None else await in_thread(parse_queries, *sources)
        request = QueryRecords(
            self.id, vectors, count, chosen, filter_, farthest, bool(exact), bool(explain), wanted.fields
        )
        return await _shown(present.query_result, await self._engine.query(request), wanted, load)

    async def search(self, searches: Any, read_level: Any = None) -> NoReturn:  # noqa: ARG002  (Chroma's parameters)
        """Not supported yet: raises `UnsupportedError`."""
        raise UnsupportedError("search is not supported yet: use query(), with where and where_document")

    # -- writing ------------------------------------------------------------------------------------------------

    async def add(
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
        await self._write("add", ids, embeddings, metadatas, documents, images, uris)

    async def update(
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
        await self._write("update", ids, embeddings, metadatas, documents, images, uris)

    async def upsert(
        self,
        ids: str | Sequence[str],
        embeddings: Any = None,
        metadatas: Any = None,
        documents: str | Sequence[str | None] | None = None,
        images: Any = None,
        uris: str | Sequence[str | None] | None = None,
    ) -> None:
        """Add records that are new and change those that exist, as `update` does. Arguments as in `add`."""
        await self._write("upsert", ids, embeddings, metadatas, documents, images, uris)

    async def delete(
        self,
        ids: str | Sequence[str] | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
        *,
        erase: bool = False,
    ) -> DeleteResult:
        """Delete records by ids, by filters, or by both; return how many there were.

        Args:
            ids: ids that do not exist are ignored.
            where: a filter on metadata.
            where_document: a filter on documents.
            limit: with a filter: at most so many, the oldest first.
            erase: leave no byte of them in any file when the call returns, nor of what was deleted or replaced in this
                collection before. That rewrites the collection's vectors and everybody's texts and metadata, so delete
                much at once.

        Raises:
            InvalidArgumentError: no selection at all, or a limit without a filter.
            BusyError: with `erase`: the records are deleted, but not erased yet, as when a backup is being made.
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
        return {"deleted": await self._engine.delete(DeleteRecords(self.id, chosen, filter_, count, erase))}

    async def modify(
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
        persisted = self._info.configuration.embedding_function
        lists = self._info.configuration.spann is not None
        function, changes = changed_function(configuration, self._function, persisted, lists=lists)
        self._info = await self._engine.modify_collection(
            ModifyCollection(
                self.id,
                None if name is None else parse_collection_name(name),
                parsed_metadata,
                changes,
            )
        )
        self._function = function
        self._embedder = Embedder(function, self._info.configuration.embedding_function, self._data_loader)

    async def fork(self, new_name: str) -> NoReturn:
        """Not supported yet: raises `UnsupportedError`."""
        raise UnsupportedError(
            f"fork is not supported yet: create the collection {preview(new_name)} and copy the records into it with "
            "scan() and add()"
        )

    # -- parts --------------------------------------------------------------------------------------------------

    async def _write(self, kind: WriteKind, *columns: Any) -> None:
        await self._engine.write(await in_thread(parse_records, self._embedder, self.id, kind, *columns))

    def _loader(self, include: Include, *, required: bool) -> present.Load | None:
        return self._embedder.loader(required=required) if include.data else None


async def _shown(
    show: Callable[[Reply, Include, Load | None], Result], reply: Reply, include: Include, load: Load | None
) -> Result:
    """Shape a reply; loading the data behind uris may take long."""
    return show(reply, include, load) if load is None else await in_thread(show, reply, include, load)
