"""Turns what SQLite and the operating system raise into the package's own errors; the only place that does."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from ochre.errors import BusyError, CorruptError, InvalidArgumentError, StorageError, StorageFullError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Raise `StorageError` or one of its kin for any failure of the database at `folder`."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise BusyError(
            f"another process kept the database at {folder} locked beyond the busy timeout: nothing was changed; "
            "try again, or raise Settings(busy_timeout=...)"
        ) from error
    except apsw.FullError as error:
        raise full(folder) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise damaged(folder, str(error)) from error
    except apsw.TooBigError as error:
        raise InvalidArgumentError(
            "a text of the call is larger than 1 GB, the most a record holds; split it"
        ) from error
    except apsw.IOError as error:
        raise _failed(folder, error) from error
    except apsw.Error as error:
        raise StorageError(
            f"the database at {folder} cannot be used ({type(error).__name__}: {error}); check the path and its "
            "permissions: without permission to write, open it with mode='r'"
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise full(folder) from error
        raise StorageError(
            f"the database at {folder} cannot be used ({error}); check the path and its permissions"
        ) from error


def damaged(folder: Path, reason: str) -> CorruptError:
    """Return the error about a damaged `ochre.sqlite3`."""
    return CorruptError(
        f"the database at {folder} is damaged ({reason}): nothing was changed; `ochre check` names what is lost; "
        "restore the folder from a backup, or save the rest with `ochre repair`"
    )


def full(folder: Path) -> StorageFullError:
    """Return the error about a disk that is full."""
    return StorageFullError(f"no room to write in {folder}: the call changed nothing; free some space and repeat it")


def _failed(folder: Path, error: apsw.IOError) -> StorageError:
    cause = getattr(error, "extendedresult", 0)
    if cause == apsw.SQLITE_IOERR_DATA:
        return damaged(folder, "a page of ochre.sqlite3 does not have the checksum it was written with")
    if cause == apsw.SQLITE_IOERR_WRITE:  # SQLite reports a quota or a file-size limit so
        return full(folder)
    return StorageError(f"reading or writing the database at {folder} failed ({error}); check the disk")
