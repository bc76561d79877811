"""The tables of `ochre.sqlite3` and the version of the format; `docs/reference/storage-format.md` explains them.

A change here needs a new format version, a migration and a stored example of the old one.
"""

from __future__ import annotations

import apsw

from ochre.errors import FormatVersionError

APPLICATION_ID = 0x4F434852  # "OCHR", at byte 68 of the file
FORMAT_VERSION = 1

ORDINAL_BITS = 40
"""A record's key is its collection's key shifted by so many bits, plus its ordinal."""

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
  dimension INTEGER,
  next_ordinal INTEGER NOT NULL DEFAULT 0,
  next_slot INTEGER NOT NULL DEFAULT 0,
  records INTEGER NOT NULL DEFAULT 0,
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
"""


def ensure(connection: apsw.Connection, folder: object) -> None:
    """Create the tables in a new file; check the version of an old one.

    Raises:
        FormatVersionError: the file was written by a later release, or by another program.
    """
    if _version(connection, folder) == FORMAT_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection, folder) != FORMAT_VERSION:  # no other process was faster
            connection.execute(_TABLES)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: apsw.Connection, folder: object) -> int:
    version = int(connection.pragma("user_version"))
    application = int(connection.pragma("application_id"))
    if version == 0 and application == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        return 0
    if application != APPLICATION_ID:
        raise FormatVersionError(f"ochre.sqlite3 in {folder} was written by another program; choose another folder")
    if version > FORMAT_VERSION:
        raise FormatVersionError(
            f"the database at {folder} has format {version}, this release reads formats up to {FORMAT_VERSION}; "
            "install a newer release of ochre"
        )
    return version
