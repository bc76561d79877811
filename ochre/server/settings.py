"""The server's settings: from flags, the environment and a YAML file, as one frozen value.

A flag comes before the environment, the environment before the file. Chroma's names are understood where they mean the
same. Whatever is unknown, out of range or contradictory stops the start: a setting that is silently ignored is how a
server stays open that was meant to be closed.
"""

from __future__ import annotations

import ipaddress
import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ochre.errors import InvalidArgumentError

MEBIBYTE = 1024 * 1024
_PREFIX = "OCHRE_"
_ORIGIN = re.compile(r"\*|null|(?!http:.*:80$|https:.*:443$)[a-z][a-z0-9+.-]*://[^/\s*?#@A-Z]+")
_CLIENT_VARIABLES = frozenset({"OCHRE_MODEL_PATH", "OCHRE_CACHE"})
"""Variables of the embedding function, which the server leaves alone."""


def _option(default: Any, meaning: str, *, least: float | None = None, chroma: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "least": least, "chroma": chroma})


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything one can choose about a server. Each field's metadata holds its meaning and Chroma's names for it."""

    path: str = _option("./data", "the database folder", chroma=("persist_path", "PERSIST_DIRECTORY"))
    host: str = _option("127.0.0.1", "the address to listen on", chroma=("listen_address",))
    port: int = _option(8000, "the port to listen on; 0 for any free one", least=0, chroma=("port",))
    read_only: bool = _option(False, "whether the folder is opened to be read only; a snapshot always is")
    allow_network_folder: bool = _option(False, "whether a folder on a network file system may be opened to write")
    allow_reset: bool = _option(False, "whether `reset` may delete everything", chroma=("allow_reset", "ALLOW_RESET"))
    synchronous: Literal["full", "normal", "off"] = _option("full", "durability of a write, as in `ochre.Settings`")
    busy_timeout: float = _option(60.0, "seconds that a write waits for other processes' writes", least=0)
    memory_limit: int = _option(
        0, "bytes of memory that each process's caches may take, as in `ochre.Settings`; 0 for no limit", least=0
    )
    workers: int = _option(1, "server processes, all on the same folder", least=1)
    threads: int = _option(4, "requests that each process works on at once", least=1)
    max_requests: int = _option(
        1024, "requests that each process keeps waiting or works on; more are told to come back", least=1
    )
    max_body_bytes: int = _option(
        256 * MEBIBYTE, "the largest body of a request", least=1024, chroma=("max_payload_size_bytes",)
    )
    max_buffered_bytes: int = _option(1024 * MEBIBYTE, "bodies that each process holds at once", least=1024)
    max_batch_size: int = _option(50_000, "records a call that clients are told to keep to", least=1)
    header_timeout: float = _option(10.0, "seconds a client has to send a request's head", least=0.1)
    body_timeout: float = _option(
        300.0, "seconds a client has to send a request's body, and to take the answer", least=0.1
    )
    keep_alive: float = _option(75.0, "seconds an idle connection is kept", least=1)
    shutdown_timeout: float = _option(30.0, "seconds that requests under way have to finish at the end", least=0)
    auth: Literal["auto", "on", "off"] = _option(
        "auto", "whether an API key is asked for; `auto`: once a key was created for the folder"
    )
    insecure: bool = _option(False, "serve an address that is not loopback without API keys all the same")
    tls_cert: str | None = _option(None, "certificate file, PEM")
    tls_key: str | None = _option(None, "private key file, PEM")
    cors_allow_origins: tuple[str, ...] = _option(
        (), "origins of web pages that may call the server; `*` for any", chroma=("cors_allow_origins",)
    )
    metrics: bool = _option(True, "whether `/metrics` is served, for Prometheus")
    log_level: Literal["debug", "info", "warning", "error"] = _option("info", "the least severe lines to log")
    log_format: Literal["text", "json"] = _option("text", "how lines are logged")
    otel_endpoint: str | None = _option(
        None, "where traces go: a URL that takes OTLP over HTTP, such as `http://localhost:4318/v1/traces`"
    )
    otel_service_name: str = _option("ochre", "the service's name in traces", chroma=("open_telemetry.service_name",))

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_certificate()
        for origin in self.cors_allow_origins:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidArgumentError(
                    f"cors_allow_origins has {origin!r}: expected origins as browsers send them, such as "
                    "https://app.example.com or http://localhost:3000: in small letters, without a path, without "
                    "the usual port; or * for all"
                )
        if not self.path:
            raise InvalidArgumentError("path is empty: name the database folder")
        if self.auth == "on" and self.insecure:
            raise InvalidArgumentError("auth is 'on' and insecure is set: they contradict each other; drop one")

    def _check_numbers(self) -> None:
        for item in fields(self):
            least = item.metadata["least"]
            value = getattr(self, item.name)
            if least is not None and not least <= value < math.inf:  # nan is neither
                raise InvalidArgumentError(f"{item.name} is {value}: expected {least:g} or more")
        if self.port > 65_535:
            raise InvalidArgumentError(f"port is {self.port}: expected 0 to 65535")
        if self.max_buffered_bytes < self.max_body_bytes:
            raise InvalidArgumentError(
                f"max_buffered_bytes is {self.max_buffered_bytes}, less than max_body_bytes, {self.max_body_bytes}: "
                "one body must fit"
            )

    def _check_certificate(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidArgumentError("tls_cert and tls_key go together: name both files, or neither")
        for name in ("tls_cert", "tls_key"):
            file = getattr(self, name)
            if file is not None and not Path(file).is_file():
                raise InvalidArgumentError(f"{name} is {file!r}: there is no such file")
        if self.tls_cert is None or self.tls_key is None:
            return

        def encrypted() -> str:
            raise InvalidArgumentError(
                f"tls_key is {self.tls_key!r}, which is encrypted: decrypt it, for example with openssl"
            )

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, encrypted)
        except (ssl.SSLError, OSError) as error:
            raise InvalidArgumentError(
                f"tls_cert {self.tls_cert!r} and tls_key {self.tls_key!r} cannot be used ({error}): expected a "
                "certificate and its private key, both PEM"
            ) from error

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def asks_for_keys(self, *, keys_exist: bool) -> bool:
        """Decide whether callers must show an API key.

        Raises:
            InvalidArgumentError: others could reach the server, there is no key, and nobody said that this is meant.
        """
        if self.auth == "off":
            if not self.loopback and not self.insecure:
                raise InvalidArgumentError(
                    f"auth is 'off' and host is {self.host!r}, which others can reach: pass --insecure if that is meant"
                )
            return False
        if keys_exist:
            return True
        if self.auth == "on":
            raise InvalidArgumentError("auth is 'on' but there are no keys: create one with `ochre keys create` first")
        if not self.loopback and not self.insecure:
            raise InvalidArgumentError(
                f"host is {self.host!r}, which others can reach, and there are no API keys: create one with "
                "`ochre keys create`, or pass --insecure if an open server is meant"
            )
        return False


OPTIONS = {item.name: item for item in fields(ServerSettings)}

_IGNORED = frozenset({
    "sqlitedb", "sqlite_filename", "sysdb", "log", "executor", "segment_manager", "default_knn_index",
    "collections_with_segments_provider", "enable_span_indexing", "open_telemetry.filters",
})  # fmt: skip
"""Parts of Chroma's configuration file about its own storage and libraries, which mean nothing here."""


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Mapping[str, Any] | None = None
) -> ServerSettings:
    """Join the sources.

    Args:
        flags: by field; a value of None was not given.
        environment: all variables.
        config: what the YAML file holds, None without one.

    Raises:
        InvalidArgumentError: an unknown name, a value of the wrong type or out of range, or a contradiction.
    """
    _refuse_old_auth(environment)
    values = _from_file(config or {}) | _from_environment(environment)
    values |= {name: value for name, value in flags.items() if value is not None}
    return ServerSettings(**{name: _parsed(name, value) for name, value in values.items()})


