"""Orders for USDC against dollars: the rules, without HTTP. Only market orders, as Ballast sends them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.errors import ApiError, coded
from include.sandbox.alpaca.market import USDC_SYMBOL, asset_id
from include.sandbox.alpaca.state import (
    FINAL,
    USD,
    USDC,
    Fill,
    Order,
    Stage,
    decimals,
    new_id,
    parse_number,
    plain_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.sandbox.alpaca.core import Core

SYMBOLS = (USDC_SYMBOL, "USDC/USD")
CENT, USDC_UNIT, FINEST = Decimal("0.01"), Decimal("0.000001"), Decimal("1e-9")
COLLAR = Decimal("1.02")  # what a purchase by quantity holds of its price
HALF = Decimal("0.5")
TRY_AGAIN = 1.0  # seconds, while the price is beyond the collar
LISTED, LISTED_AT_MOST = 50, 500


def place(core: Core, body: Any) -> dict[str, Any]:
    """Take on an order.

    :raises ApiError: the order is refused; nothing happened, and its client_order_id stays free.
    """
    if not isinstance(body, dict):
        raise coded(400, 40010000, "request body format is invalid")
    client_id = _checked(body)
    if any(order.client_order_id == client_id for order in core.state.orders.values()):
        raise _unprocessable("client_order_id must be unique")
    qty, notional = parse_number(body.get("qty")), parse_number(body.get("notional"))
    reserved = _reserved(core, body["side"], qty, notional)
    fate = core.faults.fate("order") or ("partial" if core.rules.partial_fill is not None else None)
    if fate == "no_quote":
        raise coded(403, 40310000, f"no available quote for symbol {body['symbol']}")
    now = core.clock()
    order = Order(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=fate,
        client_order_id=client_id,
        side=body["side"],
        time_in_force=body["time_in_force"],
        qty=qty,
        notional=notional,
        reserved=reserved,
    )
    core.state.orders[order.id] = order
    core.move_on(order, Stage.ACCEPTED, core.latencies.order_fill)
    return {**order_view(core, order), "status": "pending_new"}


def advance(core: Core, order: Order) -> None:
    """Take the next step of an order: fill it, book what was filled, or end it, as its fate says."""
    if order.unbooked():
        dollars.book(core, order)
        # Whatever is next, it was due long ago.
        core.move_on(order, Stage.DONE if order.status in FINAL else Stage.JOURNALED)
    elif order.status == "pending_cancel":
        if order.fate == "fill_anyway":
            _fill(core, order, Decimal(1), "filled")
        else:
            order.status = "canceled"
            order.canceled_at = core.clock()
            core.move_on(order, Stage.DONE)
    elif order.fate == "reject" and not order.fills:
        order.status = "rejected"
        core.move_on(order, Stage.DONE)
    elif order.fate in _ENDS_AFTER_A_PART:
        _fill(core, order, core.rules.partial_fill or HALF, _ENDS_AFTER_A_PART[order.fate])
    elif order.fate == "partial":
        rest_is_cancelled = order.time_in_force == "ioc"
        status = "canceled" if rest_is_cancelled else "partially_filled"
        _fill(core, order, core.rules.partial_fill or HALF, status)
    else:
        _fill(core, order, Decimal(1), "filled")


_ENDS_AFTER_A_PART = {"cancel_rest": "canceled", "expire": "expired"}


def cancel(core: Core, order_id: str) -> None:
    """Begin to cancel an order; until that is done, it may still be filled.

    :raises ApiError: 404 for an unknown one, 422 for one that is final or being cancelled.
    """
    order = _visible(core, core.state.orders.get(order_id.lower()))
    if order.status in FINAL or order.status == "pending_cancel":
        raise coded(422, 42210000, f'order is already in "{order.status}" state')
    order.status = "pending_cancel"
    core.move_on(order, order.stage, core.latencies.order_cancel)


def order_by_id(core: Core, order_id: str) -> dict[str, Any]:
    """Show one order.

    :raises ApiError: 404 for an unknown one.
    """
    return order_view(core, _visible(core, core.state.orders.get(order_id.lower())))


def order_by_client_id(core: Core, client_order_id: str | None) -> dict[str, Any]:
    """Show the order that carries a client's id.

    :raises ApiError: 422 without an id, 404 for an unknown one.
    """
    if not client_order_id:
        raise _unprocessable("client_order_id is required")
    found = (o for o in core.state.orders.values() if o.client_order_id == client_order_id)
    return order_view(core, _visible(core, next(found, None)))


def list_orders(core: Core, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """List orders, newest first, by status (`open` unless told), symbols, after, until and limit."""
    status, limit = query.get("status", "open"), query.get("limit", str(LISTED))
    if status not in ("open", "closed", "all") or not limit.isdigit():
        raise _unprocessable("status or limit is invalid")
    after, until = _moment(query, "after"), _moment(query, "until")
    symbols = query.get("symbols")
    rows = [
        order
        for order in core.state.orders.values()
        if _is_visible(core, order)
        and status in ("all", "closed" if order.status in FINAL else "open")
        and (not symbols or set(symbols.split(",")) & set(SYMBOLS))
        and (after is None or order.created_at > after)
        and (until is None or order.created_at < until)
    ]
    rows.sort(key=lambda order: order.created_at, reverse=query.get("direction") != "asc")
    return [order_view(core, order) for order in rows[: min(int(limit), LISTED_AT_MOST)]]


def order_view(core: Core, order: Order) -> dict[str, Any]:
    """Show an order. One by `notional` has no `qty` until it is filled."""

    def shown(moment: datetime | None) -> str | None:
        return None if moment is None else core.timestamp(moment)

    qty = order.filled_qty if order.qty is None and order.status == "filled" else order.qty
    average = None
    if order.filled_qty:
        average = plain_number((order.filled_dollars / order.filled_qty).quantize(FINEST))
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": core.timestamp(order.created_at),
        "updated_at": core.timestamp(order.updated_at),
        "submitted_at": core.timestamp(order.created_at),
        "filled_at": shown(order.fills[-1].at if order.status == "filled" else None),
        "expired_at": shown(order.updated_at if order.status == "expired" else None),
        "canceled_at": shown(order.canceled_at),
        "failed_at": shown(order.updated_at if order.status == "rejected" else None),
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id(USDC_SYMBOL),
        "symbol": USDC_SYMBOL,
        "asset_class": "crypto",
        "notional": None if order.notional is None else plain_number(order.notional),
        "qty": None if qty is None else plain_number(qty),
        "filled_qty": plain_number(order.filled_qty),
        "filled_avg_price": average,
        "order_class": "",
        "order_type": "market",
        "type": "market",
        "side": order.side,
        "time_in_force": order.time_in_force,
        "limit_price": None,
        "stop_price": None,
        "status": order.status,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def _checked(body: dict[str, Any]) -> str:
    """Check what does not depend on the account, and return the client's id, or a new one."""
    side, unit = body.get("side"), [name for name in ("qty", "notional") if body.get(name) is not None]
    if body.get("symbol") not in SYMBOLS:
        raise _unprocessable(f"asset {body.get('symbol')!r} is not traded in this sandbox")
    if side not in ("buy", "sell"):
        raise _unprocessable("side must be buy or sell")
    if body.get("type") != "market":
        raise _unprocessable("only market orders are filled in this sandbox")
    if body.get("time_in_force") not in ("gtc", "ioc"):
        raise _unprocessable("invalid crypto time_in_force")
    if len(unit) != 1:
        raise _unprocessable("exactly one of qty and notional is required")
    amount = parse_number(body[unit[0]])
    if amount is None or amount <= 0:
        raise _unprocessable(f"{unit[0]} must be a positive number")
    if unit == ["notional"] and side == "sell":
        raise _unprocessable("sales by notional are not filled in this sandbox")
    if decimals(amount) > (2 if unit == ["notional"] else 6):
        raise _unprocessable(f"{unit[0]} has too many decimal places")
    client_id = body.get("client_order_id")
    if client_id is None or client_id == "":
        return new_id()
    if not isinstance(client_id, str) or len(client_id) > 128:
        raise _unprocessable("client_order_id must be at most 128 characters")
    return client_id


