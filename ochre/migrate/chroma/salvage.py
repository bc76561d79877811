"""Of a damaged SQLite file, the rows that can still be read: copied to a sound one, around what cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

TABLES = {
    "tenants": "id",
    "databases": "id",
    "collections": "id",
    "collection_metadata": "collection_id",
    "segments": "id",
    "segment_metadata": "segment_id",
    "max_seq_id": "segment_id",
    "embeddings": "segment_id, embedding_id",
    "embedding_metadata": "id",
    "embedding_metadata_array": "id",
    "embeddings_queue": "topic",
}
"""The tables that are read, and what each is looked up by."""

_LAST = 2**62
_UNIQUE_ROW = "sqlite_autoindex_embeddings_1"
_UNIQUE_VALUE = "sqlite_autoindex_embedding_metadata_1"


def damage(connection: apsw.Connection) -> dict[str, str]:
    """Return what SQLite finds wrong with the tables that are read: a sentence for each that is damaged."""
    found = {}
    for table in _tables(connection):
        try:
            verdicts = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({table})")]
        except apsw.Error as error:
            verdicts = [str(error)]
        if verdicts != ["ok"]:
            found[table] = f"the table {table} is damaged ({verdicts[0].splitlines()[-1]:.120})"
    return found


def salvage(source: apsw.Connection, target: apsw.Connection) -> list[str]:
    """Copy every row that can be read; return which could not, in sentences."""
    losses: list[str] = []
    for table in _tables(source):
        columns = [(str(row[1]), str(row[2])) for row in source.execute(f"PRAGMA table_info({table})")]
        names = ",".join(name for name, _ in columns)
        # Bytes on the way: text that is damaged is not UTF-8, and no string of Python's.
        read = ",".join(f"CAST({name} AS BLOB)" if kind == "TEXT" else name for name, kind in columns)
        write = ",".join("CAST(? AS TEXT)" if kind == "TEXT" else "?" for _, kind in columns)
        with target:
            target.execute(f"CREATE TABLE {table} ({names})")
            copied = _rows(source, table, read, losses)
            target.executemany(f"INSERT INTO {table} (rowid,{names}) VALUES (?,{write})", copied)  # noqa: S608
            target.execute(f"CREATE INDEX {table}_found ON {table} ({TABLES[table]})")
    _restore_rows(source, target)
    return losses + _note_lost_values(source, target)


def _restore_rows(source: apsw.Connection, target: apsw.Connection) -> None:
    """Add the rows of `embeddings` that were not copied, from the index of their table, which has all that matters."""
    sql = "SELECT id,CAST(segment_id AS BLOB),CAST(embedding_id AS BLOB) FROM embeddings"
    missing = "NOT EXISTS (SELECT 1 FROM embeddings WHERE rowid=?1)"
    insert = "INSERT INTO embeddings (rowid,id,segment_id,embedding_id) SELECT ?1,?1,CAST(?2 AS TEXT),CAST(?3 AS TEXT)"
    if _has(source, "embeddings", _UNIQUE_ROW):
        for order in ("segment_id,embedding_id", "segment_id DESC,embedding_id DESC"):  # from either end to the damage
            known = _until_damage(source, f"{sql} INDEXED BY {_UNIQUE_ROW} ORDER BY {order}", [])
            with target:
                target.executemany(f"{insert} WHERE {missing}", known)


def _note_lost_values(source: apsw.Connection, target: apsw.Connection) -> list[str]:
    """List, in a table `lost`, the values of metadata that an index of their table knows and that were not copied."""
    if not _has(source, "embedding_metadata", _UNIQUE_VALUE):
        return []
    sql = f"SELECT id,CAST(key AS BLOB) FROM embedding_metadata INDEXED BY {_UNIQUE_VALUE}"  # noqa: S608
    missing = "NOT EXISTS (SELECT 1 FROM embedding_metadata WHERE id=?1 AND key=CAST(?2 AS TEXT))"
    losses: list[str] = []
    with target:
        target.execute("CREATE TABLE lost (id, key); CREATE INDEX lost_found ON lost (id)")
        known = _until_damage(source, sql, losses)
        target.executemany(f"INSERT INTO lost SELECT ?1,CAST(?2 AS TEXT) WHERE {missing}", known)
    return losses and ["which records have lost metadata cannot be told in full"]


def _has(connection: apsw.Connection, table: str, index: str) -> bool:
    return index in {row[1] for row in connection.execute(f"PRAGMA index_list({table})")}


def _until_damage(source: apsw.Connection, sql: str, errors: list[str]) -> Iterator[tuple[Any, ...]]:
    try:
        yield from source.execute(sql)
    except apsw.Error as error:
        errors.append(str(error))


def _tables(connection: apsw.Connection) -> list[str]:
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    return [table for table in TABLES if table in there]


def _rows(source: apsw.Connection, table: str, columns: str, losses: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table by rowid, past those that cannot be read."""
    sql = f"SELECT rowid,{columns} FROM {table} NOT INDEXED WHERE rowid>? ORDER BY rowid"  # noqa: S608  (our own names)
    last = 0
    while True:
        try:
            for row in source.execute(sql, (last,)):
                yield row
                last = row[0]
        except apsw.Error:
            following = _past(source, f"{sql} LIMIT 1", last)
            end = "the end" if following is None else str(following)
            losses.append(f"of the table {table}, what is between the rows {last} and {end} cannot be read")
            if following is None:
                return
            last = following - 1
        else:
            return


def _past(source: apsw.Connection, sql: str, last: int) -> Any:
    """Return the next rowid after `last` whose row can be read, None if there is none."""
    step = 1
    while step < _LAST and not (found := _readable(source, sql, last + step)):
        if found is None:
            return None
        step *= 2
    low, high = step // 2, step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _readable(source, sql, last + middle) else (middle, high)
    row = source.execute(sql, (last + high,)).fetchone()
    return None if row is None else row[0]


def _readable(source: apsw.Connection, sql: str, after: int) -> bool | None:
    """Tell whether the first row after a rowid can be read; None if there is none."""
    try:
        return True if source.execute(sql, (after,)).fetchone() else None
    except apsw.Error:
        return False
