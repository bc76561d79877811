"""The truth about records: rows in SQLite, vectors in the arena, and the change log. Nothing else writes records.

A write is planned first, as drafts of the records' new state, and then laid down: vectors to the arena and to the
disk, rows, one change-log entry per run of neighbouring ordinals, and the collection's new counters. The caller's
transaction makes it all happen at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import apsw
import msgspec
import numpy as np
from numpy.typing import NDArray

from ochre.errors import InvalidDimensionError, StorageError
from ochre.local import catalog, extents, segments
from ochre.local.arena import Arena
from ochre.local.catalog import CollectionRow
from ochre.local.schema import MAX_ORDINAL
from ochre.local.session import Session
from ochre.model.records import merge_metadata
from ochre.model.requests import WriteRecords
from ochre.model.schema import value_types
from ochre.model.vectors import Matrix

RETAINED_CHANGES = 65_536
"""Change-log entries kept per collection; an index that fell further behind is rebuilt from the records."""

_PURGE_EVERY = 4096
_FEW_KEYS = 4

BLOCK = 16_384
"""Records whose metadata is handed over in one piece."""

Ordinals = NDArray[np.int64]
"""Ordinals number a collection's records in the order of their insertion; they are never used twice."""

ArenaOf = Callable[[CollectionRow], Arena]

_INSERT = "INSERT INTO records (key, collection, id, slot, metadata, uri, document) VALUES (?,?,?,?,?,?,?)"
_INSERT_NEW = _INSERT.replace("INSERT", "INSERT OR IGNORE", 1)
_UPDATE = "UPDATE records SET slot=?, metadata=?, uri=?, document=? WHERE key=?"
_STATE = ("id", "key", "slot", "metadata", "uri", "document")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


# -- writing ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """A record's state as a write will leave it. `vector` is a row of the request, or None to keep `slot`."""

    id: str
    key: int | None
    slot: int
    metadata: dict[str, Any] | None
    uri: str | None
    document: str | None
    vector: int | None


@dataclass(frozen=True, slots=True)
class Appended:
    """What a write did that did nothing but add records: the next entry of the change log tells the same.

    Attributes:
        head: of the change log before it.
        ordinals: of the records, `(n,)`, neighbours; slots: of their vectors, `(n,)`, neighbours.
    """

    head: int
    ordinals: Ordinals
    slots: Ordinals


def write(
    session: Session, row: CollectionRow, request: WriteRecords, arena_of: ArenaOf, *, sync: bool
) -> Appended | None:
    """Apply a request inside the session's transaction; return what was added, if that was all.

    `arena_of` gives a collection's arena once its dimension is known; with `sync` the vectors are on the disk
    before the rows are.

    Raises:
        InvalidDimensionError: the vectors are not of the collection's dimension.
    """
    if request.vectors is not None and row.info.dimension is not None:
        check_dimension(row.info.dimension, request.vectors)
    if not request.ids:
        return None
    _take_up_keys(session, row, request)
    if request.kind == "add" and len(set(request.ids)) == len(request.ids):
        appended = _append(session, row, request, arena_of, sync)
        if appended is not None:
            return appended
    drafts = _draft(session, row, request)
    if drafts:
        _lay_down(session, row, request, drafts, arena_of, sync=sync)
    return None


def _take_up_keys(session: Session, row: CollectionRow, request: WriteRecords) -> None:
    if request.metadatas is not None:
        schema = row.info.schema.discovered(value_types(request.metadatas))
        if schema is not row.info.schema:
            catalog.save_schema(session, row, schema)


def check_dimension(dimension: int, vectors: Matrix) -> None:
    """Refuse vectors `(n, d)` whose d is not the collection's."""
    if vectors.shape[1] != dimension:
        raise InvalidDimensionError(
            f"Collection expecting embedding with dimension of {dimension}, got {vectors.shape[1]}: "
            "embed with the model the collection was filled with, or create another collection"
        )


def _append(
    session: Session, row: CollectionRow, request: WriteRecords, arena_of: ArenaOf, sync: bool
) -> Appended | None:
    """Add records on the assumption that all are new, the usual case: no look-ups. If it fails, undo it for None."""
    vectors = request.vectors
    assert vectors is not None  # an add always carries them
    count = len(request.ids)
    row = _with_dimension(row, vectors)
    _check_room(row, count)
    session.execute("SAVEPOINT appending")
    before = session.connection.total_changes()
    session.executemany(_INSERT_NEW, _new_rows(row, request))
    if session.connection.total_changes() - before != count:
        session.execute("ROLLBACK TO appending")
        session.execute("RELEASE appending")
        return None
    session.execute("RELEASE appending")
    slots = np.arange(row.next_slot, row.next_slot + count, dtype=np.int64)
    row = _append_vectors(session, row, vectors, arena_of, sync=sync)
    ordinals = np.arange(row.next_ordinal, row.next_ordinal + count, dtype=np.int64)
    moved = replace(row, next_ordinal=row.next_ordinal + count, records=row.records + count)
    _log(session, moved, ordinals)
    return Appended(row.info.head, ordinals, slots)


