# Made by tools/unasync.py from ochre/remote/_async/transport.py: change that file, then run `make format`.
"""Transport: requests and answers over HTTP, with retries where they are safe."""

from __future__ import annotations

import ssl

import httpx

from ochre.errors import ClosedError, OchreError
from ochre.remote._sync.compat import pause
from ochre.remote.failures import may_pass, unreachable
from ochre.wire import client_side

_ATTEMPTS = 4
_FIRST_PAUSE = 0.1  # seconds; doubles each time
_CONNECT_SECONDS = 10.0


class Transport:
    """Connections to one server.

    Args:
        url: of the server, without a path of the API.
        headers: sent with every request.
        verify: whether a certificate must be valid, or the authorities to trust.
    """

    def __init__(self, url: str, headers: dict[str, str], verify: bool | ssl.SSLContext = True) -> None:
        self._url = url
        # A large write takes as long as it takes; only connecting has a limit.
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        limits = httpx.Limits(keepalive_expiry=40.0)
        self._client = httpx.Client(
            base_url=f"{url}/api/v2", headers=headers, verify=verify, timeout=timeout, limits=limits
        )

    def request(self, method: str, path: str, content: bytes | None = None, *, reads: bool = False) -> bytes:
        """Send a request and return the body of the answer.

        What the server, or a proxy before it, refused for now is sent again, up to three times; so is what `reads` and
        got no answer, as every GET does. A write without an answer is not: it may have happened.

        Raises:
            OchreError: of the class that the server names. UnreachableError: there is no answer. ClosedError: after
                `close`.
        """
        if self._client.is_closed:
            raise ClosedError(f"the client of {self._url} is closed: open another one")
        for attempt in range(_ATTEMPTS):
            try:
                return self._once(method, path, content)
            except OchreError as error:
                if attempt == _ATTEMPTS - 1 or not may_pass(error, reads=reads or method == "GET"):
                    raise
            pause(_FIRST_PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, content: bytes | None) -> bytes:
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            response = self._client.request(method, path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self._url, error) from error
        if response.status_code >= 400:
            raise client_side.error(response.status_code, response.content)
        return response.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
