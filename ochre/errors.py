"""Every error the package raises on purpose, as one tree.

    OchreError
    ├── InvalidArgumentError (ValueError)      what was asked for breaks a rule; nothing was changed
    │   ├── InvalidTypeError (TypeError)       the value is of the wrong Python type
    │   ├── InvalidDimensionError              a vector's length is not the collection's
    │   ├── DuplicateIDError                   one id twice in one call
    │   ├── InvalidUUIDError                   a collection id that is not a UUID
    │   └── UnprocessableError                 well-formed JSON of another shape than the operation takes
    ├── NotFoundError                          the collection, database, tenant or id is not there
    ├── AlreadyExistsError                     the name is taken
    ├── ForbiddenError                         the operation is switched off by a setting
    │   └── ReadOnlyError                      the client was opened to read only, or what it opened is a snapshot
    ├── UnsupportedError (NotImplementedError) the engine does not have this operation
    │   └── TransactionsNotSupportedError      conditional transactions, which this server does not have
    ├── ClosedError (RuntimeError)             the client was closed
    ├── AuthenticationError                    no credentials, or credentials that nobody knows
    │   └── PermissionDeniedError              known credentials that do not allow this
    ├── RequestError                           the server does not take the request as it is sent
    │   ├── PayloadTooLargeError               the body is larger than the server allows
    │   ├── MediaTypeError                     the body is not JSON
    │   └── RequestTimeoutError                the request took longer than the server allows
    ├── OverloadedError                        the server has enough to do; try again later
    ├── UnreachableError (ConnectionError)     the server does not answer
    ├── ModelUnavailableError                  a model's weights or libraries cannot be had
    └── StorageError                           the folder cannot be read or written
        ├── BusyError                          another process held the write lock for too long
        ├── CorruptError                       stored bytes are not what was written
        ├── FormatVersionError                 the folder was written by a newer release
        ├── NetworkFolderError                 the folder is on a network file system
        └── StorageFullError                   the disk or the quota is full; nothing was written

Each class has a `code` (stable, for programs), a `wire_name` (what Chroma's HTTP protocol calls it) and an HTTP
`status`. A class registers itself, so there is no second table to keep in step. Messages hold the value, the rule
and the fix.
"""

from __future__ import annotations

from typing import ClassVar

_BY_CODE: dict[str, type[OchreError]] = {}


class OchreError(Exception):
    """The root of the tree: catch it to catch everything this package raises on purpose."""

    code: ClassVar[str] = "internal"
    wire_name: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 500

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.code in _BY_CODE:
            raise TypeError(f"error code {cls.code!r} belongs to {_BY_CODE[cls.code].__name__} already")
        _BY_CODE[cls.code] = cls

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self.args[0]) if self.args else ""


_BY_CODE[OchreError.code] = OchreError


def error_class(code: str) -> type[OchreError]:
    """Return the class registered under `code`, or `OchreError` for a code this release does not know."""
    return _BY_CODE.get(code, OchreError)


def error_classes() -> dict[str, type[OchreError]]:
    """Return every class of the tree by its code."""
    return dict(_BY_CODE)


class InvalidArgumentError(OchreError, ValueError):
    """What was asked for breaks a rule; nothing was changed."""

    code = "invalid_argument"
    wire_name = "InvalidArgumentError"
    status = 400


class InvalidTypeError(InvalidArgumentError, TypeError):
    """A value is of the wrong Python type. It is a `ValueError` too, as Chroma's callers expect."""

    code = "invalid_type"


class InvalidDimensionError(InvalidArgumentError):
    """A vector's length is not the collection's dimension."""

    code = "invalid_dimension"


class DuplicateIDError(InvalidArgumentError):
    """The same id stands twice in one call."""

    code = "duplicate_id"


class InvalidUUIDError(InvalidArgumentError):
    """A collection id is not a UUID."""

    code = "invalid_uuid"


class UnprocessableError(InvalidArgumentError):
    """Well-formed JSON, but of another shape than the operation takes."""

    code = "unprocessable"
    wire_name = "ChromaError"
    status = 422


class NotFoundError(OchreError):
    """The collection, database, tenant or id is not there."""

    code = "not_found"
    wire_name = "NotFoundError"
    status = 404


class AlreadyExistsError(OchreError):
    """The name is taken."""

    code = "already_exists"
    wire_name = "ChromaError"
    status = 409


class ForbiddenError(OchreError, ValueError):
    """The operation is switched off by a setting."""

    code = "forbidden"
    wire_name = "ChromaError"
    status = 403


class ReadOnlyError(ForbiddenError):
    """A write through a client that was opened with `mode="r"`, or of a snapshot."""

    code = "read_only"


class UnsupportedError(OchreError, NotImplementedError):
    """The engine does not have this operation."""

    code = "unsupported"
    wire_name = "ChromaError"
    status = 501


class TransactionsNotSupportedError(UnsupportedError):
    """A conditional read or commit, which only servers of Chroma's clusters have."""

    code = "transactions_not_supported"
    wire_name = "TransactionsNotSupported"


class ClosedError(OchreError, RuntimeError):
    """The client, or the engine under it, was closed."""

    code = "closed"
    wire_name = "ChromaError"
    status = 503


class AuthenticationError(OchreError):
    """A request without credentials, or with credentials that the server does not know."""

    code = "unauthenticated"
    wire_name = "AuthError"
    status = 401


class PermissionDeniedError(AuthenticationError):
    """Known credentials that do not allow the operation there."""

    code = "permission_denied"
    status = 403


class RequestError(OchreError):
    """The server does not take the request as it is sent."""

    code = "request"
    wire_name = "ChromaError"
    status = 400


class PayloadTooLargeError(RequestError):
    """The body is larger than the server allows."""

    code = "payload_too_large"
    status = 413


class MediaTypeError(RequestError):
    """The body is not declared as JSON."""

    code = "media_type"
    status = 415


class RequestTimeoutError(RequestError):
    """The request took longer than the server allows."""

    code = "request_timeout"
    status = 408


class OverloadedError(OchreError):
    """The server has enough to do; try again later."""

    code = "overloaded"
    wire_name = "Backoff"
    status = 429


class UnreachableError(OchreError, ConnectionError):
    """The server does not answer, or the connection broke."""

    code = "unreachable"
    wire_name = "ChromaError"
    status = 503


class ModelUnavailableError(OchreError, ValueError):
    """A model's weights or the libraries that run it cannot be had."""

    code = "model_unavailable"


class StorageError(OchreError):
    """The database folder cannot be read or written."""

    code = "storage"


class BusyError(StorageError):
    """Another process held the write lock for longer than the busy timeout."""

    code = "busy"
    wire_name = "ChromaError"
    status = 503


class CorruptError(StorageError):
    """Stored bytes are not what was written."""

    code = "corrupt"


class FormatVersionError(StorageError):
    """The folder was written by a release whose format this one does not know."""

    code = "format_version"
    wire_name = "VersionMismatchError"


class NetworkFolderError(StorageError):
    """The folder is on a network file system, where writers on several machines would damage it."""

    code = "network_folder"


class StorageFullError(StorageError):
    """The disk or the quota is full; the call wrote nothing."""

    code = "storage_full"
    wire_name = "ChromaError"
    status = 507
