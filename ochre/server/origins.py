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
        self._scheme = "https" if settings.tls_cert else None  # else a proxy may speak TLS for it

    def check(self, headers: Mapping[str, str], *, with_key: bool) -> None:
        """Refuse the request of a page that nobody allowed; raises `PermissionDeniedError`.

        Args:
            headers: of the request.
            with_key: whether it showed an API key, which pages of others do not know.
        """
        origin = headers.get("origin")
        if origin is None or origin in self._allowed or "*" in self._allowed:
            return
        if not self._is_own(origin, headers.get("host", ""), with_key=with_key):
            raise PermissionDeniedError(
                f"Forbidden: the web page's origin is {origin!r:.200}, which this server was not told of: "
                "start it with that in --cors-allow-origins if the page may call it"
            )

    def _is_own(self, origin: str, host: str, *, with_key: bool) -> bool:
        """Tell whether a page comes from this server itself.

        Whoever owns a name can make it stand for any address and so be the "same" origin: a name alone is no proof.
        """
        try:
            page = urlsplit(origin)
            if self._scheme not in {None, page.scheme}:
                return False
            return page.netloc == host and (with_key or _is_sure(page.hostname or ""))
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
