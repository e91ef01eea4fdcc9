"""What operations have cost, and for how long one has waited for its cost, by the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from sqlalchemy import text

from include.domain.budget import CostPolicy, Need, judge
from include.domain.cost import Cost, Quote, Speed
from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.operation import Leg, OperationKind
from include.ledger.costs import costs_of, real_cost, waited
from include.ledger.database import _alembic, migrate
from include.ledger.ledger import AssetClaimed
from include.ledger.records import CheckMode
from tests.support.plans import recorded_check, snapshot
from tests.unit.ledger.test_ledger import claim

if TYPE_CHECKING:
    from include.ledger.lease import Lease
    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, LegState, Operation
    from tests.support.clock import Clock

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CALL = {"network": "base", "to": "0x", "data": "00"}
QUOTE = Quote(circle_bps={Speed.FAST: Decimal(1)}, gas={"base": 10**12}, eth_price=Decimal(2500))


def usdc(
    ledger: Ledger, clock: Clock, kind: OperationKind = TO_BASE, amount: int = 4000 * 10**6
) -> Operation:
    return claim(ledger, clock, "USDC", kind, amount=amount)


def finish(ledger: Ledger, operation: Operation, *arrived: int) -> None:
    """Let each leg bring so much."""
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        for leg, amount in zip(operation.kind.legs, arrived, strict=False):
            lease.finish(leg, amount_out=amount)


def real(ledger: Ledger, operation: Operation) -> Cost:
    return costs_of(ledger, ledger.operation(operation.id))[1]


def sent(lease: Lease, name: str, network: str = "base") -> Effect:
    return lease.sent(lease.intend(Leg.BRIDGE, name, {**CALL, "network": network}, irreversible=False))


# What was paid


def test_real__each_leg_that_lost_something__is_its_fee(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock)
    finish(ledger, operation, 3_999_750_000, 3_999_350_025)
    cost = real(ledger, operation)
    assert (cost.withdrawal_fee, cost.circle_fee) == (Decimal("0.25"), Decimal("0.399975"))
    assert cost.missing == ()


def test_real__to_alpaca__has_no_withdrawal(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock, TO_ALPACA)
    finish(ledger, operation, 3_999_480_000, 3_999_480_000)
    assert real(ledger, operation) == Cost(circle_fee=Decimal("0.52"))


def test_real__legs_that_are_not_done__are_missing(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock)
    finish(ledger, operation, 3_999_750_000)
    assert real(ledger, operation).missing == ("Circle's fee",)


def test_real__of_a_cancelled_operation__misses_nothing(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        lease.cancel("refused")
    assert real(ledger, operation) == Cost()


def test_real__gas__is_the_sum_of_every_transaction_by_chain(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock, TO_ALPACA)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        lease.not_done(sent(lease, "burn"), "it reverted", gas_paid=7)
        lease.done(sent(lease, "burn"), "0x1", gas_paid=100)
        lease.done(sent(lease, "receive", "ethereum"), "0x2", gas_paid=2**70)
        lease.not_done(sent(lease, "approve"), "its nonce was spent by another")
        lease.done(lease.sent(lease.intend(Leg.DEPOSIT, "request", {}, irreversible=False)), "id")
    finish(ledger, operation, operation.amount, operation.amount)
    cost = real(ledger, operation)
    assert cost.gas == {"base": 107, "ethereum": 2**70}
    assert cost.missing == ()


def test_real__gas_of_what_is_under_way_or_was_adopted__is_missing(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock, TO_ALPACA)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        adopted = lease.done(sent(lease, "burn"), "0x1")
        sent(lease, "receive")
    finish(ledger, operation, operation.amount, operation.amount)
    assert set(real(ledger, operation).missing) == {"gas of burn", "gas of receive"}
    # The last leg settled it; what a transaction cost may still be learnt.
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        assert lease.paid(adopted, 55).gas_paid == 55
    cost = real(ledger, operation)
    assert (cost.gas, cost.missing) == ({"base": 55}, ("gas of receive",))


def test_costs_of__claimed_with_an_estimate__has_both_at_the_same_price(ledger: Ledger, clock: Clock) -> None:
    planned = PlannedOperation(TO_BASE, "USDC", Decimal(4000))
    estimate, _ = judge(planned, QUOTE, Need(), CostPolicy(), now=clock())
    check_id = recorded_check(ledger, clock())
    opened = ledger.claim(
        kind=TO_BASE,
        asset="USDC",
        amount=4000 * 10**6,
        decimals=6,
        check_id=check_id,
        run_id="run-1",
        taken_at=clock(),
        estimate=estimate.to_dict(),
    )
    finish(ledger, opened, 4_000_000_000, 3_999_600_000)
    found, cost = costs_of(ledger, ledger.operation(opened.id))
    assert found == estimate
    assert cost == Cost(circle_fee=estimate.cost.circle_fee, eth_price=Decimal(2500))


def test_costs_of__claimed_without_an_estimate__has_none(ledger: Ledger, clock: Clock) -> None:
    assert costs_of(ledger, usdc(ledger, clock))[0] is None


# Conversions


def converted(ledger: Ledger, clock: Clock, *, done: bool = True, **noted: Any) -> Cost:
    """Return the cost of an operation of 100 USDC whose only leg is a conversion with these notes."""
    operation = usdc(ledger, clock, amount=100 * 10**6)
    [state, *_] = ledger.legs(operation.id)
    amount_out = noted.pop("amount_out", state.amount_in)
    leg: LegState = replace(
        state,
        name=Leg.CONVERT,
        notes={"conversion": noted} if noted else {},
        amount_out=amount_out,
        done_at=clock() if done else None,
    )
    return real_cost(operation, [leg], [])


def test_conversion__bought__costs_what_was_paid_above_what_came(ledger: Ledger, clock: Clock) -> None:
    cost = converted(ledger, clock, filled="99.9", dollars="100", from_position="0", amount_out=99_900_000)
    assert cost.conversion == Decimal("0.1")


def test_conversion__bought_and_a_fee_taken_out_of_it__costs_both(ledger: Ledger, clock: Clock) -> None:
    cost = converted(ledger, clock, filled="60", dollars="60", from_position="40", amount_out=99_700_000)
    assert cost.conversion == Decimal("0.3")


def test_conversion__bought_more_than_was_needed__keeps_the_rest(ledger: Ledger, clock: Clock) -> None:
    cost = converted(ledger, clock, filled="10.02", dollars="10", from_position="95", amount_out=100_000_000)
    assert cost.conversion == Decimal("-0.02")


def test_conversion__sold__costs_what_did_not_come(ledger: Ledger, clock: Clock) -> None:
    assert converted(ledger, clock, filled="100", dollars="99.83", not_converted="0").conversion == Decimal(
        "0.17"
    )


@pytest.mark.parametrize("noted", [{"from_position": "100"}, {"not_converted": "100", "why": "no quote"}])
def test_conversion__without_a_filled_order__costs_nothing(
    ledger: Ledger, clock: Clock, noted: dict[str, Any]
) -> None:
    assert converted(ledger, clock, **noted) == Cost()


@pytest.mark.parametrize(
    ("done", "noted"), [(True, {"filled": "1", "dollars": None}), (True, {}), (False, {"filled": "1"})]
)
def test_conversion__price_not_known__is_missing(
    ledger: Ledger, clock: Clock, done: bool, noted: dict[str, Any]
) -> None:
    assert converted(ledger, clock, done=done, **noted).missing == ("conversion",)


# The waiting


def look(ledger: Ledger, clock: Clock, reason: Reason, mode: CheckMode = CheckMode.LIVE) -> None:
    clock.pass_(minutes=1)
    taken = snapshot(clock())
    operation = PlannedOperation(TO_BASE, "USDC", Decimal(100)) if reason is Reason.PLANNED else None
    decisions = [Decision("USDC", reason, "", None, operation), Decision("AAPL", Reason.BALANCED, "")]
    ledger.record_check(taken.id, "run-1", mode, taken, decisions)


def test_waited__refused_in_a_row__counts_from_the_first_live_one(ledger: Ledger, clock: Clock) -> None:
    for reason in (Reason.OVER_COST_BUDGET, Reason.BALANCED, *[Reason.OVER_COST_BUDGET] * 3, Reason.PLANNED):
        look(ledger, clock, reason)
    look(ledger, clock, Reason.BALANCED, CheckMode.DRY_RUN)
    assert waited(ledger, "USDC", clock(), longest_gap=HOUR) == (4 * MINUTE, 4 * MINUTE)
    assert waited(ledger, "AAPL", clock(), longest_gap=HOUR) == (timedelta(0), timedelta(0))


def test_waited__as_of_an_earlier_time__knows_nothing_of_later(ledger: Ledger, clock: Clock) -> None:
    look(ledger, clock, Reason.OVER_COST_BUDGET)
    then = clock()
    look(ledger, clock, Reason.BALANCED)
    assert waited(ledger, "USDC", then + timedelta(seconds=30), longest_gap=HOUR)[1] == timedelta(seconds=30)


# The tables


def test_migration__of_a_ledger_in_use__keeps_what_is_open(ledger: Ledger, clock: Clock) -> None:
    operation = usdc(ledger, clock)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        sent(lease, "burn")
    before = ledger.operation(operation.id), ledger.effects(operation.id)
    with ledger.engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.downgrade(_alembic(connection), "0002")
        assert connection.scalar(text("SELECT count(*) FROM operations")) == 1
    migrate(ledger.engine)
    assert (ledger.operation(operation.id), ledger.effects(operation.id)) == before
    with pytest.raises(AssetClaimed):
        usdc(ledger, clock)


def test_estimate__not_given__is_null(ledger: Ledger, clock: Clock) -> None:
    usdc(ledger, clock)
    with ledger.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM operations WHERE estimate IS NULL")) == 1
