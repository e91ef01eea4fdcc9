"""From a snapshot to what is done about every asset: a pure function.

`plan` may be called again when the claim commits, with what is open and settled by then: a decision that is
still `planned` is still right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from include.domain.amounts import USDC, floor_to, from_base_units, not_negative, plain
from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.imbalance import Imbalance, Threshold, TooMuchOnchain, detect
from include.domain.inventory import Balance, Inventory, Snapshot, Unread, Venue
from include.domain.moments import utc
from include.domain.operation import OpenOperation, Settled, correction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "AssetPolicy",
    "Decision",
    "PlannedOperation",
    "Policy",
    "Reason",
    "is_settling",
    "is_stale",
    "plan",
]

_SHOWN_RATIO = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class AssetPolicy:
    """What is wanted of one asset.

    :param minimum: an amount below it is not moved; an amount equal to it is.
    :param maximum: an amount above it is cut to it; None for no limit.
    :param enabled: False to observe this asset only.
    :raises ValueError: if the minimum is negative, or the maximum is zero or below the minimum.
    """

    threshold: Threshold
    minimum: Decimal = Decimal(0)
    maximum: Decimal | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        not_negative(self.minimum, "minimum")
        if self.maximum is None:
            return
        if not_negative(self.maximum, "maximum") == 0:
            raise ValueError("maximum must be above zero; disable the asset to move none of it")
        if self.maximum < self.minimum:
            raise ValueError(f"maximum {plain(self.maximum)} is below minimum {plain(self.minimum)}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What is wanted of all assets, and what is allowed now.

    :param assets: by asset; an asset that is not here is not looked at. It is copied; do not change it.
    :param enabled: False to observe only.
    :param may_start: whether the switch is at run.
    :param max_snapshot_age: the age up to which a snapshot may be acted on.
    :param selected: the only assets this run may move; None for all.
    :param dry_run: True to decide everything and move nothing.
    :param max_open_operations: how many may be open, those already open included; None for no limit.
    :raises ValueError: if an age or limit makes no sense, or an unknown asset is selected.
    """

    assets: Mapping[str, AssetPolicy]
    enabled: bool
    may_start: bool
    max_snapshot_age: timedelta
    selected: frozenset[str] | None = None
    dry_run: bool = False
    max_open_operations: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", dict(self.assets))
        if self.max_snapshot_age <= timedelta(0):
            raise ValueError("max_snapshot_age must be above zero")
        if self.max_open_operations is not None and self.max_open_operations < 0:
            raise ValueError("max_open_operations must not be negative")
        if unknown := (self.selected or frozenset()) - self.assets.keys():
            raise ValueError(f"selected but not configured: {', '.join(sorted(unknown))}")


def plan(
    snapshot: Snapshot,
    policy: Policy,
    open_operations: Collection[OpenOperation],
    *,
    settled: Mapping[str, Settled] | None = None,
    now: datetime,
) -> tuple[Decision, ...]:
    """Decide about every configured asset: one decision each, by name, USDC last.

    The answer depends on the arguments alone, and not on the order of anything in them. Assets that are only
    in the snapshot are ignored; assets that are missing from it are unread.

    :param open_operations: all that are open, whatever their asset: they claim, and count against the limit.
    :param settled: by asset, the end of its last closed operation.
    :raises ValueError: if `now` has no zone.
    """
    now = utc(now, "now")
    claims = {
        operation.asset: operation
        for operation in sorted(open_operations, key=lambda one: (one.id, one.kind))
    }
    decisions = [
        _decide(snapshot, policy, asset, claim=claims.get(asset), settled=(settled or {}).get(asset), now=now)
        for asset in sorted(policy.assets, key=lambda asset: (asset == USDC, asset))
    ]
    already_open = len({operation.id for operation in open_operations})
    decisions = _within_limit(decisions, snapshot, policy, already_open)
    if policy.dry_run:
        decisions = [
            one.refused(Reason.DRY_RUN, f"{one.detail} Not moved: this is a dry run.")
            if one.operation
            else one
            for one in decisions
        ]
    return tuple(decisions)


def is_stale(snapshot: Snapshot, max_age: timedelta, now: datetime) -> bool:
    """Tell whether a snapshot is too old to act on.

    So is one from the future by more than the same: a clock is wrong, and it would stay fresh for too long.
    """
    return abs(utc(now, "now") - snapshot.taken_at) > max_age


