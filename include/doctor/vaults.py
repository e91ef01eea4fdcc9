"""What vaults and wrappers on Base must be: there, of the right tokens, and able to pay out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.doctor.check import Check, Found, check, failure, ok, warning
from include.domain.amounts import SHARE_DECIMALS, TOKEN_DECIMALS, floor_to, from_base_units, plain
from include.snapshot import decimals_of
from include.venues.errors import VenueError
from include.venues.evm import erc20, erc4626
from include.venues.raindex import orderbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from include.doctor.check import Look
    from include.settings import Asset
    from include.venues.evm.types import Call
    from include.venues.raindex.orderbook import Version

ONE_SHARE = 10**TOKEN_DECIMALS
NO_VAULTS = "not needed: no asset has vaults"
NO_WRAPPERS = "not needed: no token is wrapped"
_VERSIONS: tuple[Version, ...] = ("v6", "v5")


@check(
    "OrderBook",
    reads="whether `orderbook` is a contract, and of the version that `orderbook_version` says.",
    advice="Correct `orderbook` and `orderbook_version`; ask Raindex for the contract on Base.",
)
def contract(look: Look) -> Iterator[Found]:
    """Look for code, and in it for the function that deposits."""
    if not _vaulted(look):
        yield ok(NO_VAULTS)
        return
    address, version = look.orderbook, look.settings.orderbook_version
    code = look.base.code(address)
    known = [one for one in _VERSIONS if _deposit_selector(look, one) in code]
    if not code:
        yield failure(f"there is no contract at {address}")
    elif known and version not in known:
        yield failure(f"{address} is of version {', '.join(known)}, and the setting is {version}")
    else:
        # A proxy has none of the functions in its own code, and may be of either version.
        yield ok(f"{address} is a contract" + (f" of version {version}" if known else ""))


def _deposit_selector(look: Look, version: Version) -> bytes:
    address = look.orderbook
    call = orderbook.deposit(
        address, token=address, vault_id="0x" + "01" * 32, amount=1, decimals=0, version=version
    )
    return call.data[:4]


@check(
    "vaults",
    reads="what each vault of the wallet holds, and whether a vault holds tokens that should be wrapped.",
    advice="Correct `orderbook`, or `assets.<SYMBOL>.vaults`. A new vault is one that holds nothing.",
)
def vaults(look: Look) -> Iterator[Found]:
    """Read every vault, and where shares belong into it, its tokens too."""
    asked = [(asset, vault) for asset in _vaulted(look) for vault in asset.vaults]
    if not asked:
        yield ok(NO_VAULTS)
        return
    answers = _ask(look, [_vault(look, asset, vault) for asset, vault in asked])
    unwrapped = _ask(look, [_vault(look, asset, vault, asset.token) for asset, vault in asked])
    for (asset, vault), answer, plainly in zip(asked, answers, unwrapped, strict=True):
        name = f"{asset.symbol}: the vault {vault}"
        try:
            held = _held(asset, answer)
            loose = _held(asset, plainly) if asset.wrapper else None
        except VenueError as error:
            yield failure(f"{name}: {error}")
            continue
        if held is None:
            yield failure(f"{name} did not answer")
            continue
        yield ok(f"{name} holds {plain(held)}{' wrapped' if asset.wrapper else ''}")
        if loose:
            yield warning(
                f"{name} holds {plain(loose)} besides, not wrapped",
                "They are not counted, and nothing moves them. Withdraw them, and wrap them by hand.",
            )


@check(
    "vault allowances",
    reads="whether the OrderBook and the wrappers may take tokens from the wallet.",
    advice="Nothing needs to be done: each is granted when it is first needed.",
)
def allowances(look: Look) -> Iterator[Found]:
    """Read every allowance in one call."""
    asked: dict[str, Call] = {}
    for asset in look.settings.watched():
        if asset.vaults:
            asked[f"{asset.symbol} to the OrderBook"] = erc20.allowance(
                _traded(asset), look.wallet, look.orderbook
            )
        if asset.wrapper is not None:
            asked[f"{asset.symbol} to its wrapper"] = erc20.allowance(asset.token, look.wallet, asset.wrapper)
    if not asked:
        yield ok("not needed: no asset has vaults or a wrapper")
        return
    granted = dict(zip(asked, (_number(answer) for answer in _ask(look, list(asked.values()))), strict=True))
    for name, amount in granted.items():
        if amount is None:
            yield failure(f"{name}: the token did not answer", "Correct the token or the wrapper.")
    missing = [name for name, amount in granted.items() if amount == 0]
    if missing:
        yield ok(f"none yet for {', '.join(missing)}")
    given = [name for name, amount in granted.items() if amount]
    if given:
        yield ok(f"granted for {', '.join(given)}")


@check(
    "wrappers",
    reads="each wrapper on Base: whether it is of the asset's token, its decimals, what a share stands for, "
    "and whether all shares that are held can be redeemed.",
    advice="Correct `assets.<SYMBOL>.wrapper`; ask the issuer for the wrapper of the token on Base.",
)
def wrappers(look: Look) -> Iterator[Found]:
    """Look at each wrapper."""
    wrapped = [asset for asset in look.settings.watched() if asset.wrapper is not None]
    if not wrapped:
        yield ok(NO_WRAPPERS)
    for asset in wrapped:
        try:
            yield from _wrapper(look, asset, asset.wrapper or "")
        except VenueError as error:
            yield failure(f"{asset.symbol}: the wrapper {asset.wrapper}: {error}")


def _wrapper(look: Look, asset: Asset, wrapper: str) -> Iterator[Found]:
    name = f"{asset.symbol}: the wrapper {wrapper}"
    if not look.base.code(wrapper):
        yield failure(f"{asset.symbol}: there is no contract at {wrapper}")
        return
    decimals, inside, worth = _ask(
        look,
        [
            erc20.decimals(wrapper),
            erc4626.asset(wrapper),
            erc4626.convert_to_assets(wrapper, ONE_SHARE),
        ],
    )
    if decimals is None or inside is None or worth is None:
        yield failure(f"{name} is no ERC-4626 wrapper")
        return
    if (token := erc4626.decode_asset(inside)) != asset.token:
        yield failure(f"{name} is of the token {token}, expected {asset.token}")
    if (has := erc20.decode_uint(decimals)) != TOKEN_DECIMALS:
        yield failure(f"{name} has {has} decimals, expected {TOKEN_DECIMALS}")
        return
    rate = from_base_units(erc20.decode_uint(worth), TOKEN_DECIMALS)
    if rate == 0:
        yield warning(f"{name} says that a share stands for nothing", "Ask the issuer before anything moves.")
    else:
        yield ok(f"{asset.symbol}: one share stands for {plain(rate)} tokens")
    yield from _redeemable(look, asset, wrapper)


def _redeemable(look: Look, asset: Asset, wrapper: str) -> Iterator[Found]:
    """Compare what may be redeemed with what the wallet and its vaults hold."""
    balance, limit = _ask(
        look, [erc20.balance_of(wrapper, look.wallet), erc4626.max_redeem(wrapper, look.wallet)]
    )
    places = [("the wallet", _number(balance) or 0, _number(limit))]
    if asset.vaults:
        # What is in vaults is the OrderBook's for the wrapper.
        limit, *held = _ask(
            look,
            [erc4626.max_redeem(wrapper, look.orderbook)]
            + [_vault(look, asset, vault) for vault in asset.vaults],
        )
        in_vaults = sum(orderbook.decode_vault_balance(one, TOKEN_DECIMALS) for one in held if one)
        places.append(("the vaults", in_vaults, _number(limit)))
    for place, shares, most in places:
        if most is not None and most < shares:
            whole, may = (plain(from_base_units(units, TOKEN_DECIMALS)) for units in (shares, most))
            yield warning(
                f"{asset.symbol}: of {whole} shares in {place}, {may} can be redeemed now",
                "Ask the issuer. A redemption of more waits until it can.",
            )


@check(
    "stray tokens",
    reads="whether tokens lie in the wallet although their asset has vaults, where they are not traded.",
    advice="Those of an open operation go on by themselves. Deposit others by hand, or set `stray_tokens` to "
    "`deposit`.",
)
def strays(look: Look) -> Iterator[Found]:
    """Read the wallet's balances of what belongs into vaults."""
    tokens = [
        (asset, token) for asset in _vaulted(look) for token in dict.fromkeys((asset.token, _traded(asset)))
    ]
    if not tokens:
        yield ok(NO_VAULTS)
        return
    balances = _ask(look, [erc20.balance_of(token, look.wallet) for _, token in tokens])
    found = False
    for (asset, token), answer in zip(tokens, balances, strict=True):
        # What is finer than operations are stays behind when shares are unwrapped.
        amount = floor_to(from_base_units(_number(answer) or 0, decimals_of(asset)), SHARE_DECIMALS)
        if amount:
            found = True
            what = "wrapped " if token == asset.wrapper else ""
            yield warning(f"{plain(amount)} {what}{asset.symbol} in the wallet", _about_strays(look))
    if not found:
        yield ok("there are none")


