"""What must hold between settings: the checks that no single field can make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from include.domain.amounts import USDC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.settings.model import Settings

Problem: TypeAlias = tuple[tuple[str, ...], str]
"""Where a setting is wrong (its path) and what is wrong with it."""

BROKER: Final = "alpaca"
NOT_YET: Final = "is not supported yet: only what the wallet itself holds is counted and moved"
REQUIRED_ONCE_ENABLED: Final = (
    "wallet",
    "token_addresses",
    "redemption_wallet",
    "ethereum_rpc_url",
    "base_rpc_url",
)
_WAITS = ("mint", "redemption", "withdrawal", "attestation", "deposit", "receipt")


def problems(settings: Settings) -> Iterator[Problem]:
    """Yield everything that is wrong between settings, each with the path of the setting to change."""
    yield from _waits(settings)
    yield from _not_yet(settings)
    yield from _assets(settings)
    yield from _addresses(settings)
    if settings.rebalancing_enabled:
        yield from _needed(settings)


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


def _not_yet(settings: Settings) -> Iterator[Problem]:
    """Refuse what is named already and does nothing yet: money in a vault would not be counted."""
    if settings.orderbook is not None:
        yield ("orderbook",), NOT_YET
    for symbol, asset in settings.assets.items():
        for name in ("vault", "wrapper"):
            if getattr(asset, name) is not None:
                yield ("assets", symbol, name), NOT_YET


def _assets(settings: Settings) -> Iterator[Problem]:
    for kind in ("equity", "usdc"):
        low, high = getattr(settings, f"{kind}_minimum"), getattr(settings, f"{kind}_maximum")
        if high is not None and high < low:
            yield (f"{kind}_maximum",), f"must not be less than {kind}_minimum ({low})"
    if USDC in settings.token_addresses:
        yield ("token_addresses", USDC), "must not be given: the profile knows the contract of USDC"
    tokens = settings.tokens
    for symbol, asset in settings.assets.items():
        where = ("assets", symbol)
        if symbol == USDC and asset.token is not None:
            yield (*where, "token"), "must not be given: the profile knows the contract of USDC"
        listed = settings.token_addresses.get(symbol)
        if asset.token is not None and listed is not None and asset.token != listed:
            yield (*where, "token"), f"differs from token_addresses.{symbol}: give the address in one place"
        if symbol != USDC and symbol not in tokens:
            yield where, "has no token address, here or in token_addresses"
            continue
        whole = settings.asset(symbol)
        own = asset.minimum is not None or asset.maximum is not None
        if own and whole.maximum is not None and whole.maximum < whole.minimum:
            name = "maximum" if asset.maximum is not None else "minimum"
            yield (*where, name), f"the maximum ({whole.maximum}) is less than the minimum ({whole.minimum})"


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
    ]
    listed = settings.token_addresses
    places += [(("token_addresses", symbol), token) for symbol, token in listed.items() if symbol != USDC]
    for symbol, asset in settings.assets.items():
        if symbol not in listed and symbol != USDC:
            places.append((("assets", symbol, "token"), asset.token))
    for path, address in places:
        if address is None:
            continue
        if address in taken:
            yield path, f"is the same address as {taken[address]}"
        else:
            taken[address] = ".".join(path)
    ethereum, base = settings.ethereum_rpc_url, settings.base_rpc_url
    if ethereum is not None and ethereum == base:
        yield ("base_rpc_url",), "is the same as ethereum_rpc_url"