def _from_file(config: Mapping[str, Any]) -> dict[str, Any]:
    names = {alias: name for name, item in OPTIONS.items() for alias in item.metadata["chroma"]} | {
        n: n for n in OPTIONS
    }
    values: dict[str, Any] = {}
    for key, value in _flat(config).items():
        if key == "open_telemetry.endpoint" and value:
            raise InvalidArgumentError(
                f"the configuration file has open_telemetry.endpoint, {value!r}, which Chroma's server speaks gRPC to: "
                "leave it out, and set otel_endpoint to the collector's address for HTTP, which ends in :4318/v1/traces"
            )
        if key in names:
            if value is not None and values.setdefault(names[key], value) != value:
                raise InvalidArgumentError(
                    f"the configuration file says {values[names[key]]!r} and, with {key!r}, {value!r} about "
                    f"{names[key]}: they contradict each other; drop one"
                )
        elif key not in {*_IGNORED, "open_telemetry.endpoint"} and key.split(".")[0] not in _IGNORED:
            raise InvalidArgumentError(
                f"the configuration file has the unknown key {key!r}: expected {', '.join(OPTIONS)}"
            )
    return values


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[str(key)] = value
    return flat


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, item in OPTIONS.items():
        for alias in item.metadata["chroma"]:
            variable = chroma_variable(alias)
            if environment.get(variable):
                values[name] = environment[variable]
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in _CLIENT_VARIABLES:
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name not in OPTIONS:
            raise InvalidArgumentError(
                f"the environment variable {variable} is unknown: expected {_PREFIX} and one of "
                f"{', '.join(option.upper() for option in OPTIONS)}"
            )
        if not text:
            raise InvalidArgumentError(f"the environment variable {variable} is empty: give it a value, or unset it")
        if values.setdefault(name, text) != text:
            raise InvalidArgumentError(
                f"the environment says {text!r} in {variable}, and {values[name]!r} in a variable of Chroma's, about "
                f"{name}: they contradict each other; unset one"
            )
    return values


