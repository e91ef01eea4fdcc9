"""Every balance at once: one call to each chain and three to Alpaca, in parallel."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from include.domain.amounts import TOKEN_DECIMALS, USDC, USDC_DECIMALS, floor_to, from_base_units
from include.domain.inventory import Balance, Inventory, Snapshot, Unread
from include.venues.errors import VenueError
from include.venues.evm import erc20

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from include.book import Venues
    from include.venues.alpaca.models import CryptoTransfer, Position, TokenizationRequest

T = TypeVar("T")


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
    with ThreadPoolExecutor(max_workers=5, thread_name_prefix="snapshot") as pool:
        base = pool.submit(_base, venues)
        ethereum = pool.submit(lambda: venues.ethereum.multicall(()).block_number)
        positions = pool.submit(venues.alpaca.positions)
        requests = pool.submit(venues.alpaca.tokenization_requests, status="pending")
        transfers = pool.submit(venues.alpaca.transfers)
    onchain, base_block = _read(base) if _failure(base) is None else ({}, None)
    moving = _in_flight(requests, transfers)
    return Snapshot(
        id=snapshot_id,
        taken_at=taken_at,
        base_block=base_block,
        ethereum_block=_read(ethereum) if _failure(ethereum) is None else None,
        inventories={
            asset: Inventory(
                asset,
                _onchain(asset, onchain, base, moving),
                _offchain(asset, positions, moving),
            )
            for asset in venues.settings.symbols
        },
    )


def _base(venues: Venues) -> tuple[dict[str, Decimal | Unread], int]:
    """Read every token's balance and decimals in one call."""
    assets = list(venues.settings.watched())
    calls = [
        call
        for asset in assets
        for call in (erc20.balance_of(asset.token, venues.wallet), erc20.decimals(asset.token))
    ]
    answer = venues.base.multicall(calls)
    found: dict[str, Decimal | Unread] = {}
    for asset, balance, decimals in zip(assets, answer.results[::2], answer.results[1::2], strict=True):
        wanted = USDC_DECIMALS if asset.is_usdc else TOKEN_DECIMALS
        found[asset.symbol] = _token_balance(asset.token, wanted, balance, decimals)
    return found, answer.block_number


def _token_balance(
    token: str, wanted: int, balance: bytes | None, decimals: bytes | None
) -> Decimal | Unread:
    """Read one token's answers. One that is no token leaves the others readable."""
    try:
        if balance is None or decimals is None:
            return Unread(f"the token {token} did not answer")
        has = erc20.decode_uint(decimals)
        if has != wanted:
            return Unread(f"the token {token} has {has} decimals, expected {wanted}")
        return from_base_units(erc20.decode_uint(balance), wanted)
    except VenueError as error:
        return Unread(f"the token {token}: {error}")


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


def _onchain(
    asset: str,
    balances: Mapping[str, Decimal | Unread],
    base: Future[tuple[dict[str, Decimal | Unread], int]],
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
    return Balance(available=balance, in_flight=in_flight.onchain.get(asset, Decimal(0)))


def _offchain(
    asset: str, positions: Future[list[Position]], moving: Mapping[str, _InFlight | Unread]
) -> Balance | Unread:
    failure = _failure(positions)
    if failure is not None:
        return Unread(f"positions: {failure}")
    in_flight = moving[USDC if asset == USDC else ""]
    if isinstance(in_flight, Unread):
        return in_flight
    # No position is zero, as the call itself succeeded.
    rows = [row for row in _read(positions) if (row.is_usdc if asset == USDC else row.symbol == asset)]
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
