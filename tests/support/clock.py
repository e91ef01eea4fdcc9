"""A clock that tests turn by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def pass_(self, **parts: float) -> datetime:
        """Move on, by the arguments of a timedelta."""
        self.moment += timedelta(**parts)
        return self.moment
