"""What a move costs, item by item."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.amounts import exact, from_base_units
from include.domain.cost import Cost, Estimate, Quote, Speed, part, shown
from include.domain.operation import OperationKind

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
QUOTE = Quote(
    circle_bps={Speed.FAST: Decimal("1.3"), Speed.STANDARD: Decimal(0)},
    fast_allowance=Decimal(5000),
    withdrawal_fee=Decimal("0.25"),
    conversion_bps=Decimal(20),
    gas={"ethereum": 10**15, "base": 10**12},
    eth_price=Decimal(2500),
    notes=("a note",),
)
USDC_AMOUNTS = st.builds(from_base_units, st.integers(1, 10**15) | st.integers(1, 10**60), st.just(6))
BPS = st.integers(0, 99_999).map(lambda tenths: Decimal(tenths) / 10)


# A cost


def test_cost__total__counts_gas_at_its_price() -> None:
    cost = Cost(Decimal("0.4"), Decimal("0.25"), Decimal("-0.05"), QUOTE.gas, Decimal(2500))
    assert cost.gas_dollars == {"base": Decimal("0.0025"), "ethereum": Decimal("2.5")}
    assert cost.total == Decimal("3.1025")


def test_cost__without_a_price__shows_gas_and_does_not_count_it() -> None:
    cost = Cost(Decimal("0.4"), gas={"base": 10**12})
    assert cost.gas_dollars == {}
    assert cost.total == Decimal("0.4")
    assert cost.words() == "0.4 dollars: Circle's fee 0.4, gas on base 0.000001 ETH (not counted)"


def test_cost__in_words__names_every_item() -> None:
    cost = Cost(
        Decimal("0.4"), Decimal("0.25"), Decimal("0.1"), {"base": 10**12}, Decimal(3000), ("gas of burn",)
    )
    assert cost.words() == (
        "0.753 dollars: Circle's fee 0.4, withdrawal fee 0.25, conversion 0.1, "
        "gas on base 0.000001 ETH (0.003); not known: gas of burn"
    )


def test_cost__of_nothing__says_so() -> None:
    assert Cost().words() == "0 dollars: nothing"


@pytest.mark.parametrize(
    "wrong",
    [{"circle_fee": Decimal(-1)}, {"withdrawal_fee": Decimal(-1)}, {"eth_price": Decimal(-1)}],
)
def test_cost__negative__is_refused(wrong: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Cost(**wrong)  # type: ignore[arg-type]  # each of these fields is a Decimal


def test_cost__negative_gas__is_refused() -> None:
    with pytest.raises(ValueError, match="gas must not be negative"):
        Cost(gas={"base": -1})


# A price


def test_price__to_base__takes_each_fee_of_what_the_one_before_has_left() -> None:
    cost = QUOTE.price(TO_BASE, Decimal(1000), Speed.FAST)
    assert cost.conversion == Decimal(2)
    assert cost.withdrawal_fee == Decimal("0.25")
    assert cost.circle_fee == Decimal("0.129708")  # of 997.75, rounded up


def test_price__to_alpaca__pays_no_withdrawal() -> None:
    cost = QUOTE.price(TO_ALPACA, Decimal(1000), Speed.FAST)
    assert (cost.circle_fee, cost.withdrawal_fee) == (Decimal("0.13"), Decimal(0))
    assert cost.conversion == Decimal("1.99974")


def test_price__standard__has_the_fee_of_standard() -> None:
    assert QUOTE.price(TO_ALPACA, Decimal(1000), Speed.STANDARD).circle_fee == 0


def test_price__equity__is_gas_alone() -> None:
    cost = QUOTE.price(OperationKind.MINT, Decimal(31), None)
    assert cost == Cost(gas=QUOTE.gas, eth_price=QUOTE.eth_price)


def test_price__fee_above_the_amount__takes_all_of_it() -> None:
    cost = QUOTE.price(TO_BASE, Decimal("0.1"), Speed.FAST)
    assert cost.conversion + cost.withdrawal_fee == Decimal("0.1")
    assert cost.circle_fee == 0


@pytest.mark.parametrize("kind", [TO_BASE, TO_ALPACA])
def test_price__fee_beyond_belief__takes_all_of_the_amount(kind: OperationKind) -> None:
    quote = Quote({Speed.FAST: Decimal(10**9)}, conversion_bps=Decimal(20))
    cost = quote.price(kind, Decimal(100), Speed.FAST)
    assert cost.circle_fee + cost.conversion == 100


def test_price__what_is_missing__stays_missing() -> None:
    quote = Quote(missing=("Circle's fee (HTTP 503)",))
    assert quote.price(TO_BASE, Decimal(100), Speed.STANDARD).missing == quote.missing


@given(USDC_AMOUNTS, BPS)
def test_part__is_rounded_up_to_a_base_unit(amount: Decimal, bps: Decimal) -> None:
    found = part(amount, bps)
    with exact():
        whole = amount * bps / 10_000
        assert whole <= found < whole + Decimal("0.000001")
    assert found.as_tuple().exponent == -6


@given(USDC_AMOUNTS, st.sampled_from([TO_BASE, TO_ALPACA]), st.sampled_from(Speed))
def test_price__any_amount__never_takes_more_than_it(
    amount: Decimal, kind: OperationKind, speed: Speed
) -> None:
    cost = QUOTE.price(kind, amount, speed)
    with exact():
        assert 0 <= cost.circle_fee + cost.withdrawal_fee + cost.conversion <= amount


@pytest.mark.parametrize(
    ("speed", "amount", "offered"),
    [
        (Speed.FAST, "5000", True),
        (Speed.FAST, "5000.000001", False),
        (Speed.STANDARD, "5000.000001", True),
    ],
)
def test_offers__by_what_circle_lets_through(speed: Speed, amount: str, offered: bool) -> None:
    assert QUOTE.offers(speed, Decimal(amount)) is offered


def test_offers__without_a_price__nothing() -> None:
    assert not Quote().offers(Speed.FAST, Decimal(1))


def test_offers__allowance_unknown__is_not_in_the_way() -> None:
    assert Quote({Speed.FAST: Decimal(1)}).offers(Speed.FAST, Decimal(10**9))


# The JSON forms


@pytest.mark.parametrize("quote", [QUOTE, Quote(missing=("a",))])
def test_estimate__written_and_read__is_the_same(quote: Quote) -> None:
    for kind, speed in ((TO_BASE, Speed.FAST), (OperationKind.MINT, None)):
        cost = quote.price(kind, Decimal(100), speed)
        estimate = Estimate(Decimal(100), speed, cost, "why", quote)
        assert Estimate.from_dict(json.loads(json.dumps(estimate.to_dict()))) == estimate
        assert estimate.to_dict()["cost"]["total"] == shown(cost.total)


@pytest.mark.parametrize(
    ("estimate", "setting", "speed"),
    [
        ({"speed": "standard"}, "fast", Speed.STANDARD),
        ({"speed": "fast"}, "standard", Speed.FAST),
        ({"speed": None}, "fast", Speed.FAST),
        (None, "fast", Speed.FAST),
        (None, "standard", Speed.STANDARD),
        (None, "auto", Speed.STANDARD),
    ],
)
def test_fixed__is_what_was_chosen_then_what_is_set(
    estimate: dict[str, str | None] | None, setting: str, speed: Speed
) -> None:
    assert Speed.fixed(estimate, setting) is speed


@pytest.mark.parametrize(
    ("dollars", "text"), [("0.0000001", "0.000001"), ("1.5", "1.5"), ("-0.05", "-0.05"), ("0", "0")]
)
def test_shown__rounds_up(dollars: str, text: str) -> None:
    assert shown(Decimal(dollars)) == text
