"""What a waiting leg leaves in the triggerer. It only looks: the leg that it wakes looks again for itself."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ballast.hooks import connect
from ballast.switch import read_switch
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from include.book import Venues

FIRST_LOOK: Final = 3.0
"""Seconds. An event in the first moments after a deferral can meet the task still ending, and fail it."""

# Not Airflow's own threads: a venue that is slow to answer must not hold up the triggerer.
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="ballast-look")
_lock = threading.Lock()
_venues: Venues | None = None


class _LookingTrigger(BaseTrigger):
    """Looks again and again, and fires when there is something to see or a moment has come.

    It moves nothing, and its event is not evidence of anything.

    :param every: seconds between two looks.
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
        """Look, sleep, look again."""
        wake_at = datetime.fromisoformat(self.wake_at)
        trouble = ""
        pause = FIRST_LOOK
        while True:
            await self._sleep(pause)
            if self._now() >= wake_at:
                break
            found = await asyncio.get_running_loop().run_in_executor(_threads, self._safe_look)
            if found is True:
                break
            if found and found != trouble:
                self.log.warning("operation %s: cannot look: %s", self.operation_id, found)
            trouble = found or ""
            pause = max(min(self.every, (wake_at - self._now()).total_seconds()), 0.0)
        yield TriggerEvent({"operation_id": self.operation_id})  # type: ignore[no-untyped-call]  # as above

    def _safe_look(self) -> bool | str:
        """Return whether it is time to wake the leg, or why that cannot be told now."""
        from include.venues.errors import Refused, VenueError

        try:
            return self.look()
        except VenueError as error:
            if isinstance(error, Refused):
                forget_venues()  # perhaps a key was changed: read the Connections again
            return str(error) or type(error).__name__
        except Exception:
            self.log.exception("operation %s: the look failed, so the leg is woken", self.operation_id)
            return True

    @abstractmethod
    def look(self) -> bool:
        """Look once, in a thread of its own.

        :raises VenueError: when a venue cannot be asked now.
        """

    @staticmethod
    async def _sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    def _now() -> datetime:
        return datetime.now(UTC)


class ConditionTrigger(_LookingTrigger):
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

    def look(self) -> bool:
        """Ask the venue."""
        from include.legs.conditions import Condition

        return Condition.from_dict(self.condition).holds(shared_venues())


class SwitchTrigger(_LookingTrigger):
    """Waits until the switch is no longer at halt."""

    def look(self) -> bool:
        """Read the switch."""
        from include.check import Switch

        return read_switch() is not Switch.HALT


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
