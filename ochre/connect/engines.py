"""Engines of what users say: a folder, a temporary one, or a server; as arguments, or as settings made for Chroma."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from ochre.client.normalize import parse_path
from ochre.engine import Engine
from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.local.engine import LocalEngine
from ochre.settings import Mode, Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from ochre.remote._async.engine import AsyncRemoteEngine
    from ochre.remote._sync.engine import RemoteEngine

PathLike = str | os.PathLike[str]
Verify = Union[bool, PathLike, "SSLContext", None]


# -- in this process --------------------------------------------------------------------------------------------


def open_engine(path: PathLike, settings: Settings | None = None, mode: Mode = "w") -> LocalEngine:
    """Open the database in a folder, creating it if it is not there and `mode` is not `r`; or a snapshot, to read.

    Raises:
        StorageError: the folder cannot be made or read.
    """
    if mode not in ("w", "r"):
        raise InvalidArgumentError(f"mode is {mode!r}: expected 'w', to read and write, or 'r', to read only")
    place = parse_path(path)
    return LocalEngine.open(place, settings or Settings(), "r" if place.is_file() else mode)


def local_engine(path: PathLike | None, settings: Any, mode: Mode = "w") -> tuple[LocalEngine, Settings]:
    """Open the database at `path`, or the one that settings made for Chroma name, or a temporary one.

    Returns:
        The engine, and the settings it has.
    """
    if settings is None and is_settings(path):
        path, settings = None, path
    folder = folder_of(settings) if path is None else path
    if folder is not None:
        chosen = parse_settings(settings)
        return open_engine(folder, chosen, mode), chosen
    if mode != "w":
        raise InvalidArgumentError(f"mode is {mode!r} and there is no path: a temporary database is new and empty")
    chosen = replace(parse_settings(settings), synchronous="off", allow_network_folder=True)  # nobody else uses it
    return TemporaryEngine.make(chosen), chosen


def lasting_engine(source: Any, settings: Any, mode: Mode = "w") -> LocalEngine:
    """Open the database in a folder, or in the one that settings made for Chroma name.

    Raises:
        InvalidArgumentError: they name none: a temporary database is reached through its client only.
    """
    if is_settings(source):
        folder = folder_of(source)
        if folder is None:
            raise InvalidArgumentError(
                f"source is {source!r}, which names no folder: pass a folder, or the client whose database is meant"
            )
        source, settings = folder, source
    return open_engine(source, parse_settings(settings), mode)


class TemporaryEngine(LocalEngine):
    """A `LocalEngine` whose folder goes away with it."""

    @classmethod
    def make(cls, settings: Settings) -> TemporaryEngine:
        """Make a folder and open a new database in it."""
        folder = Path(tempfile.mkdtemp(prefix="ochre-"))
        engine = cls(folder, settings)
        engine.remove_folder = weakref.finalize(engine, _remove_folder, folder, os.getpid())
        with closing_on_error(engine):
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
def closing_on_error(engine: Engine) -> Iterator[None]:
    """Close the engine if the block fails, and with it what was to use the engine."""
    try:
        yield
    except BaseException:
        engine.close()
        raise


# -- on a server ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server, as users name it; see `HttpClient` for what the values mean. Nothing is sent before it is used."""

    host: str
    port: int
    ssl: bool
    headers: Mapping[str, str] | None
    settings: Any
    api_key: str | None = None
    verify: Verify = None

    @classmethod
    def of(cls, settings: Any) -> ServerAddress:
        """Return the server that settings made for Chroma name."""
        host = getattr(settings, "chroma_server_host", None) or "localhost"
        port = getattr(settings, "chroma_server_http_port", None) or 8000
        return cls(host, port, bool(getattr(settings, "chroma_server_ssl_enabled", False)), None, settings)

    def engine(self) -> RemoteEngine:
        """Make an engine of it."""
        from ochre.remote._sync.engine import RemoteEngine
        from ochre.remote._sync.transport import Transport

        return RemoteEngine(Transport(*self._address()))

    def async_engine(self) -> AsyncRemoteEngine:
        """Make an asynchronous engine of it."""
        from ochre.remote._async.engine import AsyncRemoteEngine
        from ochre.remote._async.transport import AsyncTransport

        return AsyncRemoteEngine(AsyncTransport(*self._address()))

    def _address(self) -> tuple[str, dict[str, str], bool | SSLContext]:
        from ochre.remote.address import headers_for, server_url, verify_of

        check_server(self.settings, self.host, self.port)
        url = server_url(self.host, self.port, ssl=self.ssl)
        return url, headers_for(self.headers, self.settings, self.api_key), verify_of(self.verify, self.settings)


# -- settings ---------------------------------------------------------------------------------------------------


def is_settings(value: object) -> bool:
    """Tell whether a value is settings, of ours or made for Chroma."""
    return isinstance(value, Settings) or hasattr(value, "allow_reset")


def parse_settings(settings: object) -> Settings:
    """Return settings as ours: of those made for Chroma, `allow_reset` counts."""
    if settings is None:
        return Settings()
    if isinstance(settings, Settings):
        return settings
    if hasattr(settings, "allow_reset"):  # an application's own settings, made for Chroma
        return Settings(allow_reset=bool(settings.allow_reset))
    raise InvalidTypeError(f"settings is {settings!r}: expected ochre.Settings")


def folder_of(settings: object) -> PathLike | None:
    """Return the folder that settings made for Chroma name, None for a temporary database."""
    return settings.persist_directory if getattr(settings, "is_persistent", False) else None  # type: ignore[attr-defined]


def check_server(settings: object, host: object, port: object) -> None:
    """Refuse settings made for Chroma that name another server than the arguments do.

    Raises:
        InvalidArgumentError: they do.
    """
    for name, given in (("chroma_server_host", host), ("chroma_server_http_port", port)):
        said = getattr(settings, name, None)
        if said and str(said) != str(given):
            raise InvalidArgumentError(f"settings.{name} is {said!r}, but the argument is {given!r}: give one of them")


def names_server(settings: object) -> bool:
    """Tell whether settings made for Chroma ask for a server."""
    implementation = str(getattr(settings, "chroma_api_impl", "")).lower()
    return implementation == "rest" or "fastapi" in implementation
