"""Which web pages may call: those the server is told of, and its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from ochre.errors import PermissionDeniedError
from ochre.server.settings import ServerSettings


class Origins:
    """The web pages whose requests are served.

    A browser lets any page send requests to servers that only its own machine can reach, and says in `Origin` whose
    page it is. Programs that are no browsers send none, and are asked for nothing.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._allowed = frozenset(settings.cors_allow_origins)
        self._loopback = settings.loopback

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse the request of a page that nobody allowed; raises `PermissionDeniedError`."""
        origin = headers.get("origin")
        if origin is None or origin in self._allowed or "*" in self._allowed:
            return
        if not self._is_own(origin, headers.get("host", "")):
            raise PermissionDeniedError(
                f"Forbidden: the web page's origin is {origin!r:.200}, which this server was not told of: "
                "start it with that in --cors-allow-origins if the page may call it"
            )

    def _is_own(self, origin: str, host: str) -> bool:
        """Tell whether a page comes from this server itself.

        Whoever owns a name can make it stand for 127.0.0.1 and so be the "same" origin: on loopback a name is no proof.
        """
        try:
            page = urlsplit(origin)
            return page.netloc == host and (not self._loopback or _is_sure(page.hostname or ""))
        except ValueError:
            return False


def _is_sure(host: str) -> bool:
    """Tell whether a host is one that nobody else can claim: an address, or `localhost`."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