def _reserved(core: Core, side: str, qty: Decimal | None, notional: Decimal | None) -> Decimal:
    """Return what an order holds: its notional, 2 % more than its quantity costs, or what it sells.

    :raises ApiError: there is less, or a purchase is too small.
    """
    if side == "sell":
        free = core.state.available(USDC)
        if qty is None or free < qty:
            raise _short_of(USDC, qty, free)
        return qty
    cost = notional if notional is not None else _up(qty or Decimal(0), _price(core, "buy"))
    reserved = cost if notional is not None else _up(qty or Decimal(0), _price(core, "buy") * COLLAR)
    if cost < core.rules.minimum_order:
        least = plain_number(core.rules.minimum_order)
        raise coded(403, 40310000, f"cost basis must be >= minimal amount of order {least}")
    free = core.state.available(USD)
    if free < reserved and core.rules.insufficient_dollars == "balance":
        raise _short_of(USD, reserved, free)
    if free < reserved:
        figures = {"buying_power": plain_number(free), "cost_basis": plain_number(reserved)}
        raise coded(403, 40310000, "insufficient buying power", **figures)
    return reserved


def _short_of(asset: str, wanted: Decimal | None, free: Decimal) -> ApiError:
    asked, available = plain_number(wanted or Decimal(0)), plain_number(free)
    return coded(
        403,
        40310000,
        f"insufficient balance for {asset} (requested: {asked}, available: {available})",
        available=available,
        symbol=asset,
    )


