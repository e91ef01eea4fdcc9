"""The account's dollars: how they are set and settled, where they are, and whether they add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from include.sandbox.alpaca.journal import Book, InsufficientFundsError
from include.sandbox.alpaca.state import FINAL, USD, USDC, Order, Stage, State, decimals

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core

CENTS = 2


def set_cash(core: Core, cash: Decimal, withdrawable: Decimal | None) -> None:
    """Set the account's dollars, as if they had been so from the start; all are settled unless told.

    :raises ValueError: not in whole cents, or less than open orders hold.
    """
    state = core.state
    most = cash - state.held(USD)
    settled = most if withdrawable is None else withdrawable
    if not 0 <= settled <= most or decimals(cash) > CENTS or decimals(settled) > CENTS:
        raise ValueError(f"cash cannot be {cash} with {settled} of it withdrawable")
    before = state.cash
    _move(core, state.journal.balance(Book.UNSETTLED, USD), Book.UNSETTLED, Book.MAKER, "cash is set")
    if cash > before:
        _move(core, cash - before, Book.OPENING, Book.MAKER, "cash is set")
    else:
        _move(core, before - cash, Book.MAKER, Book.OPENING, "cash is set")
    _move(core, most - settled, Book.MAKER, Book.UNSETTLED, "cash is set")
    core.changed()


def receive_proceeds(core: Core, amount: Decimal, memo: str) -> None:
    """Credit the dollars of a sale that is not settled.

    :raises ValueError: not in whole cents.
    """
    if decimals(amount) > CENTS:
        raise ValueError(f"a sale cannot bring in {amount} dollars")
    _move(core, amount, Book.MARKET, Book.UNSETTLED, memo)
    core.changed()


def trade(core: Core, amount: Decimal, memo: str) -> None:
    """Book dollars of a trade that are settled at once: received, or spent where the amount is below zero.

    :raises ValueError: not in whole cents.
    :raises InsufficientFundsError: the account has less to spend.
    """
    if decimals(amount) > CENTS:
        raise ValueError(f"a trade cannot move {amount} dollars")
    if amount > 0:
        _move(core, amount, Book.MARKET, Book.MAKER, memo)
    elif (free := core.state.available(USD)) + amount < 0:
        raise InsufficientFundsError(f"{free} dollars are free")
    else:
        _move(core, -amount, Book.MAKER, Book.MARKET, memo)
    core.changed()


def settle(core: Core, amount: Decimal | None) -> None:
    """Settle unsettled dollars, all of them unless an amount is given.

    :raises InsufficientFundsError: less than the amount is unsettled.
    """
    unsettled = core.state.journal.balance(Book.UNSETTLED, USD)
    _move(core, unsettled if amount is None else amount, Book.UNSETTLED, Book.MAKER, "settlement")
    core.changed()


def book(core: Core, order: Order) -> None:
    """Show the fills of an order in cash and position.

    A purchase gives what the USDC is worth to the market and the rest of its dollars to slippage; a sale
    brings in its worth, and the slippage comes out of that.

    :raises InsufficientFundsError: the account has less than the order held; nothing is booked.
    """
    journal, memo = core.state.journal, memo_of(order)
    for fill in order.unbooked():
        taken = fill.dollars if order.side == "buy" else fill.qty
        if journal.balance(Book.MAKER, order.takes) < taken:
            raise InsufficientFundsError(f"the account has less {order.takes} than the order held")
        if order.side == "buy":
            _move(core, fill.value, Book.MAKER, Book.MARKET, memo)
            _move(core, fill.dollars - fill.value, Book.MAKER, Book.SLIPPAGE, memo)
            _move(core, fill.qty, Book.MARKET, Book.MAKER, memo, asset=USDC)
            _move(core, fill.fee, Book.MAKER, Book.FEES, memo, asset=USDC)
        else:
            _move(core, fill.qty, Book.MAKER, Book.MARKET, memo, asset=USDC)
            _move(core, fill.value - fill.dollars, Book.MARKET, Book.SLIPPAGE, memo)
            _move(core, fill.dollars, Book.MARKET, Book.MAKER, memo)
            _move(core, fill.fee, Book.MAKER, Book.FEES, memo)
        fill.booked = True


def memo_of(order: Order) -> str:
    """Return what the journal calls the entries of an order."""
    return f"order {order.id}"


def places(state: State) -> dict[str, Decimal]:
    """Return where the account's dollars are, and what conversions cost of them."""
    return {
        "cash": state.cash,
        "slippage": state.journal.balance(Book.SLIPPAGE, USD),
        "conversion_fees": state.journal.balance(Book.FEES, USD),
    }


