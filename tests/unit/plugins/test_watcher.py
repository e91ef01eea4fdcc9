from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import AssetOrTimeSchedule, DeltaTriggerTimetable
from airflow.sdk._shared.module_loading import import_string
from airflow.triggers.base import BaseEventTrigger

from ballast import triggers, watcher
from ballast.watcher import BalanceTrigger
from include.check import Switch
from include.domain.limits import Hold
from include.venues.errors import Unavailable
from tests.unit.plugins.fakes import NAMES, settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.unit.plugins.fakes import Variables

LIVE = {"rebalancing_enabled": "true", "redemption_wallet": "0x" + "22" * 20}


class Balances:
    """Is out of band at some looks; what it answers comes one after another."""

    name = "the balances"
    at_least_every = None

    def __init__(self, *looks: tuple[str, ...] | Exception) -> None:
        self.found: tuple[str, ...] = ()
        self._looks = list(looks)

    def look(self, waiting: Collection[Any]) -> Collection[Any]:
        found = self._looks.pop(0) if self._looks else ()
        if isinstance(found, Exception):
            raise found
        self.found = found
        return waiting if found else ()


def events(trigger: BalanceTrigger, count: int) -> list[Any]:
    """Run a trigger until it has fired so often."""

    async def run() -> list[Any]:
        found = []
        async for event in trigger.run():
            found.append(event.payload)
            if len(found) == count:
                break
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("changes", [LIVE, {"rebalancing_reaction": "true"}, {}])
def test_schedule__no_reaction_or_nothing_may_move__is_the_interval_alone(changes: dict[str, str]) -> None:
    assert watcher.schedule(settings(**changes, rebalancing_check_interval="45s")) == timedelta(seconds=45)


def test_schedule__reaction__is_the_interval_or_the_balances() -> None:
    found = watcher.schedule(
        settings(
            **LIVE,
            rebalancing_reaction="true",
            rebalancing_check_interval="45s",
            reaction_poll="2s",
            reaction_rest="7s",
        )
    )

    assert isinstance(found, AssetOrTimeSchedule)
    assert found.timetable == DeltaTriggerTimetable(timedelta(seconds=45))
    asset: Any = found.asset_condition
    [watched] = asset.watchers
    assert (asset.name, watched.name) == (NAMES.out_of_band, NAMES.out_of_band)
    assert watched.trigger.serialize() == (
        "ballast.watcher.BalanceTrigger",
        {"every": 2.0, "rest": 7.0},
    )


def test_serialize__read_back__is_the_same_and_is_json() -> None:
    path, arguments = BalanceTrigger(every=1, rest=5).serialize()

    again = import_string(path)(**json.loads(json.dumps(arguments)))

    assert isinstance(again, BaseEventTrigger)
    assert again.serialize() == (path, arguments)


def test_run__balances_leave_their_bands__fires_each_time_and_goes_on_after_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger = BalanceTrigger(every=0.001, rest=0)
    balances = Balances((), ("AAPL",), Unavailable("no answer"), KeyError("a bug"), (), ("AAPL", "USDC"))
    monkeypatch.setattr(trigger, "_balances", lambda: balances)

    assert events(trigger, 2) == [{"assets": ["AAPL"]}, {"assets": ["AAPL", "USDC"]}]


def test_run__what_it_follows__are_the_books_own_balances_under_switch_and_hold_list(
    monkeypatch: pytest.MonkeyPatch, variables: Variables
) -> None:
    ledger, venues = object(), object()

    @contextmanager
    def open_ledger(_: Any) -> Iterator[object]:
        yield ledger

    monkeypatch.setattr(watcher, "open_ledger", open_ledger)
    monkeypatch.setattr(watcher, "load_settings", settings)
    monkeypatch.setattr(triggers, "_venues", {"": venues})
    variables.values |= {"rebalancing_switch": "drain", "rebalancing_hold": "AAPL"}

    balances = BalanceTrigger(every=1, rest=5)._balances()

    with balances._ledger() as opened:
        assert opened is ledger
    assert balances._venues() is venues
    assert balances._steering() == (Switch.DRAIN, Hold.read("AAPL"))
