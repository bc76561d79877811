"""Makes folders as Chroma's releases do: the tables and files that matter, with the encodings of each layout.

A `SourceFolder` behaves as Chroma's engine does, in short: writes go to the queue, `file` takes them over into the
tables of metadata, `index` into the files of an hnswlib index.
"""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import apsw
import numpy as np

Layout = Literal["0.4", "0.5", "1.0", "1.5"]
LAYOUTS: tuple[Layout, ...] = ("0.4", "0.5", "1.0", "1.5")
DEFAULT = ("default_tenant", "default_database")
ADD, UPDATE, UPSERT, DELETE = range(4)

_TABLES = """
CREATE TABLE tenants (id TEXT PRIMARY KEY, UNIQUE (id));
CREATE TABLE databases (id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant_id TEXT NOT NULL, UNIQUE (tenant_id, name));
CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL, {topic} dimension INTEGER,
    database_id TEXT NOT NULL {settings}, UNIQUE (name, database_id));
CREATE TABLE collection_metadata (collection_id TEXT, key TEXT NOT NULL, str_value TEXT, int_value INTEGER,
    float_value REAL {flag}, PRIMARY KEY (collection_id, key));
CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL, {topic} collection TEXT);
CREATE TABLE segment_metadata (segment_id TEXT, key TEXT NOT NULL, str_value TEXT, int_value INTEGER,
    float_value REAL {flag}, PRIMARY KEY (segment_id, key));
CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL,
    seq_id BLOB NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (segment_id, embedding_id));
CREATE TABLE embedding_metadata (id INTEGER, key TEXT NOT NULL, string_value TEXT, int_value INTEGER, float_value REAL,
    bool_value INTEGER, PRIMARY KEY (id, key));
CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id {sequence});
CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    operation INTEGER NOT NULL, topic TEXT NOT NULL, id TEXT NOT NULL, vector BLOB, encoding TEXT, metadata TEXT);
"""
_ARRAYS = """
CREATE TABLE embedding_metadata_array (id INTEGER NOT NULL, key TEXT NOT NULL, string_value TEXT, int_value INTEGER,
    float_value REAL, bool_value INTEGER);
"""
_CLASS = b"\x8c\x32chromadb.segment.impl.vector.local_persistent_hnsw\x8c\x0ePersistentData\x93)\x81"


