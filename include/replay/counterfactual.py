"""What would have become of the balances under other settings: a pure function of what was recorded.

Trading stays what it was. Out of the recorded balances are taken the moves of the real operations, and into
them are put those that would have been made. The difference of the two is one number for each asset, its
*offset*: so much more of it would have been onchain, and so much less offchain. It is carried from look to
look, and never changes how much there is in total.

While a real operation was under way, nobody knows from the balances what of it had left and what had arrived.
So its asset is left, in both columns, as the last look before saw it, and judged again by the first look that
is newer than its end: exactly as the pipeline itself does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from include.domain.amounts import exact
from include.domain.inventory import Venue
from include.domain.limits import midnight, moved
from include.domain.operation import OpenOperation, OperationKind, OperationStatus, Settled
from include.domain.plan import is_settling, plan
from include.replay.holdings import Holding, Look, Sums, as_snapshot, shifted, sums
from include.replay.past import Past, moved_on_day, open_at, settled_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from include.domain.decision import PlannedOperation
    from include.domain.policy import Policy

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Virtual:
    """An operation that would have been opened.

    :param closed_at: when it would have arrived; that may be after the last look.
    """

    kind: OperationKind
    asset: str
    amount: Decimal
    opened_at: datetime
    closed_at: datetime


@dataclass(slots=True)
class Track:
    """One asset, look by look.

    :ivar was: what was there; None where it is not known.
    :ivar would: what would have been there.
    :ivar offset: what of it would have been onchain more than was; below zero, less.
    :ivar short: the looks at which trading would have needed more than there would have been.
    """

    was: list[Sums | None] = field(default_factory=list)
    would: list[Sums | None] = field(default_factory=list)
    offset: list[Decimal] = field(default_factory=list)
    short: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have been, and what was, over the same looks.

    :param real: the operations that were opened in that time.
    """

    times: tuple[datetime, ...]
    tracks: Mapping[str, Track]
    virtual: tuple[Virtual, ...]
    real: tuple[Past, ...]


def counterfactual(
    looks: Sequence[Look], past: Sequence[Past], policy: Policy, takes: Mapping[OperationKind, timedelta]
) -> Counterfactual:
    """Decide at every look as if all that was moved since the first one had been decided by this policy.

    An operation that was opened up to the first look is the same in both. One that would have been opened
    moves its whole amount, at once, after what its kind takes, and until then claims its asset. Where there
    would not have been enough on a side to go on trading as it was, nothing is left on that side.

    :param looks: oldest first.
    :param past: all operations that the ledger knows.
    :param policy: what was to be wanted and allowed.
    :param takes: by kind, how long an operation lasts.
    """
    if not looks:
        return Counterfactual((), {asset: Track() for asset in policy.assets}, (), ())
    replayed = _Replayed(looks, past, policy, takes)
    with exact():
        for number, look in enumerate(looks):
            replayed.step(number, look)
    last = looks[-1].at
    return Counterfactual(
        times=tuple(look.at for look in looks),
        tracks=replayed.tracks,
        virtual=tuple(replayed.virtual),
        real=tuple(one for one in replayed.later if one.opened_at <= last and one.asset in policy.assets),
    )


