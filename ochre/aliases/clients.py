"""What `chromadb.api.client` holds: client classes that are made from settings.

As in Chroma, the clients of one process whose settings name no folder work on one temporary database together. This
module keeps it, counts its users, and removes it when the last of them closes; clients that name a folder or a server
have an engine of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ochre.aliases.config import Settings
from ochre.client._sync.admin import AdminClient as AdminAPI
from ochre.client._sync.client import Client as ClientAPI
from ochre.connect import engines
from ochre.engine import Engine
from ochre.errors import ForbiddenError
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT
from ochre.settings import Settings as OchreSettings

__all__ = ["AdminAPI", "AdminClient", "Client", "ClientAPI", "SharedSystemClient"]


class _Lease:
    """One client's share of an engine, which closes with its last lease."""

    _lock = threading.Lock()
    _temporary: _Shared | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = OchreSettings(allow_reset=settings.allow_reset)
        self._open = True
        if engines.names_server(settings):
            self._shared = _Shared(engines.ServerAddress.of(settings).engine(), users=1)
            return
        if settings.is_persistent:
            self._shared = _Shared(engines.open_engine(settings.persist_directory, self.settings), users=1)
            return
        with _Lease._lock:
            if _Lease._temporary is None:
                # Each client asks its own settings before it resets, so the engine need not.
                chosen = replace(self.settings, synchronous="off", allow_reset=True)
                _Lease._temporary = _Shared(engines.TemporaryEngine.make(chosen))
            self._shared = _Lease._temporary
            self._shared.users += 1

    @property
    def engine(self) -> Engine:
        return self._shared.engine

    def release(self) -> None:
        """Give the share back; giving it back twice is fine."""
        with _Lease._lock:
            if not self._open:
                return
            self._open = False
            self._shared.users -= 1
            last = self._shared.users == 0
            if last and self._shared is _Lease._temporary:
                _Lease._temporary = None
        if last:
            self._shared.engine.close()

    @classmethod
    def forget(cls) -> None:
        """Let the next client without a folder begin with a new database; those that are open keep theirs."""
        with cls._lock:
            cls._temporary = None


def named(tenant: str | None, database: str | None) -> tuple[str | None, str | None]:
    """Return what a caller named; to Chroma's clients the defaults are as good as nothing."""
    return None if tenant == DEFAULT_TENANT else tenant, None if database == DEFAULT_DATABASE else database


@dataclass(slots=True)
class _Shared:
    engine: Engine
    users: int = 0


@dataclass(frozen=True, slots=True)
class _System:
    """What programs stop to let go of a folder, from when Chroma's clients had no `close`."""

    stop: Callable[[], None]


class SharedSystemClient:
    """Where Chroma's users reach for the cache of its clients."""

    _identifier_to_system: ClassVar[dict[str, Any]] = {}
    """The cache itself, which programs empty to let go of a folder. It is always empty: no client is cached here."""

    @staticmethod
    def clear_system_cache() -> None:
        """Let the next client without a folder begin with an empty database."""
        _Lease.forget()


class Client(ClientAPI, SharedSystemClient):
    """An Ochre client that is made from settings, as Chroma's is."""

    def __init__(
        self,
        tenant: str | None = DEFAULT_TENANT,
        database: str | None = DEFAULT_DATABASE,
        settings: Settings | None = None,
    ) -> None:
        self._chroma_settings = Settings.of(settings)
        self._lease = _Lease(self._chroma_settings)
        try:
            super().__init__(
                self._lease.engine, self._lease.settings, tenant or DEFAULT_TENANT, database or DEFAULT_DATABASE
            )
            self._enter(*named(tenant, database))
        except BaseException:
            self._lease.release()
            raise

    @staticmethod
    def clear_system_cache() -> None:
        """Let the next client without a folder begin with an empty database."""
        SharedSystemClient.clear_system_cache()

    @property
    def _system(self) -> _System:
        return _System(self.close)

    @property
    def _identifier(self) -> str:
        settings = self._chroma_settings
        if engines.names_server(settings):
            return f"{settings.chroma_server_host}:{settings.chroma_server_http_port}"
        return settings.persist_directory if settings.is_persistent else "ephemeral"

    def get_settings(self) -> Any:
        """Return the settings the client was made from."""
        return self._chroma_settings

    def reset(self) -> bool:
        """Delete everything; raises `ForbiddenError` unless its settings, or its server's, have `allow_reset`."""
        if not self._chroma_settings.allow_reset and not engines.names_server(self._chroma_settings):
            raise ForbiddenError(
                "reset is off: open the client with Settings(allow_reset=True) to allow deleting everything"
            )
        return super().reset()

    def close(self) -> None:
        """Release what is open; a temporary database goes with its last client."""
        self._lease.release()


class AdminClient(AdminAPI, SharedSystemClient):
    """An Ochre admin client that is made from settings, as Chroma's is."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._lease = _Lease(Settings.of(settings))
        super().__init__(self._lease.engine, owns_engine=False)

    def close(self) -> None:
        """Release what is open; a temporary database goes with its last client."""
        self._lease.release()
