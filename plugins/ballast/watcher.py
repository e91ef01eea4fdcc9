"""What starts a check between two times of the schedule: a look at the balances, in the triggerer.

Its event is never believed: the check that it starts is one like any other.
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: the DAG's file reads this one

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, DeltaTriggerTimetable
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from ballast.hooks import open_ledger
from ballast.switch import read_hold, read_switch
from ballast.triggers import shared_hub, shared_venues
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from include.check import Switch
    from include.domain.limits import Hold
    from include.settings import Settings
    from include.watch.balances import Balances

OUT_OF_BAND: Final = "rebalancing_out_of_band"


def schedule(settings: Settings) -> timedelta | AssetOrTimeSchedule:
    """Return when `rebalancing` runs: at its interval and, where set, when an asset leaves its band."""
    every = settings.rebalancing_check_interval
    if not (settings.rebalancing_enabled and settings.rebalancing_reaction):
        return every
    trigger = BalanceTrigger(
        every=settings.reaction_poll.total_seconds(), rest=settings.reaction_rest.total_seconds()
    )
    asset = Asset(OUT_OF_BAND, watchers=[AssetWatcher(name=OUT_OF_BAND, trigger=trigger)])
    return AssetOrTimeSchedule(timetable=DeltaTriggerTimetable(every), assets=asset)


class BalanceTrigger(BaseEventTrigger):
    """Fires each time a check would move an asset that has just left its band. It moves nothing.

    :param every: seconds between two looks.
    :param rest: seconds between two events.
    """

    def __init__(self, *, every: float, rest: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not typed
        self.every = every
        self.rest = rest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is needed to make this trigger again elsewhere. It holds no secret."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"every": self.every, "rest": self.rest}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. What an earlier triggerer has seen is not needed: it is only seen again."""
        balances = await asyncio.to_thread(self._balances)
        while True:
            await shared_hub().until(self, key=OUT_OF_BAND, source=lambda: balances, every=self.every)
            yield TriggerEvent({"assets": list(balances.found)})  # type: ignore[no-untyped-call]  # as above

    def _balances(self) -> Balances:
        from include.watch.balances import Balances

        settings = load_settings()
        return Balances(shared_venues, lambda: open_ledger(settings), _steering, rest=self.rest)


def _steering() -> tuple[Switch, Hold]:
    return read_switch(), read_hold()
