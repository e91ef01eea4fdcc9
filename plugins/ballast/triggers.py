"""What a waiting leg leaves in the triggerer. It only looks: the leg that it wakes looks again for itself.

However many legs of a book wait in a triggerer, each venue is looked at once for all of them
(`include.watch`). No look is shared by two books, which have other keys, wallets and switches.
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ballast.hooks import connect
from ballast.switch import read_switch
from include.settings import Names, load_settings

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Collection, Hashable

    from include.book import Venues
    from include.legs.conditions import Condition
    from include.watch.poll import Hub, Source

FIRST_LOOK: Final = 3.0
"""Seconds. An event in the first moments after a deferral can meet the task still ending, and fail it."""
LONGEST_NAP: Final = 60.0
"""Seconds after which a trigger reads the clock, since the machine may have slept and its timers with it."""

# Not Airflow's own threads: a venue that is slow to answer must not hold up the triggerer.
_threads = ThreadPoolExecutor(max_workers=12, thread_name_prefix="ballast-look")
_hubs: WeakKeyDictionary[AbstractEventLoop, dict[str, Hub]] = WeakKeyDictionary()
_lock = threading.Lock()
_venues: dict[str, Venues] = {}
"""By book."""


class _WaitingTrigger(BaseTrigger):
    """Waits for something to see, and fires when it is there or a moment has come.

    It moves nothing, and its event is not evidence of anything.

    :param every: seconds between two looks that are enough.
    :param wake_at: ISO 8601 with a zone: when to fire in any case.
    :param operation_id: whose leg waits, for the log.
    :param book: of which book; one that says nothing was deferred before there were others than the nameless.
    """

    def __init__(self, *, every: float, wake_at: str, operation_id: str, book: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not typed
        self.book = book
        self.every = every
        self.wake_at = wake_at
        self.operation_id = operation_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is needed to make this trigger again elsewhere. It holds no secret."""
        arguments = {"every": self.every, "wake_at": self.wake_at, "operation_id": self.operation_id}
        arguments |= book_argument(self.book)
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, at least for the first seconds, and at most until the moment."""
        await self._sleep(FIRST_LOOK)
        wake_at = self._moment()
        waiting = asyncio.ensure_future(self._until())
        try:
            while not waiting.done() and (left := (wake_at - self._now()).total_seconds()) > 0:
                await self._nap(waiting, min(left, LONGEST_NAP))
            if waiting.done() and (fault := waiting.exception()) is not None:
                text = "operation %s: nothing can be looked at, so the leg is woken"
                self.log.error(text, self.operation_id, exc_info=fault)
        finally:
            waiting.cancel()
        yield TriggerEvent({"operation_id": self.operation_id})  # type: ignore[no-untyped-call]  # as above

    @abstractmethod
    async def _until(self) -> None:
        """Return when there is something to see."""

    def _moment(self) -> datetime:
        return datetime.fromisoformat(self.wake_at)

    @staticmethod
    async def _nap(waiting: asyncio.Future[None], seconds: float) -> None:
        await asyncio.wait([waiting], timeout=seconds)

    @staticmethod
    async def _sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    def _now() -> datetime:
        return datetime.now(UTC)


class ConditionTrigger(_WaitingTrigger):
    """Waits for a condition.

    :param condition: the JSON form of an `include.legs.conditions.Condition`.
    """

    def __init__(
        self, *, condition: dict[str, Any], every: float, wake_at: str, operation_id: str, book: str = ""
    ) -> None:
        super().__init__(every=every, wake_at=wake_at, operation_id=operation_id, book=book)
        self.condition = condition

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is needed to make this trigger again elsewhere. It holds no secret."""
        path, arguments = super().serialize()
        return path, {"condition": self.condition, **arguments}

    async def _until(self) -> None:
        loop = asyncio.get_running_loop()
        if self._awaited_moment is not None:
            await loop.create_future()  # nothing has to be looked at: the moment comes by itself
        # In a thread, as the first to come imports what is heavy.
        condition, key, source = await loop.run_in_executor(_threads, self._prepare)
        await shared_hub(self.book).until(condition, key=key, source=source, every=self.every)

    def _prepare(self) -> tuple[Condition, Hashable, Callable[[], Source]]:
        from include.legs.conditions import Condition
        from include.watch.sources import source_of

        condition = Condition.from_dict(self.condition)
        return condition, *source_of(condition, partial(shared_venues, self.book))

    def _moment(self) -> datetime:
        return min(super()._moment(), self._awaited_moment or datetime.max.replace(tzinfo=UTC))

    @property
    def _awaited_moment(self) -> datetime | None:
        """The moment that is waited for, where it is nothing else: an `include.legs.conditions.Until`."""
        if self.condition.get("name") != "until":
            return None
        return datetime.fromisoformat(self.condition["moment"])


class SwitchTrigger(_WaitingTrigger):
    """Waits until the switch is no longer at halt."""

    async def _until(self) -> None:
        source = partial(_Switch, Names(self.book))
        await shared_hub(self.book).until("leaves halt", key="switch", source=source, every=self.every)


class _Switch:
    """The switch of a book, which all who wait for it read together."""

    at_least_every: float | None = None

    def __init__(self, names: Names) -> None:
        self.name = f"the switch {names.switch}"
        self._names = names

    def look(self, waiting: Collection[Any]) -> Collection[Any]:
        """Read it: nobody waits for it any longer, or all still do."""
        from include.check import Switch

        return () if read_switch(self._names) is Switch.HALT else waiting


def book_argument(book: str) -> dict[str, str]:
    """Return what a trigger says of its book: nothing of the nameless one, as before there were others."""
    return {"book": book} if book else {}


def shared_hub(book: str) -> Hub:
    """Return the one place in this event loop where all waits of a book meet."""
    from include.watch.poll import Hub

    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    if book not in hubs:
        refused, idle = partial(forget_venues, book), partial(close_venues, book)
        hubs[book] = Hub(_threads, refused=refused, idle=idle)
    return hubs[book]


def shared_venues(book: str) -> Venues:
    """Return this process's clients of a book, opened on first use. They have no key and can move nothing.

    There is one set of connections for a book, however many legs wait in a triggerer.
    """
    with _lock:
        if book not in _venues:
            _venues[book] = connect(load_settings(book=book))
        return _venues[book]


def forget_venues(book: str) -> None:
    """Make the next look of a book open its clients anew. Looks under way keep theirs."""
    with _lock:
        _venues.pop(book, None)


def close_venues(book: str) -> None:
    """Give the connections of a book back, since nobody waits for anything in it."""
    with _lock:
        venues = _venues.pop(book, None)
    if venues is not None:
        venues.close()
