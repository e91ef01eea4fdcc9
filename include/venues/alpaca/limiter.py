"""The client's own brake: after Alpaca asks for a pause, nothing is sent until it is over."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_PAUSE = 60.0  # seconds; also what a wrong clock on either side can cost at most


class Limiter:
    """Remember until when Alpaca does not want to be asked. It never sleeps: it says how long to wait.

    :param now: the clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._until: datetime | None = None
        self._refusals = 0

    def wait(self) -> float:
        """Return the seconds that are still to be waited, 0 if a request may be sent."""
        with self._lock:
            if self._until is None:
                return 0.0
            left = (self._until - self._now()).total_seconds()
            # A longer wait than was ever set means that our clock was put back.
            if left <= 0 or left > LONGEST_PAUSE:
                self._until = None
                return 0.0
            return left

    def note(self, status: int, headers: Mapping[str, str]) -> float:
        """Take in one response, and return the seconds it asks to wait (0 for none)."""
        with self._lock:
            now = self._now()
            reset = _until_reset(headers, now)
            if status == 429:
                self._refusals += 1
                asked = max(retry_after(headers, now) or 0.0, reset or 0.0)
                pause = asked if asked > 0 else 2.0 ** min(self._refusals - 1, 6)
            else:
                self._refusals = 0
                spent = headers.get("X-RateLimit-Remaining", "").strip() == "0"
                pause = (reset or 0.0) if spent else 0.0
            pause = min(pause, LONGEST_PAUSE)
            if pause > 0:
                until = now + timedelta(seconds=pause)
                self._until = until if self._until is None else max(self._until, until)
            return pause


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as a date. At most a minute."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_PAUSE)
    moment = _http_date(text)
    if moment is None:
        return None
    return min(
        max((moment - (_http_date(headers.get("Date", "")) or now)).total_seconds(), 0.0), LONGEST_PAUSE
    )


def _until_reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds until the quota is renewed, by Alpaca's clock where the response shows it."""
    text = headers.get("X-RateLimit-Reset", "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    sent = _http_date(headers.get("Date", "")) or now
    return max(float(text[:15]) - sent.timestamp(), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
