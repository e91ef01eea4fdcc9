"""What a person does about an operation that asks for one. So far nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.book import Book
    from include.legs.leg import Wait


class NobodyHelps(RuntimeError):
    """The operation waits for a person, and there is nothing that a person could do."""


def decide(book: Book, operation_id: str, wait: Wait) -> str:
    """Do what a person would do, and say what that was."""
    assert book
    raise NobodyHelps(f"{operation_id}: {wait.attention}")
