"""From planned to open: what the claim still refuses when it commits, and what it hands out again."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.check import Switch
from include.claim import Assignment, claim
from include.domain.decision import Reason
from include.domain.limits import Hold, Shut, midnight
from include.domain.operation import Leg, OperationKind
from include.domain.plan import NOTHING_HELD, plan
from include.ledger.records import CheckMode
from include.legs.route import Terms
from include.settings import Settings, load_settings
from tests.support.plans import snapshot
from tests.unit.ledger.conftest import clock, ledger, ledger_url

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from include.domain.decision import PlannedOperation
    from include.gate import Ask
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url"]

AAPL, NVDA = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4", "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
ENVIRONMENT = {
    "BALLAST_REBALANCING_ENABLED": "true",
    "BALLAST_WALLET": "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B",
    "BALLAST_REDEMPTION_WALLET": "0x16c132440b961597647606D4be8B666b3c5B1e9a",
    "BALLAST_TOKEN_ADDRESSES": f'{{"AAPL": "{AAPL}", "NVDA": "{NVDA}"}}',
    "BALLAST_ETHEREUM_RPC_URL": "http://127.0.0.1:1",
    "BALLAST_BASE_RPC_URL": "http://127.0.0.1:2",
}
MINT = OperationKind.MINT


def settings(**changes: str) -> Settings:
    return load_settings(
        environ=ENVIRONMENT | {f"BALLAST_{name.upper()}": value for name, value in changes.items()}
    )


def checked(
    ledger: Ledger,
    clock: Clock,
    chosen: Settings,
    run_id: str = "run-1",
    nvda: tuple[Decimal, Decimal] = (Decimal(5), Decimal(95)),
) -> str:
    """Record a check that plans a mint of both stocks."""
    taken = snapshot(clock(), AAPL=(Decimal(10), Decimal(90)), NVDA=nvda)
    decisions = plan(
        taken,
        chosen.policy(may_start=True),
        ledger.open_operations(),
        settled=ledger.settled(),
        moved_today=ledger.moved_since(midnight(clock())),
        now=clock(),
    )
    ledger.record_check(taken.id, run_id, CheckMode.LIVE, taken, decisions)
    return taken.id


def claimed(
    ledger: Ledger,
    clock: Clock,
    chosen: Settings,
    check_id: str,
    *,
    run_id: str = "run-1",
    switch: Switch = Switch.RUN,
    is_running: Callable[[str], bool] = lambda _run: True,
    hold: Hold = NOTHING_HELD,
    ask: Ask = lambda _settings, _operations: {},
    kind: OperationKind = MINT,
) -> list[tuple[str, str]]:
    assignments = claim(
        ledger,
        chosen,
        kind,
        check_id=check_id,
        run_id=run_id,
        switch=switch,
        is_running=is_running,
        hold=hold,
        ask=ask,
        now=clock(),
    )
    return [(one.asset, one.label) for one in assignments]


BOTH = [("AAPL", "40 AAPL shares"), ("NVDA", "45 NVDA shares")]


def test_claim__planned_and_free__opens_both(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    assert sorted(claimed(ledger, clock, settings(), check_id)) == BOTH


def test_claim__asset_with_a_vault_and_a_wrapper__opens_with_their_legs_and_keeps_what_is_set(
    ledger: Ledger, clock: Clock
) -> None:
    own = {"vaults": ["0x" + "0a" * 32], "wrapper": "0x" + "44" * 20}
    chosen = settings(orderbook="0x" + "33" * 20, assets=json.dumps({"NVDA": own}))
    claimed(ledger, clock, chosen, checked(ledger, clock, chosen))
    legs = {operation.asset: ledger.legs(operation.id) for operation in ledger.operations()}
    assert [leg.name for leg in legs["AAPL"]] == [Leg.MINT]
    assert [leg.name for leg in legs["NVDA"]] == [Leg.MINT, Leg.WRAP, Leg.VAULT_DEPOSIT]
    assert all(Terms.from_dict(leg.notes["terms"]) == Terms.of(chosen, "NVDA") for leg in legs["NVDA"])


def test_claim__twice__hands_out_the_same(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    first = claimed(ledger, clock, settings(), check_id)
    clock.pass_(seconds=5)
    assert claimed(ledger, clock, settings(), check_id) == first
    assert len(ledger.operations()) == 2


def test_claim__snapshot_gone_stale__opens_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    clock.pass_(seconds=61)
    assert claimed(ledger, clock, settings(), check_id) == []


@pytest.mark.parametrize("switch", [Switch.DRAIN, Switch.HALT])
def test_claim__switch_turned_since_the_check__opens_nothing(
    ledger: Ledger, clock: Clock, switch: Switch
) -> None:
    check_id = checked(ledger, clock, settings())
    assert claimed(ledger, clock, settings(), check_id, switch=switch) == []


def test_claim__disabled_since_the_check__opens_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    assert claimed(ledger, clock, settings(rebalancing_enabled="false"), check_id) == []


def test_claim__one_asset_disabled_since__opens_the_other(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    chosen = settings(assets='{"AAPL": {"enabled": false}}')
    assert claimed(ledger, clock, chosen, check_id) == BOTH[1:]


@pytest.mark.parametrize(
    ("hold", "opened"),
    [(Hold(frozenset({"AAPL"})), BOTH[1:]), (Hold(frozenset({"TSLA"})), BOTH), (Hold(everything="?"), [])],
)
def test_claim__held_since_the_check__is_not_opened(
    ledger: Ledger, clock: Clock, hold: Hold, opened: list[tuple[str, str]]
) -> None:
    check_id = checked(ledger, clock, settings())
    assert sorted(claimed(ledger, clock, settings(), check_id, hold=hold)) == opened


@pytest.mark.parametrize("reason", [Reason.FROZEN, Reason.GATE_SILENT])
def test_claim__gate_shut_since_the_check__is_not_opened(
    ledger: Ledger, clock: Clock, reason: Reason
) -> None:
    asked: list[tuple[str, Decimal]] = []

    def ask(_: Settings, operations: Collection[PlannedOperation]) -> dict[str, Shut]:
        asked.extend((one.asset, one.amount) for one in operations)
        assert ledger.operations() == []  # it is asked before anything is committed
        return {"NVDA": Shut(reason, "a split is due")}

    check_id = checked(ledger, clock, settings())
    assert claimed(ledger, clock, settings(), check_id, ask=ask) == BOTH[:1]
    assert asked == [("AAPL", Decimal(40)), ("NVDA", Decimal(45))]


def test_claim__nothing_planned_or_switch_turned__does_not_ask_the_gate(ledger: Ledger, clock: Clock) -> None:
    def ask(*_: object) -> dict[str, Shut]:
        pytest.fail("the gate was asked")

    check_id = checked(ledger, clock, settings())
    claimed(ledger, clock, settings(), check_id, ask=ask, switch=Switch.DRAIN)
    claimed(ledger, clock, settings(), check_id, ask=ask, kind=OperationKind.REDEMPTION)
    assert ledger.operations() == []


def test_claim__day_has_less_left_than_the_check_planned__opens_what_is_left(
    ledger: Ledger, clock: Clock
) -> None:
    chosen = settings(equity_daily_maximum="60")
    check_id = checked(ledger, clock, settings())
    assert sorted(claimed(ledger, clock, chosen, check_id)) == [
        ("AAPL", "15 AAPL shares"),
        ("NVDA", "45 NVDA shares"),
    ]


def test_claim__day_is_used_up_since_the_check__opens_nothing(ledger: Ledger, clock: Clock) -> None:
    chosen = settings(equity_daily_maximum="85")
    first, second = checked(ledger, clock, chosen), checked(ledger, clock, chosen, "run-2")
    assert sorted(claimed(ledger, clock, chosen, first)) == BOTH
    for operation in ledger.operations():
        with ledger.lease(operation.id, "test", timedelta(minutes=1)) as lease:
            lease.finish(Leg.MINT, amount_out=operation.amount)
    clock.pass_(seconds=1)
    third = checked(ledger, clock, chosen, "run-3")
    for check_id in (second, third):
        assert claimed(ledger, clock, chosen, check_id, run_id="run-3") == []
    assert len(ledger.operations()) == 2


def test_claim__kinds_share_a_day__each_opens_what_the_check_gave_it(ledger: Ledger, clock: Clock) -> None:
    """Of two claims that run at once, neither knows the other's; the check has shared out the day."""
    chosen = settings(equity_daily_maximum="60")
    check_id = checked(ledger, clock, chosen, nvda=(Decimal(95), Decimal(5)))
    mints = claimed(ledger, clock, chosen, check_id)
    assert mints == [("AAPL", "15 AAPL shares")]
    redemptions = claimed(ledger, clock, chosen, check_id, kind=OperationKind.REDEMPTION)
    assert redemptions == [("NVDA", "45 NVDA shares")]


