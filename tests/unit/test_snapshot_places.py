"""Where an asset lies on Base: in the wallet, wrapped in the wallet, in vaults; and what that counts as."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.domain.amounts import from_base_units
from include.domain.inventory import Balance, Unread
from include.snapshot import MANY_SHARES, Places, assets_of
from include.venues.evm import erc4626
from include.venues.raindex import float as rain_float
from include.venues.raindex import orderbook
from tests.unit.test_claim import AAPL, ENVIRONMENT, NVDA
from tests.unit.test_snapshot import USDC_ON_BASE, World, sides, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WALLET = ENVIRONMENT["BALLAST_WALLET"]
ORDERBOOK, WRAPPER = "0x" + "33" * 20, "0x" + "44" * 20
FIRST, SECOND = "0x" + "01" * 32, "0x" + "02" * 32
UNIT = 10**18


def vaulted(**assets: Mapping[str, object]) -> World:
    """Return the world of the other tests, with vaults and wrappers."""
    return World(changes={"assets": json.dumps(assets), "orderbook": ORDERBOOK})


def fill(world: World, token: str, vault: str, answer: bytes | None) -> None:
    call = orderbook.vault_balance(ORDERBOOK, owner=WALLET, token=token, vault_id=vault)
    world.base.others[call] = answer


def units(amount: int, decimals: int = 18) -> bytes:
    return rain_float.encode(amount, decimals)


def wrap(world: World, shares: int, rate: int, *, token: str = AAPL) -> None:
    """Put a wrapper into the world, of which the wallet has shares."""
    world.base.answers[WRAPPER] = (word(shares), word(18))
    world.base.others[erc4626.asset(WRAPPER)] = bytes(12) + bytes.fromhex(token[2:])
    world.base.others[erc4626.convert_to_assets(WRAPPER, MANY_SHARES)] = word(rate)


def onchain(world: World, asset: str = "AAPL") -> Balance:
    return sides(world.look().inventories[asset])[0]


def reason(world: World, asset: str = "AAPL") -> str:
    """Return why an asset is unread, having seen that the others are not."""
    inventories = world.look().inventories
    unread = {name: one.onchain for name, one in inventories.items() if isinstance(one.onchain, Unread)}
    assert list(unread) == [asset]
    return unread[asset].reason


def test_take__vaults__are_available_and_the_wallet_is_held() -> None:
    world = vaulted(AAPL={"vaults": [FIRST, SECOND]}, USDC={"vaults": [FIRST]})
    fill(world, AAPL, FIRST, units(4 * UNIT))
    fill(world, AAPL, SECOND, units(UNIT + 1))
    fill(world, USDC_ON_BASE, FIRST, units(25_000_001, 6))
    assert onchain(world) == Balance(Decimal("5.000000000000000001"), held=Decimal(30))
    assert onchain(world, "USDC") == Balance(Decimal("25.000001"), held=Decimal(300))
    assert onchain(world, "NVDA") == Balance(Decimal(5))
    assert world.base.asked == 3  # one call for each look


def test_take__a_vault_with_a_part_of_a_base_unit__is_rounded_down() -> None:
    world = vaulted(USDC={"vaults": [FIRST, SECOND]})
    half = rain_float.encode(15, 7)  # 1.5 base units of USDC
    fill(world, USDC_ON_BASE, FIRST, half)
    fill(world, USDC_ON_BASE, SECOND, half)
    assert onchain(world, "USDC").available == Decimal("0.000002")


def test_take__wrapped_in_vaults__counts_as_tokens() -> None:
    world = vaulted(AAPL={"vaults": [FIRST], "wrapper": WRAPPER})
    wrap(world, 2 * UNIT, MANY_SHARES * 3 // 2)
    fill(world, WRAPPER, FIRST, units(10 * UNIT))
    assert onchain(world) == Balance(Decimal(15), held=Decimal(33))


def test_take__wrapped_without_vaults__is_available_beside_the_tokens() -> None:
    world = vaulted(AAPL={"wrapper": WRAPPER})
    wrap(world, 2 * UNIT, MANY_SHARES * 3 // 2)
    assert onchain(world) == Balance(Decimal(33))


@dataclass(frozen=True)
class Broken:
    """Something that is not what the settings say, and the reason that is given."""

    act: Callable[[World], None]
    reason: str


BROKEN = {
    "the vault reverts": Broken(
        lambda world: fill(world, WRAPPER, SECOND, None), f"the vault {SECOND} did not answer"
    ),
    "there is no OrderBook": Broken(
        lambda world: fill(world, WRAPPER, SECOND, b""), f"the vault {SECOND}: not a vault balance"
    ),
    "the vault is negative": Broken(
        lambda world: fill(world, WRAPPER, SECOND, bytes(4) + b"\xff" * 28),
        f"the vault {SECOND}: not a vault",
    ),
    "the token reverts": Broken(
        lambda world: world.base.answers.update({AAPL: (None, word(18))}), f"the token {AAPL} did not answer"
    ),
    "the wrapper is not there": Broken(
        lambda world: world.base.answers.update({WRAPPER: (b"", b"")}),
        f"the wrapper {WRAPPER}: expected one number",
    ),
    "the wrapper has other decimals": Broken(
        lambda world: world.base.answers.update({WRAPPER: (word(1), word(6))}),
        f"the wrapper {WRAPPER} has 6 decimals, expected 18",
    ),
    "the wrapper holds another token": Broken(
        lambda world: wrap(world, UNIT, MANY_SHARES, token=NVDA),
        f"the wrapper {WRAPPER} holds the token {NVDA}, not {AAPL}",
    ),
    "the wrapper tells no rate": Broken(
        lambda world: world.base.others.update({erc4626.convert_to_assets(WRAPPER, MANY_SHARES): None}),
        f"the wrapper {WRAPPER} did not answer",
    ),
    "the shares stand for nothing": Broken(
        lambda world: wrap(world, UNIT, 0), f"the shares of the wrapper {WRAPPER} stand for nothing"
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_take__a_place_cannot_be_read__leaves_that_asset_unread_and_no_other(what: str) -> None:
    world = vaulted(AAPL={"vaults": [FIRST, SECOND], "wrapper": WRAPPER}, USDC={"vaults": [FIRST]})
    wrap(world, UNIT, MANY_SHARES)
    fill(world, WRAPPER, FIRST, units(UNIT))
    fill(world, WRAPPER, SECOND, units(UNIT))
    fill(world, USDC_ON_BASE, FIRST, units(1, 6))
    BROKEN[what].act(world)
    assert reason(world).startswith(BROKEN[what].reason)


def test_take__many_assets_with_vaults__are_one_call() -> None:
    tokens = {f"S{number}": f"0x{number + 1:040d}" for number in range(50)}
    world = vaulted(**{symbol: {"vaults": [FIRST]} for symbol in tokens})
    world.changes["token_addresses"] = json.dumps(tokens)
    for number, token in enumerate(tokens.values()):
        world.base.answers[token] = (word(0), word(18))
        fill(world, token, FIRST, units(number * UNIT))
    inventories = world.look().inventories
    assert world.base.asked == 1
    found = {name: sides(one)[0].available for name, one in inventories.items() if name != "USDC"}
    assert found == {f"S{number}": Decimal(number) for number in range(50)}


# What it counts as

amounts = st.integers(0, 10**30)
rates = st.integers(1, 10**40) | st.integers(MANY_SHARES // 10, MANY_SHARES * 10)


@given(total=amounts, cuts=st.lists(amounts, min_size=1, max_size=4))
def test_balance__tokens_spread_over_wallet_and_vaults__always_the_same_total(
    total: int, cuts: list[int]
) -> None:
    wallet, *vaults = _split(total, cuts)
    places = Places(wallet, 0, _named(vaults), None)
    found = places.balance(18)
    assert found.total == from_base_units(total, 18)
    assert found.available == from_base_units(sum(vaults), 18)


@example(token=0, shares=2, cuts=[1], rate=MANY_SHARES * 3 // 2)  # 1.5 and 1.5 are 3, not 2
@given(token=amounts, shares=amounts, cuts=st.lists(amounts, min_size=1, max_size=4), rate=rates)
def test_balance__shares_spread_over_wallet_and_vaults__always_the_same_total(
    token: int, shares: int, cuts: list[int], rate: int
) -> None:
    wallet, *vaults = _split(shares, cuts)
    found = Places(token, wallet, _named(vaults), rate).balance(18)
    together = Places(token, shares, {}, rate).balance(18)
    assert found.total == together.total == together.available
    assert found.available == from_base_units(assets_of(sum(vaults), rate), 18)
    assert found.held >= from_base_units(token, 18)


@given(
    shares=st.integers(0, MANY_SHARES),
    inside=st.integers(0, 10**40),
    supply=st.integers(0, 10**40),
    virtual=st.sampled_from([1, 10**3, 10**6]),
)
def test_assets_of__a_wrappers_own_answer__is_never_exceeded_and_missed_by_one_unit_at_most(
    shares: int, inside: int, supply: int, virtual: int
) -> None:
    # Both ways in which wrappers round, with and without shares that are nobody's.
    def convert(amount: int) -> int:
        return amount * (inside + 1) // (supply + virtual)

    own = convert(shares)
    assert own - 1 <= assets_of(shares, convert(MANY_SHARES)) <= own


def _named(parts: list[int]) -> dict[str, int]:
    return {str(number): part for number, part in enumerate(parts)}


def _split(total: int, cuts: list[int]) -> list[int]:
    """Cut a total into one part more than there are cuts."""
    edges = [0, *sorted(min(cut, total) for cut in cuts), total]
    return [high - low for low, high in pairwise(edges)]
