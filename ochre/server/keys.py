"""API keys: one small file a key in the folder `keys` of the database, holding a hash, never the key.

A key is 256 bits of chance, so its plain SHA-256 is as good as any slow hash. Files appear and disappear whole, so any
number of processes may create, list and revoke; a running server notices within a second.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from ochre.errors import InvalidArgumentError, NotFoundError, StorageError
from ochre.model.text import preview

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")

_PREFIX = "ochre_"
_FRESH_SECONDS = 0.5
_LONGEST_NAME = 100


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key.

    Attributes:
        id: names it in lists and when it is revoked.
        name: whom it is for.
        digest: SHA-256 of the key, in hexadecimal.
        created: seconds since the epoch.
        tenant, database, collection: the only ones it opens; None for any.
    """

    id: str
    name: str
    scope: Scope
    digest: str
    created: float
    tenant: str | None = None
    database: str | None = None
    collection: str | None = None


@dataclass(slots=True)
class _Cache:
    """The keys by digest; the folder's time of change, and when it was read: that time may be too coarse to tell."""

    keys: dict[str, Key]
    stamp: int
    read: float


class KeyStore:
    """The keys of one database folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "keys"
        self._lock = threading.Lock()
        self._cache = _Cache({}, -1, 0.0)

    def exists(self) -> bool:
        """Tell whether a key was ever created here, revoked ones included."""
        return self.folder.is_dir()

    def create(
        self,
        name: str,
        scope: Scope,
        tenant: str | None = None,
        database: str | None = None,
        collection: str | None = None,
    ) -> tuple[Key, str]:
        """Create a key; return what is kept of it, and the key itself, which is shown this once.

        Raises:
            InvalidArgumentError: an unknown scope, a name that logs and lists cannot show, a database without its
                tenant, or a collection without its database.
            StorageError: the folder cannot be written.
        """
        if scope not in SCOPES:
            raise InvalidArgumentError(f"scope is {scope!r}: expected {', '.join(SCOPES)}")
        if (database and not tenant) or (collection and not database):
            raise InvalidArgumentError("a key for a database names its tenant, one for a collection its database too")
        _check_name(name)
        if "" in (tenant, database, collection):
            raise InvalidArgumentError("a key is limited to a tenant, database or collection with a name: leave it out")
        id_ = secrets.token_hex(4)
        secret = f"{_PREFIX}{id_}_{secrets.token_urlsafe(32)}"
        key = Key(id_, name, scope, _digest(secret), time.time(), tenant, database, collection)
        temporary = self.folder / f".{id_}.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(key))
            temporary.replace(self._path(id_))
        except OSError as error:
            raise StorageError(f"the key cannot be kept in {self.folder} ({error}): check the path") from error
        return key, secret

    def list(self) -> list[Key]:
        """Return all keys, the oldest first.

        Raises:
            StorageError: a file is not a key's.
        """
        keys = []
        for path, found in self._read():
            if isinstance(found, msgspec.DecodeError):
                raise StorageError(f"{path} is not an API key ({found}): delete it, and create another") from found
            keys.append(found)
        return sorted(keys, key=lambda key: (key.created, key.id))

    def revoke(self, id_: str) -> None:
        """Forget a key.

        Raises:
            NotFoundError: there is none of that id. StorageError: its file cannot be deleted.
        """
        path = self._path(id_)
        try:
            path.unlink()
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no key {id_!r}: `ochre keys list` shows those there are") from error
        except OSError as error:
            raise StorageError(f"{path} cannot be deleted ({error}): the key {id_!r} is still good") from error

    def usable(self) -> bool:
        """Tell whether there is a key that opens anything; a file that is not a key's does not."""
        return bool(self._current())

    def find(self, secret: str) -> Key | None:
        """Return the key that this is, None if there is none (any more)."""
        return self._current().get(_digest(secret))

    def _current(self) -> dict[str, Key]:
        stamp = self.folder.stat().st_mtime_ns if self.exists() else 0
        now = time.monotonic()
        with self._lock:
            if stamp != self._cache.stamp or now - self._cache.read > _FRESH_SECONDS:
                # A file that is not a key's opens nothing, and keeps nobody else out.
                found = (key for _, key in self._read() if isinstance(key, Key))
                self._cache = _Cache({key.digest: key for key in found}, stamp, now)
            return self._cache.keys

    def _read(self) -> Iterator[tuple[Path, Key | msgspec.DecodeError]]:
        for path in self.folder.glob("*.json") if self.exists() else ():
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=Key)
            except FileNotFoundError:
                continue  # revoked this moment
            except msgspec.DecodeError as error:
                yield path, error

    def _path(self, id_: str) -> Path:
        return self.folder / f"{Path(id_).name}.json"


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidArgumentError(
            f"the key's name is {preview(name)}: expected 1 to {_LONGEST_NAME} characters that can be printed in a line"
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
