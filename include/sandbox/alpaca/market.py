"""The account, its positions, assets and the clock, as the API shows them."""

from __future__ import annotations

import uuid
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.sandbox.alpaca.errors import coded
from include.sandbox.alpaca.state import USD, USDC, floor_to, plain_number

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core

NEW_YORK = ZoneInfo("America/New_York")
OPENS, CLOSES = time(9, 30), time(16)
USDC_SYMBOL = "USDCUSD"


def account(core: Core) -> dict[str, Any]:
    """Show the account. `cash` is all of it; what can be withdrawn is settled and not held by an order."""
    state = core.state
    held = sum((_value(core, asset) for asset in _assets(core)), Decimal(0))
    equity = plain_number(state.cash + held)
    settled, unheld = plain_number(state.available(USD)), plain_number(state.cash - state.held(USD))
    return {
        "id": core.profile.account_id,
        "account_number": "900000001",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "cash": plain_number(state.cash),
        "cash_withdrawable": settled,
        "cash_transferable": settled,
        "buying_power": unheld,
        "regt_buying_power": unheld,
        "non_marginable_buying_power": settled,
        "equity": equity,
        "last_equity": equity,
        "long_market_value": plain_number(held),
        "short_market_value": "0",
        "initial_margin": "0",
        "maintenance_margin": "0",
        "multiplier": "1",
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": core.rules.account_blocked,
        "trade_suspended_by_user": False,
        "created_at": core.timestamp(core.profile.opened_at),
    }


def positions(core: Core) -> list[dict[str, Any]]:
    """List the positions. What is not held is not listed."""
    return [_position(core, asset) for asset in _assets(core)]


def position(core: Core, symbol_or_id: str) -> dict[str, Any]:
    """Show one position, by symbol or asset id.

    :raises ApiError: 404 when there is none.
    """
    for asset in _assets(core):
        if symbol_or_id in (_symbol(asset), asset_id(_symbol(asset))):
            return _position(core, asset)
    raise coded(404, 40410000, "position does not exist")


def assets(core: Core) -> list[dict[str, Any]]:
    """List the assets that can be traded here."""
    return [_asset(symbol) for symbol in [*sorted(core.profile.stocks), USDC_SYMBOL]]


def asset(core: Core, symbol_or_id: str) -> dict[str, Any]:
    """Show one asset, by symbol or asset id.

    :raises ApiError: 404 for an unknown one.
    """
    for found in assets(core):
        if symbol_or_id in (found["symbol"], found["id"]):
            return found
    raise coded(404, 40410000, f"asset not found for {symbol_or_id}")


def clock(core: Core) -> dict[str, Any]:
    """Show the market's hours: weekdays from 9:30 to 16:00 in New York. Holidays are not known here."""
    now = core.clock().astimezone(NEW_YORK)
    is_open = now.weekday() < 5 and OPENS <= now.time() < CLOSES
    return {
        "timestamp": now.isoformat(),
        "is_open": is_open,
        "next_open": _next(now, OPENS).isoformat(),
        "next_close": _next(now, CLOSES).isoformat(),
    }


def asset_id(symbol: str) -> str:
    """Return the id of an asset, the same in every sandbox."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{symbol.lower()}.asset.sandbox"))


def _next(now: datetime, at: time) -> datetime:
    day = now.date()
    while True:
        moment = datetime.combine(day, at, tzinfo=NEW_YORK)
        if moment > now and moment.weekday() < 5:
            return moment
        day += timedelta(days=1)


def _assets(core: Core) -> list[str]:
    held = (asset for asset in core.state.journal.assets() if asset != USD)
    return [asset for asset in held if core.state.position(asset) != 0]


def _symbol(asset: str) -> str:
    return USDC_SYMBOL if asset == USDC else asset


def _price(core: Core, asset: str) -> Decimal:
    return Decimal(1) if asset == USDC else core.profile.stocks[asset].price


def _value(core: Core, asset: str) -> Decimal:
    return floor_to(core.state.position(asset) * _price(core, asset), 6)


def _position(core: Core, asset: str) -> dict[str, Any]:
    price = plain_number(_price(core, asset))
    value = plain_number(_value(core, asset))
    described = _asset(_symbol(asset))
    return {
        "asset_id": described["id"],
        "symbol": described["symbol"],
        "exchange": described["exchange"],
        "asset_class": described["class"],
        "asset_marginable": False,
        "side": "long",
        "qty": plain_number(core.state.position(asset)),
        "qty_available": plain_number(core.state.available(asset)),
        "avg_entry_price": price,
        "current_price": price,
        "lastday_price": price,
        "market_value": value,
        "cost_basis": value,
        "change_today": "0",
        "unrealized_pl": "0",
        "unrealized_plpc": "0",
        "unrealized_intraday_pl": "0",
        "unrealized_intraday_plpc": "0",
    }


def _asset(symbol: str) -> dict[str, Any]:
    is_crypto = symbol == USDC_SYMBOL
    return {
        "id": asset_id(symbol),
        "class": "crypto" if is_crypto else "us_equity",
        "exchange": "CRYPTO" if is_crypto else "NASDAQ",
        "symbol": symbol,
        "name": "USD Coin" if is_crypto else f"{symbol} Common Stock",
        "status": "active",
        "tradable": True,
        "marginable": False,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": True,
        "attributes": [],
    }
