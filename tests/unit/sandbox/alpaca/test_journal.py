from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.sandbox.alpaca.journal import Book, InsufficientFundsError, Journal

NOW = datetime(2026, 9, 25, tzinfo=UTC)


def moved(*moves: tuple[str, Book, Book]) -> Journal:
    journal = Journal()
    for amount, source, target in moves:
        journal.move("AAPL", Decimal(amount), source, target, memo="test", at=NOW)
    return journal


def test_move__between_two_books__changes_both_and_sums_to_zero() -> None:
    journal = moved(("10", Book.OPENING, Book.MAKER), ("2.5", Book.MAKER, Book.MINTING))

    assert journal.balance(Book.MAKER, "AAPL") == Decimal("7.5")
    assert journal.balance(Book.MINTING, "AAPL") == Decimal("2.5")
    assert sum(journal.balance(book, "AAPL") for book in Book) == 0
    assert journal.moved("AAPL", Book.MAKER, Book.MINTING) == Decimal("2.5")


def test_move__more_than_a_book_holds__is_refused_and_changes_nothing() -> None:
    journal = moved(("10", Book.OPENING, Book.MAKER))

    with pytest.raises(InsufficientFundsError, match="maker holds 10 AAPL"):
        journal.move("AAPL", Decimal("10.000000001"), Book.MAKER, Book.MINTING, memo="", at=NOW)

    assert journal.balance(Book.MAKER, "AAPL") == 10
    assert len(journal.entries) == 1


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
def test_move__an_amount_that_is_none__is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="cannot move"):
        moved((amount, Book.OPENING, Book.MAKER))


def test_journal__read_back_from_json__has_the_same_balances() -> None:
    journal = moved(("10", Book.OPENING, Book.MAKER), ("0.000000001", Book.MAKER, Book.MARKET))

    copy = Journal.model_validate_json(journal.model_dump_json())

    assert {book: copy.balance(book, "AAPL") for book in Book} == {
        book: journal.balance(book, "AAPL") for book in Book
    }
    assert copy.moved("AAPL", Book.MAKER, Book.MARKET) == Decimal("1E-9")
