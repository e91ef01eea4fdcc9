"""The broker's books: double entry, so that no share and no dollar appears or vanishes.

Every change of a holding names the book it comes from and the book it goes to. What the sandbox claims about
money can therefore be checked: the balances of all books of an asset always sum to zero.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime  # noqa: TC003 (pydantic reads it when the class is made)
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, PrivateAttr


class Book(StrEnum):
    """Where an asset can be, seen from the broker."""

    OPENING = "opening"  # what the account was seeded with came from here
    MARKET = "market"  # the other side of every trade
    MAKER = "maker"  # free in the maker's account
    MINTING = "minting"  # shares journaled to the issuer, whose tokens are not mined yet
    TOKENIZED = "tokenized"  # shares that back tokens in circulation; negative by what was seeded as tokens
    WITHDRAWING = "withdrawing"  # USDC held for a withdrawal, less its fee
    WITHHELD = "withheld"  # the fee of a withdrawal that is not complete
    WITHDRAWN = "withdrawn"  # USDC handed to the chain
    DEPOSITED = "deposited"  # negative by the USDC credited from the chain
    FEES = "fees"  # withdrawal and trading fees the broker earned
    UNSETTLED = "unsettled"  # dollars of sales: cash, but not to be withdrawn or spent on USDC yet
    SLIPPAGE = "slippage"  # dollars that conversions cost beyond the value of the USDC


MAY_BE_NEGATIVE = frozenset({Book.OPENING, Book.MARKET, Book.TOKENIZED, Book.DEPOSITED})


class InsufficientFundsError(Exception):
    """A book that may not be overdrawn has less than the entry takes from it."""


class Entry(BaseModel):
    """One move of `amount` (shares, whole USDC or dollars) of `asset` between two books."""

    at: datetime
    asset: str
    amount: Decimal
    source: Book
    target: Book
    memo: str


class Journal(BaseModel):
    """The entries, oldest first, and the balances they add up to."""

    entries: list[Entry] = []
    _balances: dict[tuple[Book, str], Decimal] = PrivateAttr(default_factory=lambda: defaultdict(Decimal))
    _moved: dict[tuple[str, Book, Book], Decimal] = PrivateAttr(default_factory=lambda: defaultdict(Decimal))

    def model_post_init(self, _context: object) -> None:
        """Add up the entries that were loaded."""
        for entry in self.entries:
            self._apply(entry)

    def move(
        self, asset: str, amount: Decimal, source: Book, target: Book, *, memo: str, at: datetime
    ) -> None:
        """Move `amount` of `asset` from one book to another.

        :raises ValueError: the amount is negative or not a number.
        :raises InsufficientFundsError: `source` may not be overdrawn and has less.
        """
        if not amount.is_finite() or amount < 0:
            raise ValueError(f"cannot move {amount} {asset}")
        if source not in MAY_BE_NEGATIVE and self.balance(source, asset) < amount:
            raise InsufficientFundsError(
                f"{source} holds {self.balance(source, asset)} {asset}, not {amount}"
            )
        entry = Entry(at=at, asset=asset, amount=amount, source=source, target=target, memo=memo)
        self.entries.append(entry)
        self._apply(entry)

    def balance(self, book: Book, asset: str) -> Decimal:
        """Return what a book holds of an asset."""
        return self._balances.get((book, asset), Decimal(0))

    def moved(self, asset: str, source: Book, target: Book) -> Decimal:
        """Return all that ever went straight from one book to another."""
        return self._moved.get((asset, source, target), Decimal(0))

    def assets(self) -> list[str]:
        """Return every asset that was ever moved, sorted."""
        return sorted({asset for _, asset in self._balances})

    def _apply(self, entry: Entry) -> None:
        self._balances[entry.source, entry.asset] -= entry.amount
        self._balances[entry.target, entry.asset] += entry.amount
        self._moved[entry.asset, entry.source, entry.target] += entry.amount
