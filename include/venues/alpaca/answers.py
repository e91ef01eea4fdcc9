"""Alpaca's answers made into models, and what it means where that fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from include.venues.alpaca.errors import AlpacaOutcomeUnknown, AlpacaUnavailable

if TYPE_CHECKING:
    from include.venues.alpaca.http import Reply

_logger = logging.getLogger(__name__)

_Model = TypeVar("_Model", bound=BaseModel)


def read_one(model: type[_Model], path: str, reply: Reply) -> _Model:
    """Read the answer to a GET.

    :raises Unavailable: it is not what was asked for.
    """
    try:
        return model.model_validate(reply.payload)
    except ValidationError as error:
        raise unreadable(path, reply, f"is no {model.__name__}: {_fields(error)}") from None


def read_moved(model: type[_Model], path: str, reply: Reply) -> _Model:
    """Read the answer to a request that moved money: it was accepted, whatever we make of the answer.

    :raises OutcomeUnknown: it cannot be read.
    """
    try:
        return model.model_validate(reply.payload)
    except ValidationError as error:
        name = id_of(reply.payload, "tokenization_request_id")
        raise AlpacaOutcomeUnknown(
            f"POST {path}: accepted as {name}, but the answer cannot be read: {_fields(error)}",
            status=200,
            request_id=reply.request_id,
        ) from None


class Rows:
    """Read lists, and name each row that cannot be read once: old rows stay in Alpaca's lists."""

    def __init__(self) -> None:
        self._reported: set[tuple[str, str]] = set()

    def of(self, path: str, reply: Reply) -> list[Any]:
        """Return the rows of an answer as they came.

        :raises Unavailable: it is not a list.
        """
        if not isinstance(reply.payload, list):
            raise unreadable(path, reply, "is not a list")
        return reply.payload

    def read(self, model: type[_Model], path: str, reply: Reply, name: str) -> list[_Model]:
        """Return the rows that can be read.

        :param name: the field that holds a row's id.
        """
        rows = (self.read_row(model, row, name) for row in self.of(path, reply))
        return [row for row in rows if row is not None]

    def read_row(self, model: type[_Model], row: Any, name: str) -> _Model | None:
        """Read one row, or say that it cannot be read."""
        try:
            return model.model_validate(row)
        except ValidationError as error:
            subject = (model.__name__, id_of(row, name))
            level = logging.DEBUG if subject in self._reported else logging.WARNING
            self._reported.add(subject)
            _logger.log(level, "skipped the %s %s: %s", *subject, _fields(error))
            return None


def segment(field: str, value: str) -> str:
    """Return an id as one segment of a path.

    :raises ValueError: it cannot be an id.
    """
    if not value or not value.isascii() or not value.isprintable() or set(value) <= {"."}:
        raise ValueError(f"{field} must be an id, not {value!r}")
    return quote(value, safe="")


def id_of(row: Any, name: str) -> str:
    """Return how something that cannot be read is called, as far as it says."""
    found = (row.get(name) or row.get("id")) if isinstance(row, dict) else None
    return str(found)[:64] if isinstance(found, str | int) else "without an id"


def unreadable(path: str, reply: Reply, why: str) -> AlpacaUnavailable:
    """Return the error for an answer to a GET that says nothing usable."""
    return AlpacaUnavailable(f"GET {path}: the answer {why}", status=200, request_id=reply.request_id)


def not_ours(path: str, reply: Reply, answered: str) -> AlpacaOutcomeUnknown:
    """Return the error for an answer to a POST that describes something else than what was sent."""
    return AlpacaOutcomeUnknown(
        f"POST {path}: the answer describes {answered}, which is not what was asked for",
        status=200,
        request_id=reply.request_id,
    )


def _fields(error: ValidationError) -> str:
    """Name the fields that could not be read, without their values."""
    return ", ".join(sorted({".".join(map(str, item["loc"])) or "not an object" for item in error.errors()}))
