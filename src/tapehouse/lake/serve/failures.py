"""Errors as clients of a REST catalogue know them: a status, a type, a message."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)

from tapehouse.errors import TapehouseError
from tapehouse.lake import disk

_TYPES: dict[type[Exception], tuple[HTTPStatus, str]] = {
    NoSuchTableError: (HTTPStatus.NOT_FOUND, "NoSuchTableException"),
    NoSuchNamespaceError: (HTTPStatus.NOT_FOUND, "NoSuchNamespaceException"),
    TableAlreadyExistsError: (HTTPStatus.CONFLICT, "AlreadyExistsException"),
    NamespaceAlreadyExistsError: (HTTPStatus.CONFLICT, "AlreadyExistsException"),
    CommitFailedException: (HTTPStatus.CONFLICT, "CommitFailedException"),
}


class RefusedError(Exception):
    """A request that will not be done: `status` and `kind` are what the client is told besides the message."""

    def __init__(self, status: HTTPStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


def bad(message: str) -> RefusedError:
    """The request makes no sense, or asks for what a lake's table cannot be."""
    return RefusedError(HTTPStatus.BAD_REQUEST, "BadRequestException", message)


def forbidden(message: str) -> RefusedError:
    """The request makes sense, and is not for this client."""
    return RefusedError(HTTPStatus.FORBIDDEN, "ForbiddenException", message)


def unsupported(message: str) -> RefusedError:
    """The protocol has it, this catalogue does not."""
    return RefusedError(HTTPStatus.NOT_IMPLEMENTED, "UnsupportedOperationException", message)


def refusal_of(error: Exception, root: Path) -> RefusedError:
    """What the client of the lake in `root` is told of any exception; of one that is nobody's doing, only its class."""
    if isinstance(error, RefusedError):
        return error
    for kind, (status, name) in _TYPES.items():
        if isinstance(error, kind):
            return RefusedError(status, name, str(error))
    known = error if isinstance(error, TapehouseError) else disk.explain(error, "answering another engine", root)
    told = f"the catalogue failed: {type(error).__name__}" if known is None else str(known)
    return RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, "ServiceFailureException", told)


def error_form(refused: RefusedError) -> dict[str, object]:
    """The specification's ErrorModel."""
    return {"error": {"message": str(refused), "type": refused.kind, "code": int(refused.status)}}
