"""What `chromadb.errors` holds: Ochre's errors under Chroma's names.

Errors of Chroma's that nothing here raises are there too: programs name them in `except`.
"""

from __future__ import annotations

from ochre.errors import AlreadyExistsError as IDAlreadyExistsError
from ochre.errors import AlreadyExistsError as UniqueConstraintError
from ochre.errors import AuthenticationError as ChromaAuthError
from ochre.errors import DuplicateIDError, InvalidArgumentError, InvalidUUIDError, NotFoundError
from ochre.errors import ForbiddenError as AuthorizationError
from ochre.errors import FormatVersionError as VersionMismatchError
from ochre.errors import InvalidDimensionError as InvalidDimensionException
from ochre.errors import OchreError as ChromaError
from ochre.errors import OverloadedError as RateLimitError
from ochre.errors import StorageError as InternalError

__all__ = [
    "AuthorizationError",
    "BatchSizeExceededError",
    "ChromaAuthError",
    "ChromaError",
    "DuplicateIDError",
    "IDAlreadyExistsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidDimensionException",
    "InvalidHTTPVersion",
    "InvalidUUIDError",
    "NotFoundError",
    "QuotaError",
    "RateLimitError",
    "UniqueConstraintError",
    "VersionMismatchError",
]


class BatchSizeExceededError(Exception):
    """Never raised here: a call of any size is one write."""


class InvalidHTTPVersion(Exception):  # noqa: N818  (Chroma's name)
    """Never raised here."""


class QuotaError(Exception):
    """Never raised here."""
