"""Alpaca's Broker API, as far as moving inventory needs it.

Every method makes one request. Nothing is repeated and nothing sleeps: what to do after a failure is for the
caller, who is told by the kind of the exception whether money may have moved.

`mint`, `withdraw`, `buy_usdc` and `sell_usdc` move money. A mint has an idempotency key, and an order has an
id of ours that Alpaca takes only once; a withdrawal has neither, so that after an `OutcomeUnknown` it must be
looked for among `transfers()` and never be sent blindly again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from eth_utils.address import is_checksum_address, is_hex_address

from include.venues.alpaca import values
from include.venues.alpaca.answers import Rows, id_of, not_ours, read_moved, read_one, segment, unreadable
from include.venues.alpaca.errors import AlpacaUnavailable
from include.venues.alpaca.http import Session
from include.venues.alpaca.models import (
    Account,
    Asset,
    CryptoTransfer,
    Position,
    TokenizationRequest,
    WhitelistedAddress,
)
from include.venues.alpaca.orders import Orders
from include.venues.alpaca.values import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal
    from types import TracebackType

    import httpx

_ACCOUNT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_CHAIN_NAMES = {"ethereum": "ETH", "solana": "SOL", "arbitrum": "ARB"}


class AlpacaBroker(Orders):
    """One Alpaca account. Safe to share between threads.

    Methods that read raise `Unavailable` or `Refused`; those that move money also `OutcomeUnknown`; an
    argument that Alpaca would not take raises ValueError, and nothing is sent.

    :param base_url: the Broker API's host.
    :param account_id: the account's UUID, not its number.
    :param transport: replaces the network, for tests.
    :param now: the clock by which pauses that Alpaca asks for are measured.
    """

    def __init__(
        self,
        base_url: str,
        account_id: str,
        auth: httpx.Auth,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: httpx.Timeout | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise ValueError("account_id must be the id of an account")
        self._session = Session(base_url, auth, transport=transport, timeout=timeout, now=now)
        self._account = f"/v1/accounts/{account_id}"
        self._trading = f"/v1/trading/accounts/{account_id}"
        self._rows = Rows()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # The account and what it holds

    def account(self) -> Account:
        """Return the account's state and its cash."""
        path = f"{self._trading}/account"
        return read_one(Account, path, self._session.read(path))

    def positions(self) -> list[Position]:
        """Return everything the account holds. What it holds none of is absent.

        :raises Unavailable: also when one stock's or coin's row cannot be read, since leaving it out would
            say that there is none of it. Unreadable rows of other kinds of asset are skipped.
        """
        path = f"{self._trading}/positions"
        reply = self._session.read(path)
        found = []
        for row in self._rows.of(path, reply):
            position = self._rows.read_row(Position, row, "symbol")
            if position is not None:
                found.append(position)
            elif not isinstance(row, dict) or row.get("asset_class") in {None, "", "us_equity", "crypto"}:
                raise AlpacaUnavailable(
                    f"GET {path}: the position {id_of(row, 'symbol')} cannot be read",
                    status=200,
                    request_id=reply.request_id,
                )
        return found

    def asset(self, symbol: str) -> Asset:
        """Return an asset by its symbol. An unknown one is `Refused` with status 404."""
        path = f"/v1/assets/{quote(values.symbol('symbol', symbol), safe='')}"
        return read_one(Asset, path, self._session.read(path))

    def clock(self) -> datetime:
        """Return what time it is for Alpaca."""
        path = "/v1/clock"
        reply = self._session.read(path)
        try:
            return values.moment(reply.payload["timestamp"])
        except (KeyError, TypeError, ValueError):
            raise unreadable(path, reply, "has no timestamp") from None

    # Tokenization

    def mint(
        self,
        *,
        symbol: str,
        quantity: Decimal,
        issuer: str,
        network: str,
        wallet: str,
        client_request_id: str,
        idempotency_key: str,
    ) -> TokenizationRequest:
        """Turn shares into tokens. The same key with the same arguments is the same mint, sent twice or not.

        :param quantity: shares, at most 9 decimals.
        :param wallet: receives the tokens; EIP-55.
        :param client_request_id: a label to find the request by. Alpaca does not keep it unique.
        :param idempotency_key: at most 36 characters.
        """
        body = {
            "underlying_symbol": values.symbol("symbol", symbol),
            "qty": values.plain("quantity", quantity, decimals=values.QUANTITY_DECIMALS),
            "issuer": values.word("issuer", issuer),
            "network": values.word("network", network),
            "wallet_address": values.checksummed_only("wallet", wallet),
            "client_request_id": values.correlation("client_request_id", client_request_id),
        }
        headers = {"Idempotency-Key": values.key("idempotency_key", idempotency_key)}
        path = f"{self._account}/tokenization/mint"
        reply = self._session.move(path, body, headers)
        request = read_moved(TokenizationRequest, path, reply)
        ours = (
            request.symbol == symbol
            and request.quantity == quantity
            and request.issuer.lower() == issuer
            and request.network.lower() == network
            and request.client_request_id in {None, client_request_id}
            and request.wallet in {None, wallet}
        )
        if not ours:
            raise not_ours(path, reply, request.id)
        return request

    def tokenization_requests(
        self,
        *,
        type: str | None = None,
        status: str | None = None,
        symbol: str | None = None,
        after: datetime | None = None,
    ) -> list[TokenizationRequest]:
        """Return mints and redemptions, in Alpaca's order.

        Alpaca's filters were seen to let other rows through, so they are applied again here.

        :param type: `mint` or `redeem`.
        :param status: `pending`, `completed` or `rejected`.
        :param after: only those created later than this.
        """
        wanted = {
            "type": type,
            "status": status,
            "underlying_symbol": symbol,
            "after": None if after is None else values.timestamp("after", after),
        }
        path = f"{self._account}/tokenization/requests"
        reply = self._session.read(path, {name: value for name, value in wanted.items() if value is not None})
        return [
            request
            for request in self._rows.read(TokenizationRequest, path, reply, "tokenization_request_id")
            if (type is None or request.type == type)
            and (status is None or request.status == status)
            and (symbol is None or request.symbol == symbol)
            and (after is None or request.created_at > after)
        ]

    def tokenization_request(self, request_id: str) -> TokenizationRequest | None:
        """Return a request by Alpaca's id, or None where Alpaca knows none."""
        path = f"{self._account}/tokenization/requests/{segment('request_id', request_id)}"
        reply = self._session.find(path)
        return None if reply is None else read_one(TokenizationRequest, path, reply)

    def tokenization_request_by_client_id(self, client_request_id: str) -> TokenizationRequest | None:
        """Return the newest mint with our own label, or None where Alpaca knows none (yet)."""
        path = f"{self._account}/tokenization/requests:by_client_request_id"
        label = values.correlation("client_request_id", client_request_id)
        reply = self._session.find(path, {"client_request_id": label})
        if reply is None:
            return None
        request = read_one(TokenizationRequest, path, reply)
        if request.client_request_id not in {None, label}:
            raise unreadable(path, reply, f"is request {request.id}, which has another label")
        return request

    # Crypto wallets

    def deposit_address(self, asset: str = "USDC", chain: str = "ETH") -> str:
        """Return the account's address for deposits on an EVM chain, EIP-55. The first call creates it."""
        path = f"{self._account}/wallets"
        params = {"asset": values.symbol("asset", asset), "chain": values.symbol("chain", chain)}
        reply = self._session.read(path, params)
        wallet = reply.payload
        if isinstance(wallet, list) and len(wallet) == 1:
            wallet = wallet[0]
        if not isinstance(wallet, dict):
            raise unreadable(path, reply, "is not one wallet")
        on = wallet.get("chain")
        if on and _CHAIN_NAMES.get(str(on).lower(), str(on).upper()) != chain:
            raise unreadable(path, reply, f"is a wallet on {on}, not on {chain}")
        given = wallet.get("address")
        address = values.address(given)
        # In mixed case an address carries a checksum; one that does not fit was damaged on its way.
        damaged = isinstance(given, str) and given.lower() != given and not is_checksum_address(given.strip())
        if not is_hex_address(address) or damaged or not int(address, 16):
            raise unreadable(path, reply, "has no EVM address")
        return str(address)

    def transfers(self) -> list[CryptoTransfer]:
        """Return the deposits and withdrawals of crypto, in Alpaca's order."""
        path = f"{self._account}/wallets/transfers"
        return self._rows.read(CryptoTransfer, path, self._session.read(path), "id")

    def transfer(self, transfer_id: str) -> CryptoTransfer | None:
        """Return a deposit or withdrawal by Alpaca's id, or None where Alpaca knows none."""
        path = f"{self._account}/wallets/transfers/{segment('transfer_id', transfer_id)}"
        reply = self._session.find(path)
        return None if reply is None else read_one(CryptoTransfer, path, reply)

    def withdraw(self, *, amount: Decimal, asset: str, address: str, chain: str) -> CryptoTransfer:
        """Send crypto to a whitelisted address. Each call is a new withdrawal: there is no key against that.

        :param amount: in units of the asset, at most 6 decimals for USDC, 9 for others. Fees come out of it.
        :param address: EIP-55, as it is in the whitelist.
        """
        decimals = values.USDC_DECIMALS if asset == "USDC" else values.QUANTITY_DECIMALS
        body = {
            "amount": values.plain("amount", amount, decimals=decimals),
            "asset": values.symbol("asset", asset),
            "address": values.checksummed_only("address", address),
            "chain": values.symbol("chain", chain),
        }
        path = f"{self._account}/wallets/transfers"
        reply = self._session.move(path, body)
        transfer = read_moved(CryptoTransfer, path, reply)
        if not transfer.is_outgoing or transfer.asset != asset or transfer.to_address not in {None, address}:
            raise not_ours(path, reply, transfer.id)
        return transfer

    def whitelist(self) -> list[WhitelistedAddress]:
        """Return the addresses that may be, or will be allowed to be, withdrawn to."""
        path = f"{self._account}/wallets/whitelists"
        return self._rows.read(WhitelistedAddress, path, self._session.read(path), "id")

    def fee_estimate(self, asset: str, from_address: str, to_address: str, amount: Decimal) -> Decimal:
        """Return what a withdrawal would cost, in units of the asset."""
        path = "/v1/wallets/fees/estimate"
        decimals = values.USDC_DECIMALS if asset == "USDC" else values.QUANTITY_DECIMALS
        params = {
            "asset": values.symbol("asset", asset),
            "from_address": values.checksummed_only("from_address", from_address),
            "to_address": values.checksummed_only("to_address", to_address),
            "amount": values.plain("amount", amount, decimals=decimals),
        }
        reply = self._session.read(path, params)
        try:
            return values.decimal(reply.payload["fee"])
        except (KeyError, TypeError, ValueError):
            raise unreadable(path, reply, "has no fee") from None