def test_claim__another_exceeds_the_day_between_plan_and_commit__is_not_opened(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(equity_daily_maximum="85")
    check_id = checked(ledger, clock, chosen)
    monkeypatch.setattr(ledger, "moved_since", lambda _: {})  # as it was when the plan was made
    redeemed = OperationKind.REDEMPTION
    ledger.claim(
        kind=redeemed,
        asset="TSLA",
        amount=10**9,
        decimals=redeemed.decimals,
        check_id=check_id,
        run_id="run-2",
        taken_at=clock(),
    )
    assert claimed(ledger, clock, chosen, check_id) == BOTH[:1]


def test_claim__target_moved_to_the_other_side_since_the_check__opens_nothing_of_another_kind(
    ledger: Ledger, clock: Clock
) -> None:
    check_id = checked(ledger, clock, settings())
    chosen = settings(rebalancing_target_ratio="0", rebalancing_deviation="0.01")
    assert claimed(ledger, clock, chosen, check_id) == []
    assert ledger.operations() == []


@pytest.mark.parametrize(("seconds", "opened"), [(299, 0), (301, 2)])
def test_claim__cancelled_since_the_check__rests_first(
    ledger: Ledger, clock: Clock, seconds: int, opened: int
) -> None:
    claimed(ledger, clock, settings(), checked(ledger, clock, settings()))
    clock.pass_(seconds=1)
    for operation in ledger.operations():
        with ledger.lease(operation.id, "test", timedelta(minutes=1)) as lease:
            lease.cancel("no gas")
    clock.pass_(seconds=seconds)
    planned = checked(ledger, clock, settings(refusal_cooldown="0"), "run-2")
    assert len(claimed(ledger, clock, settings(), planned, run_id="run-2")) == opened


def test_claim__limit_reached_since_the_check__opens_up_to_it(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    assert claimed(ledger, clock, settings(max_open_operations="1"), check_id) == BOTH[1:]


def test_claim__asset_claimed_by_another_run__is_left_to_it(ledger: Ledger, clock: Clock) -> None:
    first, second = checked(ledger, clock, settings()), checked(ledger, clock, settings(), "run-2")
    assert len(claimed(ledger, clock, settings(), first)) == 2
    assert claimed(ledger, clock, settings(), second, run_id="run-2") == []


def test_claim__settled_since_the_check__is_not_done_again(ledger: Ledger, clock: Clock) -> None:
    first, second = checked(ledger, clock, settings()), checked(ledger, clock, settings(), "run-2")
    claimed(ledger, clock, settings(), first)
    clock.pass_(seconds=5)
    for operation in ledger.operations():
        with ledger.lease(operation.id, "test", timedelta(minutes=1)) as lease:
            lease.finish(Leg.MINT, amount_out=operation.amount)
    assert claimed(ledger, clock, settings(), second, run_id="run-2") == []
    assert len(ledger.operations()) == 2


def test_claim__what_a_dead_run_left__is_adopted_once(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    claimed(ledger, clock, settings(), check_id)
    taken_over = claimed(
        ledger, clock, settings(), check_id, run_id="run-2", is_running=lambda run: run != "run-1"
    )
    assert sorted(taken_over) == BOTH
    assert claimed(ledger, clock, settings(), check_id, run_id="run-3") == []


def test_claim__halted__adopts_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    claimed(ledger, clock, settings(), check_id)
    halted = claimed(
        ledger,
        clock,
        settings(),
        check_id,
        run_id="run-2",
        switch=Switch.HALT,
        is_running=lambda _run: False,
    )
    assert halted == []


def test_assignment__usdc__is_named_so(ledger: Ledger, clock: Clock) -> None:
    check_id = checked(ledger, clock, settings())
    operation = ledger.claim(
        kind=OperationKind.USDC_ALPACA_TO_BASE,
        asset="USDC",
        amount=4_000_500_000,
        decimals=6,
        check_id=check_id,
        run_id="run-1",
        taken_at=clock(),
    )
    assert Assignment.of(operation).to_dict() == {
        "operation_id": operation.id,
        "asset": "USDC",
        "label": "4000.5 USDC",
    }
