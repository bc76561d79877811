"""What it means that a request got no answer, and when it may be sent again."""

from __future__ import annotations

import httpx

from ochre.errors import OchreError, OverloadedError, UnreachableError

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


def unreachable(url: str, error: Exception) -> UnreachableError:
    """Return the error for what the connection to a server raised."""
    text = str(error) or type(error).__name__
    if _UNTRUSTED in text:
        return UnreachableError(
            f"{url} shows a certificate that is not trusted ({text}): name its authority with verify=, or the server "
            "as the certificate does"
        )
    return UnreachableError(f"{url} does not answer ({text}): is the server running, and is the address right?")


def may_pass(error: OchreError, *, reads: bool) -> bool:
    """Tell whether a request may succeed when it is sent again, and can do no harm by it.

    What was refused for now, or was never sent, did not happen. Whatever else got no answer may have happened: only
    requests that read are sent again then.
    """
    if isinstance(error, OverloadedError):
        return True
    cause = error.__cause__
    if not isinstance(error, UnreachableError) or _UNTRUSTED in str(cause):
        return False
    return reads or isinstance(cause, httpx.ConnectError)