class _Replayed:
    """Both worlds, as far as they have got."""

    def __init__(
        self,
        looks: Sequence[Look],
        past: Sequence[Past],
        policy: Policy,
        takes: Mapping[OperationKind, timedelta],
    ) -> None:
        start = looks[0].at
        ordered = sorted(past, key=lambda one: (one.opened_at, one.id))
        before = [one for one in ordered if one.opened_at <= start]
        self.later = [one for one in ordered if one.opened_at > start]
        # Of what was opened before, the day's limit, the claims and the rests are the same in both worlds.
        self._shared = [one for one in before if one.open_at(start) or one.opened_at >= midnight(start)]
        self._settled = settled_at(before, start)
        self._real: dict[str, deque[Past]] = {asset: deque() for asset in policy.assets}
        for one in (*(shared for shared in before if self._matters(shared, looks[0])), *self.later):
            if one.asset in self._real:
                self._real[one.asset].append(one)
        self._later_ids = {one.id for one in self.later}
        self._policy, self._takes = policy, takes
        self._bands = {
            asset: (one.threshold.lower, one.threshold.upper) for asset, one in policy.assets.items()
        }
        self._policies: dict[tuple[str, ...], Policy] = {}
        self._known: dict[str, Holding | None] = dict.fromkeys(policy.assets)
        self._offset: dict[str, Decimal] = dict.fromkeys(policy.assets, _ZERO)
        self._open: dict[str, Virtual] = {}
        self.tracks = {asset: Track() for asset in policy.assets}
        self.virtual: list[Virtual] = []

    @staticmethod
    def _matters(one: Past, first: Look) -> bool:
        """Tell whether the first look may lack what an operation did that was opened before it."""
        return one.open_at(first.at) or is_settling(first.head(), one.settled())

    def step(self, number: int, look: Look) -> None:
        """Bring both worlds to a look, and decide."""
        self._arrive(look.at)
        due = []
        for asset, track in self.tracks.items():
            seen = look.holdings.get(asset)
            under_way = self._is_under_way(asset, look)
            if not under_way:
                self._known[asset] = seen
            base = self._known[asset]
            would = None if base is None else shifted(base, self._offset[asset])
            track.was.append(None if base is None else sums(base))
            track.would.append(None if would is None else sums(would.holding))
            track.offset.append(self._offset[asset])
            if would is None:
                continue
            if would.short:
                track.short.add(number)
            if not under_way and asset not in self._open and self._may_be_due(asset, would.holding):
                due.append((asset, would.holding))
        if due:
            self._decide(look, dict(due))

    def _arrive(self, now: datetime) -> None:
        """Put in what has arrived. A look at that very moment may not show it yet."""
        for asset, one in list(self._open.items()):
            if one.closed_at < now:
                self._offset[asset] += _onto_chain(one.kind, one.amount)
                self._settled[asset] = Settled(asset, one.closed_at, None, None)
                del self._open[asset]

    def _is_under_way(self, asset: str, look: Look) -> bool:
        """Tell whether a look may show a part of a real operation; take out those of which it shows all."""
        queue = self._real[asset]
        while queue and queue[0].opened_at <= look.at:
            one = queue[0]
            if one.open_at(look.at) or is_settling(look.head(), one.settled()):
                return True
            queue.popleft()
            if one.id in self._later_ids:
                self._offset[asset] -= _onto_chain(one.kind, one.moved)
        return False

    def _may_be_due(self, asset: str, holding: Holding) -> bool:
        """Tell quickly whether a plan could move an asset; `plan` itself decides."""
        onchain, total = sums(holding)
        lower, upper = self._bands[asset]
        return not total * lower <= onchain <= total * upper

    def _decide(self, look: Look, due: Mapping[str, Holding]) -> None:
        claims = [
            OpenOperation(f"virtual {one.asset}", one.kind, one.asset) for one in self._open.values()
        ] + open_at(self._shared, look.at)
        decisions = plan(
            as_snapshot(look, due),
            self._about(tuple(due)),
            claims,
            settled=self._ended(look.at),
            moved_today=self._moved_on_day(look.at),
            now=look.at,
        )
        for decision in decisions:
            if decision.operation is not None:
                self._begin(decision.operation, look.at)

    def _begin(self, operation: PlannedOperation, now: datetime) -> None:
        one = Virtual(
            operation.kind, operation.asset, operation.amount, now, now + self._takes[operation.kind]
        )
        self._open[one.asset] = one
        self.virtual.append(one)

    def _about(self, assets: tuple[str, ...]) -> Policy:
        """Return the policy of these assets alone: nothing is decided about the others."""
        if assets not in self._policies:
            own = {asset: self._policy.assets[asset] for asset in assets}
            self._policies[assets] = replace(self._policy, assets=own)
        return self._policies[assets]

    def _ended(self, now: datetime) -> dict[str, Settled]:
        """Return the end of each asset's last operation, whichever world it was in."""
        found = dict(self._settled)
        for asset, settled in settled_at(self._shared, now).items():
            if asset not in found or settled.at > found[asset].at:
                found[asset] = settled
        return found

    def _moved_on_day(self, now: datetime) -> dict[str, Decimal]:
        day, found = midnight(now), moved_on_day(self._shared, now)
        today = takewhile(lambda one: one.opened_at >= day, reversed(self.virtual))
        counted = moved((one.asset, one.amount, OperationStatus.SETTLED) for one in today)
        for asset, amount in counted.items():
            found[asset] = found.get(asset, _ZERO) + amount
        return found


def _onto_chain(kind: OperationKind, amount: Decimal) -> Decimal:
    """Return what an operation changes onchain."""
    return amount if kind.destination is Venue.ONCHAIN else -amount