def _append_vectors(
    session: Session, row: CollectionRow, vectors: Matrix, arena_of: ArenaOf, *, sync: bool
) -> CollectionRow:
    """Write vectors behind the others, with their checksums; return the collection with them."""
    arena_of(row).append(row.next_slot, vectors, sync=sync)
    tail = extents.append(session, row, vectors)
    return replace(row, next_slot=row.next_slot + len(vectors), tail=tail)


def _new_rows(row: CollectionRow, request: WriteRecords) -> Iterator[tuple[Any, ...]]:
    nothing = [None] * len(request.ids)
    first = row.first_key + row.next_ordinal
    columns = zip(
        request.ids, request.metadatas or nothing, request.uris or nothing, request.documents or nothing, strict=True
    )
    for index, (id_, metadata, uri, document) in enumerate(columns):
        yield first + index, row.key, id_, row.next_slot + index, _metadata_text(metadata), uri, document


def _metadata_text(metadata: dict[str, Any] | None) -> str | None:
    merged = merge_metadata(None, metadata)
    return None if merged is None else _encode(merged).decode()


def _draft(session: Session, row: CollectionRow, request: WriteRecords) -> list[_Draft]:
    """Work out each record's new state, step by step where an id stands twice."""
    drafts = _load(session, row, request.ids)
    known = set(drafts)
    touched: dict[str, _Draft] = {}
    for index, id_ in enumerate(request.ids):
        draft = drafts.get(id_)
        if request.kind == "add" and draft is not None:
            continue
        if draft is None:
            if request.kind == "update":
                continue
            draft = drafts[id_] = _Draft(id_, None, 0, None, None, None, None)
        _revise(draft, request, index)
        touched[id_] = draft
    assert all(draft.key is not None for id_, draft in touched.items() if id_ in known)
    return list(touched.values())


def _load(session: Session, row: CollectionRow, ids: Sequence[str]) -> dict[str, _Draft]:
    if not row.records:
        return {}
    found = _by_id(session, row, ids, _STATE)
    return {
        id_: _Draft(id_, key, slot, None if metadata is None else _decode(metadata), uri, document, None)
        for id_, key, slot, metadata, uri, document in found
    }


def _revise(draft: _Draft, request: WriteRecords, index: int) -> None:
    if request.metadatas is not None:
        draft.metadata = merge_metadata(draft.metadata, request.metadatas[index])
    if request.documents is not None and request.documents[index] is not None:
        draft.document = request.documents[index]
    if request.uris is not None and request.uris[index] is not None:
        draft.uri = request.uris[index]
    if request.vectors is not None:
        row = index if request.rows is None else request.rows[index]
        draft.vector = draft.vector if row is None else row


def _lay_down(
    session: Session, row: CollectionRow, request: WriteRecords, drafts: list[_Draft], arena_of: ArenaOf, *, sync: bool
) -> None:
    carried = [draft for draft in drafts if draft.vector is not None]
    if carried:
        assert request.vectors is not None
        vectors = request.vectors[np.array([draft.vector for draft in carried], np.int64)]
        row = _with_dimension(row, vectors)
        for slot, draft in enumerate(carried, row.next_slot):
            draft.slot = slot
        row = _append_vectors(session, row, vectors, arena_of, sync=sync)
    old = [draft for draft in drafts if draft.key is not None]
    new = [draft for draft in drafts if draft.key is None]
    _check_room(row, len(new))
    for key, draft in enumerate(new, row.first_key + row.next_ordinal):
        draft.key = key
    session.executemany(_UPDATE, ((d.slot, _stored(d.metadata), d.uri, d.document, d.key) for d in old))
    session.executemany(_INSERT, ((d.key, row.key, d.id, d.slot, _stored(d.metadata), d.uri, d.document) for d in new))
    ordinals = np.array([draft.key for draft in drafts], np.int64) - row.first_key
    moved = replace(
        row,
        next_ordinal=row.next_ordinal + len(new),
        records=row.records + len(new),
    )
    _log(session, moved, np.sort(ordinals))


def _stored(metadata: dict[str, Any] | None) -> str | None:
    return None if metadata is None else _encode(metadata).decode()


