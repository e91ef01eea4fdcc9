from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk._shared.module_loading import import_string

from ballast import triggers
from ballast.triggers import ConditionTrigger, SwitchTrigger
from include.legs.conditions import Until
from include.venues.errors import Refused, Unavailable
from scripts import local_airflow
from tests.unit.plugins.fakes import Seen

if TYPE_CHECKING:
    from pathlib import Path

    from ballast.triggers import _WaitingTrigger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Variables

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _venues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "_venues", {"": SimpleNamespace(close=lambda: None)})


def condition(*looks: bool | Exception) -> dict[str, Any]:
    Seen.looks[:] = list(looks)
    return Seen().to_dict()


def waiting(clock: Clock, *looks: bool | Exception, left: float = HOUR) -> ConditionTrigger:
    return until(condition(*looks), clock() + timedelta(seconds=left))


def until(what: dict[str, Any], moment: datetime) -> ConditionTrigger:
    return ConditionTrigger(condition=what, every=0.001, wake_at=moment.isoformat(), operation_id="op-1")


def run(
    trigger: _WaitingTrigger, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, looks: bool = True
) -> tuple[Any, list[float]]:
    """Run a trigger until it fires, and return the event's payload and how it slept and napped.

    :param looks: whether what is looked at is seen before a nap is over.
    """
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.pass_(seconds=seconds)

    async def nap(until: asyncio.Future[None], seconds: float) -> None:
        if looks:
            await asyncio.wait([until], timeout=10)
        else:
            await sleep(seconds)

    monkeypatch.setattr(trigger, "_sleep", sleep)
    monkeypatch.setattr(trigger, "_nap", nap)
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


def test_run__condition_holds_later__looks_again_until_then(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, _ = run(
        waiting(clock, False, Unavailable("Alpaca does not answer"), False, True), clock, monkeypatch
    )

    assert payload == {"operation_id": "op-1"}
    assert Seen.looks == [True]


def test_run__moment_comes_first__fires_then(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    began = clock()

    _, slept = run(waiting(clock, False, left=135), clock, monkeypatch, looks=False)

    assert slept == [3.0, 60.0, 60.0, 12.0]
    assert clock() - began == timedelta(seconds=135)


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

    run(import_string(path)(**arguments), clock, monkeypatch, looks=False)

    assert clock() - began == timedelta(seconds=60)


def test_run__machine_was_asleep__fires_at_the_next_look_at_the_clock(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = waiting(clock, False, left=600)
    naps: list[float] = []

    async def nap(_: object, seconds: float) -> None:
        naps.append(seconds)
        clock.pass_(hours=1)

    async def first() -> None:
        async for _ in trigger.run():
            return

    async def sleep(_: float) -> None:
        return

    monkeypatch.setattr(trigger, "_sleep", sleep)
    monkeypatch.setattr(trigger, "_now", clock)
    monkeypatch.setattr(trigger, "_nap", nap)
    asyncio.run(first())

    assert naps == [60.0]


def test_run__waits_for_a_moment__asks_nobody(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "shared_hub", lambda _: pytest.fail("nothing has to be looked at"))
    began = clock()
    wait = Until.at(clock() + timedelta(seconds=20)).to_dict()

    run(until(wait, clock() + timedelta(hours=1)), clock, monkeypatch, looks=False)

    assert clock() - began == timedelta(seconds=20)


def test_run__condition_of_another_version__wakes_the_leg(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, slept = run(until({"name": "gone"}, clock() + timedelta(hours=1)), clock, monkeypatch)

    assert payload == {"operation_id": "op-1"}
    assert slept == [3.0]


def test_run__anything_goes_wrong_with_one__wakes_that_leg(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, _ = run(waiting(clock, KeyError("a bug")), clock, monkeypatch)

    assert payload == {"operation_id": "op-1"}


def test_run__cancelled__leaves_no_poll_behind(clock: Clock) -> None:
    trigger = waiting(clock, False)

    async def scenario() -> None:
        task = asyncio.ensure_future(trigger._until())
        for _ in range(1000):
            if triggers.shared_hub("").sources:
                break
            await asyncio.sleep(0.005)
        assert len(triggers.shared_hub("").sources) == 1
        task.cancel()
        await asyncio.wait([task])
        assert triggers.shared_hub("").sources == []

    asyncio.run(scenario())


def test_run__venue_refuses__connections_are_read_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = object()
    opened: Any = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(triggers, "load_settings", lambda **_: settings)
    monkeypatch.setattr(triggers, "connect", lambda given: opened if given is settings else None)

    run(waiting(clock, Refused("the key is not known"), True), clock, monkeypatch)

    assert triggers.shared_venues("") is opened


def test_close_venues__opened_again_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    again: Any = object()
    monkeypatch.setattr(triggers, "_venues", {"": SimpleNamespace(close=lambda: closed.append(True))})
    monkeypatch.setattr(triggers, "load_settings", lambda **_: None)
    monkeypatch.setattr(triggers, "connect", lambda _: again)

    triggers.close_venues("")
    triggers.close_venues("")

    assert closed == [True]
    assert triggers.shared_venues("") is again


def test_shared_venues__asked_twice__are_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def connect(_: object) -> object:
        opened.append(object())
        return opened[-1]

    monkeypatch.setattr(triggers, "_venues", {})
    monkeypatch.setattr(triggers, "load_settings", lambda **_: None)
    monkeypatch.setattr(triggers, "connect", connect)

    assert triggers.shared_venues("") is triggers.shared_venues("")
    assert len(opened) == 1


def test_serialize__read_back__is_the_same_and_is_json(clock: Clock) -> None:
    path, arguments = waiting(clock, False).serialize()

    again = import_string(path)(**json.loads(json.dumps(arguments)))

    assert path == "ballast.triggers.ConditionTrigger"
    assert again.serialize() == (path, arguments)


def test_switch__leaves_halt__all_who_wait_fire_and_read_it_together(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, variables: Variables
) -> None:
    answers = iter(["halt", "halt", "drain"])
    monkeypatch.setattr(variables, "get", lambda key, default=None: next(answers))
    wake_at = (clock() + timedelta(hours=1)).isoformat()
    waits = [SwitchTrigger(every=0.001, wake_at=wake_at, operation_id=f"op-{n}") for n in range(3)]

    async def scenario() -> None:
        await asyncio.wait_for(asyncio.gather(*(wait._until() for wait in waits)), 10)

    asyncio.run(scenario())

    assert list(answers) == []
    path, arguments = waits[0].serialize()
    assert import_string(path)(**arguments).serialize() == (path, arguments)


def test_first_look__comes_after_the_end_of_the_task_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_airflow, "free_port", lambda: 4711)
    shipped = local_airflow.environment(tmp_path, 8080)
    assert int(shipped["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"]) < triggers.FIRST_LOOK
