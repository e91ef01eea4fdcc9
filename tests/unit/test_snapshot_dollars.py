"""With `dollars` `usd` the account's cash counts as USDC, and the settled part can be moved."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.inventory import Balance, Unread
from tests.unit.test_snapshot import World, position, sides, transfer

if TYPE_CHECKING:
    from collections.abc import Callable


def with_dollars(cash: str, withdrawable: str | None, *, reserve: str = "0") -> World:
    """Return the world of the other tests, which has 700.123456 USDC at Alpaca, with cash."""
    world = World(changes={"dollars": "usd", "cash_reserve": reserve})
    world.alpaca.dollars = {"cash": cash} | (
        {} if withdrawable is None else {"cash_withdrawable": withdrawable}
    )
    return world


def usdc(world: World) -> Balance:
    return sides(world.look().inventories["USDC"])[1]


def test_take__dollars__are_one_more_request() -> None:
    world = with_dollars("0", "0")
    world.look()
    assert sorted(world.alpaca.asked) == ["account", "positions", "requests", "transfers"]


@pytest.mark.parametrize(
    ("cash", "withdrawable", "reserve", "available", "held"),
    [
        ("1000", "1000", "0", "1700.123456", "0"),
        ("1000", "400", "0", "1100.123456", "600"),  # sold, and not settled
        ("1000", "400", "150.5", "949.623456", "750.5"),
        ("1000", "400", "400.01", "700.123456", "1000"),  # the reserve is not whole
        ("1000.005", "1000.005", "0", "1700.123456", "0.005"),  # half a cent cannot be moved
        ("0", "0", "0", "700.123456", "0"),
        ("100", "250", "0", "800.123456", "0"),  # more can be withdrawn than there is: it cannot
        ("100", "-5", "0", "700.123456", "100"),
        ("0.1234567", "0", "0", "700.123456", "0.123456"),
    ],
)
def test_take__cash__counts_whole_and_moves_as_far_as_it_is_settled(
    cash: str, withdrawable: str, reserve: str, available: str, held: str
) -> None:
    found = usdc(with_dollars(cash, withdrawable, reserve=reserve))
    assert found == Balance(Decimal(available), held=Decimal(held))


def test_take__dollars_are_usdc__cash_is_not_asked_for() -> None:
    world = World()
    world.alpaca.dollars = {"cash": "1000", "cash_withdrawable": "1000"}
    assert usdc(world) == Balance(Decimal("700.123456"))
    assert "account" not in world.alpaca.asked


def test_take__a_withdrawal_under_way__is_in_flight_once_and_cash_is_beside_it() -> None:
    world = with_dollars("1000", "400")
    world.alpaca.held[1] = position("USDCUSD", "700", "crypto", available="640")
    world.alpaca.moving = [transfer("OUTGOING", "PROCESSING", "50")]
    assert usdc(world) == Balance(Decimal(1040), in_flight=Decimal(50), held=Decimal(610))


@pytest.mark.parametrize(
    ("break_", "reason"),
    [
        (lambda world: world.alpaca.down.add("account"), "account: account are away"),
        (lambda world: world.alpaca.dollars.update(cash="-0.01"), "the account owes 0.01 dollars"),
        (
            lambda world: world.alpaca.dollars.pop("cash_withdrawable"),
            "the account does not say how much of its cash is settled",
        ),
        (lambda world: world.alpaca.down.add("positions"), "positions: positions are away"),
    ],
    ids=["account away", "debt", "nothing said of settlement", "positions away"],
)
def test_take__dollars_unknown__leave_usdc_unread(break_: Callable[[World], None], reason: str) -> None:
    world = with_dollars("1000", "1000")
    break_(world)
    inventories = world.look().inventories
    assert inventories["USDC"].offchain == Unread(reason)
    assert isinstance(inventories["USDC"].onchain, Balance)
    stocks = [isinstance(inventories[asset].offchain, Unread) for asset in ("AAPL", "NVDA")]
    assert stocks == [reason.startswith("positions")] * 2


cents = st.integers(0, 10**12).map(lambda number: Decimal(number).scaleb(-3))


@given(cash=cents, settled=cents, reserve=cents)
def test_take__whatever_is_settled__nothing_is_lost_and_the_reserve_stays(
    cash: Decimal, settled: Decimal, reserve: Decimal
) -> None:
    found = usdc(with_dollars(f"{cash:f}", f"{settled:f}", reserve=f"{reserve:f}"))
    tokens = Decimal("700.123456")
    assert found.total == tokens + cash
    assert tokens <= found.available <= found.total
    leaves = found.available - tokens
    assert leaves == 0 or cash - leaves >= reserve
    assert leaves <= settled
