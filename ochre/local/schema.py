"""The tables of `ochre.sqlite3` and the version of the format; `docs/reference/storage-format.md` explains them.

A change here needs a new format version, a migration and a stored example of the old one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from ochre.errors import CorruptError, FormatVersionError, StorageError
from ochre.local import acknowledged
from ochre.local.acknowledged import Acknowledged
from ochre.local.folders import sync_folder

APPLICATION_ID = 0x4F434852  # "OCHR", at byte 68 of the file
FORMAT_VERSION = 1

ORDINAL_BITS = 40
"""A record's key is its collection's key shifted by so many bits, plus its ordinal; an extent's likewise."""

MAX_ORDINAL = (1 << ORDINAL_BITS) - 1
MAX_COLLECTION_KEY = (1 << (62 - ORDINAL_BITS)) - 1

_TABLES = """
CREATE TABLE tenants (
  name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE databases (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (tenant, name)
) STRICT;

CREATE TABLE collections (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  database INTEGER NOT NULL,
  name TEXT NOT NULL,
  metadata TEXT,
  configuration TEXT NOT NULL,
  schema TEXT NOT NULL,
  dimension INTEGER,
  next_ordinal INTEGER NOT NULL DEFAULT 0,
  next_slot INTEGER NOT NULL DEFAULT 0,
  records INTEGER NOT NULL DEFAULT 0,
  tail BLOB NOT NULL DEFAULT x'',
  arena TEXT NOT NULL,
  head INTEGER NOT NULL DEFAULT 0,
  UNIQUE (database, name)
) STRICT;

CREATE TABLE records (
  key INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL,
  id TEXT NOT NULL,
  slot INTEGER NOT NULL,
  metadata TEXT,
  uri TEXT,
  document TEXT
) STRICT;

CREATE UNIQUE INDEX records_by_id ON records (collection, id);

CREATE TABLE changes (
  collection INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (collection, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
  collection INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (collection, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE extents (
  key INTEGER PRIMARY KEY,
  checksums BLOB NOT NULL
) STRICT;

CREATE TABLE commits (
  number INTEGER NOT NULL
) STRICT;

INSERT INTO commits VALUES (0);
"""

_IDENTITY = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version
"""


def check_unclaimed(folder: Path) -> None:
    """Make sure that a new database is not begun beside one of Chroma's: whoever names that folder expects its records.

    Raises:
        FormatVersionError: the folder is Chroma's.
    """
    foreign = folder / "chroma.sqlite3"
    if foreign.is_file() and foreign.stat().st_size and not (folder / "ochre.sqlite3").exists():
        raise FormatVersionError(
            f"{folder} is a folder of Chroma's: import it into another one with `ochre migrate-chroma {folder} NEW`, "
            "and open that"
        )


def ensure(connection: apsw.Connection, folder: Path) -> None:
    """Create the tables in a new file; check the version of an old one.

    Raises:
        FormatVersionError: the file was written by a later release, or by another program.
        CorruptError: the file is new, and the folder holds vectors of a database that is gone.
    """
    if version(connection, folder) == FORMAT_VERSION:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        if version(connection, folder) != FORMAT_VERSION:  # no other process was faster
            _check_deserted(folder)
            connection.execute(_TABLES)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    # The tables move to the file itself: a log that a power cut tore never leaves an empty file beside vectors.
    connection.execute("PRAGMA wal_checkpoint").fetchall()
    # So does the end of the journal with which SQLite turned on its log: come back, it would empty the file.
    sync_folder(folder)


def check(connection: apsw.Connection, folder: Path) -> None:
    """Make sure that the file has our tables, in a version this release reads; write nothing.

    Raises:
        FormatVersionError: the file was written by a later release, or by another program.
        StorageError: it has no tables yet.
    """
    if not version(connection, folder):
        raise StorageError(f"the database at {folder} is empty: open it once to write")


def _check_deserted(folder: Path) -> None:
    """Refuse to start anew where a database was: the next step would be to clean up what is left of it."""
    left = "vectors" if next((folder / "vectors").glob("*.f32"), None) is not None else ""
    left = left or (acknowledged.FILE_NAME if Acknowledged(folder).read() else "")
    if left:
        raise CorruptError(
            f"{folder} holds {left}, but ochre.sqlite3 is missing or empty: restore it from a backup; "
            "to start anew, choose another folder or remove this one"
        )


def version(connection: apsw.Connection, folder: Path) -> int:
    """Return the version of the format of a file, 0 for one that is empty.

    Raises:
        FormatVersionError: a later release wrote it, or another program.
        CorruptError: it has tables, and no version.
    """
    # In one statement: between two of them another process might create the tables.
    application, number, tables = connection.execute(_IDENTITY).get
    if not application and not number and not tables:
        return 0
    if application != APPLICATION_ID:
        raise FormatVersionError(f"ochre.sqlite3 in {folder} was written by another program; choose another folder")
    _check_number(number, folder)
    if number < 1:
        raise CorruptError(
            f"ochre.sqlite3 in {folder} has tables and no format version: another program changed it; `ochre repair` "
            "saves what is in it"
        )
    return int(number)


def check_release(connection: apsw.Connection, folder: Path) -> None:
    """Make sure that no later release wrote a file, whatever else may be wrong with it; raises `FormatVersionError`."""
    with contextlib.suppress(apsw.Error):
        application, number, _ = connection.execute(_IDENTITY).get
        if application == APPLICATION_ID:
            _check_number(number, folder)


def _check_number(number: int, folder: Path) -> None:
    if number > FORMAT_VERSION:
        raise FormatVersionError(
            f"the database at {folder} has format {number}, this release reads formats up to {FORMAT_VERSION}; "
            "install a newer release of ochre"
        )
