"""Keeps one process well below the request limit of the attestation service.

Circle allows 35 requests a second from one address; above that, everything is answered 429 for five minutes.
All processes of a machine count together and do not know of each other, so each takes a small share.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from include.venues.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SECOND: Final = 2.0
BURST: Final = 5
MAX_WAIT: Final = 3.0


class RequestLimiter:
    """A token bucket that many threads and many clients may share.

    :param per_second: how many requests a second in the long run. At 2, sixteen busy processes stay below the
        limit.
    :param burst: how many may leave at once after a pause.
    :param max_wait: for how many seconds `acquire` waits for its turn rather than refuse.
    :param now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        *,
        per_second: float = PER_SECOND,
        burst: int = BURST,
        max_wait: float = MAX_WAIT,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("a limiter lets at least something through")
        self._interval = 1 / per_second
        self._credit = (burst - 1) * self._interval
        self._max_wait = max_wait
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_slot = float("-inf")
        self._closed_until = float("-inf")

    def acquire(self) -> None:
        """Take the right to send one request, after a short wait if need be.

        :raises Unavailable: when the turn is further away than `max_wait`, or while standing down. No request
            may be sent then; `retry_after` says for how long.
        """
        with self._lock:
            now = self._now()
            self._refuse_while_closed(now)
            slot = max(self._next_slot, now - self._credit)
            wait = slot - now
            if wait > self._max_wait:
                raise Unavailable("too many requests to the attestation service from here", retry_after=wait)
            self._next_slot = slot + self._interval
        if wait > 0:
            self._sleep(wait)
            with self._lock:  # another thread may have been told to stand down meanwhile
                self._refuse_while_closed(self._now())

    def stand_down(self, seconds: float) -> None:
        """Refuse every request for so many seconds from now. A longer stand-down is never shortened."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._now() + seconds)

    def _refuse_while_closed(self, now: float) -> None:
        remaining = self._closed_until - now
        if remaining > 0:
            raise Unavailable(
                f"standing down for {remaining:.0f} s more: the attestation service said we ask too often",
                retry_after=remaining,
            )


_SHARED: dict[str, RequestLimiter] = {}


def shared_limiter(service: str) -> RequestLimiter:
    """Return the one limiter that this process has for a service, named by its host and port."""
    return _SHARED.setdefault(service, RequestLimiter())
