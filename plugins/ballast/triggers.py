"""What a waiting leg leaves in the triggerer. It only looks: the leg that it wakes looks again for itself.

However many legs wait in a triggerer, each venue is looked at once for all of them (`include.watch`).
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ballast.hooks import connect
from ballast.switch import read_switch
from include.settings import load_settings

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
_hubs: WeakKeyDictionary[AbstractEventLoop, Hub] = WeakKeyDictionary()
_lock = threading.Lock()
_venues: Venues | None = None


class _WaitingTrigger(BaseTrigger):
    """Waits for something to see, and fires when it is there or a moment has come.

    It moves nothing, and its event is not evidence of anything.

    :param every: seconds between two looks that are enough.
    :param wake_at: ISO 8601 with a zone: when to fire in any case.
    :param operation_id: whose leg waits, for the log.
    """

    def __init__(self, *, every: float, wake_at: str, operation_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not typed
        self.every = every
        self.wake_at = wake_at
        self.operation_id = operation_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is needed to make this trigger again elsewhere. It holds no secret."""
        arguments = {"every": self.every, "wake_at": self.wake_at, "operation_id": self.operation_id}
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

    def __init__(self, *, condition: dict[str, Any], every: float, wake_at: str, operation_id: str) -> None:
        super().__init__(every=every, wake_at=wake_at, operation_id=operation_id)
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
        await shared_hub().until(condition, key=key, source=source, every=self.every)

    def _prepare(self) -> tuple[Condition, Hashable, Callable[[], Source]]:
        from include.legs.conditions import Condition
        from include.watch.sources import source_of

        condition = Condition.from_dict(self.condition)
        return condition, *source_of(condition, shared_venues)

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
        await shared_hub().until("leaves halt", key="switch", source=_Switch, every=self.every)


class _Switch:
    """The switch, which all who wait for it read together."""

    name = "the switch"
    at_least_every: float | None = None

    def look(self, waiting: Collection[Any]) -> Collection[Any]:
        """Read it: nobody waits for it any longer, or all still do."""
        from include.check import Switch

        return () if read_switch() is Switch.HALT else waiting


def shared_hub() -> Hub:
    """Return the one place in this event loop where all waits meet."""
    from include.watch.poll import Hub

    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(_threads, refused=forget_venues, idle=close_venues)
    return _hubs[loop]


def shared_venues() -> Venues:
    """Return this process's clients, opened on first use. They have no key and can move nothing."""
    global _venues  # noqa: PLW0603 - one set of connections for a triggerer, however many legs wait in it
    with _lock:
        if _venues is None:
            _venues = connect(load_settings())
        return _venues


def forget_venues() -> None:
    """Make the next look open its clients anew. Looks under way keep theirs."""
    global _venues  # noqa: PLW0603 - as above
    with _lock:
        _venues = None


def close_venues() -> None:
    """Give the connections back, since nobody waits for anything."""
    global _venues
    with _lock:
        venues, _venues = _venues, None
    if venues is not None:
        venues.close()
