"""Every balance at once: one call to each chain and three to Alpaca, four with dollars, in parallel."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from include.domain.amounts import (
    TOKEN_DECIMALS,
    USDC,
    USDC_DECIMALS,
    exact,
    floor_to,
    from_base_units,
    plain,
)
from include.domain.inventory import Balance, Inventory, Snapshot, Unread
from include.venues.alpaca.orders import DOLLAR_DECIMALS
from include.venues.errors import Unavailable, VenueError
from include.venues.evm import erc20, erc4626
from include.venues.raindex import orderbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from include.book import Venues
    from include.settings import Asset, Settings
    from include.venues.alpaca.models import Account, CryptoTransfer, Position, TokenizationRequest
    from include.venues.evm.types import Call

T = TypeVar("T")

MANY_SHARES: Final = 10**36
"""How many base units of a wrapper's shares its rate is read for; see `assets_of`."""


@dataclass(frozen=True)
class _InFlight:
    """What has left a venue and not reached the other, by asset."""

    onchain: Mapping[str, Decimal]
    offchain: Mapping[str, Decimal]


def take(venues: Venues, snapshot_id: str) -> Snapshot:
    """Read every balance of every asset at both venues.

    Onchain balances are all of one block. A part that could not be read makes the balances that rest on it
    unread, not zero; and where it is not known what is in flight, the balances are unread too.
    """
    taken_at = venues.now()  # before the reading, so that nothing newer is taken for older
    settings = venues.settings
    with ThreadPoolExecutor(max_workers=6, thread_name_prefix="snapshot") as pool:
        # The chains last: their calls are written here, which must not keep the others from leaving.
        positions = pool.submit(venues.alpaca.positions)
        requests = pool.submit(venues.alpaca.tokenization_requests, status="pending")
        transfers = pool.submit(venues.alpaca.transfers)
        account = pool.submit(venues.alpaca.account) if settings.dollars == "usd" else None
        ethereum = pool.submit(lambda: venues.ethereum.multicall((), agreed=True).block_number)
        base = pool.submit(on_base, venues, agreed=True)
    onchain, base_block = _read(base) if _failure(base) is None else ({}, None)
    moving = _in_flight(requests, transfers)
    owned = _failure(positions) or _by_asset(_read(positions))
    symbols = settings.symbols
    offchain = {asset: _offchain(asset, owned, moving) for asset in symbols}
    if account is not None:
        offchain[USDC] = _with_dollars(offchain[USDC], account, settings.cash_reserve)
    return Snapshot(
        id=snapshot_id,
        taken_at=taken_at,
        base_block=base_block,
        ethereum_block=_read(ethereum) if _failure(ethereum) is None else None,
        inventories={
            asset: Inventory(asset, _onchain(asset, onchain, base, moving), offchain[asset])
            for asset in symbols
        },
    )


# Base: the wallet, what is wrapped in it, and the vaults


@dataclass(frozen=True, slots=True)
class Places:
    """Where an asset lies on Base, in base units.

    :param token: the asset's token, in the wallet.
    :param shares: the wrapper's shares, in the wallet.
    :param vaults: what each vault holds, by its id: shares where there is a wrapper, else tokens.
    :param rate: the tokens that `MANY_SHARES` stand for; None without a wrapper.
    """

    token: int
    shares: int
    vaults: Mapping[str, int]
    rate: int | None

    def balance(self, decimals: int) -> Balance:
        """Count it all as tokens: with vaults, what is in them is available and the rest is held.

        :param decimals: of the token.
        """
        in_vaults = sum(self.vaults.values())
        if self.rate is None:
            available, total = in_vaults, self.token + in_vaults
        else:
            # Rounded down as a whole, so that the total is the same however it is spread over the places.
            available = assets_of(in_vaults, self.rate)
            total = self.token + assets_of(self.shares + in_vaults, self.rate)
        if not self.vaults:
            available = total
        return Balance(
            available=from_base_units(available, decimals), held=from_base_units(total - available, decimals)
        )


def assets_of(shares: int, rate: int) -> int:
    """Return the tokens that a wrapper's shares stand for, in base units, rounded down.

    The shares are read in the same call as the rate, so the wrapper cannot be asked about just them. It is
    asked about `MANY_SHARES` instead: its answers are in proportion to the shares, but for rounding down. The
    result is therefore never above `convertToAssets(shares)`, and for up to `MANY_SHARES` shares at most one
    base unit below it.

    :param rate: what the wrapper answers to `convertToAssets(MANY_SHARES)`.
    """
    return shares * rate // MANY_SHARES