class SourceFolder:
    """A folder in the making. `close` it before it is read."""

    def __init__(self, path: Path, layout: Layout = "1.5") -> None:
        path.mkdir()
        self.path, self.layout, self._closed = path, layout, False
        self.file = path / "chroma.sqlite3"
        self.connection = apsw.Connection(str(self.file))
        self.execute("PRAGMA synchronous=OFF")
        self.execute("BEGIN")
        settings = {"0.4": "", "0.5": ", config_json_str TEXT", "1.0": ", config_json_str TEXT"}
        parts = {
            "topic": "topic TEXT NOT NULL," if layout == "0.4" else "",
            "settings": settings.get(layout, ", config_json_str TEXT, schema_str TEXT"),
            "flag": "" if layout == "0.4" else ", bool_value INTEGER",
            "sequence": "BLOB NOT NULL" if layout < "1" else "INTEGER",
        }
        self.execute(_TABLES.format(**parts) + (_ARRAYS if layout == "1.5" else ""))
        self._databases: dict[tuple[str, str], str] = {}

    def execute(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        return self.connection.execute(sql, bindings).fetchall()

    def commit(self) -> None:
        if self.connection.in_transaction:
            self.execute("COMMIT")

    def close(self) -> Path:
        """Finish the folder; closing twice is fine."""
        if not self._closed:
            self.commit()
            self.execute("VACUUM")  # no remains of old pages: tests look for pages by what is on them
            self.connection.close()
            self._closed = True
        return self.path

    def sequence(self, value: int) -> int | bytes:
        """A sequence number, as tables of this layout hold it."""
        return value.to_bytes(8, "big") if self.layout < "1" else value

    def database(self, place: tuple[str, str]) -> str:
        if place not in self._databases:
            self._databases[place] = str(uuid4())
            self.execute("INSERT OR IGNORE INTO tenants VALUES (?)", place[:1])
            self.execute("INSERT INTO databases VALUES (?,?,?)", (self._databases[place], place[1], place[0]))
        return self._databases[place]

    def collection(
        self,
        name: str,
        space: str = "l2",
        place: tuple[str, str] = DEFAULT,
        metadata: dict[str, Any] | None = None,
        dimension: int | None = 4,
        settings: dict[str, Any] | None = None,
        schema_keys: dict[str, Any] | None = None,
        function: str = "default",
    ) -> SourceCollection:
        """Create a collection; the space goes where this layout keeps it."""
        made = SourceCollection(self, space, dimension)
        legacy = {"hnsw:space": space} if self.layout < "1" and space != "l2" else {}
        columns: dict[str, Any] = {"id": made.id, "name": name, "dimension": dimension}
        columns["database_id"] = self.database(place)
        if self.layout == "0.4":
            columns["topic"] = made.topic
        elif self.layout == "0.5":  # what every release of that time wrote, whatever the space
            columns["config_json_str"] = json.dumps({"hnsw_configuration": {"space": "l2"}, "_type": "Internal"})
        else:
            hnsw = {"max_neighbors": 16, **(settings or {})}
            columns |= _configuration(self.layout, space, hnsw, schema_keys or {}, function)
        marks = ",".join("?" * len(columns))
        self.execute(f"INSERT INTO collections ({','.join(columns)}) VALUES ({marks})", tuple(columns.values()))
        self._values("collection_metadata", made.id, {**legacy, **(metadata or {})})
        for scope, segment in (("VECTOR", made.vectors), ("METADATA", made.segment)):
            topic = {"topic": made.topic} if self.layout == "0.4" else {}
            row = {"id": segment, "type": "urn:chroma:segment", "scope": scope, "collection": made.id, **topic}
            marks = ",".join("?" * len(row))
            self.execute(f"INSERT INTO segments ({','.join(row)}) VALUES ({marks})", tuple(row.values()))
        self._values("segment_metadata", made.vectors, legacy)
        return made

    def _values(self, table: str, owner: str, values: dict[str, Any]) -> None:
        for key, value in values.items():
            columns = _spread(value)[: 3 if self.layout == "0.4" else 4]
            marks = ",".join("?" * (2 + len(columns)))
            self.execute(f"INSERT INTO {table} VALUES ({marks})", (owner, key, *columns))


def _configuration(layout: Layout, space: str, hnsw: dict[str, Any], keys: dict[str, Any], name: str) -> dict[str, Any]:
    function = {"type": "known", "name": name, "config": {}}
    if layout == "1.0":
        stored = {"vector_index": {"hnsw": {"space": space, **hnsw}}, "embedding_function": function}
        return {"config_json_str": json.dumps(stored)}
    vector = {"space": space, "embedding_function": function, "hnsw": hnsw, "source_key": "#document"}
    embedding = {"float_list": {"vector_index": {"enabled": True, "config": vector}}}
    schema = {"defaults": {"string": {}}, "keys": {"#embedding": embedding, **keys}}
    return {"config_json_str": "{}", "schema_str": json.dumps(schema)}


def _spread(value: Any) -> tuple[Any, Any, Any, Any]:
    """Spread a value over the columns for text, integers, numbers and flags."""
    if isinstance(value, bool):
        return None, None, None, int(value)
    kinds = (str, int, float)
    return (*(value if isinstance(value, kind) else None for kind in kinds), None)  # type: ignore[return-value]


@dataclass
class SourceCollection:
    """A collection in the making."""

    folder: SourceFolder
    space: str
    dimension: int | None
    id: str = field(default_factory=lambda: str(uuid4()))
    vectors: str = field(default_factory=lambda: str(uuid4()))
    segment: str = field(default_factory=lambda: str(uuid4()))
    index_state: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    last_label: int = 0

    @property
    def topic(self) -> str:
        return f"persistent://default/default/{UUID(self.id)}"

    @property
    def index_folder(self) -> Path:
        return self.folder.path / self.vectors

    # -- writes -------------------------------------------------------------------------------------------------

    def write(self, operation: int, id_: str, vector: Any = None, document: str | None = None, **metadata: Any) -> int:
        """Append to the queue; return the sequence number."""
        values = {**metadata, **({} if document is None else {"chroma:document": document})}
        blob = None if vector is None else np.asarray(vector, "<f4").tobytes()
        ((sequence,),) = self.folder.execute(
            "INSERT INTO embeddings_queue (operation,topic,id,vector,encoding,metadata) VALUES (?,?,?,?,?,?) "
            "RETURNING seq_id",
            (operation, self.topic, id_, blob, blob and "FLOAT32", json.dumps(values) if values else None),
        )
        return int(sequence)

    def add(self, id_: str, vector: Any = None, document: str | None = None, **metadata: Any) -> int:
        return self.write(ADD, id_, vector, document, **metadata)

    def fill(self, numbers: range) -> None:
        """Add record n with a vector of n, n+1, ... and a document."""
        for n in numbers:
            self.add(f"id{n}", vector_of(n), f"document {n}", n=n)

    # -- what becomes of them -----------------------------------------------------------------------------------

    def _entries(self, table_of: str) -> list[Any]:
        (row,) = self.folder.execute("SELECT max(seq_id) FROM max_seq_id WHERE segment_id=?", (table_of,))
        reached = int.from_bytes(row[0], "big") if isinstance(row[0], bytes) else row[0] or 0
        sql = "SELECT seq_id,operation,id,vector,metadata FROM embeddings_queue WHERE topic=? AND seq_id>? ORDER BY 1"
        return self.folder.execute(sql, (self.topic, reached))

    def _reach(self, segment: str, sequence: int) -> None:
        row = (segment, self.folder.sequence(sequence))
        self.folder.execute("INSERT OR REPLACE INTO max_seq_id VALUES (?,?)", row)

    def file(self) -> None:
        """Take the queue's entries over into the metadata segment."""
        for sequence, operation, id_, _, metadata in self._entries(self.segment):
            self._file(sequence, operation, id_, json.loads(metadata or "{}"))
            self._reach(self.segment, sequence)

    def _file(self, sequence: int, operation: int, id_: str, values: dict[str, Any]) -> None:
        execute, own = self.folder.execute, (self.segment, id_)
        found = execute("SELECT id FROM embeddings WHERE segment_id=? AND embedding_id=?", own)
        if (found and operation == ADD) or (not found and operation in {UPDATE, DELETE}):
            return
        if not found:
            row = (*own, self.folder.sequence(sequence))
            found = execute("INSERT INTO embeddings (segment_id,embedding_id,seq_id) VALUES (?,?,?) RETURNING id", row)
        ((key,),) = found
        if operation == DELETE:
            execute("DELETE FROM embeddings WHERE id=?", (key,))
            execute("DELETE FROM embedding_metadata WHERE id=?", (key,))
            return
        execute("UPDATE embeddings SET seq_id=? WHERE id=?", (self.folder.sequence(sequence), key))
        for name, value in values.items():
            execute("DELETE FROM embedding_metadata WHERE id=? AND key=?", (key, name))
            if isinstance(value, list):
                for item in value:
                    execute("INSERT INTO embedding_metadata_array VALUES (?,?,?,?,?,?)", (key, name, *_spread(item)))
            elif value is not None:
                execute("INSERT INTO embedding_metadata VALUES (?,?,?,?,?,?)", (key, name, *_spread(value)))

    def index(self, *, purge: bool = True) -> None:
        """Take the queue's entries over into the index, and those that both have taken out of the queue."""
        sequence = 0
        for sequence, operation, id_, vector, _ in self._entries(self.vectors):  # noqa: B007
            known = id_ in self.labels
            if operation == DELETE:
                self.labels.pop(id_, None)
            elif vector is not None and (operation == UPSERT or known == (operation == UPDATE)):
                if not known:
                    self.last_label += 1
                    self.labels[id_] = self.last_label
                self.index_state[self.labels[id_]] = np.frombuffer(vector, "<f4")
        self._write_index(sequence)
        if self.folder.layout != "0.4":
            self._reach(self.vectors, sequence)
            if purge:
                sql = "DELETE FROM embeddings_queue WHERE topic=? AND seq_id<?"
                self.folder.execute(sql, (self.topic, sequence))

    def _write_index(self, sequence: int) -> None:
        self.index_folder.mkdir(exist_ok=True)
        vectors = np.array(list(self.index_state.values()), np.float32)
        lengths = np.full(len(vectors), 1e9, np.float32)  # hnswlib leaves there what was in memory
        if self.space == "cosine":
            lengths = np.linalg.norm(vectors, axis=1).astype(np.float32)
            vectors = vectors / (lengths[:, np.newaxis] + np.float32(1e-30))
        count, dimension = vectors.shape
        label = 132 + 4 * dimension
        rows = np.zeros((count, label + 8), np.uint8)
        rows[:, 132:label] = vectors.astype("<f4").view(np.uint8)
        rows[:, label:] = np.array(list(self.index_state), "<u8")[:, np.newaxis].view(np.uint8)
        header = struct.pack("<i6QiI3QdQ", 1, 0, 1000, count, label + 8, label, 132, 1, 0, 16, 32, 16, 0.36, 100)
        (self.index_folder / "header.bin").write_bytes(header)
        (self.index_folder / "data_level0.bin").write_bytes(rows.tobytes())
        (self.index_folder / "length.bin").write_bytes(lengths.tobytes())
        (self.index_folder / "index_metadata.pickle").write_bytes(self._pickle(sequence, dimension))

    def _pickle(self, sequence: int, dimension: int) -> bytes:
        by_label = {label: id_ for id_, label in self.labels.items()}
        state = {"dimensionality": dimension, "total_elements_added": self.last_label, "id_to_label": self.labels}
        if self.folder.layout == "0.4":
            state["max_seq_id"] = sequence
        state |= {"label_to_id": by_label, "id_to_seq_id": dict.fromkeys(self.labels, sequence)}
        return pickle.dumps(state, 3) if self.folder.layout >= "1" else class_pickle(state)


def class_pickle(state: dict[str, Any]) -> bytes:
    """Pickle an instance of the class that Chroma pickles, without the class."""
    return b"\x80\x04" + _CLASS + pickle.dumps(state, 2)[2:-1] + b"b."


def damage_page(file: Path, text: str, first: int) -> None:
    """Overwrite the page of a SQLite file that holds a text, of the kind that begins with the byte `first`."""
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    found = [
        place
        for place in range(0, len(data), size)
        if data[place] == first and text.encode() in data[place : place + size]
    ]
    assert len(found) == 1, found
    data[found[0] : found[0] + size] = b"\xa5" * size
    file.write_bytes(data)


TABLE_PAGE, INDEX_PAGE = 0x0D, 0x0A


def vector_of(number: int, dimension: int = 4) -> list[float]:
    """A vector by which its record is known."""
    return [float(number + place + 1) for place in range(dimension)]
