"""Counts every share, token and dollar of the maker, on the chains and in the broker's books.

What arrived on a chain is read from the chain, what was debited or credited from the broker's journal, and
the difference is what is under way. Money that moved twice makes such a difference negative, and money that
went where it should not makes the total too small: both are violations.

A wrapped stock is counted under two names, each to the last base unit: its token under its own, less what the
maker put into the wrapper and more what it took out; the wrapper's token as `wtAAPL`, the other way round.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.chain import TokenTransfer, topic
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import USD, USDC
from include.sandbox.codes import wrapper_symbol
from include.sandbox.vaults import WALLET, whole

if TYPE_CHECKING:
    from include.sandbox.alpaca.broker import Broker
    from include.sandbox.alpaca.chain import EvmChain
    from include.sandbox.chains import Deployment
    from include.sandbox.vaults import Vaults, Wrap

Holdings = dict[str, dict[str, Decimal]]
"""Asset -> place -> amount, in shares, whole USDC or whole wrapped tokens."""

UNDER_WAY = (
    "minting",
    "redeeming",
    "withdrawing",
    "depositing",
    "bridging_to_base",
    "bridging_to_ethereum",
)
"""The places that are no places: money that left one and has not reached the next."""

LOOKS, BETWEEN_LOOKS = 3, 0.05
FINEST = Decimal("0.000000001")
"""The smallest number of shares that the broker knows."""

NOBODY = "0x" + "00" * 20
BURN = "0x" + keccak(
    text="DepositForBurn(address,uint256,address,bytes32,uint32,bytes32,bytes32,uint256,uint32,bytes)"
).hex()  # fmt: skip
MINT = "0x" + keccak(text="MintAndWithdraw(address,uint256,address,uint256)").hex()


@dataclass(frozen=True)
class Look:
    """The token movements that matter, read at one block of each chain."""

    held: dict[str, int]  # stock -> tokens of the maker
    usdc_on_base: int
    usdc_on_ethereum: int
    minted: list[TokenTransfer]  # tokens created for the maker
    redeemed: list[TokenTransfer]  # tokens sent to the issuer by the maker
    paid: list[TokenTransfer]  # USDC sent by the broker
    deposited: list[TokenTransfer]  # USDC sent to the deposit address
    gifts: list[TokenTransfer]  # what strangers sent to the maker
    traded_in: list[TokenTransfer]
    traded_out: list[TokenTransfer]
    elsewhere: Holdings  # name -> vault, or wallet of wrapped tokens -> what is there
    traded_in_vaults: dict[str, int]  # name -> put in, less taken out
    wraps: list[Wrap]
    unwraps: list[Wrap]
    burned: dict[str, int]  # chain -> USDC burned there
    bridged: dict[str, tuple[int, int]]  # chain -> USDC minted there, and its fees


class Auditor:
    """Counts, from the blocks after the world was made."""

    def __init__(
        self, broker: Broker, ethereum: EvmChain, base: EvmChain, deployment: Deployment, vaults: Vaults
    ) -> None:
        self._broker = broker
        self._ethereum = ethereum
        self._base = base
        self._deployment = deployment
        self._vaults = vaults

    def holdings(self) -> Holdings:
        """Return how much of each asset is where."""
        with self._broker.core.step:
            look = self._look()
            with self._broker.core.lock:
                return self._count(look)

    def under_way(self) -> Holdings:
        """Return what has left one place and not reached the next.

        Where an asset is traded from a vault or as wrapped tokens, what an operation brings into the wallet
        has yet to go on. What lay there from the start is no part of that, nor are gifts, nor what is too
        fine for the broker: unwrapping leaves such dust behind.
        """
        with self._broker.core.step:
            look = self._look()
            with self._broker.core.lock:
                holdings = self._count(look)
                found = {
                    asset: {
                        place: amount for place, amount in places.items() if place in UNDER_WAY and amount
                    }
                    for asset, places in holdings.items()
                }
                for name, place in self._passages():
                    waiting = holdings[name][place] - self._settled(look, name, place)
                    if waiting >= FINEST:
                        found[name][place] = waiting
                state = self._broker.core.state
                found[USD] = {"ordering": held} if (held := state.ordered(USD)) else {}
                if held := state.ordered(USDC):
                    found[USDC]["ordering"] = held
        return {asset: places for asset, places in found.items() if places}

    def _passages(self) -> list[tuple[str, str]]:
        """Return the places (name, place) in the wallet through which an asset only passes."""
        found = []
        for one in self._vaults.traded.values():
            if one.wrapped or (one.vaults and one.asset != USDC):
                found.append((one.asset, "tokens"))
            elif one.vaults:
                found.append((USDC, "base"))
            if one.wrapped and one.vaults:
                found.append((one.name, WALLET))
        return found

    def _settled(self, look: Look, name: str, place: str) -> Decimal:
        tokens, decimals = self._tokens(name)
        tokens = tokens - {self._deployment.ethereum.usdc}
        gifts = sum(t.amount for t in look.gifts if t.token in tokens)
        opening = self._broker.core.state.opening.get(name, {}).get(place, Decimal(0))
        return opening + whole(gifts, decimals)

    def violations(self) -> list[str]:
        """Say what is wrong with the money: nothing, when every unit is where it should be.

        While anvil mines a block, it answers a call at the block before with the state of the new one, so
        what looks wrong is looked at again: what is wrong stays so.
        """
        for _ in range(LOOKS - 1):
            if not self._violations():
                return []
            time.sleep(BETWEEN_LOOKS)
        return self._violations()

    def _violations(self) -> list[str]:
        with self._broker.core.step:
            look = self._look()
            with self._broker.core.lock:
                return [
                    *self._unbalanced(look, self._count(look)),
                    *self._mints_without_request(look),
                    *self._payments_without_transfer(look),
                    *dollars.violations(self._broker.core.state),
                ]

    def _unbalanced(self, look: Look, holdings: Holdings) -> list[str]:
        found = []
        for asset, places in holdings.items():
            total, expected = sum(places.values(), Decimal(0)), self._expected(look, asset)
            if total != expected:
                found.append(f"{asset}: {total} in all places, {expected} expected ({total - expected:+})")
            found += [
                f"{asset}: {amount} in {place}: more arrived than left"
                for place, amount in places.items()
                if amount < 0
            ]
        return found

    def _mints_without_request(self, look: Look) -> list[str]:
        state = self._broker.core.state
        wanted = Counter(
            (r.outgoing.hash, r.symbol, _units(r.qty, 18))
            for r in state.requests.values()
            if r.type == "mint" and r.outgoing is not None
        )
        symbols = {token: symbol for symbol, token in self._deployment.stocks.items()}
        made = Counter((t.transaction_hash, symbols[t.token], t.amount) for t in look.minted)
        return [
            f"{symbol}: {units} base units minted in {tx} without a request for it"
            for tx, symbol, units in (made - wanted)
            if tx not in state.grants
        ]

    def _payments_without_transfer(self, look: Look) -> list[str]:
        state = self._broker.core.state
        wanted = Counter(
            (t.outgoing.hash, _units(t.amount - t.fees, 6))
            for t in state.transfers.values()
            if t.outgoing is not None
        )
        made = Counter((t.transaction_hash, t.amount) for t in look.paid)
        return [
            f"USDC: {units} base units paid in {tx} without a withdrawal" for tx, units in (made - wanted)
        ]

    def _expected(self, look: Look, asset: str) -> Decimal:
        state = self._broker.core.state
        tokens, decimals = self._tokens(asset)

        def total(transfers: list[TokenTransfer]) -> Decimal:
            return whole(sum(t.amount for t in transfers if t.token in tokens), decimals)

        in_vaults = whole(look.traded_in_vaults.get(asset, 0), decimals)
        traded = total(look.traded_in) - total(look.traded_out) + in_vaults
        bought = -state.journal.balance(Book.MARKET, asset)
        opening = sum(state.opening.get(asset, {}).values(), Decimal(0))
        return opening + traded + bought + total(look.gifts) + self._wrapped(look, asset)

    def _wrapped(self, look: Look, name: str) -> Decimal:
        """Return what wrapping and unwrapping should have brought the maker, of tokens or of wrapped ones.

        What the maker pays for, it should get, whoever is named as the receiver; what others pay, is a gift.
        """
        units = 0
        for wrap in look.wraps:
            if wrap.transaction_hash in self._broker.core.state.grants:
                continue
            if name == wrapper_symbol(wrap.asset):
                units += wrap.shares
            elif name == wrap.asset and wrap.paid_by_maker:
                units -= wrap.assets
        for unwrap in look.unwraps:
            if name == unwrap.asset:
                units += unwrap.assets
            elif name == wrapper_symbol(unwrap.asset) and unwrap.paid_by_maker:
                units -= unwrap.shares
        return whole(units, 18) if units else Decimal(0)

    def _tokens(self, name: str) -> tuple[set[str], int]:
        """Return the contracts of what is counted under a name, and its decimals."""
        if name == USDC:
            return {self._deployment.base.usdc, self._deployment.ethereum.usdc}, 6
        return {{**self._deployment.stocks, **self._deployment.wrapped}[name]}, 18

    def _count(self, look: Look) -> Holdings:
        journal = self._broker.core.state.journal

        def book(asset: str, *books: Book) -> Decimal:
            return sum((journal.balance(b, asset) for b in books), Decimal(0))

        counted: Holdings = {}
        for symbol, token in self._deployment.stocks.items():
            minted = sum(t.amount for t in look.minted if t.token == token and not self._granted(t))
            redeemed = sum(t.amount for t in look.redeemed if t.token == token)
            debited = journal.moved(symbol, Book.MAKER, Book.MINTING) - journal.moved(
                symbol, Book.MINTING, Book.MAKER
            )
            credited = journal.moved(symbol, Book.TOKENIZED, Book.MAKER)
            dust = self._dust(symbol)
            counted[symbol] = {
                "shares": book(symbol, Book.MAKER),
                "tokens": whole(look.held[symbol], 18),
                "minting": debited - whole(minted, 18),
                "redeeming": whole(redeemed, 18) - credited - dust,
                "redemption_dust": dust,
            }
        paid, sent = sum(t.amount for t in look.paid), sum(t.amount for t in look.deposited)
        (to_base, base_fee), (to_ethereum, ethereum_fee) = look.bridged["base"], look.bridged["ethereum"]
        counted[USDC] = {
            "alpaca": book(USDC, Book.MAKER),
            "ethereum": whole(look.usdc_on_ethereum, 6),
            "base": whole(look.usdc_on_base, 6),
            "withdrawing": book(USDC, Book.WITHDRAWING, Book.WITHHELD, Book.WITHDRAWN) - whole(paid, 6),
            "depositing": whole(sent, 6) + book(USDC, Book.DEPOSITED),
            "bridging_to_base": whole(look.burned["ethereum"] - to_base - base_fee, 6),
            "bridging_to_ethereum": whole(look.burned["base"] - to_ethereum - ethereum_fee, 6),
            "alpaca_fees": book(USDC, Book.FEES),
            "cctp_fees": whole(base_fee + ethereum_fee, 6),
        }
        for name, places in look.elsewhere.items():
            counted.setdefault(name, {}).update(places)
        return counted

    def _dust(self, symbol: str) -> Decimal:
        requests = self._broker.core.state.requests.values()
        return sum((r.dust for r in requests if r.symbol == symbol and r.status == "completed"), Decimal(0))

    def _granted(self, transfer: TokenTransfer) -> bool:
        return transfer.transaction_hash in self._broker.core.state.grants

    def _look(self) -> Look:
        state, deployment = self._broker.core.state, self._deployment
        maker = self._vaults.owner
        trader, stranger = (account(role).address for role in (Role.TRADER, Role.STRANGER))
        profile = self._broker.core.profile
        base_head, ethereum_head = self._base.head(), self._ethereum.head()
        base = (state.opening_blocks["base"] + 1, base_head)
        ethereum = (state.opening_blocks["ethereum"] + 1, ethereum_head)
        stocks = list(deployment.stocks.values())
        counted, usdc = [*stocks, deployment.base.usdc], [deployment.ethereum.usdc]
        amounts = self._base.balances(counted, maker, base_head)
        held = dict(zip([*deployment.stocks, USDC], amounts, strict=True))
        base_tokens = [*counted, *deployment.wrappers.values()]
        on_base, on_ethereum = self._base.transfers, self._ethereum.transfers
        gifts = [
            *on_base(base_tokens, maker, *base, sender=stranger),
            *on_ethereum(usdc, maker, *ethereum, sender=stranger),
            *on_ethereum(usdc, profile.deposit_address, *ethereum, sender=stranger),
        ]
        return Look(
            held={symbol: held[symbol] for symbol in deployment.stocks},
            usdc_on_base=held[USDC],
            usdc_on_ethereum=self._ethereum.balances(usdc, maker, ethereum_head)[0],
            minted=on_base(stocks, maker, *base, sender=NOBODY),
            redeemed=on_base(stocks, profile.redemption_wallet, *base, sender=maker),
            paid=on_ethereum(usdc, None, *ethereum, sender=profile.payout_address),
            deposited=on_ethereum(usdc, profile.deposit_address, *ethereum),
            gifts=gifts,
            traded_in=on_base(base_tokens, maker, *base, sender=trader),
            traded_out=on_base(base_tokens, trader, *base, sender=maker),
            elsewhere=self._vaults.held_whole(base_head),
            traded_in_vaults=self._vaults.trades(*base),
            wraps=self._vaults.wraps(*base),
            unwraps=self._vaults.unwraps(*base),
            burned={
                "base": self._burned(self._base, deployment.base.token_messenger, maker, base),
                "ethereum": self._burned(
                    self._ethereum, deployment.ethereum.token_messenger, maker, ethereum
                ),
            },
            bridged={
                "base": self._bridged(self._base, deployment.base.token_messenger, maker, base),
                "ethereum": self._bridged(
                    self._ethereum, deployment.ethereum.token_messenger, maker, ethereum
                ),
            },
        )

    @staticmethod
    def _burned(chain: EvmChain, messenger: str, maker: str, blocks: tuple[int, int]) -> int:
        logs = chain.logs([messenger], [BURN, None, topic(maker)], *blocks)
        return sum(int(log["data"][2:66], 16) for log in logs)

    @staticmethod
    def _bridged(chain: EvmChain, messenger: str, maker: str, blocks: tuple[int, int]) -> tuple[int, int]:
        logs = chain.logs([messenger], [MINT, topic(maker)], *blocks)
        amounts = [(int(log["data"][2:66], 16), int(log["data"][66:130], 16)) for log in logs]
        return sum(amount for amount, _ in amounts), sum(fee for _, fee in amounts)


def _units(amount: Decimal, decimals: int) -> int:
    return int(amount.scaleb(decimals))