def decimals_of(asset: Asset) -> int:
    """Return the decimals that amounts of an asset's token, and of its wrapper's shares, are counted in."""
    return USDC_DECIMALS if asset.is_usdc else TOKEN_DECIMALS


def calls(settings: Settings, asset: Asset, wallet: str) -> Iterator[Call]:
    """Yield what is asked about one asset on Base; `read_places` takes the answers in this order.

    :raises ValueError: it has vaults, and there is no `orderbook`; settings that were loaded have one.
    """
    yield erc20.balance_of(asset.token, wallet)
    yield erc20.decimals(asset.token)
    if asset.wrapper is not None:
        yield erc20.balance_of(asset.wrapper, wallet)
        yield erc20.decimals(asset.wrapper)
        yield erc4626.asset(asset.wrapper)
        yield erc4626.convert_to_assets(asset.wrapper, MANY_SHARES)
    for vault in asset.vaults:
        if settings.orderbook is None:
            raise ValueError("orderbook is not set")
        token = asset.wrapper or asset.token
        yield orderbook.vault_balance(settings.orderbook, owner=wallet, token=token, vault_id=vault)


def read_places(asset: Asset, answers: Iterator[bytes | None]) -> Places:
    """Take the answers about one asset.

    :raises Unavailable: a contract did not answer, or is not what the settings say it is.
    """
    decimals, wrapper = decimals_of(asset), asset.wrapper
    token = _token(f"the token {asset.token}", next(answers), next(answers), decimals)
    shares, rate = 0, None
    if wrapper is not None:
        name = f"the wrapper {wrapper}"
        shares = _token(name, next(answers), next(answers), decimals)
        if (inside := _decoded(name, next(answers), erc4626.decode_asset)) != asset.token:
            raise Unavailable(f"{name} holds the token {inside}, not {asset.token}")
        rate = _decoded(name, next(answers), erc20.decode_uint)
        if rate == 0:
            raise Unavailable(f"the shares of {name} stand for nothing")
    vaults = {
        vault: _decoded(
            f"the vault {vault}",
            next(answers),
            lambda answer: orderbook.decode_vault_balance(answer, decimals),
        )
        for vault in asset.vaults
    }
    return Places(token, shares, vaults, rate)


def _token(name: str, balance: bytes | None, decimals: bytes | None, wanted: int) -> int:
    """Read a token's balance, if it has the wanted decimals."""
    if (has := _decoded(name, decimals, erc20.decode_uint)) != wanted:
        raise Unavailable(f"{name} has {has} decimals, expected {wanted}")
    return _decoded(name, balance, erc20.decode_uint)


def _decoded(name: str, answer: bytes | None, decode: Callable[[bytes], T]) -> T:
    if answer is None:
        raise Unavailable(f"{name} did not answer")
    try:
        return decode(answer)
    except VenueError as error:
        raise Unavailable(f"{name}: {error}") from error


def on_base(venues: Venues, *, agreed: bool = False) -> tuple[dict[str, Balance | Unread], int]:
    """Read what the wallet and its vaults hold of every asset, in one call; return it and the block.

    :param agreed: ask for as many endpoints to say the same as the settings want.
    :raises VenueError: when Base could not be read at all.
    """
    asked = [
        (asset, list(calls(venues.settings, asset, venues.wallet))) for asset in venues.settings.watched()
    ]
    answer = venues.base.multicall([call for _, its_calls in asked for call in its_calls], agreed=agreed)
    found: dict[str, Balance | Unread] = {}
    place = 0
    for asset, its_calls in asked:
        answers = iter(answer.results[place : place + len(its_calls)])
        place += len(its_calls)
        try:
            found[asset.symbol] = read_places(asset, answers).balance(decimals_of(asset))
        except VenueError as error:  # the others stay readable
            found[asset.symbol] = Unread(str(error))
    return found, answer.block_number


def _onchain(
    asset: str,
    balances: Mapping[str, Balance | Unread],
    base: Future[tuple[dict[str, Balance | Unread], int]],
    moving: Mapping[str, _InFlight | Unread],
) -> Balance | Unread:
    failure = _failure(base)
    if failure is not None:
        return Unread(f"Base: {failure}")
    balance, in_flight = balances[asset], moving[USDC if asset == USDC else ""]
    if isinstance(balance, Unread):
        return balance
    if isinstance(in_flight, Unread):
        return in_flight
    return replace(balance, in_flight=in_flight.onchain.get(asset, Decimal(0)))


