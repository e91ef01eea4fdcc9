"""What the moves of a plan would cost now: read from the venues, weighed against budget and urgency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal, Inexact
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from include.book import Network, Venues
from include.domain.amounts import RATIO_DIGITS, USDC_DECIMALS, exact, not_negative
from include.domain.budget import CostPolicy, Need, beyond, judge
from include.domain.cost import Estimate, Quote, Speed
from include.domain.decision import PlannedOperation, Reason
from include.domain.imbalance import Threshold
from include.domain.operation import Leg, OperationKind, correction
from include.ledger.costs import waited
from include.legs import preflight
from include.legs.route import legs_of
from include.venues.errors import Unavailable, VenueError
from include.venues.evm import erc20, l1_fee, price_feed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from datetime import datetime

    from include.domain.decision import Decision
    from include.domain.inventory import Snapshot
    from include.domain.limits import Shut
    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from include.venues.evm.types import Call, Fees, MulticallResult

T = TypeVar("T")

PRICE_MAX_AGE: Final = timedelta(hours=1)
"""The feed is renewed every 20 minutes, or sooner when the price moves; an older price has been forgotten."""
CONVERSION_BPS: Final = Decimal(20)
"""What is allowed for spread and slippage of a market order between dollars and USDC."""
MOST_FOR_GAS: Final = 10**18
THRESHOLDS: Final = {1000: Speed.FAST, 2000: Speed.STANDARD}
"""Circle's fees are listed by these finality thresholds."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a transaction takes: gas, and bytes as signed."""

    gas: int
    size: int


# Measured in the sandbox, whose USDC and CCTP are Circle's own contracts: the gas that each receipt showed,
# rounded up to 5,000, and the length of the signed bytes, rounded up to 10. `tests/integration/test_costs.py`
# holds them to that. Allowances are granted once and not counted here; what they cost is booked where paid.
BURN: Final = Use(105_000, 350)
RECEIVE: Final = Use(185_000, 730)
TRANSFER: Final = Use(60_000, 190)
VAULT_DEPOSIT: Final = Use(85_000, 280)
VAULT_WITHDRAW: Final = Use(105_000, 280)
WRAP: Final = Use(75_000, 190)
UNWRAP: Final = Use(70_000, 220)

_ON_BASE: Final = {
    Leg.REDEEM: TRANSFER,
    Leg.VAULT_DEPOSIT: VAULT_DEPOSIT,
    Leg.VAULT_WITHDRAW: VAULT_WITHDRAW,
    Leg.WRAP: WRAP,
    Leg.UNWRAP: UNWRAP,
}
SIZES: Final = tuple(sorted({use.size for use in (BURN, RECEIVE, *_ON_BASE.values())}))
"""Of every transaction that is sent on Base."""


def transactions(kind: OperationKind, legs: Sequence[Leg]) -> list[tuple[Network, Use]]:
    """Return the transactions that an operation with these legs sends."""
    found: list[tuple[Network, Use]] = []
    for leg in legs:
        if leg is Leg.BRIDGE:
            to_base = kind is OperationKind.USDC_ALPACA_TO_BASE
            source, destination = list(Network) if to_base else list(Network)[::-1]
            found += [(source, BURN), (destination, RECEIVE)]
        elif leg is Leg.DEPOSIT:
            found.append((Network.ETHEREUM, TRANSFER))
        elif leg in _ON_BASE:
            found.append((Network.BASE, _ON_BASE[leg]))
    return found


@dataclass(frozen=True, slots=True)
class Prices:
    """What was read. What was not asked for, or did not answer, is not in here.

    :param gas: wei for a unit of gas.
    :param l1_fee: by size, what Base charges on top, in wei.
    :param missing: why a source has nothing to say, by what it was asked for.
    """

    gas: Mapping[Network, int] = field(default_factory=dict)
    l1_fee: Mapping[int, int] = field(default_factory=dict)
    eth_price: Decimal | None = None
    circle_bps: Mapping[Speed, Decimal] = field(default_factory=dict)
    fast_allowance: Decimal | None = None
    withdrawal_fee: Decimal = Decimal(0)
    missing: Mapping[str, str] = field(default_factory=dict)

    def quote(self, operation: PlannedOperation, settings: Settings) -> Quote:
        """Return what they make of one operation."""
        kind = operation.kind
        legs = legs_of(kind, settings.asset(operation.asset), settings.dollars)
        gas: dict[str, int] = {}
        for network, use in transactions(kind, legs):
            wei = self.gas.get(network, 0) * use.gas
            if network is Network.BASE:
                wei += self.l1_fee.get(use.size, 0)
            gas[network] = gas.get(network, 0) + wei
        priced = settings.eth_price_usd is not None or settings.eth_price_feed is not None
        uncounted = "gas is not counted, as neither eth_price_usd nor eth_price_feed is set"
        silent = {name: why for name, why in self.missing.items() if kind.moves_usdc or name in _FOR_ALL}
        return Quote(
            circle_bps=self.circle_bps if kind.moves_usdc else {},
            fast_allowance=self.fast_allowance if kind.moves_usdc else None,
            withdrawal_fee=self.withdrawal_fee if kind.moves_usdc else Decimal(0),
            conversion_bps=CONVERSION_BPS if Leg.CONVERT in legs else Decimal(0),
            gas=gas,
            eth_price=self.eth_price,
            missing=tuple(f"{name} ({why})" for name, why in silent.items()),
            notes=() if priced else (uncounted,),
        )


