from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk._shared.module_loading import import_string

from ballast import triggers
from ballast.triggers import ConditionTrigger, SwitchTrigger
from include.venues.errors import Refused, Unavailable
from tests.unit.plugins.fakes import Seen

if TYPE_CHECKING:
    from ballast.triggers import _LookingTrigger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Variables

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _venues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "_venues", object())


def condition(*looks: bool | Exception) -> dict[str, Any]:
    Seen.looks[:] = list(looks)
    return Seen().to_dict()


def waiting(
    clock: Clock, *looks: bool | Exception, every: float = 10, left: float = HOUR
) -> ConditionTrigger:
    return ConditionTrigger(
        condition=condition(*looks),
        every=every,
        wake_at=(clock() + timedelta(seconds=left)).isoformat(),
        operation_id="op-1",
    )


def run(trigger: _LookingTrigger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[float]]:
    """Run a trigger until it fires, and return the event's payload and how it slept."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.pass_(seconds=seconds)

    monkeypatch.setattr(trigger, "_sleep", sleep)
    monkeypatch.setattr(trigger, "_now", clock)

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    return asyncio.run(first()), slept


def test_run__condition_holds_at_the_first_look__fires_after_three_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, slept = run(waiting(clock, True), clock, monkeypatch)

    assert payload == {"operation_id": "op-1"}
    assert slept == [3.0]


def test_run__condition_holds_later__looks_every_so_often(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, slept = run(waiting(clock, False, False, True), clock, monkeypatch)

    assert slept == [3.0, 10, 10]


def test_run__moment_comes_first__fires_then(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    began = clock()

    _, slept = run(waiting(clock, False, left=25), clock, monkeypatch)

    assert slept == [3.0, 10, 10, 2.0]
    assert clock() - began == timedelta(seconds=25)


def test_run__moment_has_passed_before_it_starts__still_does_not_fire_at_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, slept = run(waiting(clock, False, left=-100), clock, monkeypatch)

    assert payload == {"operation_id": "op-1"}
    assert slept == [3.0]


def test_run__started_again_in_another_triggerer__keeps_the_moment(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = clock()
    path, arguments = waiting(clock, False, left=60).serialize()
    clock.pass_(seconds=50)

    run(import_string(path)(**arguments), clock, monkeypatch)

    assert clock() - began == timedelta(seconds=60)


def test_run__venue_cannot_be_asked__is_not_yet_and_is_told_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = Unavailable("Alpaca does not answer")
    trigger = waiting(clock, down, down, False, down, True)
    told: list[str] = []
    monkeypatch.setattr(trigger.log, "warning", lambda message, *parts: told.append(message % parts))

    _, slept = run(trigger, clock, monkeypatch)

    assert len(slept) == 5
    assert told == ["operation op-1: cannot look: Alpaca does not answer"] * 2  # again after it had recovered


def test_run__venue_refuses__connections_are_read_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, opened = object(), object()
    monkeypatch.setattr(triggers, "load_settings", lambda: settings)
    monkeypatch.setattr(triggers, "connect", lambda given: opened if given is settings else None)

    run(waiting(clock, Refused("the key is not known"), True), clock, monkeypatch)

    assert triggers.shared_venues() is opened


def test_run__anything_else_goes_wrong__wakes_the_leg(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    _, slept = run(waiting(clock, KeyError("a bug")), clock, monkeypatch)

    assert slept == [3.0]


def test_shared_venues__asked_twice__are_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def connect(_: object) -> object:
        opened.append(object())
        return opened[-1]

    monkeypatch.setattr(triggers, "_venues", None)
    monkeypatch.setattr(triggers, "load_settings", lambda: None)
    monkeypatch.setattr(triggers, "connect", connect)

    assert triggers.shared_venues() is triggers.shared_venues()
    assert len(opened) == 1


def test_serialize__read_back__is_the_same_and_is_json(clock: Clock) -> None:
    path, arguments = waiting(clock, False).serialize()

    again = import_string(path)(**json.loads(json.dumps(arguments)))

    assert path == "ballast.triggers.ConditionTrigger"
    assert again.serialize() == (path, arguments)


def test_switch__leaves_halt__fires(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, variables: Variables
) -> None:
    answers = iter(["halt", "halt", "drain"])
    monkeypatch.setattr(variables, "get", lambda key, default=None: next(answers))
    trigger = SwitchTrigger(every=5, wake_at=(clock() + timedelta(hours=1)).isoformat(), operation_id="op-1")

    _, slept = run(trigger, clock, monkeypatch)

    assert slept == [3.0, 5, 5]
    path, arguments = trigger.serialize()
    assert import_string(path)(**arguments).serialize() == (path, arguments)