# Alpaca


def _in_flight(
    requests: Future[list[TokenizationRequest]], transfers: Future[list[CryptoTransfer]]
) -> dict[str, _InFlight | Unread]:
    """Say what is in flight, for equities (`""`) and for USDC."""
    found: dict[str, _InFlight | Unread] = {}
    failure = _failure(requests)
    found[""] = Unread(f"pending tokenizations: {failure}") if failure else _tokenizing(_read(requests))
    failure = _failure(transfers)
    found[USDC] = Unread(f"pending transfers: {failure}") if failure else _transferring(_read(transfers))
    return found


def _tokenizing(requests: list[TokenizationRequest]) -> _InFlight:
    onchain: dict[str, Decimal] = defaultdict(Decimal)
    offchain: dict[str, Decimal] = defaultdict(Decimal)
    for request in requests:
        side = onchain if request.type == "redeem" else offchain
        side[request.symbol] += request.quantity
    return _InFlight(onchain, offchain)


def _transferring(transfers: list[CryptoTransfer]) -> _InFlight:
    onchain: dict[str, Decimal] = defaultdict(Decimal)
    offchain: dict[str, Decimal] = defaultdict(Decimal)
    for transfer in transfers:
        if transfer.asset == USDC and not (transfer.is_complete or transfer.is_failed):
            side = onchain if transfer.is_incoming else offchain
            side[USDC] += transfer.amount
    return _InFlight(onchain, offchain)


def _by_asset(positions: list[Position]) -> dict[str, list[Position]]:
    found: dict[str, list[Position]] = defaultdict(list)
    for position in positions:
        if position.is_usdc:
            found[USDC].append(position)
        elif position.symbol != USDC:  # a stock of that name is not the coin
            found[position.symbol].append(position)
    return found


def _offchain(
    asset: str, owned: Mapping[str, list[Position]] | str, moving: Mapping[str, _InFlight | Unread]
) -> Balance | Unread:
    """Say what lies at Alpaca.

    :param owned: the positions by asset, or why they could not be read.
    """
    if isinstance(owned, str):
        return Unread(f"positions: {owned}")
    in_flight = moving[USDC if asset == USDC else ""]
    if isinstance(in_flight, Unread):
        return in_flight
    # No position is zero, as the call itself succeeded.
    rows = owned.get(asset, [])
    quantity = sum((row.quantity for row in rows), start=Decimal(0))
    available = sum((row.available for row in rows), start=Decimal(0))
    if quantity < 0 or available < 0:
        return Unread(f"the position is short: {quantity}")
    if asset == USDC:
        quantity, available = floor_to(quantity, USDC_DECIMALS), floor_to(available, USDC_DECIMALS)
    leaving = in_flight.offchain.get(asset, Decimal(0))
    # A withdrawal under way lowers what is available and not yet the quantity.
    held = max(quantity - available - (leaving if asset == USDC else 0), Decimal(0))
    return Balance(available=available, in_flight=leaving, held=held)


def _with_dollars(usdc: Balance | Unread, account: Future[Account], reserve: Decimal) -> Balance | Unread:
    """Count the account's dollars as USDC: all of its cash, of which the settled part can be moved.

    :param reserve: settled dollars that stay.
    """
    if isinstance(usdc, Unread):
        return usdc
    failure = _failure(account)
    if failure is not None:
        return Unread(f"account: {failure}")
    cash, settled = _read(account).cash, _read(account).settled_cash
    if cash < 0:
        return Unread(f"the account owes {plain(-cash)} dollars")
    if settled is None:
        return Unread("the account does not say how much of its cash is settled")
    with exact():
        # Dollars become USDC by the cent, so that a part of one cannot be moved.
        convertible = floor_to(max(settled - reserve, Decimal(0)), DOLLAR_DECIMALS)
        total = usdc.available + usdc.held + floor_to(cash, USDC_DECIMALS)
        available = min(usdc.available + convertible, total)
        return replace(usdc, available=available, held=total - available)


def _failure(future: Future[T]) -> str | None:
    """Return why a read failed at its venue. Anything else that went wrong is a fault of ours, and raised."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, VenueError):
        return str(error) or type(error).__name__
    raise error


def _read(future: Future[T]) -> T:
    return future.result()