def _fill(core: Core, order: Order, part: Decimal, status: str) -> None:
    """Fill a part of what is left of an order. `status` shows it at once; cash and position, once booked."""
    fill = _next_fill(core, order, part)
    if fill is None:
        core.move_on(order, order.stage, TRY_AGAIN)
        return
    order.fills.append(fill)
    order.status = status
    if status == "canceled":
        order.canceled_at = core.clock()
    core.move_on(order, Stage.JOURNALED, core.latencies.order_booking)
    if not core.latencies.order_booking:
        advance(core, order)


def _next_fill(core: Core, order: Order, part: Decimal) -> Fill | None:
    """Return the next fill, or None when a purchase by quantity would now cost more than it holds."""
    rules, price = core.rules, _price(core, order.side)
    with localcontext() as context:
        context.prec = 60
        if order.notional is not None:
            left = order.notional - order.filled_dollars
            paid = left if part == 1 else max(CENT, (left * part).quantize(CENT, ROUND_DOWN))
            qty = (paid / price).quantize(FINEST, ROUND_DOWN)
        else:
            left = (order.qty or Decimal(0)) - order.filled_qty
            qty = left if part == 1 else (left * part).quantize(FINEST, ROUND_DOWN)
            down = (qty * price).quantize(CENT, ROUND_DOWN)
            paid = _up(qty, price) if order.side == "buy" else down
        if order.side == "buy" and paid > order.reserved - order.filled_dollars:
            return None
        rate = rules.conversion_fee_bps / 10_000
        if order.side == "buy":
            fee = (qty * rate).quantize(FINEST, ROUND_DOWN)
        else:
            fee = (paid * rate).quantize(CENT, ROUND_DOWN)
        value = qty * rules.usdc_price
    return Fill(at=core.clock(), qty=qty, dollars=paid, value=value, fee=fee)


def _price(core: Core, side: str) -> Decimal:
    """Return the dollars that a USDC costs or brings now."""
    away = core.rules.usdc_price * core.rules.slippage_bps / 10_000
    return core.rules.usdc_price + (away if side == "buy" else -away)


def _up(qty: Decimal, price: Decimal) -> Decimal:
    """Return the dollars of a quantity, rounded up to cents."""
    return (qty * price).quantize(CENT, ROUND_CEILING)


def _visible(core: Core, order: Order | None) -> Order:
    """Return an order that lookups find by now.

    :raises ApiError: 404, as for an order that does not exist.
    """
    if order is None or not _is_visible(core, order):
        raise coded(404, 40410000, "order not found")
    return order


def _is_visible(core: Core, order: Order) -> bool:
    return core.clock() >= order.created_at + timedelta(seconds=core.latencies.order_visible)


def _unprocessable(message: str) -> ApiError:
    # One code for every cause, as at the real broker: only the words tell a repeated id from a wrong field.
    return coded(422, 40010001, message)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise _unprocessable(f"failed to parse {name}") from None
    if moment.tzinfo is None:
        raise _unprocessable(f"failed to parse {name}")
    return moment
