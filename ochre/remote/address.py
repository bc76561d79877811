"""Where a server is, and what is said to it with every request: from the arguments of clients to a URL and headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import Enum
from os import PathLike
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any
from urllib.parse import urlsplit

from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.text import preview

_TOKEN_HEADERS = {"authorization": "Authorization", "x-chroma-token": "X-Chroma-Token"}


def server_url(host: object, port: object, *, ssl: bool) -> str:
    """Return a server's URL, without a path of the API.

    Args:
        host: a name or an address; or a URL, which is taken as it is: `port` does not count then.
        port: 1 to 65,535.
        ssl: whether the server speaks HTTPS.

    Raises:
        InvalidArgumentError: there can be no server of that name; InvalidTypeError: not a str, or not an int.
    """
    if not isinstance(host, str):
        raise InvalidTypeError(f"host is {preview(host)}: expected a str such as 'localhost'")
    if "://" not in host and "/" not in host:
        return f"{'https' if ssl else 'http'}://{_checked(host)}:{_port(port)}"
    scheme, _, rest = host.partition("://")
    if scheme not in {"http", "https"} or not rest:
        raise InvalidArgumentError(
            f"Invalid URL. host is {preview(host)}: a URL begins with http:// or https://, a name has no slash"
        )
    try:
        parts = urlsplit(host)
        name, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgumentError(f"Invalid URL. host is {preview(host)}: {error}") from error
    if not name or parts.query or parts.fragment:
        raise InvalidArgumentError(f"Invalid URL. host is {preview(host)}: expected http://name, a port, and a path")
    path = parts.path.rstrip("/").removesuffix("/api/v2")
    return f"{'https' if ssl else scheme}://{parts.netloc}{path}"


def _checked(host: str) -> str:
    """Return a host's name as it stands in a URL; an IPv6 address in brackets."""
    if not host or any(character.isspace() or character in "@?#\\" for character in host):
        raise InvalidArgumentError(f"Invalid URL. host is {preview(host)}: expected a name such as 'localhost'")
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _port(port: object) -> int:
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)  # from the environment, as Chroma's callers pass it
    if isinstance(port, bool) or not isinstance(port, int):
        raise InvalidTypeError(f"port is {preview(port)}: expected an int such as 8000")
    if not 0 < port < 65_536:
        raise InvalidArgumentError(f"port is {port}: expected 1 to 65535")
    return port


def headers_for(headers: Mapping[str, str] | None, settings: Any, api_key: str | None) -> dict[str, str]:
    """Return what is sent with every request: the settings' headers, then those of the caller, then the key.

    Args:
        headers: of the caller.
        settings: those made for Chroma may name a provider of credentials.
        api_key: a key of the server's.

    Raises:
        InvalidArgumentError: credentials without a provider known here, or what a header cannot carry.
    """
    chosen = {**(getattr(settings, "chroma_server_headers", None) or {}), **_credentials(settings)}
    if headers is not None and not isinstance(headers, Mapping):
        raise InvalidTypeError(f"headers is {preview(headers)}: expected a dict of str")
    chosen.update(headers or {})
    if api_key is not None:
        chosen["Authorization"] = f"Bearer {api_key}"
    for name, value in chosen.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidTypeError(f"the header {preview(name)} is not a str, or its value is not: expected two")
        if not (name + value).isascii() or not (name + value).isprintable():
            raise InvalidArgumentError(
                f"the header {preview(name)} holds what a header cannot carry: expected ASCII, in one line"
            )
    return chosen


def _credentials(settings: Any) -> dict[str, str]:
    provider = getattr(settings, "chroma_client_auth_provider", None)
    if provider is None:
        return {}
    credentials = getattr(settings, "chroma_client_auth_credentials", None)
    if not isinstance(credentials, str) or not credentials:
        raise InvalidArgumentError("chroma_client_auth_provider needs chroma_client_auth_credentials: pass both")
    match str(provider).rpartition(".")[2]:
        case "BasicAuthClientProvider":
            return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
        case "TokenAuthClientProvider":
            name = getattr(settings, "chroma_auth_token_transport_header", None) or "Authorization"
            known = _TOKEN_HEADERS.get(str(name.value if isinstance(name, Enum) else name).lower())
            if known is None:
                raise InvalidArgumentError(
                    f"chroma_auth_token_transport_header is {preview(name)}: expected 'Authorization' or "
                    "'X-Chroma-Token'"
                )
            return {known: f"Bearer {credentials}" if known == "Authorization" else credentials}
    raise InvalidArgumentError(
        f"chroma_client_auth_provider is {preview(provider)}: expected "
        "chromadb.auth.basic_authn.BasicAuthClientProvider or chromadb.auth.token_authn.TokenAuthClientProvider"
    )


def verify_of(verify: object, settings: Any) -> bool | SSLContext:
    """Return whether a certificate must be valid, or the authorities to trust.

    Args:
        verify: whether it must, or a file or a folder of authorities' certificates; None to look at the settings.
        settings: those made for Chroma may say so in `chroma_server_ssl_verify`.

    Raises:
        InvalidArgumentError: there are no certificates in it; InvalidTypeError: it is something else.
    """
    name = "verify"
    if verify is None:
        name, verify = "chroma_server_ssl_verify", getattr(settings, "chroma_server_ssl_verify", None)
    if verify is None or isinstance(verify, bool | SSLContext):
        return True if verify is None else verify
    if not isinstance(verify, str | PathLike):
        raise InvalidTypeError(f"{name} is {preview(verify)}: expected True, False, or a file of certificates")
    place = Path(verify)
    try:
        return create_default_context(capath=place) if place.is_dir() else create_default_context(cafile=place)
    except OSError as error:
        raise InvalidArgumentError(
            f"{name} is {preview(verify)}: expected True, False, or a file of certificates ({error})"
        ) from error
