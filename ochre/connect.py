"""From a path to a client: the only place that picks an engine."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ochre.client.admin import AdminClient as Admin
from ochre.client.client import Client as ClientOf
from ochre.engine import Engine
from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.local.engine import LocalEngine
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT
from ochre.settings import Settings

PathLike = str | os.PathLike[str]


def PersistentClient(  # noqa: N802  (Chroma's name)
    path: PathLike = "./ochre",
    settings: Any = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> ClientOf:
    """Open the database in a folder, creating it if it is not there.

    Any number of clients, threads and processes may have the folder open at once.

    Args:
        path: the folder.
        settings: see `Settings`; the defaults suit nearly everyone.
        tenant: a tenant that exists.
        database: one of its databases.

    Raises:
        StorageError: the folder cannot be made or read. NotFoundError: the tenant or the database does not exist.
    """
    chosen = _settings(settings)
    engine = LocalEngine.open(_folder(path), chosen)
    with _closing_on_error(engine):
        return ClientOf(engine, chosen, tenant, database)


def EphemeralClient(  # noqa: N802  (Chroma's name)
    settings: Any = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> ClientOf:
    """Open a new, empty database in a temporary folder, which is removed when the client is closed or forgotten.

    Each call makes one of its own.
    """
    chosen = replace(_settings(settings), synchronous="off")
    engine = TemporaryEngine.make(chosen)
    with _closing_on_error(engine):
        return ClientOf(engine, chosen, tenant, database)


def Client(  # noqa: N802  (Chroma's name)
    path: PathLike | None = None,
    settings: Any = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> ClientOf:
    """Open the database at `path`, or a temporary one if there is no path.

    Settings made for Chroma are understood in either place: `is_persistent` and `persist_directory` name the folder
    then, `allow_reset` means what it says, and the rest has no effect.
    """
    if settings is None and _is_settings(path):
        path, settings = None, path
    folder = _folder_of(settings) if path is None else path
    if folder is None:
        return EphemeralClient(settings, tenant, database)
    return PersistentClient(folder, settings, tenant, database)


def AdminClient(  # noqa: N802  (Chroma's name)
    source: PathLike | ClientOf | Any = "./ochre", settings: Any = None
) -> Admin:
    """Manage the tenants and databases of a folder, or of the database that a client has open.

    Args:
        source: a folder; settings made for Chroma that name one; or a client, whose engine is shared then and stays
            open when this client is closed.
        settings: with a folder: see `Settings`.

    Raises:
        InvalidArgumentError: settings without a folder: a temporary database is reached through its client only.
    """
    if isinstance(source, ClientOf):
        return Admin(source._engine, owns_engine=False)
    if _is_settings(source):
        folder = _folder_of(source)
        if folder is None:
            raise InvalidArgumentError(
                f"source is {source!r}, which names no folder: pass a folder, or the client whose database is meant"
            )
        source, settings = folder, source
    return Admin(LocalEngine.open(_folder(source), _settings(settings)))


def open_engine(folder: PathLike, settings: Settings | None = None) -> Engine:
    """Open the database in a folder, creating it if it is not there, for whoever works with an engine itself.

    Raises:
        StorageError: the folder cannot be made or read.
    """
    return LocalEngine.open(_folder(folder), settings or Settings())


class TemporaryEngine(LocalEngine):
    """A `LocalEngine` whose folder goes away with it."""

    @classmethod
    def make(cls, settings: Settings) -> TemporaryEngine:
        """Make a folder and open a new database in it."""
        folder = Path(tempfile.mkdtemp(prefix="ochre-"))
        engine = cls(folder, settings)
        engine.remove_folder = weakref.finalize(engine, _remove_folder, folder, os.getpid())
        with _closing_on_error(engine):
            engine.prepare()
        return engine

    remove_folder: weakref.finalize[..., TemporaryEngine]

    def close(self) -> None:
        """Release every handle and remove the folder."""
        super().close()
        self.remove_folder()


def _remove_folder(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child shares the folder and must leave it alone
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _closing_on_error(engine: LocalEngine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.close()
        raise


def _folder(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InvalidTypeError(f"path is {path!r}: expected a folder, as a str or a Path")
    text = os.fspath(path)
    if isinstance(text, bytes) or not text or "\0" in text:
        raise InvalidArgumentError(f"path is {path!r}: expected the name of a folder")
    return Path(text).expanduser().absolute()


def _is_settings(value: object) -> bool:
    return isinstance(value, Settings) or hasattr(value, "allow_reset")


def _folder_of(settings: object) -> PathLike | None:
    """Return the folder that settings made for Chroma name, None for a temporary database."""
    return settings.persist_directory if getattr(settings, "is_persistent", False) else None  # type: ignore[attr-defined]


def _settings(settings: object) -> Settings:
    if settings is None:
        return Settings()
    if isinstance(settings, Settings):
        return settings
    if hasattr(settings, "allow_reset"):  # an application's own settings, made for Chroma
        return Settings(allow_reset=bool(settings.allow_reset))
    raise InvalidTypeError(f"settings is {settings!r}: expected ochre.Settings")