def chroma_variable(alias: str) -> str:
    """Return the environment variable of one of Chroma's names: those in capitals are variables already."""
    return alias if alias.isupper() else "CHROMA_" + alias.replace(".", "__").upper()


def _refuse_old_auth(environment: Mapping[str, str]) -> None:
    """Chroma's own authentication was configured by these, and later releases ignore them: a server stays open so."""
    for variable in environment:
        if variable.startswith(("CHROMA_SERVER_AUTH", "CHROMA_AUTH_TOKEN")):
            raise InvalidArgumentError(
                f"{variable} is set, which this server does not understand: create an API key with `ochre keys "
                "create`, give it to the clients, and unset the variable"
            )


def _parsed(name: str, value: Any) -> Any:
    """Turn a text or a YAML value into the field's type."""
    kind = str(OPTIONS[name].type)
    if kind.startswith("bool"):
        word = str(value).lower()
        if word not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
            raise InvalidArgumentError(f"{name} is {value!r}: expected true or false")
        return word in {"true", "1", "yes", "on"}
    if kind.startswith(("int", "float")):
        try:
            return int(str(value)) if kind.startswith("int") else float(str(value))
        except ValueError as error:
            raise InvalidArgumentError(f"{name} is {value!r}: expected a number") from error
    if kind.startswith("tuple"):
        items = value.replace("[", "").replace("]", "").replace('"', "").split(",") if isinstance(value, str) else value
        return tuple(str(item).strip() for item in items or () if str(item).strip())
    if kind.startswith("Literal"):
        choices = [choice.strip(" \"'") for choice in kind.removeprefix("Literal[").removesuffix("]").split(",")]
        if str(value) not in choices:
            raise InvalidArgumentError(f"{name} is {value!r}: expected one of {', '.join(choices)}")
    return None if value is None else str(value)
