"""Everything there is of each asset, added up over all places, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from include.domain.amounts import USDC, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.sandbox.audit import Holdings
    from include.sandbox.world import World

MOST_ROUNDING: Final = Decimal(10).scaleb(-18)
"""A wrapper rounds each conversion down to a base unit. What it keeps belongs to all its holders."""


class NotConserved(RuntimeError):
    """There is more or less of an asset than there was."""


@dataclass(frozen=True)
class Books:
    """What the maker holds, with what venues have taken as fees, at one moment.

    :param holdings: asset -> place -> amount.
    :param inside: tokens that the maker's wrapped tokens stand for, by asset.
    :param dollars: place -> dollars at the broker; empty where its cash is USDC.
    """

    holdings: Holdings
    inside: Mapping[str, Decimal]
    dollars: Mapping[str, Decimal]

    @classmethod
    def of(cls, world: World) -> Books:
        """Read them."""
        holdings = world.holdings()
        return cls(
            holdings={asset: holdings[asset] for asset in (*world.deployment.stocks, USDC)},
            inside={
                asset: world.onchain(asset) - holdings[asset]["tokens"] for asset in world.deployment.wrappers
            },
            dollars=world.dollars() if world.scenario.cash is not None else {},
        )

    def places(self, asset: str) -> dict[str, Decimal]:
        """Return where all of an asset is; a dollar is a USDC here."""
        places = dict(self.holdings[asset])
        if asset in self.inside:
            places["wrapped"] = self.inside[asset]
        if asset == USDC:
            places |= {"dollars" if place == "cash" else place: held for place, held in self.dollars.items()}
        return places


def compared(before: Books, after: Books) -> list[str]:
    """Write a line for each asset.

    :raises NotConserved: when a total is not what it was, to the last base unit. Of a wrapped stock, what its
        wrapper has kept by rounding is named, and is less than ten base units.
    """
    lines = []
    for asset in before.holdings:
        places = after.places(asset)
        start, end = (sum(books.places(asset).values(), Decimal(0)) for books in (before, after))
        kept = start - end
        if kept and not (asset in before.inside and 0 < kept < MOST_ROUNDING):
            raise NotConserved(f"{asset}: {plain(start)} at the start and {plain(end)} at the end")
        shown = [f"{plain(amount)} {place}" for place, amount in places.items() if amount]
        if kept:
            shown.append(f"{plain(kept)} rounding of the wrapper")
        lines.append(f"{asset:<5} {plain(start)} = {', '.join(shown)}")
    return lines
