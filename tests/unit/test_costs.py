"""Reading what a move would cost: what is asked, what it comes to, and what happens where nobody answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode as abi_encode

from include import costs
from include.book import Network, Venues
from include.costs import BURN, CONVERSION_BPS, PRICE_MAX_AGE, RECEIVE, TRANSFER, Prices, read, transactions
from include.domain.cost import Quote, Speed
from include.domain.decision import PlannedOperation
from include.domain.operation import LEGS, Leg, OperationKind
from include.settings import Settings, load_settings
from include.venues.cctp.answers import BurnFee
from include.venues.errors import Unavailable
from include.venues.evm.types import Fees, MulticallResult
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.venues.evm.types import Call

AAPL, FEED = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4", "0x16c132440b961597647606D4be8B666b3c5B1e9a"
WALLET, DEPOSIT = "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B", "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d"
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
MINT = PlannedOperation(OperationKind.MINT, "AAPL", Decimal(31))
OUT = PlannedOperation(TO_BASE, "USDC", Decimal(4000))
BACK = PlannedOperation(TO_ALPACA, "USDC", Decimal(4000))
GWEI = 10**9
GASES = {Network.BASE: 2 * GWEI, Network.ETHEREUM: 11 * GWEI}
L1_FEE = 7


def settings(**values: str) -> Settings:
    given = {
        "wallet": WALLET,
        "token_addresses": f'{{"AAPL": "{AAPL}"}}',
        "ethereum_rpc_url": "http://ethereum.test",
        "base_rpc_url": "http://base.test",
    } | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


@dataclass
class World:
    """Venues that answer as a test says, and note what they are asked."""

    clock: Clock = field(default_factory=Clock)
    asked: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    rates: list[BurnFee] = field(
        default_factory=lambda: [BurnFee(1000, Decimal("1.3")), BurnFee(2000, Decimal(0))]
    )
    fee: Decimal = Decimal("0.25")
    allowance: Decimal = Decimal(5000)
    tip: int = GWEI
    oracle: bytes | None = abi_encode(["uint256"], [L1_FEE])
    price: Decimal = Decimal(2500)
    age: timedelta = timedelta(minutes=5)
    feed_answers: bool = True

    def venues(self, **values: str) -> Venues:
        clients: dict[str, Any] = {
            "alpaca": self,
            "ethereum": Chain(self, Network.ETHEREUM),
            "base": Chain(self, Network.BASE),
            "attestations": self,
        }
        return Venues(settings=settings(**values), now=self.clock, **clients)

    def quote(self, operation: PlannedOperation, **values: str) -> Quote:
        """Read prices for one operation, and return what they make of it."""
        return read(self.venues(**values), [operation]).quote(operation, settings(**values))

    def answer(self, name: str) -> None:
        self.asked.append(name)
        if name in self.silent:
            raise Unavailable("timed out")

    def fees(self, source: int, destination: int) -> list[BurnFee]:
        self.answer(f"fees {source} to {destination}")
        return self.rates

    def fast_allowance(self) -> Decimal:
        self.answer("allowance")
        return self.allowance

    def deposit_address(self, asset: str, chain: str) -> str:
        assert (asset, chain) == ("USDC", "ETH")
        self.answer("deposit address")
        return DEPOSIT

    def fee_estimate(self, asset: str, sender: str, to: str, amount: Decimal) -> Decimal:
        assert (asset, sender, to, amount) == ("USDC", DEPOSIT, WALLET, Decimal(4000))
        self.answer("withdrawal fee")
        return self.fee


@dataclass
class Chain:
    """One chain of such a world."""

    world: World
    network: Network

    def fees(self) -> Fees:
        self.world.answer(f"{self.network} fees")
        tip = self.world.tip
        return Fees(2 * (GASES[self.network] - GWEI) + tip, tip)

    def multicall(self, calls: Sequence[Call]) -> MulticallResult:
        self.world.answer(f"{self.network} {len(calls)} calls")
        moment = int((self.world.clock() - self.world.age).timestamp())
        feed = [
            abi_encode(
                ["uint80", "int256", "uint256", "uint256", "uint80"],
                [1, int(self.world.price * 10**8), moment, moment, 1],
            ),
            abi_encode(["uint256"], [8]),
        ]
        known = [call for call in calls if call.to == FEED]
        answers: list[bytes | None] = [self.world.oracle] * (len(calls) - len(known))
        answers += feed if self.world.feed_answers else [None, None]
        return MulticallResult(1, moment, tuple(answers[: len(calls)]))


@pytest.fixture
def world() -> World:
    return World()


def wei(network: Network, *uses: costs.Use) -> int:
    on_base = network is Network.BASE
    return sum(use.gas * GASES[network] + (L1_FEE if on_base else 0) for use in uses)


# What is asked


def test_read__nothing_to_move__asks_nothing(world: World) -> None:
    assert read(world.venues(), []) == Prices()
    assert world.asked == []


def test_read__equities__ask_base_alone(world: World) -> None:
    read(world.venues(), [MINT])
    assert sorted(world.asked) == ["base 5 calls", "base fees"]


def test_read__usdc__asks_everything_once(world: World) -> None:
    read(world.venues(eth_price_feed=FEED), [MINT, OUT])
    assert sorted(world.asked) == [
        "allowance",
        "base 7 calls",
        "base fees",
        "deposit address",
        "ethereum fees",
        "fees 0 to 6",
        "withdrawal fee",
    ]


def test_read__usdc_the_other_way__asks_for_no_withdrawal(world: World) -> None:
    read(world.venues(), [BACK])
    assert sorted(world.asked) == ["allowance", "base 5 calls", "base fees", "ethereum fees", "fees 6 to 0"]


# What it comes to


def test_quote__to_base__has_the_price_of_everything(world: World) -> None:
    quote = world.quote(OUT, eth_price_usd="3000")
    assert quote.circle_bps == {Speed.FAST: Decimal("1.3"), Speed.STANDARD: Decimal(0)}
    assert quote.fast_allowance == 5000
    assert quote.withdrawal_fee == Decimal("0.25")
    assert quote.gas == {
        "ethereum": wei(Network.ETHEREUM, BURN),
        "base": wei(Network.BASE, RECEIVE),
    }
    assert (quote.eth_price, quote.missing, quote.notes) == (Decimal(3000), (), ())


def test_quote__to_alpaca__burns_on_base(world: World) -> None:
    quote = world.quote(BACK)
    assert quote.gas == {
        "base": wei(Network.BASE, BURN),
        "ethereum": wei(Network.ETHEREUM, RECEIVE, TRANSFER),
    }
    assert quote.withdrawal_fee == 0


def test_quote__equity__is_gas_alone(world: World) -> None:
    venues = world.venues()
    prices = read(venues, [MINT, OUT])
    quote = prices.quote(PlannedOperation(OperationKind.REDEMPTION, "AAPL", Decimal(1)), venues.settings)
    assert quote.gas == {"base": wei(Network.BASE, TRANSFER)}
    assert quote == Quote(gas=quote.gas, notes=quote.notes)


def test_quote__no_price_of_eth_set__says_that_gas_is_not_counted(world: World) -> None:
    quote = world.quote(OUT)
    assert quote.eth_price is None
    assert quote.missing == ()
    assert quote.notes == ("gas is not counted, as neither eth_price_usd nor eth_price_feed is set",)


def test_quote__dollars_are_usd__allows_for_the_spread(world: World) -> None:
    assert world.quote(OUT, dollars="usd").conversion_bps == CONVERSION_BPS
    assert world.quote(OUT).conversion_bps == 0


def test_quote__chain_without_an_oracle__has_no_fee_of_that_kind(world: World) -> None:
    world.oracle = b""
    quote = world.quote(OUT)
    assert quote.gas["base"] == RECEIVE.gas * GASES[Network.BASE]
    assert quote.missing == ()


def test_quote__several_rates_of_a_speed__takes_the_highest_and_no_other_speed(world: World) -> None:
    world.rates = [BurnFee(1000, Decimal(2)), BurnFee(1000, Decimal(1)), BurnFee(500, Decimal(9))]
    assert world.quote(OUT).circle_bps == {Speed.FAST: Decimal(2), Speed.STANDARD: Decimal(0)}


def test_quote__fee_finer_than_usdc__is_rounded_up(world: World) -> None:
    world.fee = Decimal("0.2500001")
    assert world.quote(OUT).withdrawal_fee == Decimal("0.250001")


@pytest.mark.parametrize("age", [timedelta(0), PRICE_MAX_AGE])
def test_quote__feed__tells_the_price(world: World, age: timedelta) -> None:
    world.age = age
    assert world.quote(OUT, eth_price_feed=FEED).eth_price == 2500


# Nobody answers


@pytest.mark.parametrize(
    ("silent", "missing"),
    [
        ("base fees", "gas price on Base (timed out)"),
        ("ethereum fees", "gas price on Ethereum (timed out)"),
        ("fees 0 to 6", "Circle's fee (timed out)"),
        ("allowance", "fast allowance (timed out)"),
        ("deposit address", "withdrawal fee (timed out)"),
        ("withdrawal fee", "withdrawal fee (timed out)"),
    ],
)
def test_quote__silent_source__is_missing_and_the_rest_is_there(
    world: World, silent: str, missing: str
) -> None:
    world.silent = {silent}
    assert world.quote(OUT, eth_price_feed=FEED).missing == (missing,)
    assert len(world.asked) == (6 if silent == "deposit address" else 7)


def test_quote__base_silent__misses_what_only_base_can_tell(world: World) -> None:
    world.silent = {"base 7 calls"}
    quote = world.quote(OUT, eth_price_feed=FEED)
    assert quote.missing == ("what Base charges for Ethereum (timed out)", "ETH price (timed out)")


def test_quote__of_an_equity__misses_only_what_it_needs(world: World) -> None:
    world.silent = {"base fees", "allowance", "ethereum fees"}
    venues = world.venues()
    assert read(venues, [MINT, OUT]).quote(MINT, venues.settings).missing == (
        "gas price on Base (timed out)",
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"age": PRICE_MAX_AGE + timedelta(seconds=1)}, "the price feed's answer is of 2026-03-02T13:29:59"),
        ({"age": -PRICE_MAX_AGE - timedelta(seconds=1)}, "the price feed's answer is of 2026-03-02T15:30:01"),
        ({"feed_answers": False}, "the price feed does not answer"),
        ({"price": Decimal(0)}, "the price feed has no price"),
    ],
)
def test_quote__feed_that_cannot_be_believed__is_missing(
    world: World, wrong: dict[str, Any], why: str
) -> None:
    for name, value in wrong.items():
        setattr(world, name, value)
    quote = world.quote(OUT, eth_price_feed=FEED)
    assert quote.eth_price is None
    [missing] = quote.missing
    assert missing.startswith(f"ETH price ({why}")


def test_quote__oracle_that_refuses__is_missing(world: World) -> None:
    world.oracle = None
    assert world.quote(OUT).missing == (
        "what Base charges for Ethereum (its gas price oracle refuses to answer)",
    )


def test_quote__negative_fee__is_not_believed(world: World) -> None:
    world.fee = Decimal(-1)
    assert world.quote(OUT).missing == ("withdrawal fee (the fee must not be negative, not -1)",)


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [
        ({"rates": [BurnFee(1000, Decimal("1e-40"))]}, "Circle's fee"),
        ({"fee": Decimal("1e31")}, "withdrawal fee"),
        ({"allowance": Decimal("1e31")}, "fast allowance"),
        ({"tip": 10**18}, "gas price on Base"),
    ],
)
def test_quote__number_beyond_belief__is_missing(world: World, wrong: dict[str, Any], missing: str) -> None:
    for name, value in wrong.items():
        setattr(world, name, value)
    assert world.quote(OUT).missing[0].startswith(missing)


def test_read__a_fault_of_ours__is_raised(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: World) -> Decimal:
        raise TypeError("a mistake")

    monkeypatch.setattr(World, "fast_allowance", broken)
    with pytest.raises(TypeError, match="a mistake"):
        read(world.venues(), [OUT])


# The transactions of a way


@pytest.mark.parametrize("kind", OperationKind)
def test_transactions__every_leg_that_sends_one__is_priced(kind: OperationKind) -> None:
    requests = {Leg.MINT, Leg.WITHDRAW, Leg.CONVERT}
    for leg in LEGS[kind]:
        found = transactions(kind, [leg])
        assert len(found) == (0 if leg in requests else 2 if leg is Leg.BRIDGE else 1)
        assert all(use.size in costs.SIZES for on, use in found if on is Network.BASE)


def test_policy_of__is_what_is_set() -> None:
    policy = costs.policy_of(settings(cost_budget_bps="3", eth_price_usd="1", usdc_speed="auto"))
    assert (policy.speed, policy.budget_bps, policy.patience) == ("auto", Decimal(3), timedelta(hours=1))
