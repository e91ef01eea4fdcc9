"""The simulated broker as one thing that can be started, stopped, copied and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.app import AlpacaApp
from include.sandbox.alpaca.core import Core, Profile
from include.sandbox.alpaca.journal import Book, InsufficientFundsError
from include.sandbox.alpaca.settings import Latencies, Rules
from include.sandbox.alpaca.state import Stage, State, Whitelisted, new_id
from include.sandbox.alpaca.store import load, save
from include.sandbox.alpaca.worker import Worker

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

    from include.sandbox.alpaca.chain import EvmChain


class Broker:
    """Alpaca's Broker API, its back office, and the issuer of the stock tokens.

    :param path: where the memory is kept; without it, it ends with the process.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        ethereum: EvmChain,
        base: EvmChain,
        issuer: LocalAccount,
        payer: LocalAccount,
        latencies: Latencies | None = None,
        rules: Rules | None = None,
        path: Path | None = None,
    ) -> None:
        state = (load(path) if path else None) or State()
        self.core = Core(profile, state, rules or Rules(), latencies or Latencies())
        if path is not None:
            self.core.changed = lambda: save(path, self.core.state)
        self.app = AlpacaApp(self.core)
        self.worker = Worker(self.core, ethereum, base, issuer, payer)

    def __enter__(self) -> Self:
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()

    def buy(self, asset: str, amount: Decimal, memo: str) -> None:
        """Give the account `amount` shares or USDC, bought from the market."""
        self._trade(asset, amount, Book.MARKET, Book.MAKER, memo)

    def sell(self, asset: str, amount: Decimal, memo: str) -> None:
        """Take `amount` shares or USDC out of the account, sold to the market.

        :raises InsufficientFundsError: the account has less available.
        """
        self._trade(asset, amount, Book.MAKER, Book.MARKET, memo)

    def seed(self, asset: str, amount: Decimal) -> None:
        """Give the account its opening balance of an asset."""
        self._trade(asset, amount, Book.OPENING, Book.MAKER, "opening balance")

    def set_cash(self, cash: Decimal, withdrawable: Decimal | None = None) -> None:
        """Set the account's dollars, as if they had been so from the start; all are settled unless told.

        :raises ValueError: not in whole cents, or less than open orders hold.
        """
        with self.core.lock:
            dollars.set_cash(self.core, cash, withdrawable)

    def receive_proceeds(self, amount: Decimal, memo: str = "sale of shares") -> None:
        """Credit the dollars of a sale: they are cash at once, and withdrawable after :meth:`settle`."""
        with self.core.lock:
            dollars.receive_proceeds(self.core, amount, memo)

    def trade_dollars(self, amount: Decimal, memo: str) -> None:
        """Book dollars of a trade, settled at once: received, or spent where the amount is below zero."""
        with self.core.lock:
            dollars.trade(self.core, amount, memo)

    def settle(self, amount: Decimal | None = None) -> None:
        """Settle unsettled dollars, all of them unless an amount is given."""
        with self.core.lock:
            dollars.settle(self.core, amount)

    def whitelist(self, address: str) -> None:
        """Allow withdrawals to an address from the start."""
        core = self.core
        with core.lock:
            now = core.clock()
            entry = Whitelisted(
                id=new_id(),
                created_at=now,
                updated_at=now,
                due=now,
                stage=Stage.DONE,
                address=address,
                status="APPROVED",
            )
            core.state.whitelist[entry.id] = entry
            core.changed()

    def open(self, heads: dict[str, int], balances: dict[str, dict[str, Decimal]]) -> None:
        """Begin the history after these blocks, with these balances; nothing older is looked at."""
        core = self.core
        with core.lock:
            core.state.opening_blocks = heads
            core.state.opening = balances
            core.state.scanned = {"redemption": heads["base"], "deposit": heads["ethereum"]}
            core.changed()

    def forget(self) -> None:
        """Forget everything."""
        with self.core.step, self.core.lock:
            self.core.state = State()
            self.core.changed()

    def dump(self) -> str:
        """Return a copy of the whole memory."""
        with self.core.lock:
            return self.core.state.model_dump_json()

    def restore(self, copy: str) -> None:
        """Put a copy back and disarm every fault. Hold `core.step` around this and the chains' revert."""
        with self.core.step, self.core.lock:
            self.core.state = State.model_validate_json(copy)
            self.core.faults.clear()
            self.core.changed()

    def _trade(self, asset: str, amount: Decimal, source: Book, target: Book, memo: str) -> None:
        core = self.core
        with core.lock:
            held = core.state.ordered(asset)
            if source is Book.MAKER and held and core.state.journal.balance(source, asset) - held < amount:
                raise InsufficientFundsError(f"open orders hold {held} {asset}")
            core.state.journal.move(asset, amount, source, target, memo=memo, at=core.clock())
            core.changed()
