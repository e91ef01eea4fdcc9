"""What a person does about an operation that asks: wait until the venue must know, look, and say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.exits.verbs import Exits

if TYPE_CHECKING:
    from include.book import Book
    from include.legs.leg import Wait

LATER = timedelta(minutes=10)


def decide(book: Book, operation_id: str, wait: Wait) -> str:
    """State that the request nobody has an answer to never happened; the exits check that at the venue.

    :raises Refusal: when the venue says otherwise, or no request is in doubt.
    """

    def later() -> datetime:
        return book.venues.now() + LATER

    person = Exits(replace(book.venues, now=later), book.ledger, actor="a person")
    person.refute(operation_id, f"looked at Alpaca's list: {wait.attention}")
    return "refuted"