def is_settling(snapshot: Snapshot, settled: Settled) -> bool:
    """Tell whether a snapshot may still lack what the asset's last operation did.

    It has to be taken after the operation was closed, and to have read each chain at or past the operation's
    last receipt there. A chain that has a receipt and was not read is not known to be past it.
    """
    if snapshot.taken_at <= settled.at:
        return True
    return _behind(snapshot.base_block, settled.base_block) or _behind(
        snapshot.ethereum_block, settled.ethereum_block
    )


def _behind(block: int | None, receipt: int | None) -> bool:
    return receipt is not None and (block is None or block < receipt)


def _decide(
    snapshot: Snapshot,
    policy: Policy,
    asset: str,
    *,
    claim: OpenOperation | None,
    settled: Settled | None,
    now: datetime,
) -> Decision:
    """Decide about one asset, without the limit and the dry run."""
    obstacle = _obstacle(snapshot, policy, asset, claim=claim, settled=settled, now=now)
    if obstacle is not None:
        return Decision(asset, *obstacle)
    inventory, wanted = snapshot.inventories[asset], policy.assets[asset]
    imbalance = detect(inventory, wanted.threshold)
    state = _state(inventory, wanted.threshold, imbalance)
    if imbalance is None:
        return Decision(asset, Reason.BALANCED, state)
    return _permit(policy, _size(inventory, wanted, imbalance, state))


def _obstacle(
    snapshot: Snapshot,
    policy: Policy,
    asset: str,
    *,
    claim: OpenOperation | None,
    settled: Settled | None,
    now: datetime,
) -> tuple[Reason, str] | None:
    """Find what keeps an asset from being judged, the first thing a person would want to know."""
    inventory = snapshot.inventories.get(asset)
    found: tuple[Reason, str] | None = None
    if claim is not None:
        found = Reason.CLAIMED, f"{claim.kind.value} {claim.id} is open."
    elif is_stale(snapshot, policy.max_snapshot_age, now):
        found = Reason.STALE, _age(snapshot, policy, now)
    elif inventory is None:
        found = Reason.UNREAD, "The snapshot does not have it."
    elif isinstance(inventory.onchain, Unread) or isinstance(inventory.offchain, Unread):
        found = Reason.UNREAD, _unread(inventory)
    elif settled is not None and is_settling(snapshot, settled):
        found = Reason.SETTLING, _settling(snapshot, settled)
    elif inventory.onchain.in_flight or inventory.offchain.in_flight:
        out, back = plain(inventory.offchain.in_flight), plain(inventory.onchain.in_flight)
        found = Reason.IN_FLIGHT, f"{out} is in flight from offchain and {back} from onchain."
    elif not inventory.total:
        found = Reason.NO_INVENTORY, "0 onchain and 0 offchain."
    return found


def _size(inventory: Inventory, wanted: AssetPolicy, imbalance: Imbalance, state: str) -> Decision:
    """Work out how much of an excess can be moved now. Here the amount is born, and floored."""
    asset = inventory.asset
    kind = correction(asset, imbalance)
    free = _available(inventory, kind.source)
    most = min(imbalance.excess, free)
    limits = f"{state} The excess is {plain(imbalance.excess)}; {plain(free)} is free {kind.source.value}."
    if wanted.maximum is not None and most > wanted.maximum:
        most = wanted.maximum
        limits += f" The maximum is {plain(wanted.maximum)}."
    amount = floor_to(most, kind.decimals)
    if floor_to(free, kind.decimals) == 0:
        return Decision(asset, Reason.NOTHING_AVAILABLE, limits, imbalance)
    if amount == 0 or amount < wanted.minimum:
        minimum = max(wanted.minimum, from_base_units(1, kind.decimals))
        detail = f"{limits} {plain(amount)} is below the minimum of {plain(minimum)}."
        return Decision(asset, Reason.BELOW_MINIMUM, detail, imbalance)
    detail = f"{limits} Plan: {kind.value} {plain(amount)}."
    return Decision(asset, Reason.PLANNED, detail, imbalance, PlannedOperation(kind, asset, amount))