def delete(session: Session, row: CollectionRow, ordinals: Ordinals) -> None:
    """Delete records that exist, given by their ordinals, ascending."""
    if not ordinals.size:
        return
    session.executemany("DELETE FROM records WHERE key=?", ((row.first_key + o,) for o in ordinals.tolist()))
    _log(session, replace(row, records=row.records - len(ordinals)), ordinals)


def move(session: Session, row: CollectionRow, living: NDArray[np.int64], arena: str) -> None:
    """Say that the vectors of the slots `living`, ascending, are now the first ones of another arena.

    Their checksums move along; the collection's segments are taken back. See `forget`.
    """
    base = row.first_key
    ordinals, places = slots(session, row, None)
    places = np.searchsorted(living, places)
    pairs = zip(places.tolist(), (ordinals + base).tolist(), strict=True)
    session.executemany("UPDATE records SET slot=? WHERE key=?", pairs)
    segments.withdraw(session, row)
    tail = extents.rebuild(session, row, living)
    forget(session, replace(row, next_slot=len(living), arena=arena, tail=tail))


def forget(session: Session, row: CollectionRow) -> None:
    """Store a collection's counters without its change log, and with a head beyond it: what is derived begins anew."""
    session.execute("DELETE FROM changes WHERE collection=?", (row.key,))
    catalog.save_progress(session, replace(row, info=replace(row.info, head=row.info.head + 1)))


def _with_dimension(row: CollectionRow, vectors: Matrix) -> CollectionRow:
    return row if row.info.dimension is not None else replace(row, info=replace(row.info, dimension=vectors.shape[1]))


def _check_room(row: CollectionRow, count: int) -> None:
    if row.next_ordinal + count > MAX_ORDINAL:
        raise StorageError(
            f"collection [{row.info.id}] has used up its {MAX_ORDINAL} ordinals; copy it into another one"
        )


def _log(session: Session, row: CollectionRow, ordinals: Ordinals) -> None:
    """Append the changed ordinals (ascending) to the change log as runs, and store the collection's new counters."""
    head = row.info.head
    runs = list(_runs(ordinals))
    session.executemany(
        "INSERT INTO changes (collection, sequence, first, last) VALUES (?,?,?,?)",
        ((row.key, head + step, first, last) for step, (first, last) in enumerate(runs, 1)),
    )
    catalog.save_progress(session, replace(row, info=replace(row.info, head=head + len(runs))))
    if head // _PURGE_EVERY != (head + len(runs)) // _PURGE_EVERY:
        oldest = head + len(runs) - RETAINED_CHANGES
        session.execute("DELETE FROM changes WHERE collection=? AND sequence<=?", (row.key, oldest))


def _runs(ordinals: Ordinals) -> Iterator[tuple[int, int]]:
    first, last = int(ordinals[0]), int(ordinals[-1])
    if last - first == len(ordinals) - 1:  # they ascend, each once: one run, as almost always
        yield first, last
        return
    breaks = np.flatnonzero(np.diff(ordinals) != 1) + 1
    for run in np.split(ordinals, breaks):
        yield int(run[0]), int(run[-1])


# -- reading ----------------------------------------------------------------------------------------------------


def changes_since(session: Session, row: CollectionRow, sequence: int) -> list[tuple[int, int]] | None:
    """Return the runs (first, last ordinal) changed after `sequence`, or None if the log no longer reaches back."""
    found = session.execute(
        "SELECT first, last FROM changes WHERE collection=? AND sequence>? ORDER BY sequence", (row.key, sequence)
    ).fetchall()
    if len(found) != row.info.head - sequence:
        return None
    return [(first, last) for first, last in found]  # type: ignore[misc]  # integers, by the table's definition


def slots(session: Session, row: CollectionRow, ordinals: Ordinals | None) -> tuple[Ordinals, Ordinals]:
    """Return the ordinals (ascending) and slots of those among `ordinals` (ascending; None: all) that exist."""
    base = row.first_key
    if ordinals is None:
        last = base + row.next_ordinal - 1
        found: Iterable[Any] = session.execute("SELECT key, slot FROM records WHERE key BETWEEN ? AND ?", (base, last))
    else:
        found = _rows(session, row, ordinals, ("key", "slot"))
    pairs = np.array(list(found), np.int64).reshape(-1, 2)
    return pairs[:, 0] - base, pairs[:, 1].copy()


def slots_from(session: Session, row: CollectionRow, slot: int) -> Ordinals:
    """Return the slots of records, ascending, from one on."""
    found = session.execute(
        "SELECT slot FROM records WHERE key BETWEEN ? AND ? AND slot >= ? ORDER BY slot",
        (row.first_key, row.last_key, slot),
    )
    return np.fromiter((own for (own,) in found), np.int64)


