"""Dollars at Alpaca become USDC there, or USDC becomes dollars."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from include.book import Network
from include.domain.amounts import (
    USDC_DECIMALS,
    exact,
    floor_to,
    plain,
    to_base_units,
)
from include.domain.operation import Leg, OperationKind
from include.ledger.records import Effect, EffectStatus
from include.legs import preflight
from include.legs.conditions import OrderDecided
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.legs.likeness import differences
from include.legs.mint import LOOKUP_LAG
from include.settings.checks import ALPACA_WITHDRAWS_AT_LEAST
from include.venues.alpaca.errors import DuplicateOrder
from include.venues.alpaca.models import OrderSide, OrderStatus
from include.venues.alpaca.orders import DOLLAR_DECIMALS
from include.venues.errors import OutcomeUnknown, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.venues.alpaca.models import Order

ORDER = "conversion_order"
SMALLEST_ORDER = Decimal(10)
"""Dollars: Alpaca sells no less USDC than this."""
COLLAR = Decimal("0.02")
"""How far the price may be from a dollar before a conversion counts as one that brought too little."""
RESEND_AFTER = timedelta(seconds=10)
"""Only after this is an order that Alpaca does not show, and may not know, sent again under its id."""
BOOKING_LAG = timedelta(seconds=30)
"""For so long the position may show less than was filled."""
TRIES = 20
"""How often an order is offered, until the deadline, while Alpaca does not take it."""
CENT = Decimal("0.01")


class NotConverted(Refused):
    """No order is alive, and what was converted is too little to move: it stays at Alpaca."""


class Convert(Step):
    """Place one order, wait until it is filled, and cancel what is left of it after a deadline.

    As the first leg it buys what the position lacks. As the last it sells what was deposited; the money is at
    its venue already, so that this leg always ends, and what could not be sold stays USDC.

    Whatever goes wrong, there is one order: its id is the operation's, and Alpaca takes an id once. Nothing
    leaves Alpaca by it, so that a later refusal may still cancel the operation.
    """

    leg: ClassVar[Leg] = Leg.CONVERT

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        effect = self.lease.effect(self.leg, ORDER)
        if effect is None or (effect.status is EffectStatus.NOT_DONE and effect.reference is None):
            begun = self._begin()
            if isinstance(begun, Done):
                return begun
            effect = begun
        try:
            return self._push(effect)
        except NotConverted:
            raise
        except Refused as refused:
            # It says nothing about the order, which may be alive: the operation must not end by it.
            return self.pause(
                REFUSED_POLL,
                f"Alpaca to say what became of the order: {refused}",
                self.settings.conversion_deadline,
                attention=f"Alpaca refuses to say what became of the order {self.operation.id}: {refused}",
            )

    @property
    def _buys(self) -> bool:
        return self.operation.kind is OperationKind.USDC_ALPACA_TO_BASE

    # -- what to order ---------------------------------------------------------------------------------

    def _begin(self) -> Effect | Done:
        """Record what is going to be ordered, or find that no order is needed."""
        if not self._buys:
            intent = {"side": OrderSide.SELL.value, "quantity": plain(self.quantity)}
            return self._intend(intent)
        preflight.require_account(self.venues)
        preflight.require_whitelisted(self.venues, self.venues.wallet)
        preflight.require_way(self.venues, self.operation.kind)
        preflight.require_burn_limit(self.venues, Network.ETHEREUM, self.amount)
        used = min(self.quantity, self._position())
        notional = self._notional(self.quantity - used)
        if notional == 0:
            self.lease.note(self.leg, conversion={"from_position": plain(used)})
            return Done(to_base_units(used, USDC_DECIMALS), "no order was needed")
        return self._intend(
            {"side": OrderSide.BUY.value, "notional": plain(notional), "from_position": plain(used)}
        )

    def _intend(self, intent: dict[str, str]) -> Effect:
        return self.lease.intend(
            self.leg, ORDER, {**intent, "client_order_id": self.operation.id}, irreversible=False
        )

    def _position(self) -> Decimal:
        """Return the USDC that is in the position and not held by anything."""
        rows = self.venues.alpaca.positions()
        held = sum((row.available for row in rows if row.is_usdc), start=Decimal(0))
        return floor_to(max(held, Decimal(0)), USDC_DECIMALS)

    def _notional(self, missing: Decimal) -> Decimal:
        """Return the dollars to spend on the USDC that is missing, 0 for none.

        Whole cents that cover it at a dollar each; what the price takes comes out of the amount.

        :raises NotReady: when that brings less than is worth moving.
        """
        spent = Decimal(0)
        if missing:
            wanted = max(missing.quantize(CENT, ROUND_CEILING), SMALLEST_ORDER)
            within = min(wanted, self._budget())
            spent = within if within >= SMALLEST_ORDER else spent
        reached = self.quantity - max(missing - spent, Decimal(0))
        if reached < self.terms.minimum:
            msg = (
                f"settled cash and the position make {plain(reached)} of {plain(self.quantity)} USDC, less "
                f"than {plain(self.terms.minimum)}"
            )
            raise preflight.NotReady(msg)
        return spent

    def _budget(self) -> Decimal:
        """Return the dollars that may be spent: settled ones, less the reserve."""
        settled = self.venues.alpaca.account().settled_cash
        if settled is None:
            msg = "the account does not say how much of its cash is settled"
            raise preflight.NotReady(msg)
        with exact():
            return floor_to(max(settled - self.settings.cash_reserve, Decimal(0)), DOLLAR_DECIMALS)

    # -- the order -------------------------------------------------------------------------------------

    def _push(self, effect: Effect) -> Done | Wait:
        if effect.status is EffectStatus.NOT_DONE:
            return self._nothing(effect.detail or "the order came to nothing", effect.reference or "")
        if effect.status is not EffectStatus.DONE:
            placed = self._place(effect)
            if not isinstance(placed, Effect):
                return placed
            effect = placed
        order = self.venues.alpaca.order(effect.reference or "")
        if order is None:
            return self._wait(f"Alpaca to know its own order {effect.reference} again")
        if not order.is_final:
            ended = self._unfinished(effect, order)
            if isinstance(ended, Wait):
                return ended
            order = ended
        return self._conclude(effect, order)

    def _place(self, effect: Effect) -> Effect | Done | Wait:
        """Find the order, or send it where it is certain enough that Alpaca does not have it."""
        found = self.venues.alpaca.order_by_client_id(effect.intent["client_order_id"])
        if found is not None:
            return self._adopt(effect, found)
        if effect.status is EffectStatus.INTENDED:
            return self._send(effect)
        return self._send_again(effect)

    def _send(self, effect: Effect) -> Effect | Done | Wait:
        """Send the order for the first time: a refusal is proof that there is none."""
        effect = self.lease.sent(effect)
        try:
            return self._adopt(effect, self._post(effect))
        except DuplicateOrder as error:
            return self._duplicate(error)
        except OutcomeUnknown as error:
            return self._wait(f"Alpaca to show whether it took the order: {error}")
        except (Refused, Unavailable) as error:
            self.lease.not_done(effect, str(error))
            for_good = self._buys and isinstance(error, Refused)
            if for_good or self.venues.now() >= self._begun + self.settings.conversion_deadline:
                return self._nothing(str(error))
            # A new attempt is made after a while, with what there is then.
            pause = max(self.settings.conversion_poll, self.settings.conversion_deadline / TRIES)
            if isinstance(error, Unavailable) and error.retry_after:
                pause = max(pause, timedelta(seconds=error.retry_after))
            return self._wait(f"Alpaca to take the order: {error}", pause)

    def _send_again(self, effect: Effect) -> Effect | Done | Wait:
        """Go on from an order of which it is not known whether it was taken.

        What is answered to a repetition says nothing about the order before it, but that one may be the
        reason for a refusal: it is looked up again.
        """
        now, last = self.venues.now(), self._asked_at(effect)
        unshown = "Alpaca to show whether it took the order"
        if now < last + RESEND_AFTER:
            return self._wait(unshown)
        if self.notes.get("known_already") is not None:
            return self._known_already(last)
        # Also after the deadline it is sent once: whoever was to send it may have died long ago.
        if last >= (effect.sent_at or effect.intended_at) + self.settings.conversion_deadline:
            return self._given_up(effect, last)
        self.lease.note(self.leg, asked_again_at=now.isoformat())
        try:
            return self._adopt(effect, self._post(effect))
        except DuplicateOrder as error:
            return self._duplicate(error)
        except (Refused, Unavailable, OutcomeUnknown) as error:
            return self._wait(f"{unshown}: {error}")

    def _given_up(self, effect: Effect, last: datetime) -> Done | Wait:
        """Send no more, and find out that nothing that was sent is alive."""
        if self.venues.now() < last + LOOKUP_LAG:
            return self._wait("Alpaca to show whether it took the order, which is not sent any more")
        why = "Alpaca does not know the order"
        self.lease.not_done(effect, why)
        return self._nothing(why)

    def _duplicate(self, error: DuplicateOrder) -> Wait:
        self.lease.note(self.leg, known_already=str(error))
        return self._known_already(self.venues.now())

    def _known_already(self, last: datetime) -> Wait:
        """Wait for an order that exists, as its id is taken, and is never sent again."""
        if self.venues.now() < last + LOOKUP_LAG:
            return self._wait("Alpaca to show the order whose id it knows already")
        return self.pause(
            REFUSED_POLL,
            "a person, as Alpaca knows the order's id but not the order",
            self.settings.conversion_deadline,
            attention=f"Alpaca does not show the order {self.operation.id}: {self.notes['known_already']}",
        )

    def _post(self, effect: Effect) -> Order:
        intent, alpaca = effect.intent, self.venues.alpaca
        if intent["side"] == OrderSide.BUY:
            return alpaca.buy_usdc(Decimal(intent["notional"]), intent["client_order_id"])
        return alpaca.sell_usdc(Decimal(intent["quantity"]), intent["client_order_id"])

    def _adopt(self, effect: Effect, order: Order) -> Effect | Wait:
        differs = unlike(effect, order)
        if differs:
            return self.pause(
                REFUSED_POLL,
                f"a person, as order {order.id} is not ours",
                self.settings.conversion_deadline,
                attention=f"Alpaca has order {order.id} under our id: {'; '.join(differs)}",
            )
        return self.lease.done(effect, order.id)

    def _unfinished(self, effect: Effect, order: Order) -> Order | Wait:
        """Wait for an order to be filled, and after the deadline cancel what is left of it."""
        now, patience = self.venues.now(), self.settings.conversion_deadline
        deadline = self._asked_at(effect) + patience
        reason = f"Alpaca to fill the order {order.id}"
        if now >= deadline:
            reason = f"Alpaca to cancel what is left of the order {order.id}"
            cancelled_at, refusal = self._cancel(order)
            # Whether it was filled or cancelled first, the order says it.
            order = self.venues.alpaca.order(order.id) or order
            if order.is_final:
                return order
            if now >= cancelled_at + patience:
                attention = f"order {order.id} should be cancelled and is {order.status}{refusal}"
                return self.pause(REFUSED_POLL, reason, patience, attention=attention)
        if not order.is_open:
            attention = f"order {order.id} is {order.status}"
            return self.pause(REFUSED_POLL, reason, patience, attention=attention)
        return Wait(
            OrderDecided(order.id),
            self.settings.conversion_poll,
            reason,
            patience,
            wake_at=deadline if now < deadline else None,
        )

    def _cancel(self, order: Order) -> tuple[datetime, str]:
        """Ask for the cancellation, and return when that was done first, and what is said against it."""
        known, now = self.notes.get("cancel_asked_at"), self.venues.now()
        if known is None:
            self.lease.note(self.leg, cancel_asked_at=now.isoformat())
        first = now if known is None else datetime.fromisoformat(known)
        if order.status == OrderStatus.PENDING_CANCEL:
            return first, ""
        try:
            self.venues.alpaca.cancel_order(order.id)
        except (Refused, OutcomeUnknown) as error:
            return first, f": {error}"
        return first, ""

    # -- what came of it -------------------------------------------------------------------------------

    def _conclude(self, effect: Effect, order: Order) -> Done | Wait:
        """Book what was filled, once no more can be."""
        if floor_to(order.filled_qty, USDC_DECIMALS) == 0:
            why = f"order {order.id} is {order.status} and nothing of it was filled"
            self.lease.not_done(effect, why)
            return self._nothing(why, order.id)
        noted = self.notes.get("conversion")
        if noted is None or noted.get("order") != order.id:
            noted = self._noted(effect, order)
            self.lease.note(self.leg, conversion=noted)
        if not self._buys:
            return Done(self.amount, order.id)
        used = Decimal(effect.intent["from_position"])
        brought = min(self.quantity, floor_to(used + order.filled_qty, USDC_DECIMALS))
        there = self._position()
        if there < brought and self.venues.now() < datetime.fromisoformat(noted["at"]) + BOOKING_LAG:
            return self._wait(f"Alpaca to show in the position what order {order.id} bought")
        amount = min(brought, there)  # a fee may have been taken out of what was filled
        least = max(ALPACA_WITHDRAWS_AT_LEAST, self.terms.minimum * (1 - COLLAR))
        if amount < least:
            raise NotConverted(
                f"order {order.id} is {order.status} and there are {plain(amount)} USDC to move, less "
                f"than {plain(least)}: they stay at Alpaca"
            )
        return Done(to_base_units(amount, USDC_DECIMALS), order.id)

    def _noted(self, effect: Effect, order: Order) -> dict[str, Any]:
        """Return what was filled and what it cost, as text, for those who book it."""
        price = order.filled_avg_price
        dollars = None if price is None else (order.filled_qty * price).quantize(CENT, ROUND_HALF_EVEN)
        noted = {
            "order": order.id,
            "side": effect.intent["side"],
            "status": order.status.value,
            "filled": plain(order.filled_qty),
            "dollars": None if dollars is None else plain(dollars),
            "price": None if price is None else plain(price),
            "at": self.venues.now().isoformat(),
        }
        if self._buys:
            return {**noted, "from_position": effect.intent["from_position"]}
        return {**noted, "not_converted": plain(max(self.quantity - order.filled_qty, Decimal(0)))}

    def _nothing(self, why: str, order_id: str = "") -> Done:
        """End without a conversion, when no order is alive.

        :raises NotConverted: where the next leg has nothing to move.
        """
        if self._buys:
            raise NotConverted(why)
        self.lease.note(self.leg, conversion={"not_converted": plain(self.quantity), "why": why})
        return Done(self.amount, order_id or f"not converted: {why}")

    # -- waiting ---------------------------------------------------------------------------------------

    @property
    def _begun(self) -> datetime:
        return self.state.started_at or self.venues.now()

    def _asked_at(self, effect: Effect) -> datetime:
        # Not the notes on entry: it may have been sent again since.
        return asked_at(effect, self.lease.leg(self.leg).notes)

    def _wait(self, reason: str, every: timedelta | None = None) -> Wait:
        return self.pause(every or self.settings.conversion_poll, reason, self.settings.conversion_deadline)


def asked_at(effect: Effect, notes: Mapping[str, Any]) -> datetime:
    """Return when an order was sent last: it may be too young to be shown.

    :param notes: of the leg.
    """
    first, last = effect.sent_at or effect.intended_at, notes.get("asked_again_at")
    return first if last is None else max(first, datetime.fromisoformat(last))


def unlike(effect: Effect, order: Order) -> list[str]:
    """Return what makes an order at Alpaca another one than the effect stands for. Its id is what counts."""
    intent = effect.intent
    differs = differences(
        ("client_order_id", order.client_order_id, intent["client_order_id"]),
        ("side", order.side, intent["side"]),
    )
    return differs if order.is_usdc else [*differs, f"it trades {order.symbol}"]
