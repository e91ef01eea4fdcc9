"""How much of an asset is moved: of an excess as much as can be, of what was asked for all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.domain.amounts import floor_to, from_base_units, plain
from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.inventory import Balance, Inventory, Venue
from include.domain.operation import correction

if TYPE_CHECKING:
    from decimal import Decimal

    from include.domain.decision import Asked
    from include.domain.imbalance import Imbalance
    from include.domain.limits import Left
    from include.domain.policy import AssetPolicy


def size(inventory: Inventory, wanted: AssetPolicy, imbalance: Imbalance, state: str) -> Decision:
    """Work out how much of an excess can be moved now. Here the amount is born, and floored.

    :param state: the ratio and its band, in words.
    """
    asset = inventory.asset
    kind = correction(asset, imbalance)
    free = balance_at(inventory, kind.source).available
    most = min(imbalance.excess, free)
    limits = f"{state} The excess is {plain(imbalance.excess)}; {_about_free(inventory, wanted, kind.source)}"
    for name, limit in (("maximum", wanted.maximum), ("cap", wanted.cap)):
        if limit is not None and most > limit:
            most = limit
            limits += f" The {name} is {plain(limit)}."
    amount = floor_to(most, kind.decimals)
    if floor_to(free, kind.decimals) == 0:
        return Decision(asset, Reason.NOTHING_AVAILABLE, limits, imbalance)
    if amount == 0 or amount < wanted.minimum:
        minimum = max(wanted.minimum, from_base_units(1, kind.decimals))
        detail = f"{limits} {plain(amount)} is below the minimum of {plain(minimum)}."
        return Decision(asset, Reason.BELOW_MINIMUM, detail, imbalance)
    detail = f"{limits} Plan: {kind.value} {plain(amount)}."
    return Decision(asset, Reason.PLANNED, detail, imbalance, PlannedOperation(kind, asset, amount))


def as_asked(
    inventory: Inventory,
    wanted: AssetPolicy,
    imbalance: Imbalance | None,
    state: str,
    *,
    asked: Asked,
    left: Left | None,
) -> Decision:
    """Judge exactly the amount that a person asked for, and say what the most is that would do.

    :param state: the ratio and its band, in words.
    :param left: what is left of the day. What exceeds that is refused later, in its turn.
    """
    operation, kind = asked.operation, asked.operation.kind
    if asked.begun_as is not None:
        detail = f"{state} {asked.words} It was begun as operation {asked.begun_as}."
        return Decision(inventory.asset, Reason.ASKED_BEFORE, detail, imbalance, asked=asked)
    free = balance_at(inventory, kind.source).available
    limits = [(f"{plain(free)} is free", Reason.OVER_AVAILABLE, free)]
    for name, limit in (("maximum", wanted.maximum), ("cap", wanted.cap)):
        if limit is not None:
            limits.append((f"the {name} is {plain(limit)}", Reason.OVER_MAXIMUM, limit))
    bounds = [limit for _, _, limit in limits] + ([] if left is None else [left.amount])
    most = floor_to(min(bounds), kind.decimals)
    detail = f"{state} {asked.words} {_about_free(inventory, wanted, kind.source)}"
    refusals = [
        (operation.amount < wanted.minimum, Reason.BELOW_MINIMUM, f"the minimum is {plain(wanted.minimum)}"),
        *((operation.amount > limit, reason, words) for words, reason, limit in limits),
    ]
    if floor_to(free, kind.decimals) == 0:
        return Decision(inventory.asset, Reason.NOTHING_AVAILABLE, detail, imbalance, asked=asked)
    for applies, reason, words in refusals:
        if applies:
            why = f"{detail} Not moved: {words}. {would_do(most, wanted, reason)}"
            return Decision(inventory.asset, reason, why, imbalance, asked=asked)
    detail = f"{detail} Plan: {kind.value} {plain(operation.amount)}."
    return Decision(inventory.asset, Reason.PLANNED, detail, imbalance, operation, asked=asked)


def would_do(most: Decimal, wanted: AssetPolicy, reason: Reason) -> str:
    """Name the amounts that would do in place of the one that was asked for."""
    if most == 0 or most < wanted.minimum:
        return "No amount would do."
    if reason is Reason.BELOW_MINIMUM:
        return f"{plain(wanted.minimum)} to {plain(most)} would do."
    return f"The most that would do is {plain(most)}."


def _about_free(inventory: Inventory, wanted: AssetPolicy, venue: Venue) -> str:
    """Say what is free at a venue, and why not all that lies there is."""
    balance = balance_at(inventory, venue)
    notes = [f"{plain(balance.held)} is held"] if balance.held else []
    if venue is Venue.OFFCHAIN and wanted.free_offchain:
        notes.append(wanted.free_offchain)
    about = f" ({', '.join(notes)})" if notes else ""
    return f"{plain(balance.available)} is free {venue.value}{about}."


def balance_at(inventory: Inventory, venue: Venue) -> Balance:
    """Return what lies at a venue that was read."""
    balance = inventory.onchain if venue is Venue.ONCHAIN else inventory.offchain
    assert isinstance(balance, Balance)
    return balance
