"""What a move was expected to cost, and what it cost, on real chains and over real HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include import costs
from include.book import Network
from include.check import Run, Switch, check
from include.domain.amounts import USDC
from include.domain.cost import Cost, Estimate, Speed
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.ledger.costs import costs_of
from include.ledger.ledger import Ledger
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.chains import BASE_DOMAIN, ETHEREUM_DOMAIN
from include.sandbox.scenario import VAULTS, Shift, Side
from include.sandbox.world import World
from tests.support.desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.costs import Use
    from include.domain.decision import Decision
    from include.ledger.records import Effect

pytestmark = pytest.mark.integration

PRICE = Decimal(2500)
QUICK = AttestationSettings(
    fast_latency={ETHEREUM_DOMAIN: 0.2, BASE_DOMAIN: 0.2},
    standard_latency={ETHEREUM_DOMAIN: 0.4, BASE_DOMAIN: 0.4},
)
TURNED = Shift(USDC, Decimal(8000), Side.OFFCHAIN)
USES = {
    "burn": costs.BURN,
    "receive": costs.RECEIVE,
    "token_transfer": costs.TRANSFER,
    "usdc_transfer": costs.TRANSFER,
    "vault_deposit": costs.VAULT_DEPOSIT,
    "vault_withdraw_0": costs.VAULT_WITHDRAW,
    "wrap": costs.WRAP,
    "unwrap": costs.UNWRAP,
}


@pytest.fixture(scope="module")
def running_world() -> Iterator[World]:
    with World(VAULTS, block_time=None, attestation=QUICK) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    start, service = running_world.snapshot(), running_world.attestation
    assert service is not None
    running_world.set_eth_price(PRICE)
    yield running_world
    service.change(QUICK)
    running_world.revert(start)


@dataclass
class Opener:
    """Opens desks on one world and one ledger, each with settings of its own."""

    world: World
    ledger: Ledger

    @contextmanager
    def desk(self, **changes: str) -> Iterator[Desk]:
        feed = {"eth_price_feed": self.world.deployment.price_feed} if "eth_price_usd" not in changes else {}
        with open_desk(self.world, self.ledger, lambda *_: None, **feed, **changes) as desk:
            yield desk


@pytest.fixture
def opener(world: World, tmp_path: Path) -> Iterator[Opener]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Opener(world, ledger)
    ledger.close()


def usdc(desk: Desk) -> Decision:
    return next(one for one in desk.check().decisions if one.asset == USDC)


def settled(desk: Desk, kind: OperationKind) -> list[tuple[Estimate, Cost, list[Effect]]]:
    """Move what is planned of a kind, and return what each move was to cost and has cost."""
    found = []
    for assignment in desk.claim(desk.check(), kind):
        desk.settle(assignment.operation_id)
        operation = desk.ledger.operation(assignment.operation_id)
        assert operation.status is OperationStatus.SETTLED
        estimate, real = costs_of(desk.ledger, operation)
        assert estimate is not None
        found.append((estimate, real, desk.ledger.effects(operation.id)))
    assert found
    return found


def sent(desk: Desk, effect: Effect) -> tuple[Network, Use]:
    """Return what a mined transaction really took."""
    network = Network(effect.intent["network"])
    receipt = desk.book.venues.chain(network).receipt(effect.reference or "")
    assert receipt is not None
    assert effect.gas_paid == receipt.gas_used * receipt.effective_gas_price
    with desk.ledger.lease(effect.operation_id, "test", desk.book.lease_duration) as lease:
        [stored] = lease.transactions(effect)
    return network, costs.Use(receipt.gas_used, len(stored.raw))


@pytest.mark.parametrize("speed", ["fast", "standard"])
@pytest.mark.parametrize("kind", [OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA])
def test_fees__as_estimated__are_what_is_paid_to_the_base_unit(
    opener: Opener, kind: OperationKind, speed: str
) -> None:
    if kind is OperationKind.USDC_BASE_TO_ALPACA:
        opener.world.shift(TURNED)
    with opener.desk(usdc_speed=speed) as desk:
        [(estimate, real, _)] = settled(desk, kind)
    assert (real.circle_fee, real.withdrawal_fee) == (
        estimate.cost.circle_fee,
        estimate.cost.withdrawal_fee,
    )
    assert (real.circle_fee > 0) is (speed == "fast")
    assert (real.withdrawal_fee > 0) is (kind is OperationKind.USDC_ALPACA_TO_BASE)
    assert real.missing == estimate.cost.missing == ()
    assert real.eth_price == estimate.cost.eth_price == PRICE
    assert estimate.speed == speed


@pytest.mark.parametrize("kind", list(OperationKind))
def test_gas__of_every_leg__is_what_the_constants_say(opener: Opener, kind: OperationKind) -> None:
    if kind is OperationKind.USDC_BASE_TO_ALPACA:
        opener.world.shift(TURNED)
    with opener.desk() as desk:
        for estimate, real, effects in settled(desk, kind):
            expected = {network: 0 for network in Network}
            for effect in effects:
                if "data" not in effect.intent:
                    assert effect.gas_paid is None
                    continue
                network, use = sent(desk, effect)
                if effect.name.startswith("approve"):
                    continue
                assert USES[effect.name].gas * 0.7 < use.gas <= USES[effect.name].gas, effect.name
                assert USES[effect.name].size * 0.9 < use.size <= USES[effect.name].size, effect.name
                expected[network] += USES[effect.name].gas
            assert {chain for chain, gas in expected.items() if gas} == set(estimate.quote.gas)
            assert set(real.gas) == set(estimate.quote.gas)
            assert real.missing == ()
            assert sum(real.gas.values()) == sum(effect.gas_paid or 0 for effect in effects)


def test_real__of_an_open_operation__lists_what_is_not_known_yet(opener: Opener) -> None:
    with opener.desk() as desk:
        [assignment] = desk.claim(desk.check(), OperationKind.USDC_ALPACA_TO_BASE)
        operation = desk.ledger.operation(assignment.operation_id)
        assert costs_of(desk.ledger, operation)[1].missing == ("withdrawal fee", "Circle's fee")
        desk.finish(operation.id, Leg.WITHDRAW)
        assert costs_of(desk.ledger, operation)[1].missing == ("Circle's fee",)


def test_auto__just_out_of_its_band__is_standard_and_far_out_is_fast(opener: Opener) -> None:
    with opener.desk(usdc_speed="auto", rebalancing_deviation="0.39") as desk:
        near = usdc(desk).estimate
    with opener.desk(usdc_speed="auto", rebalancing_deviation="0.05") as desk:
        far = usdc(desk).estimate
    assert near is not None
    assert far is not None
    assert (near.speed, far.speed) == (Speed.STANDARD, Speed.FAST)
    assert "haste is worth" in near.why
    assert near.cost.circle_fee == 0 < far.cost.circle_fee


def test_auto__claimed_as_standard__is_burnt_as_standard_whatever_is_set_by_then(opener: Opener) -> None:
    with opener.desk(usdc_speed="auto", rebalancing_deviation="0.39") as desk:
        [assignment] = desk.claim(desk.check(), OperationKind.USDC_ALPACA_TO_BASE)
    with opener.desk(usdc_speed="fast") as desk:
        desk.settle(assignment.operation_id)
        estimate, real = costs_of(desk.ledger, desk.ledger.operation(assignment.operation_id))
    assert estimate is not None
    assert estimate.speed is Speed.STANDARD
    assert real.circle_fee == 0


def test_auto__allowance_exhausted__is_standard(opener: Opener) -> None:
    service = opener.world.attestation
    assert service is not None
    service.change(QUICK.patched({"fast_allowance": "3999"}))
    with opener.desk(usdc_speed="auto") as desk:
        estimate = usdc(desk).estimate
    assert estimate is not None
    assert estimate.speed is Speed.STANDARD
    assert "Circle lets only 3999 USDC through fast" in estimate.why


def test_budget__too_small__waits_and_then_is_large_enough(opener: Opener) -> None:
    with opener.desk(cost_budget_bps="0.4", cost_patience="1s") as desk:
        refused = usdc(desk)
        assert refused.reason is Reason.OVER_COST_BUDGET
        assert refused.operation is None
        assert refused.estimate is not None
        assert "the budget is 0.160002 dollars" in refused.detail
        assert "grown enough at" in refused.detail
        while (decision := usdc(desk)).reason is Reason.OVER_COST_BUDGET:
            pass
        assert decision.reason is Reason.PLANNED
        claimed = desk.claim(desk.check(), OperationKind.USDC_ALPACA_TO_BASE)
    assert len(claimed) == 1


def test_budget__refused__leaves_its_place_to_the_next(opener: Opener) -> None:
    with opener.desk(max_open_operations="5", cost_budget_bps="0.01") as desk:
        found = {one.asset: one for one in desk.check().decisions}
    assert found[USDC].reason is Reason.OVER_COST_BUDGET
    others = [one for one in found.values() if one.reason is Reason.PLANNED]
    assert len(others) == 5
    assert all(one.estimate is not None and one.estimate.speed is None for one in others)


def test_sources__silent__are_waited_for_only_where_there_is_a_budget(opener: Opener) -> None:
    service = opener.world.attestation
    assert service is not None
    service.change(QUICK.patched({"fail_with": 503}))
    with opener.desk(cost_budget_bps="100") as desk:
        with_budget = usdc(desk)
    with opener.desk() as desk:
        without = usdc(desk)
    assert with_budget.reason is Reason.UNPRICED
    assert "Circle's fee" in with_budget.detail
    assert without.reason is Reason.PLANNED
    assert without.estimate is not None
    assert [one.split(" (")[0] for one in without.estimate.cost.missing] == ["Circle's fee", "fast allowance"]


def test_eth_price__of_an_old_feed__is_not_believed(opener: Opener) -> None:
    opener.world.set_eth_price(PRICE, age=7200)
    with opener.desk(cost_budget_bps="100") as desk:
        decision = usdc(desk)
    assert decision.reason is Reason.UNPRICED
    assert "ETH price (the price feed's answer is of" in decision.detail


def test_eth_price__set__needs_no_feed(opener: Opener) -> None:
    with opener.desk(eth_price_usd="3000") as desk:
        estimate = usdc(desk).estimate
    assert estimate is not None
    assert estimate.cost.eth_price == 3000


def test_dry_run__is_estimated_too(opener: Opener) -> None:
    with opener.desk() as desk:
        checked = check(desk.book.venues, desk.ledger, Run("dry", dry_run=True), Switch.RUN)
    found = {one.asset: one for one in checked.decisions}
    assert found[USDC].reason is Reason.DRY_RUN
    assert found[USDC].estimate is not None


def test_check__nothing_planned__asks_for_no_price(world: World, tmp_path: Path) -> None:
    asked: list[str] = []
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with open_desk(world, ledger, lambda name, _content: asked.append(name)) as desk:
        desk.check(Switch.DRAIN)
    ledger.close()
    assert not [name for name in asked if "fee" in name.lower() or "fastBurn" in name]


def test_usdc__traded_many_times_and_both_ways__is_one_operation_of_the_net_need(opener: Opener) -> None:
    for amount, side in ((300, Side.OFFCHAIN), (900, Side.ONCHAIN), (100, Side.OFFCHAIN)):
        opener.world.shift(Shift(USDC, Decimal(amount), side))
    with opener.desk() as desk:
        checked = desk.check()
        claimed = [one for kind in OperationKind for one in desk.claim(checked, kind) if one.asset == USDC]
        [operation] = [one for one in desk.ledger.operations() if one.asset == USDC]
        assert [one.operation_id for one in claimed] == [operation.id]
        assert operation.quantity == Decimal("4500.061728")
        assert usdc(desk).reason is Reason.CLAIMED
