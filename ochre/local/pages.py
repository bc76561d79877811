"""Connections to SQLite whose pages carry checksums: a damaged page is an error for whoever reads it.

SQLite's own extension `cksumvfs` keeps the checksum in the last eight bytes of each page of the file, makes it when the
page is written, and compares it when the page is read. In the write-ahead log frames have checksums in any case.
"""

from __future__ import annotations

import threading

import apsw
import apsw.sqlite_extra

from ochre.errors import StorageError

RESERVED_BYTES = 8
"""At the end of each page, for its checksum; byte 20 of the file says so."""

PAGE_BYTES = 4096
"""SQLite's usual size; a file is as long as all its pages."""

_COPIED = 2048  # pages at a time
_VFS = "cksmvfs"
_lock = threading.Lock()


def connect(path: str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> apsw.Connection:
    """Open a SQLite file; what it reads of a file with checksums is compared with them.

    Raises:
        StorageError: the installed `apsw` comes without the extension.
    """
    with _lock:
        if _VFS not in apsw.vfs_names():
            _load()
    return apsw.Connection(path, flags=flags, vfs=_VFS)


def ask_for_checksums(connection: apsw.Connection) -> None:
    """Let a file that is still empty have checksums."""
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.reserve_bytes(reserve=RESERVED_BYTES)


def begin(connection: apsw.Connection) -> None:
    """Make a new file one with checksums before it is filled: else the first pages would be written without."""
    ask_for_checksums(connection)
    connection.execute("CREATE TABLE beginning (number); DROP TABLE beginning")


def copy(source: apsw.Connection, target: apsw.Connection) -> None:
    """Make all pages of `target` those of `source`, as one transaction."""
    with target.backup("main", source, "main") as pages:
        while not pages.done:
            pages.step(_COPIED)


def compares(connection: apsw.Connection) -> bool:
    """Whether the pages this connection reads are compared with checksums."""
    return bool(connection.execute("PRAGMA checksum_verification").get == "1")


def _load() -> None:
    usual = apsw.vfs_names()[0]
    try:
        connection = apsw.Connection(":memory:")
        try:
            apsw.sqlite_extra.load(connection, "cksumvfs")
        finally:
            connection.close()
    except (LookupError, apsw.sqlite_extra.NotAvailable, apsw.ExtensionLoadingError, AttributeError) as error:
        raise StorageError(
            f"apsw {apsw.apsw_version()} comes without SQLite's checksums of pages ({error}): install a wheel of apsw "
            "3.51.3 or later, as PyPI has them"
        ) from error
    apsw.set_default_vfs(usual)  # loading made it everybody's: other users of apsw in this process keep theirs