Read: TypeAlias = Callable[[Venues, Sequence[PlannedOperation]], Prices]
"""How prices are read."""

_BASE_GAS, _ETHEREUM_GAS = "gas price on Base", "gas price on Ethereum"
_L1_FEE, _ETH_PRICE = "what Base charges for Ethereum", "ETH price"
_CIRCLE_FEE, _ALLOWANCE, _WITHDRAWAL = "Circle's fee", "fast allowance", "withdrawal fee"
_FOR_ALL: Final = frozenset({_BASE_GAS, _L1_FEE, _ETH_PRICE})


def read(venues: Venues, operations: Sequence[PlannedOperation]) -> Prices:
    """Ask everything that the cost of these operations rests on, at the same time.

    Without operations nothing is asked. A source that does not answer is listed as missing.
    """
    if not operations:
        return Prices()
    settings, missing = venues.settings, _Missing()
    usdc = next((one for one in operations if one.kind.moves_usdc), None)
    with ThreadPoolExecutor(max_workers=6, thread_name_prefix="costs") as pool:
        base_fees = pool.submit(venues.base.fees)
        base = pool.submit(venues.base.multicall, _asked_of_base(settings))
        if usdc is not None:
            ethereum_fees = pool.submit(venues.ethereum.fees)
            circle = pool.submit(_circle_bps, venues, usdc.kind)
            allowance = pool.submit(venues.attestations.fast_allowance)
            withdrawal = pool.submit(_withdrawal_fee, venues, usdc)
    gas = {Network.BASE: missing.of(_BASE_GAS, lambda: expected(base_fees.result()))}
    l1_fees = missing.of(_L1_FEE, lambda: _l1_fees(base))
    price = settings.eth_price_usd
    if settings.eth_price_feed is not None:
        price = missing.of(_ETH_PRICE, lambda: _fed_price(base, venues.now()))
    prices = Prices(gas=_known(gas), l1_fee=l1_fees or {}, eth_price=price, missing=missing.why)
    if usdc is None:
        return prices
    gas[Network.ETHEREUM] = missing.of(_ETHEREUM_GAS, lambda: expected(ethereum_fees.result()))
    return replace(
        prices,
        gas=_known(gas),
        circle_bps=missing.of(_CIRCLE_FEE, circle.result) or {},
        fast_allowance=missing.of(_ALLOWANCE, lambda: _believed(allowance.result(), "the allowance")),
        withdrawal_fee=missing.of(_WITHDRAWAL, withdrawal.result) or Decimal(0),
    )


def expected(fees: Fees) -> int:
    """Return what a unit of gas will cost, in wei: what is proposed lets the base fee double.

    :raises Unavailable: it is beyond belief.
    """
    tip = fees.max_priority_fee_per_gas
    price = (fees.max_fee_per_gas - tip) // 2 + tip
    if price > MOST_FOR_GAS:
        raise Unavailable("it is more than an ETH for a unit of gas")
    return price


