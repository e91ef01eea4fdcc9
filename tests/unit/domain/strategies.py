"""Hypothesis strategies for domain values."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from include.domain.amounts import USDC, from_base_units
from include.domain.imbalance import Threshold
from include.domain.inventory import Balance, Inventory, Unread

ASSETS = ("AAPL", "BRK.B", "MSTR", "TSLA", USDC)


def amounts() -> st.SearchStrategy[Decimal]:
    """Any size a chain can hold, and often something small, round or zero."""
    units = st.one_of(st.just(0), st.integers(0, 1000), st.integers(0, 10**24), st.integers(0, 2**256 - 1))
    return st.builds(from_base_units, units, st.sampled_from([0, 2, 6, 9, 18]))


def thresholds() -> st.SearchStrategy[Threshold]:
    ratio = st.integers(0, 1000).map(lambda thousandths: Decimal(thousandths) / 1000)
    return st.builds(Threshold, ratio, ratio)


@st.composite
def stopping_thresholds(draw: st.DrawFn) -> Threshold:
    """Thresholds with an inner band, which may be as wide as the outer one or nothing at all."""
    target, deviation = (draw(st.integers(0, 1000)) for _ in range(2))
    stop = draw(st.integers(0, deviation))
    return Threshold(*(Decimal(thousandths) / 1000 for thousandths in (target, deviation, stop)))


def balances(*, in_flight: bool = True) -> st.SearchStrategy[Balance]:
    zero = st.just(Decimal(0))
    return st.builds(Balance, amounts(), zero | amounts() if in_flight else zero, zero | amounts())


def settled_inventories(assets: tuple[str, ...] = ASSETS) -> st.SearchStrategy[Inventory]:
    """Inventories that can be judged: both venues read, nothing in flight."""
    side = balances(in_flight=False)
    return st.builds(Inventory, st.sampled_from(assets), side, side)


def inventories(assets: tuple[str, ...] = ASSETS) -> st.SearchStrategy[Inventory]:
    """Inventories of every sort."""
    side = balances() | st.builds(Unread, st.text(max_size=20))
    return settled_inventories(assets) | st.builds(Inventory, st.sampled_from(assets), side, side)
