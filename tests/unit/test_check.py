"""What a check passes on and asks. The plan has tests of its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.check import Run, Switch, check
from include.costs import Prices
from include.domain.decision import Reason
from include.domain.limits import Hold, Shut
from include.ledger.ledger import Ledger
from tests.support.books import BALANCED, TOO_MANY_SHARES, cancel, mint, record, settings, settle
from tests.support.clock import Clock
from tests.support.plans import snapshot as balances

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from include.check import Checked
    from include.domain.decision import PlannedOperation
    from include.settings import Settings

RUN = Run("backfill__1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=clock)
    yield opened
    opened.close()


@pytest.fixture
def look(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checked]:
    """Check, with too many shares of AAPL in place of the venues."""

    def look(run: Run = RUN, switch: Switch = Switch.RUN, *, values: Any = None, **more: Any) -> Checked:
        taken = balances(clock(), AAPL=TOO_MANY_SHARES, USDC=BALANCED)
        monkeypatch.setattr(snapshot, "take", lambda venues, check_id: replace(taken, id=check_id))
        venues: Any = SimpleNamespace(settings=settings(**(values or {})), now=clock)
        return check(venues, ledger, run, switch, **{"read": no_prices, **more})

    return look


def no_prices(*_: Any) -> Prices:
    return Prices()


def reason_of(checked: Checked) -> Reason:
    return checked.decisions[0].reason


class Asked:
    """A gate that remembers what it was asked, and is shut for AAPL if it is told to be."""

    def __init__(self, *shut: Shut) -> None:
        self.about: list[tuple[str, Decimal]] = []
        self._shut = shut

    def __call__(self, _: Settings, operations: Collection[PlannedOperation]) -> dict[str, Shut]:
        self.about += [(one.asset, one.amount) for one in operations]
        return {"AAPL": self._shut[0]} if self._shut and operations else {}


@pytest.mark.parametrize("reason", [Reason.FROZEN, Reason.GATE_SILENT])
def test_check__gate_is_shut__is_recorded_as_the_reason(
    look: Callable[..., Checked], ledger: Ledger, reason: Reason
) -> None:
    gate = Asked(Shut(reason, "a split is due"))

    checked = look(ask=gate)

    assert gate.about == [("AAPL", Decimal(31))]
    assert reason_of(checked) is reason
    assert ledger.decisions(checked.id) == list(checked.decisions)
    assert checked.decisions[0].detail.endswith("Not moved: a split is due.")


def test_check__gate_is_open__plans(look: Callable[..., Checked]) -> None:
    gate = Asked()
    assert reason_of(look(ask=gate)) is Reason.PLANNED
    assert gate.about == [("AAPL", Decimal(31))]


def test_check__frozen_asset__leaves_the_only_place_to_another(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is frozen for days must not keep the rest from moving."""
    taken = balances(clock(), AAPL=(Decimal(0), Decimal(100)), USDC=(Decimal(1000), Decimal(0)))
    monkeypatch.setattr(snapshot, "take", lambda venues, check_id: replace(taken, id=check_id))
    one_place: Any = SimpleNamespace(settings=settings(max_open_operations="1"), now=clock)

    def reasons(gate: Asked) -> list[Reason]:
        checked = check(one_place, ledger, RUN, Switch.RUN, ask=gate, read=no_prices)
        return [one.reason for one in checked.decisions]

    assert reasons(Asked()) == [Reason.PLANNED, Reason.OVER_LIMIT]
    assert reasons(Asked(Shut(Reason.FROZEN, "a split is due"))) == [Reason.FROZEN, Reason.PLANNED]


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ({"rebalancing_enabled": "false"}, {}),
        ({}, {"switch": Switch.DRAIN}),
        ({}, {"hold": Hold(frozenset({"AAPL"}))}),
        ({"rebalancing_deviation": "0.4"}, {}),
    ],
)
def test_check__nothing_would_be_moved__asks_the_gate_nothing(
    look: Callable[..., Checked], values: dict[str, str], more: dict[str, Any]
) -> None:
    gate = Asked()
    look(values=values, ask=gate, **more)
    assert gate.about == []


def test_check__held__is_recorded_as_the_reason(look: Callable[..., Checked]) -> None:
    assert reason_of(look(hold=Hold(frozenset({"AAPL"})))) is Reason.HELD
    assert reason_of(look(hold=Hold(everything="unreadable"))) is Reason.HELD


@pytest.mark.parametrize(
    ("maximum", "left"), [("62", "31"), ("61.9", "30.9"), ("31.01", "0.01"), ("31.009", None), ("31", None)]
)
def test_check__part_of_the_day_is_used_up__plans_the_rest(
    look: Callable[..., Checked], ledger: Ledger, clock: Clock, maximum: str, left: str | None
) -> None:
    settle(ledger, clock, mint(ledger, clock, record(ledger, clock)))

    checked = look(values={"equity_daily_maximum": maximum})

    if left is None:
        assert reason_of(checked) is Reason.OVER_DAILY_LIMIT
    else:
        planned = checked.decisions[0].operation
        assert planned is not None
        assert planned.amount == Decimal(left)


def test_check__used_up_yesterday__plans_all(
    look: Callable[..., Checked], ledger: Ledger, clock: Clock
) -> None:
    settle(ledger, clock, mint(ledger, clock, record(ledger, clock)))
    clock.pass_(days=1)
    assert reason_of(look(values={"equity_daily_maximum": "31"})) is Reason.PLANNED


def test_check__cancelled_again_and_again__waits_longer_each_time(
    look: Callable[..., Checked], ledger: Ledger, clock: Clock
) -> None:
    for minutes in (5, 10, 20, 40, 60, 60):
        cancel(ledger, clock, mint(ledger, clock, record(ledger, clock)))
        clock.pass_(minutes=minutes, seconds=-1)
        assert reason_of(look()) is Reason.COOLING_DOWN
        clock.pass_(seconds=1)
        assert reason_of(look()) is Reason.PLANNED


def test_check__settled__rests_for_the_settle_cooldown(
    look: Callable[..., Checked], ledger: Ledger, clock: Clock
) -> None:
    settle(ledger, clock, mint(ledger, clock, record(ledger, clock)))
    clock.pass_(minutes=2, seconds=-2)
    assert reason_of(look(values={"settle_cooldown": "2m"})) is Reason.COOLING_DOWN
    assert reason_of(look()) is Reason.PLANNED
    clock.pass_(seconds=1)
    assert reason_of(look(values={"settle_cooldown": "2m"})) is Reason.PLANNED


@pytest.mark.parametrize(
    ("value", "switch"),
    [
        ("run", Switch.RUN),
        ("Halt ", Switch.HALT),
        ("drain", Switch.DRAIN),
        (None, Switch.DRAIN),
        ("stop", Switch.DRAIN),
    ],
)
def test_switch__missing_or_misspelt__drains(value: str | None, switch: Switch) -> None:
    assert Switch.read(value) is switch