def _permit(policy: Policy, decision: Decision) -> Decision:
    """Refuse what the settings, the run or the switch forbid. What is not planned stays as it is."""
    forbidden: tuple[tuple[bool, Reason, str], ...] = (
        (not policy.assets[decision.asset].enabled, Reason.ASSET_DISABLED, "the asset is disabled"),
        (
            policy.selected is not None and decision.asset not in policy.selected,
            Reason.NOT_SELECTED,
            "this run is for other assets",
        ),
        (not policy.enabled, Reason.REBALANCING_DISABLED, "rebalancing is disabled"),
        (not policy.may_start, Reason.SWITCH_NOT_AT_RUN, "the switch is not at run"),
    )
    for applies, reason, why in forbidden:
        if applies and decision.operation is not None:
            return decision.refused(reason, f"{decision.detail} Not moved: {why}.")
    return decision


def _within_limit(
    decisions: list[Decision], snapshot: Snapshot, policy: Policy, already_open: int
) -> list[Decision]:
    """Keep as many planned operations as may still be opened, those furthest from their target first."""
    limit = policy.max_open_operations
    if limit is None:
        return decisions
    planned = [one for one in decisions if one.operation is not None]
    # Sorting is stable, so equals stay in the order of the decisions.
    planned.sort(key=lambda one: -_distance(one, snapshot.inventories[one.asset]))
    kept = {one.asset for one in planned[: max(0, limit - already_open)]}
    why = f"Not moved: {limit} may be open and {already_open} were, {len(kept)} more are planned."
    return [
        one.refused(Reason.OVER_LIMIT, f"{one.detail} {why}")
        if one.operation is not None and one.asset not in kept
        else one
        for one in decisions
    ]


def _distance(decision: Decision, inventory: Inventory) -> Fraction:
    """How far the ratio is from its target, exactly: the excess as a part of the total."""
    assert decision.imbalance is not None
    assert inventory.total is not None
    return Fraction(decision.imbalance.excess) / Fraction(inventory.total)


def _available(inventory: Inventory, venue: Venue) -> Decimal:
    balance = inventory.onchain if venue is Venue.ONCHAIN else inventory.offchain
    assert isinstance(balance, Balance)
    return balance.available


def _state(inventory: Inventory, threshold: Threshold, imbalance: Imbalance | None) -> str:
    """Describe ratio and band. A ratio outside the band is rounded away from it, never onto its edge."""
    ratio, total = inventory.ratio, inventory.total
    assert isinstance(inventory.onchain, Balance)
    assert ratio is not None
    assert total is not None
    away = ROUND_CEILING if isinstance(imbalance, TooMuchOnchain) else ROUND_FLOOR
    shown = plain(ratio.quantize(_SHOWN_RATIO, rounding=away, context=Context(prec=50)))
    where = "in" if imbalance is None else "outside"
    return (
        f"{plain(inventory.onchain.total)} of {plain(total)} is onchain: ratio {shown} is {where} "
        f"{plain(threshold.lower)} to {plain(threshold.upper)}, target {plain(threshold.target)}."
    )


def _age(snapshot: Snapshot, policy: Policy, now: datetime) -> str:
    age, limit = (now - snapshot.taken_at).total_seconds(), policy.max_snapshot_age.total_seconds()
    if age < 0:
        return f"The snapshot is from {-age:.3f} s in the future: a clock is wrong."
    return f"The snapshot is {age:.3f} s old; {limit:g} s are allowed."


def _unread(inventory: Inventory) -> str:
    sides = ((Venue.ONCHAIN, inventory.onchain), (Venue.OFFCHAIN, inventory.offchain))
    return " ".join(
        f"{venue.value} unread: {side.reason}." for venue, side in sides if isinstance(side, Unread)
    )


def _settling(snapshot: Snapshot, settled: Settled) -> str:
    def moment(at: datetime, base: int | None, ethereum: int | None) -> str:
        blocks = f"Base block {base}, Ethereum block {ethereum}".replace("None", "unknown")
        return f"{at.isoformat(timespec='milliseconds')} ({blocks})"

    return (
        f"The snapshot is of {moment(snapshot.taken_at, snapshot.base_block, snapshot.ethereum_block)}; "
        f"the last operation ended {moment(settled.at, settled.base_block, settled.ethereum_block)}."
    )
