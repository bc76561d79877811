"""Text that every part of the database can carry: Unicode without lone surrogates.

Python strings may hold half of a surrogate pair, which has no UTF-8 form; such a string is refused at the edge.
"""

from __future__ import annotations

from collections.abc import Iterable


def encodable(text: str) -> bool:
    """Tell whether `text` has a UTF-8 form."""
    if text.isascii():  # a flag of the string: no pass over its characters
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_unencodable(texts: Iterable[str | None]) -> int | None:
    """Return the position of the first text without a UTF-8 form, or None. A None among `texts` is skipped."""
    for index, text in enumerate(texts):
        if text is not None and not encodable(text):
            return index
    return None


def preview(value: object, length: int = 60) -> str:
    """Show `value` in a message: its repr, cut to about `length` characters."""
    try:
        text = repr(value if not isinstance(value, str) or len(value) <= length else value[: length + 1])
    except Exception:  # noqa: BLE001  (a stranger's repr must not take the place of our message)
        text = f"<{type(value).__name__}>"
    return text if len(text) <= length + 2 else f"{text[:length]}..."