class _Missing:
    """Collects what did not answer."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}

    def of(self, name: str, take: Callable[[], T]) -> T | None:
        """Take an answer, or note why there is none."""
        try:
            return take()
        except VenueError as error:
            self.why[name] = str(error) or type(error).__name__
            return None


def _known(answers: Mapping[Network, int | None]) -> dict[Network, int]:
    return {network: answer for network, answer in answers.items() if answer is not None}


def _asked_of_base(settings: Settings) -> list[Call]:
    asked = [l1_fee.upper_bound(size) for size in SIZES]
    if settings.eth_price_feed is not None:
        feed = settings.eth_price_feed
        asked += [price_feed.latest_round_data(feed), erc20.decimals(feed)]
    return asked


def _l1_fees(base: Future[MulticallResult]) -> dict[int, int]:
    answers = base.result().results[: len(SIZES)]
    if None in answers:
        raise Unavailable("its gas price oracle refuses to answer")
    # A chain that has no such oracle answers with nothing, and charges nothing.
    return {size: erc20.decode_uint(answer) for size, answer in zip(SIZES, answers, strict=True) if answer}


def _fed_price(base: Future[MulticallResult], now: datetime) -> Decimal:
    answer, decimals = base.result().results[len(SIZES) :]
    if answer is None or decimals is None:
        raise Unavailable("the price feed does not answer")
    price = price_feed.decode_latest_round_data(answer, erc20.decode_uint(decimals))
    if abs(now - price.updated_at) > PRICE_MAX_AGE:
        raise Unavailable(f"the price feed's answer is of {price.updated_at.isoformat()}")
    return _believed(price.value, "the price")


def _circle_bps(venues: Venues, kind: OperationKind) -> dict[Speed, Decimal]:
    domains = [venues.facts(network).cctp_domain for network in Network]
    source, destination = domains if kind is OperationKind.USDC_ALPACA_TO_BASE else domains[::-1]
    found: dict[Speed, Decimal] = {Speed.STANDARD: Decimal(0)}
    for fee in venues.attestations.fees(source, destination):
        if (speed := THRESHOLDS.get(fee.finality_threshold)) is not None:
            found[speed] = max(found.get(speed, Decimal(0)), _believed(fee.basis_points, "the fee"))
    return found


def _withdrawal_fee(venues: Venues, operation: PlannedOperation) -> Decimal:
    if operation.kind is not OperationKind.USDC_ALPACA_TO_BASE:
        return Decimal(0)
    sender = preflight.require_deposit_address(venues)
    fee = venues.alpaca.fee_estimate("USDC", sender, venues.wallet, operation.amount)
    with exact() as context:
        context.traps[Inexact] = False
        return _believed(fee, "the fee").quantize(Decimal(1).scaleb(-USDC_DECIMALS), rounding=ROUND_CEILING)


def _believed(amount: Decimal, what: str) -> Decimal:
    """Return an amount that can be counted with.

    :raises Unavailable: it is negative, or has more digits than anything of its kind.
    """
    try:
        return not_negative(amount, what, digits=RATIO_DIGITS)
    except ValueError as error:
        raise Unavailable(str(error)) from error


# -- weighing ------------------------------------------------------------------------------------------


def policy_of(settings: Settings) -> CostPolicy:
    """Return what people are willing to pay."""
    return CostPolicy(settings.usdc_speed, settings.cost_budget_bps, settings.cost_patience)


def weigh(
    settings: Settings,
    ledger: Ledger,
    snapshot: Snapshot,
    decision: Decision,
    *,
    operation: PlannedOperation,
    quote: Quote,
    now: datetime,
) -> tuple[Estimate, Shut | None]:
    """Estimate what an operation costs, and tell whether it has to wait for that.

    :param decision: why it is planned.
    """
    policy, asset, need = policy_of(settings), settings.asset(operation.asset), Need(Decimal(0))
    # What is asked for by hand may lead away from the target: then nothing is urgent, and nothing has waited.
    towards = decision.imbalance is None or correction(operation.asset, decision.imbalance) is operation.kind
    if operation.kind.moves_usdc and towards and (policy.budget_bps is not None or policy.speed == "auto"):
        # Longer without a check than this, and nobody knows whether it waited.
        longest_gap = max(settings.cost_patience, 3 * settings.rebalancing_check_interval)
        out_for, refused_for = waited(ledger, operation.asset, now, longest_gap=longest_gap)
        total = snapshot.inventories[operation.asset].total
        band = Threshold(asset.target_ratio, asset.deviation, asset.stop_deviation)
        outside = beyond(decision.imbalance, total, band) if decision.imbalance and total else Decimal(0)
        need = Need(outside, out_for, refused_for)
    return judge(operation, quote, need, policy, now=now)


def gate(
    venues: Venues,
    ledger: Ledger,
    snapshot: Snapshot,
    decisions: tuple[Decision, ...],
    decide: Callable[[Mapping[str, Shut]], tuple[Decision, ...]],
    *,
    read: Read = read,
    now: datetime,
) -> tuple[Decision, ...]:
    """Estimate what is planned, refuse what costs too much, and decide again about the rest.

    :param decide: decides again, about what may not pass.
    """
    prices = read(venues, [operation for _, operation in _due(decisions)])

    def weighed(found: tuple[Decision, ...]) -> dict[str, tuple[Estimate, Shut | None]]:
        settings = venues.settings
        return {
            decision.asset: weigh(
                settings,
                ledger,
                snapshot,
                decision,
                operation=operation,
                quote=prices.quote(operation, settings),
                now=now,
            )
            for decision, operation in _due(found)
        }

    estimates = weighed(decisions)
    if over := {asset: shut for asset, (_, shut) in estimates.items() if shut is not None}:
        decisions = decide(over)
        estimates |= weighed(decisions)
    return tuple(
        replace(one, estimate=estimates[one.asset][0]) if one.asset in estimates else one for one in decisions
    )


def _due(decisions: Sequence[Decision]) -> list[tuple[Decision, PlannedOperation]]:
    """Return what is moved, and what a dry run would move."""
    return [
        (decision, operation)
        for decision in decisions
        if decision.reason in (Reason.PLANNED, Reason.DRY_RUN)
        and (operation := decision.operation or decision.proposed) is not None
    ]
