"""Points in time: always aware, always UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(at: datetime, what: str = "time") -> datetime:
    """Return the same moment in UTC.

    :raises TypeError: if it is not a `datetime`.
    :raises ValueError: if it has no zone: whose clock it was read from is then a guess.
    """
    if not isinstance(at, datetime):
        raise TypeError(f"{what} must be a datetime, not {type(at).__name__}")
    if at.utcoffset() is None:
        raise ValueError(f"{what} must have a time zone")
    return at.astimezone(UTC)
