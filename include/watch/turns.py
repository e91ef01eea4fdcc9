"""Whose turn it is, where not all can be served at once."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

T = TypeVar("T", bound="Hashable")


class Turns:
    """Hands out turns, so that nobody has two while another has none."""

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self._turn = 0

    def take(self, waiting: Iterable[T], count: int) -> list[T]:
        """Return those who have waited longest for their turn; whoever is new is first."""
        everybody = list(waiting)
        self._last = {one: self._last.get(one, 0) for one in everybody}
        chosen = heapq.nsmallest(count, everybody, key=self._last.__getitem__)
        for one in chosen:
            self._turn += 1
            self._last[one] = self._turn
        return chosen
