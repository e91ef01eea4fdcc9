"""What a replay makes of the past. What is decided about balances is tested with the plan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.check import Run, Switch, replay
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationKind
from include.ledger.ledger import Ledger
from include.ledger.records import CheckMode
from include.settings import Settings, load_settings
from tests.support.clock import Clock
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.domain.decision import Decision

TOKENS = '{"AAPL": "0x' + "11" * 20 + '"}'
RUN = Run("backfill__1")
TOO_MANY_SHARES = (Decimal(19), Decimal(81))
BALANCED = (Decimal(50), Decimal(50))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=clock)
    yield opened
    opened.close()


def settings(**values: str) -> Settings:
    given = {
        "rebalancing_enabled": "true",
        "token_addresses": TOKENS,
        "wallet": "0x" + "22" * 20,
        "redemption_wallet": "0x" + "33" * 20,
        "ethereum_rpc_url": "http://ethereum.test",
        "base_rpc_url": "http://base.test",
    } | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


def record(ledger: Ledger, clock: Clock, aapl: tuple[Decimal, Decimal] = TOO_MANY_SHARES) -> str:
    return recorded_check(ledger, clock(), AAPL=aapl, USDC=BALANCED)


def mint(ledger: Ledger, clock: Clock, check_id: str) -> str:
    """Open a mint, a moment after the balances it rests on."""
    taken_at = clock()
    clock.pass_(seconds=1)
    kind = OperationKind.MINT
    return ledger.claim(
        kind=kind,
        asset="AAPL",
        amount=31_000_000_000,
        decimals=kind.decimals,
        check_id=check_id,
        run_id="run-1",
        taken_at=taken_at,
    ).id


def decisions(ledger: Ledger, clock: Clock, **values: str) -> dict[str, Decision]:
    """Replay what was recorded by now."""
    checked = replay(ledger, settings(**values), RUN, clock())
    assert checked is not None
    return {decision.asset: decision for decision in checked.decisions}


def test_replay__nothing_was_recorded_by_then__is_none(ledger: Ledger, clock: Clock) -> None:
    before = clock() - MINUTE
    record(ledger, clock)

    assert replay(ledger, settings(), RUN, before) is None


def test_replay__asset_out_of_its_band__proposes_and_plans_nothing(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    found = decisions(ledger, clock)

    assert found["AAPL"].reason is Reason.DRY_RUN
    assert found["AAPL"].operation is None
    assert found["AAPL"].proposed is not None
    assert found["AAPL"].proposed.amount == 31
    assert found["USDC"].reason is Reason.BALANCED


def test_replay__long_after__is_not_stale(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)
    clock.pass_(days=30)

    assert decisions(ledger, clock)["AAPL"].reason is Reason.DRY_RUN


def test_replay__takes_the_newest_balances_up_to_the_moment(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock, BALANCED)
    clock.pass_(minutes=1)
    record(ledger, clock, TOO_MANY_SHARES)
    moment = clock()
    clock.pass_(minutes=1)
    record(ledger, clock, BALANCED)

    checked = replay(ledger, settings(), RUN, moment)

    assert checked is not None
    assert checked.snapshot.taken_at == moment
    assert checked.decisions[0].reason is Reason.DRY_RUN


def test_replay__uses_the_settings_of_today(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    assert decisions(ledger, clock, rebalancing_deviation="0.4")["AAPL"].reason is Reason.BALANCED


def test_replay__operation_was_open_then__is_claimed_though_it_is_closed_now(
    ledger: Ledger, clock: Clock
) -> None:
    operation = mint(ledger, clock, record(ledger, clock))
    clock.pass_(minutes=1)
    record(ledger, clock)
    moment = clock()
    clock.pass_(minutes=1)
    with ledger.lease(operation, "somebody", MINUTE) as lease:
        lease.cancel("the market is closed")

    checked = replay(ledger, settings(), RUN, moment)

    assert checked is not None
    assert checked.decisions[0].reason is Reason.CLAIMED


def test_replay__operation_was_opened_later__claims_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = record(ledger, clock)
    moment = clock()
    mint(ledger, clock, check_id)

    checked = replay(ledger, settings(), RUN, moment)

    assert checked is not None
    assert checked.decisions[0].reason is Reason.DRY_RUN


def test_replay__operation_was_closed_just_before__is_settling(ledger: Ledger, clock: Clock) -> None:
    operation = mint(ledger, clock, record(ledger, clock))
    clock.pass_(minutes=1)
    with ledger.lease(operation, "somebody", MINUTE) as lease:
        lease.finish(Leg.MINT, amount_out=31_000_000_000, base_block=101)  # the next snapshot is of 100
    clock.pass_(seconds=1)
    record(ledger, clock)

    found = decisions(ledger, clock)

    assert found["AAPL"].reason is Reason.SETTLING


def test_replay__is_recorded_as_one_and_repeats_itself(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    first = replay(ledger, settings(), RUN, clock())
    second = replay(ledger, settings(), RUN, clock())

    assert first is not None
    assert second is not None
    assert first.mode is CheckMode.REPLAY
    assert first.id != second.id
    assert ledger.decisions(first.id) == list(first.decisions) == list(second.decisions)
    assert ledger.snapshot(first.id).inventories == first.snapshot.inventories
    assert ledger.operations() == []


def test_replay__rebalancing_disabled__says_so(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    found = decisions(ledger, clock, rebalancing_enabled="false")

    assert found["AAPL"].reason is Reason.REBALANCING_DISABLED


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
