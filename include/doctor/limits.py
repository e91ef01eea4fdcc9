"""What bounds a move: the limits that are set, the gate that may freeze an equity, and the price of gas."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from include import gate
from include.doctor.check import Check, Found, check, failure, ok, warning
from include.domain.amounts import plain
from include.domain.decision import PlannedOperation, Reason
from include.domain.operation import OperationKind
from include.venues.errors import Unavailable
from include.venues.evm import erc20
from include.venues.evm.price_feed import decode_latest_round_data, latest_round_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.doctor.check import Look
    from include.settings import Asset, Settings

OLD_PRICE_WARNING_SECONDS = 60 * 60
OLD_PRICE_FAILURE_SECONDS = 24 * 60 * 60
ANY_AMOUNT = Decimal(1)
"""What the gate is asked about: whether an asset is frozen should not depend on it."""


@check(
    "limits",
    reads="the most that is moved at once and in a day, and whether another limit makes one useless.",
    advice="Change one of the two; docs/settings.md explains each.",
)
def limits(look: Look) -> Iterator[Found]:
    """Compare the limits with each other. Those that leave no room for a move are errors of the settings."""
    settings = look.settings
    assets = list(settings.watched())
    for asset in assets:
        for problem in _useless(settings, asset):
            yield warning(f"{asset.symbol}: {problem}")
    yield ok(f"equities: {_words(settings, 'equity')}; USDC: {_words(settings, 'usdc')}")


def _useless(settings: Settings, asset: Asset) -> Iterator[str]:
    kind = "usdc" if asset.is_usdc else "equity"
    own = settings.assets.get(asset.symbol)
    maximum = None if own is None else own.maximum
    if maximum is not None and asset.cap is not None and maximum > asset.cap:
        yield f"its maximum ({plain(maximum)}) is cut to {kind}_cap ({plain(asset.cap)})"
    daily, of_all = asset.daily_maximum, getattr(settings, f"{kind}_daily_maximum")
    if daily is not None and of_all is not None and daily > of_all:
        yield f"its daily_maximum ({plain(daily)}) is above {kind}_daily_maximum ({plain(of_all)})"
    day = min((limit for limit in (daily, of_all) if limit is not None), default=None)
    if day is not None and asset.maximum is not None and asset.maximum > day:
        yield f"one move may be {plain(asset.maximum)}, which is more than {plain(day)} in a day"


def _words(settings: Settings, kind: str) -> str:
    once = [getattr(settings, f"{kind}_{name}") for name in ("maximum", "cap")]
    least = min((limit for limit in once if limit is not None), default=None)
    daily = getattr(settings, f"{kind}_daily_maximum")
    if least is None and daily is None:
        return "no limit for all"
    shown = ("any amount" if limit is None else plain(limit) for limit in (least, daily))
    return "{} at once, {} in a day".format(*shown)


@check(
    "gate",
    reads="whether the service at `gate_url` answers, and which enabled equities it says are frozen.",
    advice="See that the service runs and can be reached from here. docs/limits.md says what it must answer.",
)
def the_gate(look: Look) -> Iterator[Found]:
    """Ask about a mint of each enabled equity."""
    settings = look.settings
    if settings.gate_url is None:
        yield ok("not needed: `gate_url` is not set")
        return
    equities = [one.symbol for one in settings.watched() if one.enabled and not one.is_usdc]
    # With `proceed`, silence would not be told.
    strict = settings.model_copy(update={"gate_silence": "skip"})
    shut = gate.ask(strict, [PlannedOperation(OperationKind.MINT, one, ANY_AMOUNT) for one in equities])
    silent = {symbol: one.why for symbol, one in shut.items() if one.reason is Reason.GATE_SILENT}
    for symbol, one in shut.items():
        if symbol not in silent:
            yield warning(f"{symbol}: {one.why}", "Nothing needs to be done, if that is meant.")
    if silent:
        text = f"{'; '.join(sorted(set(silent.values())))}, asked about {', '.join(silent)}"
        if settings.gate_silence == "proceed":
            yield warning(f"{text}: they are moved all the same, as `gate_silence` is proceed")
        else:
            yield failure(f"{text}: they are not moved")
    elif equities:
        yield ok(f"it answers; {len(equities) - len(shut)} of {len(equities)} equities may be moved")
    else:
        yield ok("not asked: no equity is enabled")


@check(
    "ETH price",
    reads="what an ETH costs by `eth_price_feed`, and how old that is.",
    advice="Correct `eth_price_feed`, or set `eth_price_usd` instead.",
)
def eth_price(look: Look) -> Iterator[Found]:
    """Read the feed's newest price."""
    settings, feed = look.settings, look.settings.eth_price_feed
    if feed is None:
        set_ = settings.eth_price_usd
        yield ok("not needed: no price is set" if set_ is None else f"set to {plain(set_)} dollars")
        return
    if not look.base.code(feed):
        yield failure(f"there is no contract at {feed}")
        return
    decimals, newest = look.base.multicall([erc20.decimals(feed), latest_round_data(feed)]).results
    if decimals is None or newest is None:
        yield failure(f"{feed} is no price feed")
        return
    try:
        price = decode_latest_round_data(newest, erc20.decode_uint(decimals))
    except Unavailable as problem:
        yield failure(str(problem))
        return
    age = (look.subject.now() - price.updated_at).total_seconds()
    text = f"{plain(price.value)} dollars, {max(age, 0):.0f} s old"
    if age > OLD_PRICE_FAILURE_SECONDS:
        yield failure(text)
    elif age > OLD_PRICE_WARNING_SECONDS:
        yield warning(text)
    else:
        yield ok(text)


CHECKS: tuple[Check, ...] = (limits, the_gate, eth_price)