def metadata_blocks(
    session: Session, row: CollectionRow, ordinals: Ordinals, keys: Sequence[str] = (), block: int = BLOCK
) -> Iterator[tuple[Ordinals, bytes]]:
    """Yield (ordinals, one JSON array of their metadata) of those among `ordinals` (ascending) that have metadata.

    With a few `keys`, records in whose JSON none of them appears are left out: looking for a text is quicker than
    handing it over to be parsed.
    """
    base = row.first_key
    condition, names = "r.metadata IS NOT NULL", tuple[str, ...]()
    if 0 < len(keys) <= _FEW_KEYS:
        condition = "(" + " OR ".join(["instr(r.metadata, ?) > 0"] * len(keys)) + ")"
        names = tuple(f"{_encode(key).decode()}:" for key in keys)
    found = iter(_rows(session, row, ordinals, ("key", "metadata"), condition, names))
    while pairs := list(islice(found, block)):
        keys, texts = zip(*pairs, strict=True)
        yield np.array(keys, np.int64) - base, ("[" + ",".join(texts) + "]").encode()


def find(session: Session, row: CollectionRow, ids: Iterable[str]) -> dict[str, int]:
    """Return the ordinals of the ids that exist."""
    base = row.first_key
    return {id_: key - base for id_, key in _by_id(session, row, ids, ("id", "key"))}


def documents(session: Session, row: CollectionRow, ordinals: Ordinals) -> Iterator[tuple[int, str]]:
    """Yield (ordinal, document) of those among `ordinals` (ascending) that have a document."""
    base = row.first_key
    for key, document in _rows(session, row, ordinals, ("key", "document")):
        if document is not None:
            yield key - base, document


def fetch(session: Session, row: CollectionRow, ordinals: Ordinals, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the named columns of records that exist, one tuple a record, in the order of `ordinals`."""
    return list(_rows(session, row, ordinals, columns))


def fetch_ids(
    session: Session, row: CollectionRow, ids: Iterable[str], columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return the named columns of the records with these ids (each once), one tuple a record, in the order of `ids`."""
    return list(_by_id(session, row, ids, columns))


def _by_id(
    session: Session, row: CollectionRow, ids: Iterable[str], columns: Sequence[str]
) -> Iterable[tuple[Any, ...]]:
    """Read columns of the records with these ids, in the order of `ids`; those that do not exist are left out."""
    ids = tuple(ids)
    names = ",".join(f"r.{column}" for column in columns)
    if len(ids) < 2 or "\0" in "".join(ids):  # an array of texts ends each at the first NUL
        sql = f"SELECT {names} FROM records r WHERE r.collection=? AND r.id=?"  # noqa: S608  (our own names)
        return session.executemany(sql, ((row.key, id_) for id_ in ids))
    # carray keeps the order of the array, and takes half the time of a statement an id.
    sql = f"SELECT {names} FROM carray(?) w CROSS JOIN records r ON r.collection=? AND r.id=w.value"  # noqa: S608
    return session.execute(sql, (apsw.carray(ids), row.key))


def containing(session: Session, row: CollectionRow, ordinals: Ordinals, text: str) -> Ordinals:
    """Return those among `ordinals` (ascending) whose document has `text` as a substring."""
    found = _rows(session, row, ordinals, ("key",), "instr(r.document, ?) > 0", (text,))
    return np.array([key for (key,) in found], np.int64) - row.first_key


def _rows(
    session: Session,
    row: CollectionRow,
    ordinals: Ordinals,
    columns: Sequence[str],
    condition: str = "TRUE",
    bindings: tuple[str, ...] = (),
) -> Iterable[tuple[Any, ...]]:
    """Read columns of records, in the order of `ordinals`; those that do not exist are left out."""
    count = len(ordinals)
    if not count:
        return ()
    names = ",".join(f"r.{column}" for column in columns)
    keys = ordinals + row.first_key
    first, last = int(keys[0]), int(keys[-1])
    if last - first == count - 1 and bool((np.diff(keys) == 1).all()):
        sql = f"SELECT {names} FROM records r WHERE r.key BETWEEN ? AND ? AND {condition}"  # noqa: S608  (our own names)
        return session.execute(sql, (first, last, *bindings))
    # carray keeps the order of the array.
    sql = f"SELECT {names} FROM carray(?) w CROSS JOIN records r ON r.key = w.value WHERE {condition}"  # noqa: S608
    return session.execute(sql, (apsw.carray(np.ascontiguousarray(keys)), *bindings))
