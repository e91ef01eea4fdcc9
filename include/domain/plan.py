"""From a snapshot to what is done about every asset: a pure function.

`plan` may be called again when the claim commits, with what is open and settled by then: a decision that is
still `planned` is still right.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from include.domain.amounts import EXACT, USDC, floor_to, plain
from include.domain.decision import Asked, Decision, PlannedOperation, Reason
from include.domain.imbalance import Imbalance, Threshold, TooMuchOnchain, detect
from include.domain.inventory import Balance, Inventory, Snapshot, Unread, Venue
from include.domain.limits import Hold, Shut, rest_after
from include.domain.moments import utc
from include.domain.policy import AssetPolicy, Policy
from include.domain.sizing import as_asked, size, would_do

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from include.domain.operation import OpenOperation, Settled

__all__ = [
    "Asked",
    "AssetPolicy",
    "Decision",
    "PlannedOperation",
    "Policy",
    "Reason",
    "is_settling",
    "is_stale",
    "plan",
    "to_ask",
]

NOTHING_HELD: Final = Hold()
_SHOWN_RATIO: Final = Decimal("0.000001")
_FINE: Final = Context(prec=120)
_FINEST: Final = Decimal(1).scaleb(-60)


def plan(
    snapshot: Snapshot,
    policy: Policy,
    open_operations: Collection[OpenOperation],
    *,
    asked: Asked | None = None,
    settled: Mapping[str, Settled] | None = None,
    moved_today: Mapping[str, Decimal] | None = None,
    hold: Hold = NOTHING_HELD,
    shut: Mapping[str, Shut] | None = None,
    now: datetime,
) -> tuple[Decision, ...]:
    """Decide about every configured asset: one decision each, by name, USDC last.

    The answer depends on the arguments alone, and not on the order of anything in them. Assets that are only
    in the snapshot are ignored; assets that are missing from it are unread.

    :param open_operations: all that are open, whatever their asset: they claim, and count against the limit.
    :param asked: what a person asks for. Its asset is judged by that instead of by its ratio, and no other
        asset is moved. It is planned exactly as it is, or refused with the most that would do.
    :param settled: by asset, the end of its last closed operation.
    :param moved_today: by asset, what the operations opened since 00:00 UTC move, but for cancelled ones.
    :param hold: the assets that people hold back.
    :param shut: by asset, what speaks against it; `to_ask` names what the gate is asked about.
    :raises ValueError: if `now` has no zone, or what is asked for is not configured.
    """
    now, moved = utc(now, "now"), moved_today or {}
    if asked is not None:
        only = frozenset({asked.operation.asset})
        policy = replace(policy, selected=only if policy.selected is None else only & policy.selected)
    claims = {
        operation.asset: operation
        for operation in sorted(open_operations, key=lambda one: (one.id, one.kind))
    }
    stale = _age(snapshot, policy, now) if is_stale(snapshot, policy.max_snapshot_age, now) else None
    decisions = []
    for asset in sorted(policy.assets, key=lambda asset: (asset == USDC, asset)):
        last = (settled or {}).get(asset)
        own = asked if asked is not None and asked.operation.asset == asset else None
        one = _decide(
            snapshot,
            policy,
            asset,
            claim=claims.get(asset),
            stale=stale,
            settled=last,
            asked=own,
            moved=moved,
        )
        gate = (shut or {}).get(asset)
        decisions.append(_permit(policy, one, hold=hold, settled=last, shut=gate, now=now))
    already_open = len({operation.id for operation in open_operations})
    decisions = _ration(decisions, snapshot, policy, already_open, moved)
    if policy.dry_run:
        decisions = [
            one.refused(Reason.DRY_RUN, f"{one.detail} Not moved: this is a dry run.")
            if one.operation
            else one
            for one in decisions
        ]
    return tuple(decisions)


def to_ask(decisions: Iterable[Decision]) -> tuple[PlannedOperation, ...]:
    """Return the operations the gate is asked about: those of equities that nothing but rationing forbids.

    What is over a limit is among them: it moves instead of what turns out to be frozen.
    """
    rationed = (Reason.OVER_LIMIT, Reason.OVER_DAILY_LIMIT, Reason.DRY_RUN, Reason.PLANNED)
    found = (one.operation or one.proposed for one in decisions if one.reason in rationed)
    return tuple(one for one in found if one is not None and not one.kind.moves_usdc)


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
    stale: str | None,
    settled: Settled | None,
    asked: Asked | None,
    moved: Mapping[str, Decimal],
) -> Decision:
    """Judge one asset and size its move, whether or not it is permitted."""
    obstacle = _obstacle(snapshot, asset, claim=claim, stale=stale, settled=settled)
    if obstacle is not None:
        return Decision(asset, *obstacle, asked=asked)
    inventory, wanted = snapshot.inventories[asset], policy.assets[asset]
    imbalance = detect(inventory, wanted.threshold)
    state = _state(inventory, wanted.threshold, imbalance)
    if asked is not None:
        left = policy.daily.left(asset, moved)
        return as_asked(inventory, wanted, imbalance, state, asked=asked, left=left)
    if imbalance is None:
        return Decision(asset, Reason.BALANCED, state)
    return size(inventory, wanted, imbalance, state)


def _obstacle(
    snapshot: Snapshot,
    asset: str,
    *,
    claim: OpenOperation | None,
    stale: str | None,
    settled: Settled | None,
) -> tuple[Reason, str] | None:
    """Find what keeps an asset from being judged, the first thing a person would want to know."""
    inventory = snapshot.inventories.get(asset)
    found: tuple[Reason, str] | None = None
    if claim is not None:
        found = Reason.CLAIMED, f"{claim.kind.value} {claim.id} is open."
    elif stale is not None:
        found = Reason.STALE, stale
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


def _permit(
    policy: Policy,
    decision: Decision,
    *,
    hold: Hold,
    settled: Settled | None,
    shut: Shut | None,
    now: datetime,
) -> Decision:
    """Refuse what people, the settings, the run, the switch or the gate forbid. What is not planned stays."""
    if decision.operation is None:
        return decision
    asset = decision.asset
    held, resting = hold.why(asset), _resting(policy, settled, now)
    selected = policy.selected is None or asset in policy.selected
    forbidden: tuple[tuple[bool, Reason, str], ...] = (
        (not policy.assets[asset].enabled, Reason.ASSET_DISABLED, "the asset is disabled"),
        (held is not None, Reason.HELD, held or ""),
        (not selected, Reason.NOT_SELECTED, "this run is for other assets"),
        (resting is not None, Reason.COOLING_DOWN, resting or ""),
        (not policy.enabled, Reason.REBALANCING_DISABLED, "rebalancing is disabled"),
        (not policy.may_start, Reason.SWITCH_NOT_AT_RUN, "the switch is not at run"),
    )
    for applies, reason, why in forbidden:
        if applies:
            return decision.refused(reason, f"{decision.detail} Not moved: {why}.")
    if shut is not None:
        return decision.refused(shut.reason, f"{decision.detail} Not moved: {shut.why}.")
    return decision


def _resting(policy: Policy, settled: Settled | None, now: datetime) -> str | None:
    """Tell why an asset rests, or None if it does not."""
    if settled is None:
        return None
    until = settled.at + rest_after(
        settled, settle_cooldown=policy.settle_cooldown, refusal_cooldown=policy.refusal_cooldown
    )
    if now >= until:
        return None
    refusals = f"{settled.refusals} in a row were cancelled" if settled.refusals else "it moved money"
    at, end = (moment.isoformat(timespec="seconds") for moment in (settled.at, until))
    return f"its last operation ended at {at} ({refusals}), and it rests until {end}"


def _ration(
    decisions: list[Decision],
    snapshot: Snapshot,
    policy: Policy,
    already_open: int,
    moved_today: Mapping[str, Decimal],
) -> list[Decision]:
    """Hand out the places and the rest of the day that are left, to those furthest from target first."""
    planned = [one for one in decisions if one.operation is not None]
    # Sorting is stable, so equals stay in the order of the decisions.
    planned.sort(key=lambda one: _distance(one, snapshot.inventories[one.asset], policy), reverse=True)
    moved, limit = dict(moved_today), policy.max_open_operations
    final, kept = {}, 0
    for one in planned:
        if limit is not None and already_open + kept >= limit:
            why = f"{limit} may be open and {already_open} were, {kept} more are planned"
            final[one.asset] = one.refused(Reason.OVER_LIMIT, f"{one.detail} Not moved: {why}.")
            continue
        final[one.asset] = cut = _within_day(one, policy, moved)
        if cut.operation is not None:
            kept += 1
            moved[one.asset] = EXACT.add(moved.get(one.asset, Decimal(0)), cut.operation.amount)
    return [final.get(one.asset, one) for one in decisions]


def _within_day(decision: Decision, policy: Policy, moved: Mapping[str, Decimal]) -> Decision:
    """Cut a planned operation to what is left of the day, or refuse it if that is too little to move.

    What was asked for by hand is not cut.
    """
    operation = decision.operation
    assert operation is not None
    left = policy.daily.left(operation.asset, moved)
    if left is None or left.amount >= operation.amount:
        return decision
    amount = floor_to(left.amount, operation.kind.decimals)
    if decision.asked is not None:
        would = would_do(amount, policy.assets[operation.asset], Reason.OVER_DAILY_LIMIT)
        why = f"{decision.detail} Not moved: {left.words}. {would}"
        return decision.refused(Reason.OVER_DAILY_LIMIT, why)
    if amount == 0 or amount < policy.assets[operation.asset].minimum:
        return decision.refused(Reason.OVER_DAILY_LIMIT, f"{decision.detail} Not moved: {left.words}.")
    return replace(
        decision,
        detail=f"{decision.detail} Cut to {plain(amount)}: {left.words}.",
        operation=replace(operation, amount=amount),
    )


def _distance(decision: Decision, inventory: Inventory, policy: Policy) -> Decimal:
    """How far the ratio is from its target, to 60 decimals: the excess as a part of the total, and the stop.

    What was asked for by hand needs no imbalance, and is planned alone.
    """
    if decision.imbalance is None:
        return Decimal(0)
    assert inventory.total is not None
    excess = _FINE.divide(decision.imbalance.excess, inventory.total)
    # Twice as many digits are worked out, so that equal distances stay equal, however they are made up.
    return _FINE.quantize(_FINE.add(excess, policy.assets[decision.asset].threshold.stop), _FINEST)


def _state(inventory: Inventory, threshold: Threshold, imbalance: Imbalance | None) -> str:
    """Describe ratio and band. A ratio outside the band is rounded away from it, never onto its edge."""
    ratio, total = inventory.ratio, inventory.total
    assert isinstance(inventory.onchain, Balance)
    assert ratio is not None
    assert total is not None
    away = ROUND_CEILING if isinstance(imbalance, TooMuchOnchain) else ROUND_FLOOR
    shown = plain(ratio.quantize(_SHOWN_RATIO, rounding=away, context=_FINE))
    where = "in" if imbalance is None else "outside"
    return (
        f"{plain(inventory.onchain.total)} of {plain(total)} is onchain: ratio {shown} is {where} "
        f"{_band(threshold)}."
    )


@lru_cache(maxsize=1024)
def _band(threshold: Threshold) -> str:
    """Describe a band; most assets have the same."""
    said = f"{plain(threshold.lower)} to {plain(threshold.upper)}, target {plain(threshold.target)}"
    if threshold.stop:
        said += f", moved to {plain(threshold.inner_lower)} to {plain(threshold.inner_upper)}"
    return said


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
