"""What starts a check between two times of the schedule: a look at the balances, in the triggerer.

Its event is never believed: the check that it starts is one like any other.
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: the DAG's file reads this one

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, DeltaTriggerTimetable
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from ballast.hooks import open_ledger
from ballast.switch import read_hold, read_switch
from ballast.triggers import book_argument, shared_hub, shared_venues
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from include.check import Switch
    from include.domain.limits import Hold
    from include.settings import Names, Settings
    from include.watch.balances import Balances


def schedule(settings: Settings) -> timedelta | AssetOrTimeSchedule:
    """Return when the DAG of a book runs: at its interval and, where set, when an asset leaves its band."""
    every = settings.rebalancing_check_interval
    if not (settings.rebalancing_enabled and settings.rebalancing_reaction):
        return every
    trigger = BalanceTrigger(
        book=settings.book,
        every=settings.reaction_poll.total_seconds(),
        rest=settings.reaction_rest.total_seconds(),
    )
    name = settings.names.out_of_band
    asset = Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])
    return AssetOrTimeSchedule(timetable=DeltaTriggerTimetable(every), assets=asset)


class BalanceTrigger(BaseEventTrigger):
    """Fires each time a check would move an asset that has just left its band. It moves nothing.

    :param every: seconds between two looks.
    :param rest: seconds between two events.
    :param book: whose balances; one that says nothing is of the book without a name.
    """

    def __init__(self, *, every: float, rest: float, book: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not typed
        self.book = book
        self.every = every
        self.rest = rest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is needed to make this trigger again elsewhere. It holds no secret."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"every": self.every, "rest": self.rest, **book_argument(self.book)}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. What an earlier triggerer has seen is not needed: it is only seen again."""
        balances = await asyncio.to_thread(self._balances)
        while True:
            hub = shared_hub(self.book)
            await hub.until(self, key="out of band", source=lambda: balances, every=self.every)
            yield TriggerEvent({"assets": list(balances.found)})  # type: ignore[no-untyped-call]  # as above

    def _balances(self) -> Balances:
        from include.watch.balances import Balances

        settings = load_settings(book=self.book)
        return Balances(
            partial(shared_venues, self.book),
            lambda: open_ledger(settings),
            partial(_steering, settings.names),
            rest=self.rest,
        )


def _steering(names: Names) -> tuple[Switch, Hold]:
    return read_switch(names), read_hold(names)
