"""What must hold between settings: the checks that no single field can make."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from include.domain.amounts import USDC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.settings.asset import Asset
    from include.settings.model import AssetSettings, Settings

Problem: TypeAlias = tuple[tuple[str, ...], str]
"""Where a setting is wrong (its path) and what is wrong with it."""

BROKER: Final = "alpaca"
REQUIRED_ONCE_ENABLED: Final = (
    "wallet",
    "token_addresses",
    "redemption_wallet",
    "ethereum_rpc_url",
    "base_rpc_url",
)
_WAITS = ("mint", "redemption", "withdrawal", "attestation", "deposit", "conversion", "receipt")

# What Alpaca lets out at least, and room for what fees take of it. Where dollars are turned into USDC first,
# an order may set 2 % more aside than it costs, and the price moves a little.
ALPACA_WITHDRAWS_AT_LEAST: Final = Decimal(50)
_ROOM: Final = {"usdc": Decimal(1), "usd": Decimal(3)}


def problems(settings: Settings) -> Iterator[Problem]:
    """Yield everything that is wrong between settings, each with the path of the setting to change."""
    yield from _waits(settings)
    yield from _sizes(settings)
    yield from _dollars(settings)
    yield from _assets(settings)
    yield from _addresses(settings)
    yield from _endpoints(settings)
    if settings.rebalancing_enabled:
        yield from _needed(settings)


def smallest_usdc(dollars: str) -> Decimal:
    """Return the smallest move of USDC that Alpaca is sure to let out, by what the dollars there are."""
    return ALPACA_WITHDRAWS_AT_LEAST + _ROOM[dollars]


def missing(given: dict[str, object]) -> Iterator[Problem]:
    """Yield each setting that rebalancing needs and that is not given.

    :param given: the raw settings, so that this can be asked before, or although, they are not valid.
    """
    assets = given.get("assets")
    in_assets = isinstance(assets, str) or (
        isinstance(assets, dict) and any(_has_token(asset) for asset in assets.values())
    )
    for name in REQUIRED_ONCE_ENABLED:
        if given.get(name) or (name == "token_addresses" and in_assets):
            continue
        what = "at least one token address" if name == "token_addresses" else "it"
        yield (name,), f"is missing: rebalancing_enabled needs {what}"


def _has_token(asset: object) -> bool:
    return bool(asset.get("token") if isinstance(asset, dict) else getattr(asset, "token", None))


def _needed(settings: Settings) -> Iterator[Problem]:
    yield from missing(dict(settings))
    if settings.broker.lower() != BROKER:
        yield ("broker",), f"must be {BROKER}: rebalancing works with no other broker"


def _waits(settings: Settings) -> Iterator[Problem]:
    for wait in _WAITS:
        if getattr(settings, f"{wait}_deadline") < getattr(settings, f"{wait}_poll"):
            yield (f"{wait}_deadline",), f"must not be shorter than {wait}_poll"


def _sizes(settings: Settings) -> Iterator[Problem]:
    """Hold that the limits of all assets leave room for a move."""
    for kind in ("equity", "usdc"):
        low = getattr(settings, f"{kind}_minimum")
        for limit in (f"{kind}_maximum", f"{kind}_cap", f"{kind}_daily_maximum"):
            high = getattr(settings, limit)
            if high is not None and high < low:
                yield (limit,), f"must not be less than {kind}_minimum ({low})"
    least = smallest_usdc(settings.dollars)
    if settings.usdc_minimum < least:
        yield ("usdc_minimum",), _too_small(settings)
    if not _stops_inside(settings.stop_deviation, settings.rebalancing_deviation):
        deviation = settings.rebalancing_deviation
        yield ("stop_deviation",), f"must be less than rebalancing_deviation ({deviation}), or 0"


def _stops_inside(stop: Decimal, deviation: Decimal) -> bool:
    return stop == 0 or stop < deviation


def _too_small(settings: Settings) -> str:
    least, dollars = smallest_usdc(settings.dollars), settings.dollars
    return (
        f"must not be less than {least} with dollars = {dollars}: Alpaca lets out no less than "
        f"{ALPACA_WITHDRAWS_AT_LEAST}, and fees come off before"
    )


def _dollars(settings: Settings) -> Iterator[Problem]:
    if settings.cash_reserve and settings.dollars != "usd":
        yield ("cash_reserve",), "keeps cash back, and needs dollars = usd"
    if settings.eth_price_usd is not None and settings.eth_price_feed is not None:
        yield ("eth_price_feed",), "must not be given together with eth_price_usd"
    priced = settings.eth_price_usd is not None or settings.eth_price_feed is not None
    if settings.cost_budget_bps is not None and not priced:
        yield ("cost_budget_bps",), "needs eth_price_usd or eth_price_feed, to count gas with"


def _assets(settings: Settings) -> Iterator[Problem]:
    if USDC in settings.token_addresses:
        yield ("token_addresses", USDC), "must not be given: the profile knows the contract of USDC"
    tokens = settings.tokens
    for symbol, own in settings.assets.items():
        where = ("assets", symbol)
        if symbol == USDC:
            if own.token is not None:
                yield (*where, "token"), "must not be given: the profile knows the contract of USDC"
            if own.wrapper is not None:
                yield (*where, "wrapper"), "must not be given: only the token of an equity is wrapped"
        listed = settings.token_addresses.get(symbol)
        if own.token is not None and listed is not None and own.token != listed:
            yield (*where, "token"), f"differs from token_addresses.{symbol}: give the address in one place"
        if own.vaults and settings.orderbook is None:
            yield (*where, "vaults"), "need orderbook, the contract that holds them"
        if symbol != USDC and symbol not in tokens:
            yield where, "has no token address, here or in token_addresses"
            continue
        yield from _sizes_of_one(settings, own, settings.asset(symbol))


def _sizes_of_one(settings: Settings, own: AssetSettings, whole: Asset) -> Iterator[Problem]:
    """Hold that the limits of one asset leave room for a move, if it has any of its own."""
    where = ("assets", whole.symbol)
    if whole.is_usdc and own.minimum is not None and own.minimum < smallest_usdc(settings.dollars):
        yield (*where, "minimum"), _too_small(settings)
    sized = own.minimum is not None or own.maximum is not None
    if sized and whole.maximum is not None and whole.maximum < whole.minimum:
        name = "maximum" if own.maximum is not None else "minimum"
        yield (*where, name), f"the maximum ({whole.maximum}) is less than the minimum ({whole.minimum})"
    daily = whole.daily_maximum
    if daily is not None and daily < whole.minimum:
        yield (*where, "daily_maximum"), f"must not be less than the minimum ({whole.minimum})"
    banded = own.deviation is not None or own.stop_deviation is not None
    if banded and not _stops_inside(whole.stop_deviation, whole.deviation):
        name = "stop_deviation" if own.stop_deviation is not None else "deviation"
        stop, deviation = whole.stop_deviation, whole.deviation
        yield (*where, name), f"stop_deviation ({stop}) must be less than the deviation ({deviation}), or 0"


def _addresses(settings: Settings) -> Iterator[Problem]:
    """Hold that no address has two meanings: money sent to the wrong one is gone."""
    chains = settings.chains
    taken = {
        chains.base.usdc: "USDC on Base",
        chains.ethereum.usdc: "USDC on Ethereum",
        chains.base.token_messenger: "CCTP's TokenMessenger",
        chains.base.message_transmitter: "CCTP's MessageTransmitter",
    }
    places: list[tuple[tuple[str, ...], str | None]] = [
        (("wallet",), settings.wallet),
        (("redemption_wallet",), settings.redemption_wallet),
        (("orderbook",), settings.orderbook),
        (("eth_price_feed",), settings.eth_price_feed),
    ]
    listed = settings.token_addresses
    places += [(("token_addresses", symbol), token) for symbol, token in listed.items() if symbol != USDC]
    for symbol, asset in settings.assets.items():
        if symbol not in listed and symbol != USDC:
            places.append((("assets", symbol, "token"), asset.token))
    places += [(("assets", symbol, "wrapper"), asset.wrapper) for symbol, asset in settings.assets.items()]
    for path, address in places:
        if address is None:
            continue
        if address in taken:
            yield path, f"is the same address as {taken[address]}"
        else:
            taken[address] = ".".join(path)


def _endpoints(settings: Settings) -> Iterator[Problem]:
    """Hold that no endpoint is named twice, and that there are as many as have to agree."""
    seen: dict[str, str] = {}
    for network in ("ethereum", "base"):
        urls = settings.rpc_urls(network)
        if not urls and getattr(settings, f"{network}_rpc_fallbacks"):
            yield (f"{network}_rpc_fallbacks",), f"needs {network}_rpc_url, the endpoint that is asked first"
        for place, url in enumerate(urls):
            name = f"{network}_rpc_url" if place == 0 else f"{network}_rpc_fallbacks"
            if url in seen:
                yield (name,), f"is the same as {seen[url]}" if place == 0 else f"repeats {seen[url]}"
            seen.setdefault(url, name)
        if urls and len(urls) < settings.rpc_agreement:
            yield ("rpc_agreement",), f"is more than the endpoints of {network} ({len(urls)})"
