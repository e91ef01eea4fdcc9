"""Checks and claims of USDC: what is too dear waits, estimates are kept, and one need is one move."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.book import Network, Venues
from include.check import Checked, Run, Switch, check
from include.claim import claim
from include.costs import Prices
from include.domain.amounts import USDC
from include.domain.cost import Estimate, Speed
from include.domain.decision import Decision, Reason
from include.domain.inventory import Balance, Inventory, Snapshot
from include.domain.operation import OperationKind
from include.domain.plan import plan
from include.ledger.costs import costs_of
from include.ledger.records import CheckMode
from include.settings import Settings, load_settings
from tests.unit.ledger.conftest import clock, ledger, ledger_url

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url"]

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
MINUTE = timedelta(minutes=1)
PRICES = Prices(
    gas={Network.ETHEREUM: 10**9, Network.BASE: 10**6},
    eth_price=Decimal(2500),
    circle_bps={Speed.FAST: Decimal(1), Speed.STANDARD: Decimal(0)},
    withdrawal_fee=Decimal(2),
)
"""4,000 USDC to Base: 2 to withdraw, 0.3998 to cross and 0.2629625 of gas, 6.66 basis points."""


def settings(**changes: str) -> Settings:
    given = {
        "rebalancing_enabled": "true",
        "wallet": "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B",
        "redemption_wallet": "0x16c132440b961597647606D4be8B666b3c5B1e9a",
        "token_addresses": '{"AAPL": "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"}',
        "ethereum_rpc_url": "http://127.0.0.1:1",
        "base_rpc_url": "http://127.0.0.1:2",
        "eth_price_usd": "2500",
    } | changes
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


class Desk:
    """Looks at balances that a test sets, and claims what was planned."""

    def __init__(self, ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger, self.clock = ledger, clock
        self.settings, self.prices = settings(), PRICES
        self.usdc = (Balance(Decimal(1000)), Balance(Decimal(9000)))
        self.aapl = (Balance(Decimal(50)), Balance(Decimal(50)))
        monkeypatch.setattr(snapshot, "take", self.take)

    def take(self, _: Venues, snapshot_id: str) -> Snapshot:
        self.clock.pass_(seconds=1)
        held = {"AAPL": Inventory("AAPL", *self.aapl), USDC: Inventory(USDC, *self.usdc)}
        return Snapshot(snapshot_id, self.clock(), 100, 200, held)

    def check(self, run: str = "run-1", **changes: Any) -> Checked:
        nothing: Any = None
        venues = Venues(self.settings, nothing, nothing, nothing, nothing, now=self.clock)
        return check(
            venues,
            self.ledger,
            Run(run, **changes),
            Switch.RUN,
            read=lambda _venues, _operations: self.prices,
        )

    def claim(self, checked: Checked, run: str = "run-1", kind: OperationKind = TO_BASE) -> list[Operation]:
        claim(
            self.ledger,
            self.settings,
            kind,
            check_id=checked.id,
            run_id=run,
            switch=Switch.RUN,
            is_running=lambda _: True,
            now=self.clock(),
        )
        return self.ledger.operations(only_open=True)

    def usdc_now(self) -> Decision:
        return usdc_of(self.check())

    def settle(self, operation: Operation) -> None:
        """Let all of an operation arrive, and balances show it."""
        with self.ledger.lease(operation.id, "test", MINUTE) as lease:
            for leg in self.ledger.legs(operation.id):
                lease.finish(leg.name, amount_out=operation.amount)
        onchain, offchain = self.usdc
        moved = operation.quantity if operation.kind is TO_BASE else -operation.quantity
        self.usdc = (
            replace(onchain, available=onchain.available + moved),
            replace(offchain, available=offchain.available - moved),
        )
        self.clock.pass_(seconds=1)


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(ledger, clock, monkeypatch)


def usdc_of(checked: Checked) -> Decision:
    return next(one for one in checked.decisions if one.asset == USDC)


# The gate


def test_check__within_the_budget__plans_with_the_estimate(desk: Desk) -> None:
    desk.settings = settings(cost_budget_bps="6.7")
    decision = desk.usdc_now()
    assert decision.reason is Reason.PLANNED
    assert decision.estimate is not None
    assert decision.estimate.cost.total == Decimal("2.6627625")
    assert decision.estimate.cost.gas == {"ethereum": 105_000 * 10**9, "base": 185_000 * 10**6}


def test_check__over_the_budget__waits_with_the_figures_and_the_time(desk: Desk) -> None:
    desk.settings = settings(cost_budget_bps="3.4", cost_patience="1h")
    decision = desk.usdc_now()
    assert decision.reason is Reason.OVER_COST_BUDGET
    assert decision.operation is None
    assert decision.proposed is not None
    assert decision.estimate is not None
    assert "it would cost 2.662763 dollars: Circle's fee 0.3998, withdrawal fee 2, gas" in decision.detail
    assert "the budget is 1.36 dollars after waiting 0 min" in decision.detail
    assert "grown enough at 2026-03-02T15:28:" in decision.detail


def test_check__refused_all_the_time__is_planned_when_it_said(desk: Desk) -> None:
    """The cost is 1.958 times the budget, so that it takes 0.969 times the patience: 58 minutes."""
    desk.settings = settings(cost_budget_bps="3.4", cost_patience="1h")
    desk.usdc_now()
    reasons = []
    for _ in range(60):
        desk.clock.pass_(seconds=59)
        reasons.append(desk.usdc_now().reason)
    assert reasons == [Reason.OVER_COST_BUDGET] * 58 + [Reason.PLANNED] * 2


def test_check__balanced_in_between__begins_to_wait_anew(desk: Desk) -> None:
    desk.settings = settings(cost_budget_bps="3.4", cost_patience="1h")
    out = desk.usdc
    for minute in range(60):
        desk.usdc = (Balance(Decimal(5000)), Balance(Decimal(5000))) if minute == 30 else out
        decision = desk.usdc_now()
        desk.clock.pass_(seconds=59)
    assert decision.reason is Reason.OVER_COST_BUDGET
    assert "after waiting 28 min" in decision.detail


def test_check__without_a_budget__asks_for_no_history_and_plans_at_any_cost(desk: Desk) -> None:
    desk.prices = replace(PRICES, gas={Network.ETHEREUM: 10**15})
    assert desk.usdc_now().reason is Reason.PLANNED


def test_check__prices_missing__waits_only_with_a_budget(desk: Desk) -> None:
    desk.prices = replace(PRICES, missing={"Circle's fee": "timed out"})
    assert desk.usdc_now().reason is Reason.PLANNED
    desk.settings = settings(cost_budget_bps="1000")
    decision = desk.usdc_now()
    assert decision.reason is Reason.UNPRICED
    assert "Circle's fee (timed out)" in decision.detail


def test_check__equity_too_dear__is_estimated_and_moved(desk: Desk) -> None:
    desk.settings = settings(cost_budget_bps="0.001")
    desk.aapl = (Balance(Decimal(95)), Balance(Decimal(5)))
    decision = desk.check().decisions[0]
    assert (decision.asset, decision.reason) == ("AAPL", Reason.PLANNED)
    assert decision.estimate is not None
    assert decision.estimate.cost.gas == {"base": 60_000 * 10**6}


def test_check__too_dear__leaves_its_place_to_what_is_not(desk: Desk) -> None:
    desk.settings = settings(max_open_operations="1")
    desk.aapl = (Balance(Decimal(85)), Balance(Decimal(15)))
    assert {one.asset: one.reason for one in desk.check().decisions} == {
        "AAPL": Reason.OVER_LIMIT,
        USDC: Reason.PLANNED,
    }
    desk.settings = settings(max_open_operations="1", cost_budget_bps="0.001")
    checked = desk.check()
    assert {one.asset: one.reason for one in checked.decisions} == {
        "AAPL": Reason.PLANNED,
        USDC: Reason.OVER_COST_BUDGET,
    }
    assert all(one.estimate for one in checked.decisions)


def test_check__written_and_read__keeps_the_estimate(desk: Desk) -> None:
    checked = desk.check()
    assert desk.ledger.decisions(checked.id) == list(checked.decisions)
    assert usdc_of(checked).estimate is not None


def test_check__auto__turns_to_fast_when_it_has_been_out_for_long(desk: Desk) -> None:
    """Haste is worth 5 basis points for an hour, and fast costs 1: a fifth of an hour is 12 minutes."""
    desk.settings = settings(usdc_speed="auto", rebalancing_deviation="0.3999999999")
    speeds = []
    for _ in range(15):
        decision = desk.usdc_now()
        assert decision.estimate is not None
        speeds.append(decision.estimate.speed)
        desk.clock.pass_(seconds=59)
    assert speeds == [Speed.STANDARD] * 12 + [Speed.FAST] * 3


# The claim


def test_claim__keeps_the_estimate_with_the_operation(desk: Desk) -> None:
    checked = desk.check()
    [operation] = desk.claim(checked)
    assert operation.estimate is not None
    assert Estimate.from_dict(operation.estimate) == usdc_of(checked).estimate
    assert costs_of(desk.ledger, operation)[0] == usdc_of(checked).estimate


def test_claim__by_then_cut_to_less__is_weighed_again(desk: Desk) -> None:
    """What does not grow with the amount weighs more on a smaller one."""
    desk.settings = settings(cost_budget_bps="7")
    checked = desk.check()
    desk.settings = settings(cost_budget_bps="7", usdc_maximum="3000")
    assert desk.claim(checked) == []
    desk.settings = settings(cost_budget_bps="9", usdc_maximum="3000")
    [operation] = desk.claim(checked)
    assert operation.quantity == 3000
    assert operation.estimate is not None
    estimate = Estimate.from_dict(operation.estimate)
    assert (estimate.amount, estimate.cost.circle_fee) == (Decimal(3000), Decimal("0.2998"))


def test_claim__of_a_check_without_prices__is_opened_only_without_a_budget(desk: Desk) -> None:
    taken = desk.take(None, "old")  # type: ignore[arg-type]  # the venues are not looked at here
    decisions = plan(taken, desk.settings.policy(may_start=True), [], now=desk.clock())
    desk.ledger.record_check("old", "run-1", CheckMode.LIVE, taken, decisions)
    checked = Checked("old", CheckMode.LIVE, taken, decisions)
    desk.settings = settings(cost_budget_bps="1000")
    assert desk.claim(checked) == []
    desk.settings = settings()
    [operation] = desk.claim(checked)
    assert operation.estimate is None


# One need, one move


def test_usdc__trading_both_ways__is_netted(desk: Desk) -> None:
    """4,500 too many at Alpaca and 500 back again is one move of 4,000, and not two."""
    desk.usdc = (Balance(Decimal(500)), Balance(Decimal(9500)))
    onchain, offchain = desk.usdc
    desk.usdc = (
        replace(onchain, available=onchain.available + 500),
        replace(offchain, available=offchain.available - 500),
    )
    [operation] = desk.claim(desk.check())
    assert operation.quantity == 4000


@pytest.mark.parametrize("where", [0, 1])
def test_usdc__some_in_flight__is_not_moved_again(desk: Desk, where: int) -> None:
    sides = list(desk.usdc)
    sides[where] = replace(sides[where], in_flight=Decimal(1))
    desk.usdc = (sides[0], sides[1])
    assert desk.usdc_now().reason is Reason.IN_FLIGHT


def test_usdc__claimed__is_not_moved_again_however_far_it_is_out(desk: Desk) -> None:
    desk.claim(desk.check())
    desk.usdc = (Balance(Decimal(0)), Balance(Decimal(50_000)))
    checked = desk.check("run-2")
    assert usdc_of(checked).reason is Reason.CLAIMED
    assert len(desk.claim(checked, "run-2")) == 1


def test_usdc__two_checks_at_once__make_one_operation(desk: Desk) -> None:
    one, other = desk.check("run-1"), desk.check("run-2")
    assert usdc_of(one).reason is usdc_of(other).reason is Reason.PLANNED
    assert len(desk.claim(one, "run-1")) == len(desk.claim(other, "run-2")) == 1
    assert [operation.run_id for operation in desk.ledger.operations()] == ["run-1"]


def test_usdc__planned_before_another_move_settled__is_not_moved_by_the_old_plan(desk: Desk) -> None:
    first, late = desk.check("run-1"), desk.check("run-2")
    [operation] = desk.claim(first, "run-1")
    desk.settle(operation)
    assert desk.claim(late, "run-2") == []
    assert desk.usdc_now().reason in (Reason.BALANCED, Reason.SETTLING)


@pytest.mark.parametrize("maximum", ["1000", "1500", "4000", "9000"])
def test_usdc__cut_to_a_maximum__adds_up_to_the_need_and_no_more(desk: Desk, maximum: str) -> None:
    desk.settings = settings(usdc_maximum=maximum, rebalancing_deviation="0")
    moved = []
    while claimed := desk.claim(desk.check()):
        [operation] = claimed
        moved.append(operation.quantity)
        desk.settle(operation)
        assert len(moved) < 10
    assert sum(moved) == 4000
    assert all(amount <= Decimal(maximum) for amount in moved)
