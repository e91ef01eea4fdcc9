"""What Alpaca must allow: the account, its credentials, the stocks, the way out and the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.doctor.check import Check, Found, check, failure, ok, warning
from include.domain.amounts import plain
from include.legs.preflight import USDC_CHAIN
from include.settings import USDC
from include.venues.alpaca.errors import AlpacaRefused, Unauthorized
from include.venues.alpaca.orders import USDC_PAIR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.doctor.check import Look

ACTIVE = "ACTIVE"
NOT_FOUND = 404
SKEW_WARNING_SECONDS = 5
SKEW_FAILURE_SECONDS = 30
MOST_STOCKS = 100
"""Each is a request of its own, and Alpaca limits them."""
_BLOCKS = ("trading_blocked", "account_blocked", "transfers_blocked")


@check(
    "Alpaca account",
    reads="the account, with the Connection's credentials: its status, what is blocked, its crypto status.",
    advice="Ask Alpaca to open or unblock the account, and to enable crypto on it.",
)
def account(look: Look) -> Iterator[Found]:
    """Look at the account."""
    try:
        found = look.alpaca.account()
    except Unauthorized as refused:
        yield failure(
            f"the credentials are refused: {refused}",
            "Check login, password and `auth` of the Connection, and that they are of this environment: live "
            "keys work with the profile mainnet only, sandbox keys with testnet.",
        )
        return
    blocks = [name for name in _BLOCKS if getattr(found, name)]
    if found.is_active:
        yield ok(f"the status is {found.status}, and nothing is blocked")
    else:
        yield failure(", ".join([f"the status is {found.status}", *blocks]))
    if found.crypto_status is None:
        yield warning("Alpaca does not say whether crypto is enabled")
    elif found.crypto_status != ACTIVE:
        yield failure(f"the crypto status is {found.crypto_status}")
    else:
        yield ok("crypto is enabled")


@check(
    "Alpaca lists",
    reads="positions, tokenization requests and crypto transfers, from which balances and evidence come.",
    advice="Ask Alpaca to enable tokenization and crypto wallets for the account.",
)
def lists(look: Look) -> Iterator[Found]:
    """Read every list that operations rest on."""
    positions = len(look.alpaca.positions())
    pending = len(look.alpaca.tokenization_requests(status="pending"))
    transfers = len(look.alpaca.transfers())
    yield ok(f"{positions} positions, {pending} pending tokenization requests, {transfers} transfers")


@check(
    "Alpaca stocks",
    reads=f"each enabled stock at Alpaca, {MOST_STOCKS} at most: whether it is known there.",
    advice="Correct the symbol, or set `assets.<SYMBOL>.enabled` to false.",
)
def stocks(look: Look) -> Iterator[Found]:
    """Ask for each stock by its symbol."""
    enabled = [asset.symbol for asset in look.settings.watched() if asset.enabled and asset.symbol != USDC]
    known = 0
    for symbol in enabled[:MOST_STOCKS]:
        try:
            stock = look.alpaca.asset(symbol)
        except AlpacaRefused as refused:
            if refused.status != NOT_FOUND:
                raise
            yield failure(f"Alpaca does not know {symbol}")
            continue
        known += 1
        if stock.status.lower() != "active":
            yield warning(f"{symbol} is {stock.status} at Alpaca")
    if len(enabled) > MOST_STOCKS:
        yield warning(f"{len(enabled) - MOST_STOCKS} stocks were not looked at", "Nothing needs to be done.")
    if known == len(enabled):
        yield ok(f"Alpaca knows {', '.join(enabled)}" if enabled else "no stock is enabled")


@check(
    "Alpaca whitelist",
    reads="whether Alpaca lets USDC out to `wallet`.",
    advice="Put the wallet on the account's whitelist, with its travel-rule information, and wait for the "
    "approval, which takes at least 24 hours.",
)
def whitelist(look: Look) -> Iterator[Found]:
    """Look for the wallet on the list."""
    wallet = look.wallet
    rows = [row for row in look.alpaca.whitelist() if row.asset == USDC and row.address == wallet]
    if any(row.is_approved for row in rows):
        yield ok(f"{wallet} is approved for withdrawals of USDC")
    elif rows:
        yield failure(f"{wallet} is {', '.join(sorted({row.status.value for row in rows}))}")
    else:
        yield failure(f"{wallet} is not on the list")


@check(
    "Alpaca deposit address",
    reads="the address on Ethereum at which Alpaca takes USDC; Alpaca makes it when it is first asked.",
    advice="Ask Alpaca to enable crypto wallets for the account.",
)
def deposit_address(look: Look) -> Iterator[Found]:
    """Ask for the address."""
    found = look.alpaca.deposit_address(asset=USDC, chain=USDC_CHAIN)
    ours = {look.settings.wallet: "wallet", look.settings.redemption_wallet: "redemption_wallet"}
    if found in ours:
        yield failure(f"{found} is also the setting {ours[found]}", "Correct the setting.")
    else:
        yield ok(found)


@check(
    "clock",
    reads="Alpaca's clock, against the clock of this machine.",
    advice="Let a time service set this machine's clock.",
)
def clock(look: Look) -> Iterator[Found]:
    """Compare the clocks, at the middle of the request."""
    before = look.subject.now()
    theirs = look.alpaca.clock()
    ours = before + (look.subject.now() - before) / 2
    skew = (ours - theirs).total_seconds()
    text = f"this machine is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} Alpaca"
    if abs(skew) > SKEW_FAILURE_SECONDS:
        yield failure(text)
    elif abs(skew) > SKEW_WARNING_SECONDS:
        yield warning(text)
    else:
        yield ok(text)


@check(
    "Alpaca dollars",
    reads="with `dollars` `usd`: the account's cash, what of it is settled, and whether USDC is traded.",
    advice="Ask Alpaca to enable crypto on the account, or set `dollars` to `usdc`.",
)
def dollars(look: Look) -> Iterator[Found]:
    """Look at what turns dollars into USDC and back."""
    if look.settings.dollars != "usd":
        yield ok("not needed: `dollars` is usdc")
        return
    found, reserve = look.alpaca.account(), look.settings.cash_reserve
    settled = found.settled_cash
    if found.cash < 0:
        yield failure(f"the account owes {plain(-found.cash)} dollars", "Pay them in.")
    elif settled is None:
        yield failure("Alpaca does not say how much of the cash is settled, so no dollars can be counted")
    elif reserve and settled <= reserve:
        text = f"{plain(settled)} dollars are settled, and the reserve is {plain(reserve)}"
        yield warning(f"{text}: none can be moved", "Wait for sales to settle, or lower `cash_reserve`.")
    else:
        yield ok(f"{plain(found.cash)} dollars, of which {plain(settled)} are settled")
    yield _pair(look)


def _pair(look: Look) -> Found:
    for name in (USDC_PAIR, "USDC/USD"):  # Alpaca lists it under either
        try:
            pair = look.alpaca.asset(name)
        except AlpacaRefused as refused:
            if refused.status != NOT_FOUND:
                raise
            continue
        if pair.tradable and pair.status.lower() == "active":
            return ok(f"{name} is traded")
        return failure(f"{name} is {pair.status}{'' if pair.tradable else ', and not traded'}")
    return failure(f"Alpaca does not know {USDC_PAIR}")


CHECKS: tuple[Check, ...] = (account, lists, dollars, stocks, whitelist, deposit_address, clock)
