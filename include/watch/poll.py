"""One poll for all who wait for the same source, inside one event loop.

However many wait, a source is looked at once in a while, in a thread, by one look at a time. Nothing here is
evidence: whoever is woken looks for himself.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from include.venues.errors import Refused, VenueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable
    from concurrent.futures import Executor

log = logging.getLogger(__name__)

LONGEST_BACK_OFF: Final = 30.0
"""Seconds between two looks at a source that does not answer, unless it wants more."""
LINGER: Final = 60.0
"""Seconds without any wait after which connections are not kept any longer."""


class Source(Protocol):
    """Something that one look can be taken at for many waits. It belongs to one poll and may remember.

    :ivar name: what people call it.
    :ivar at_least_every: seconds between two looks, although the waits would do with fewer; None where each
        wait costs a request of its own.
    """

    name: str
    at_least_every: float | None

    def look(self, waiting: Collection[Any]) -> Collection[Hashable]:
        """Return those waits that are over. It runs in a thread, never twice at a time.

        :raises VenueError: when the source cannot be asked now.
        """
        ...


class Hub:
    """The polls of one event loop: the first wait for a source starts one, and the last one ends it.

    :param threads: where the looks run.
    :param refused: called in a thread after a source has refused us: perhaps a key was changed.
    :param idle: called in a thread when for a while nobody has waited for anything.
    :param sleep: how a poll passes the time.
    """

    def __init__(
        self,
        threads: Executor,
        *,
        refused: Callable[[], None] = lambda: None,
        idle: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.threads = threads
        self.refused = refused
        self.sleep = sleep
        self._idle = idle
        self._polls: dict[Hashable, _Poll] = {}

    @property
    def sources(self) -> list[str]:
        """The names of what is looked at now."""
        return [poll.source.name for poll in self._polls.values()]

    async def until(
        self, wait: Hashable, *, key: Hashable, source: Callable[[], Source], every: float
    ) -> None:
        """Return when a look finds that a wait is over. Cancel it to leave.

        :param wait: given to the source; equal ones are one to it.
        :param key: waits with the same key share a poll.
        :param source: makes what is looked at, where there is no poll with this key.
        :param every: seconds between two looks that this wait can do with.
        """
        poll = self._polls.get(key)
        if poll is None:
            poll = self._polls[key] = _Poll(self, source())
        woken = poll.join(wait, every)
        try:
            await woken
        finally:
            if poll.leave(wait, woken):
                del self._polls[key]
                asyncio.get_running_loop().call_later(LINGER, self._rest)

    def _rest(self) -> None:
        if not self._polls:
            asyncio.get_running_loop().run_in_executor(self.threads, self._idle)


class _Poll:
    """Looks at one source again and again, as long as anybody waits for it."""

    def __init__(self, hub: Hub, source: Source) -> None:
        self.source = source
        self._hub = hub
        self._waits: dict[Hashable, dict[asyncio.Future[None], float]] = {}
        self._failures = 0
        # In a context of its own: what it logs belongs to no task, though a task's trigger began it.
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name=f"ballast look: {source.name}", context=Context())

    def join(self, wait: Hashable, every: float) -> asyncio.Future[None]:
        """Add a wait, and return what is done when it is over."""
        woken = asyncio.get_running_loop().create_future()
        self._waits.setdefault(wait, {})[woken] = every
        return woken

    def leave(self, wait: Hashable, woken: asyncio.Future[None]) -> bool:
        """Take a wait away, and tell whether it was the last one, and so the end of the poll."""
        same = self._waits[wait]
        del same[woken]
        if not same:
            del self._waits[wait]
        if self._waits:
            return False
        self._task.cancel()
        return True

    async def _run(self) -> None:
        while True:
            retry_after = await self._look()
            await self._hub.sleep(self._pause(retry_after))

    async def _look(self) -> float:
        """Look once, wake whose wait is over, and return for how many seconds the source wants peace."""
        loop = asyncio.get_running_loop()
        try:
            over = await loop.run_in_executor(self._hub.threads, self.source.look, tuple(self._waits))
        except VenueError as error:
            self._failed(str(error) or type(error).__name__)
            if isinstance(error, Refused):
                await loop.run_in_executor(self._hub.threads, self._hub.refused)
            return getattr(error, "retry_after", None) or 0.0
        except Exception as error:
            self._failed(f"a fault of ours, {type(error).__name__}", error)
            return 0.0
        if self._failures:
            log.info("%s can be looked at again", self.source.name)
        self._failures = 0
        for wait in over:
            for woken in self._waits.get(wait, ()):
                if not woken.done():
                    woken.set_result(None)
        return 0.0

    def _failed(self, why: str, fault: Exception | None = None) -> None:
        """Count a failure, and tell of the first in a row: it is one for all who wait."""
        self._failures += 1
        if self._failures == 1:
            text = "%s cannot be looked at, for %d waits: %s"
            log.warning(text, self.source.name, len(self._waits), why, exc_info=fault)

    def _pause(self, retry_after: float) -> float:
        """Return the seconds to the next look: what the least patient wait wants, more after failures."""
        wanted = [every for same in self._waits.values() for every in same.values()]
        if self.source.at_least_every is not None:
            wanted.append(self.source.at_least_every)
        pause = min(wanted, default=0.0)
        if self._failures:
            pause = max(pause, min(pause * 2.0 ** min(self._failures, 8), LONGEST_BACK_OFF), retry_after)
        return pause
