"""Dollars into USDC and back: orders for Alpaca's pair USDCUSD.

All are market orders, good until cancelled. USDC is bought by `notional`, because a market order by quantity
holds two per cent more than it costs and is refused where all cash is to be spent; it is sold by quantity.

Alpaca takes a `client_order_id` once. After an `OutcomeUnknown`, look the order up by it; sending the same
order again is harmless too, since a second one is refused as `DuplicateOrder`. Any other refusal of a
repetition says nothing about the first attempt.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from include.venues.alpaca import values
from include.venues.alpaca.answers import not_ours, read_moved, read_one, segment, unreadable
from include.venues.alpaca.errors import AlpacaRefused
from include.venues.alpaca.http import is_about_another
from include.venues.alpaca.models import Order

if TYPE_CHECKING:
    from decimal import Decimal

    from include.venues.alpaca.http import Reply, Session

USDC_PAIR = "USDCUSD"
DOLLAR_DECIMALS = 2


class Cancellation(StrEnum):
    """What came of asking for an order's cancellation. None of them says what was filled: read the order."""

    ACCEPTED = "accepted"  # it is being cancelled, and may still be filled before that is done
    NOT_CANCELABLE = "not cancelable"  # it is filled, cancelled, or being cancelled already
    NOT_FOUND = "not found"  # Alpaca knows no such order (yet)


class Orders:
    """The part of the client that trades USDC against dollars."""

    _session: Session
    _trading: str

    def buy_usdc(self, notional: Decimal, client_order_id: str) -> Order:
        """Spend dollars on USDC. What was bought is `filled_qty`, once the order is final.

        :param notional: dollars in whole cents. Alpaca refuses less than 10.
        :param client_order_id: at most 128 characters, never used before for another order.
        :raises DuplicateOrder: an order with this id exists; look it up and adopt it.
        :raises NoQuote: Alpaca has no price at the moment (one kind of `Unavailable`).
        :raises InsufficientPosition: the account has less settled cash.
        """
        text = values.plain("notional", notional, decimals=DOLLAR_DECIMALS)
        order, reply = self._place("buy", "notional", text, client_order_id)
        if order.notional not in {None, notional}:
            raise not_ours(self._orders, reply, order.id)
        return order

    def sell_usdc(self, quantity: Decimal, client_order_id: str) -> Order:
        """Sell USDC for dollars. What was sold is `filled_qty`, once the order is final.

        :param quantity: USDC, at most 6 decimals.
        :param client_order_id: at most 128 characters, never used before for another order.
        :raises DuplicateOrder: an order with this id exists; look it up and adopt it.
        :raises NoQuote: Alpaca has no price at the moment (one kind of `Unavailable`).
        :raises InsufficientPosition: the account has less USDC available.
        """
        text = values.plain("quantity", quantity, decimals=values.USDC_DECIMALS)
        order, reply = self._place("sell", "qty", text, client_order_id)
        if order.qty not in {None, quantity}:
            raise not_ours(self._orders, reply, order.id)
        return order

    def order(self, order_id: str) -> Order | None:
        """Return an order by Alpaca's id, or None where Alpaca knows none (yet)."""
        path = f"{self._orders}/{segment('order_id', order_id)}"
        reply = self._session.find(path)
        if reply is None:
            return None
        order = read_one(Order, path, reply)
        if order.id.lower() != order_id.lower():
            raise unreadable(path, reply, f"is order {order.id}")
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Return an order by our own id, or None where Alpaca knows none.

        An order that was just taken may not be found at first: ask again before None is believed.
        """
        path = f"{self._orders}:by_client_order_id"
        label = values.correlation("client_order_id", client_order_id)
        reply = self._session.find(path, {"client_order_id": label})
        if reply is None:
            return None
        order = read_one(Order, path, reply)
        if order.client_order_id != label:
            raise unreadable(path, reply, f"is order {order.id}, which has another client_order_id")
        return order

    def cancel_order(self, order_id: str) -> Cancellation:
        """Ask Alpaca to cancel what is not filled of an order. Asking twice does no harm.

        :raises OutcomeUnknown: no answer came; the order may be cancelled or not. Read it, or ask again.
        """
        path = f"{self._orders}/{segment('order_id', order_id)}"
        try:
            self._session.delete(path)
        except AlpacaRefused as refused:
            if refused.status == 422:
                return Cancellation.NOT_CANCELABLE
            if refused.status == 404 and not is_about_another(refused):
                return Cancellation.NOT_FOUND
            raise
        return Cancellation.ACCEPTED

    @property
    def _orders(self) -> str:
        return f"{self._trading}/orders"

    def _place(self, side: str, unit: str, amount: str, client_order_id: str) -> tuple[Order, Reply]:
        body = {
            "symbol": USDC_PAIR,
            unit: amount,
            "side": side,
            "type": "market",
            "time_in_force": "gtc",
            "client_order_id": values.correlation("client_order_id", client_order_id),
        }
        reply = self._session.move(self._orders, body)
        order = read_moved(Order, self._orders, reply)
        if order.client_order_id != client_order_id or not order.is_usdc or order.side != side:
            raise not_ours(self._orders, reply, order.id)
        return order, reply