def expected(state: State) -> Decimal:
    """Return the dollars that must be in all places: the opening ones, and what sales less purchases made."""
    return -state.journal.balance(Book.OPENING, USD) - state.journal.balance(Book.MARKET, USD)


def violations(state: State) -> list[str]:
    """Say what is wrong with dollars and conversions: nothing, when every cent is where it should be.

    The books are held against the orders: each booked fill is in the journal exactly once, no order took more
    than it was given, and nothing else turned dollars into USDC.
    """
    found = []
    total = sum(places(state).values(), Decimal(0))
    if total != expected(state):
        found.append(f"{USD}: {total} in all places, {expected(state)} expected")
    found += [
        f"{asset}: {free} are free, so that orders hold more than there is"
        for asset in (USD, USDC)
        if (free := state.available(asset)) < 0
    ]
    ids = Counter(order.client_order_id for order in state.orders.values())
    found += [f"{times} orders have the id {name}" for name, times in ids.items() if times > 1]
    journaled = _journaled(state)
    for order in state.orders.values():
        found += _order_violations(order, journaled.pop(memo_of(order), {}))
    found += [
        f"{USD}: the journal has {memo!r}, of which no order tells"
        for memo, moved in journaled.items()
        if memo.startswith("order ") or moved.get((USD, Book.SLIPPAGE)) or moved.get((USD, Book.FEES))
    ]
    return found


def _order_violations(order: Order, moved: dict[tuple[str, Book], Decimal]) -> list[str]:
    found = []
    booked = [fill for fill in order.fills if fill.booked]
    bought = order.side == "buy"
    sign = 1 if bought else -1
    value, dollars, qty, fee = (
        sum((getattr(fill, name) for fill in booked), Decimal(0))
        for name in ("value", "dollars", "qty", "fee")
    )
    wanted = {
        (USD, Book.MAKER): -sign * dollars - (0 if bought else fee),
        (USD, Book.MARKET): sign * value,
        (USD, Book.SLIPPAGE): sign * (dollars - value),
        (USD, Book.FEES): Decimal(0) if bought else fee,
        (USDC, Book.MAKER): sign * qty - (fee if bought else 0),
        (USDC, Book.MARKET): -sign * qty,
        (USDC, Book.FEES): fee if bought else Decimal(0),
    }
    found += [
        f"order {order.id}: {asset} in {book} moved by {moved.get((asset, book), 0)}, not {amount}"
        for (asset, book), amount in wanted.items()
        if moved.get((asset, book), 0) != amount
    ]
    taken = order.filled_dollars if bought else order.filled_qty
    if taken > order.reserved:
        found.append(f"order {order.id}: took {taken} {order.takes} of the {order.reserved} it was given")
    asked = order.notional if order.notional is not None else order.qty
    done = order.filled_dollars if order.notional is not None else order.filled_qty
    if order.status == "filled" and done != asked:
        found.append(f"order {order.id}: is filled with {done} of {asked}")
    if order.stage is Stage.DONE and (order.unbooked() or order.status not in FINAL):
        found.append(f"order {order.id}: ended as {order.status} with fills that are not booked")
    return found


def _journaled(state: State) -> dict[str, dict[tuple[str, Book], Decimal]]:
    """Return what the entries of each memo moved of dollars, and those of orders of USDC."""
    moved: dict[str, dict[tuple[str, Book], Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entry in state.journal.entries:
        if entry.asset == USD or (entry.asset == USDC and entry.memo.startswith("order ")):
            moved[entry.memo][entry.asset, entry.source] -= entry.amount
            moved[entry.memo][entry.asset, entry.target] += entry.amount
    return moved


def _move(core: Core, amount: Decimal, source: Book, target: Book, memo: str, *, asset: str = USD) -> None:
    """Journal an amount, unless it is 0."""
    if amount:
        core.state.journal.move(asset, amount, source, target, memo=memo, at=core.clock())