def _about_strays(look: Look) -> str:
    if look.settings.stray_tokens == "deposit":
        return "Nothing needs to be done: the next operation that brings more of them deposits them too."
    return ""


def _vaulted(look: Look) -> list[Asset]:
    return [asset for asset in look.settings.watched() if asset.vaults]


def _traded(asset: Asset) -> str:
    """Return the token that an asset's vaults hold."""
    return asset.wrapper or asset.token


def _vault(look: Look, asset: Asset, vault: str, token: str | None = None) -> Call:
    return orderbook.vault_balance(
        look.orderbook, owner=look.wallet, token=token or _traded(asset), vault_id=vault
    )


def _ask(look: Look, calls: Sequence[Call]) -> tuple[bytes | None, ...]:
    return look.base.multicall(calls).results


def _held(asset: Asset, answer: bytes | None) -> Decimal | None:
    """Read a vault's balance; None where there was no answer."""
    if answer is None:
        return None
    decimals = decimals_of(asset)
    return from_base_units(orderbook.decode_vault_balance(answer, decimals), decimals)


def _number(answer: bytes | None) -> int | None:
    """Read a number; None where there was no such answer."""
    return erc20.decode_uint(answer) if answer is not None and len(answer) == 32 else None


CHECKS: tuple[Check, ...] = (contract, vaults, wrappers, allowances, strays)
