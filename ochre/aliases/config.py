"""What `chromadb.config` holds: `Settings`, as Chroma's users write them."""

from __future__ import annotations

import os
from typing import Any, Self

from ochre.connect.engines import check_server
from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT

__all__ = ["DEFAULT_DATABASE", "DEFAULT_TENANT", "Settings"]

_DEFAULTS: dict[str, Any] = {
    "allow_reset": False,
    "anonymized_telemetry": True,
    "chroma_api_impl": "ochre",
    "chroma_auth_token_transport_header": None,
    "chroma_client_auth_credentials": None,
    "chroma_client_auth_provider": None,
    "chroma_db_impl": None,
    "chroma_server_headers": None,
    "chroma_server_host": None,
    "chroma_server_http_port": None,
    "chroma_server_ssl_enabled": False,
    "chroma_server_ssl_verify": None,
    "environment": "",
    "is_persistent": False,
    "persist_directory": "./chroma",
}
_FLAGS = ("allow_reset", "anonymized_telemetry", "chroma_server_ssl_enabled", "is_persistent")
_FROM_ENVIRONMENT = (
    *_FLAGS,
    "chroma_api_impl",
    "chroma_auth_token_transport_header",
    "chroma_client_auth_credentials",
    "chroma_client_auth_provider",
    "chroma_server_host",
    "chroma_server_http_port",
    "persist_directory",
)
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_OLD_ENGINES = frozenset({"duckdb", "duckdb+parquet", "clickhouse"})


class Settings:
    """Settings as Chroma's clients take them.

    `is_persistent`, `persist_directory` and `allow_reset` mean what they mean there, and so do `chroma_api_impl`,
    `chroma_server_*`, `chroma_client_auth_*` and `chroma_auth_token_transport_header` of a client of a server; also as
    environment variables (`IS_PERSISTENT` and so on). Every other key is taken, kept, and has no effect.

    Raises:
        InvalidArgumentError: a flag that is neither true nor false, or `chroma_db_impl`, which Chroma gave up too.
    """

    chroma_api_impl: str
    is_persistent: bool
    persist_directory: str
    allow_reset: bool
    anonymized_telemetry: bool

    def __init__(self, **values: Any) -> None:
        found = {name: os.environ[name.upper()] for name in _FROM_ENVIRONMENT if name.upper() in os.environ}
        self.__dict__.update(_DEFAULTS | found | values)
        for name in _FLAGS:
            self.__dict__[name] = _flag(name, self.__dict__[name])
        if not isinstance(self.persist_directory, str | os.PathLike):
            raise InvalidTypeError(f"persist_directory is {self.persist_directory!r}: expected a folder")
        self.persist_directory = os.fspath(self.persist_directory)
        old = self.__dict__["chroma_db_impl"]
        if old in _OLD_ENGINES:
            raise InvalidArgumentError(
                f"chroma_db_impl is {old!r}, an engine of Chroma before 0.4: use PersistentClient(path)"
            )

    @classmethod
    def of(cls, settings: Any) -> Settings:
        """Return `settings`, the defaults for None; refuse what is none."""
        if settings is None:
            return cls()
        if isinstance(settings, Settings):
            return settings
        raise InvalidTypeError(f"settings is {settings!r}: expected chromadb.config.Settings")

    def of_server(self, host: str, port: int, ssl: bool, headers: dict[str, str] | None) -> Self:
        """Return a copy that asks for a server.

        Raises:
            InvalidArgumentError: these settings name another server.
        """
        check_server(self, host, port)
        return self.replaced(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=host,
            chroma_server_http_port=port,
            chroma_server_ssl_enabled=ssl,
            chroma_server_headers=headers,
        )

    def replaced(self, **values: Any) -> Self:
        """Return a copy with other values; the original is left as it is."""
        return type(self)(**{**self.__dict__, **values})

    def require(self, key: str) -> Any:
        """Return a value that must be there.

        Raises:
            InvalidArgumentError: it is missing or None.
        """
        value = self.__dict__.get(key)
        if value is None:
            raise InvalidArgumentError(f"Missing required config value '{key}': pass it to Settings")
        return value

    def __getitem__(self, key: str) -> Any:
        return self.require(key)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Settings has no value {name!r}: it was not passed, and it has no effect here", name=name)

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if isinstance(other, Settings) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # values may be changed

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.__dict__.items() if value != _DEFAULTS.get(name, ...)}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _flag(name: str, value: Any) -> bool:
    flag = _WORDS.get(str(value).lower())
    if flag is None:
        raise InvalidArgumentError(f"{name} is {value!r}: expected True or False")
    return flag
