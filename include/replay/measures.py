"""From two tracks of balances to figures that can be compared: pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from include.domain.amounts import exact
from include.domain.operation import OperationKind, OperationStatus
from include.replay.fees import Fees, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from include.domain.cost import Cost
    from include.domain.imbalance import Threshold
    from include.domain.policy import Policy
    from include.replay.counterfactual import Counterfactual, Virtual
    from include.replay.fees import Rate
    from include.replay.holdings import Sums
    from include.replay.past import Past

_ZERO: Final = Decimal(0)
_SHOWN: Final = Context(prec=50)


@dataclass(frozen=True, slots=True)
class Balance:
    """How an asset lay over the time.

    :param known_seconds: how long it is known where it lay.
    :param outside_own_seconds: how long it was out of the band that was wanted of it.
    :param outside_base_seconds: how long it was out of the band of the settings.
    :param largest_excess: the most that lay on the wrong side, in shares or USDC, while it was out of its own
        band; 0 if it never was.
    :param furthest: the farthest that its ratio was from the settings' target; None if there never was any.
    """

    known_seconds: float
    outside_own_seconds: float
    outside_base_seconds: float
    largest_excess: Decimal
    furthest: Decimal | None


@dataclass(frozen=True, slots=True)
class Moves:
    """What was moved.

    :param kinds: by kind, how many operations; cancelled ones are not among them.
    :param amount: shares or USDC that they moved, or are about to.
    """

    kinds: Mapping[OperationKind, int]
    cancelled: int
    amount: Decimal
    fees: Fees


@dataclass(frozen=True, slots=True)
class Column:
    """One of the two: what was, or what would have been."""

    moves: Moves
    lay: Balance


@dataclass(frozen=True, slots=True)
class Compared:
    """Both columns of one asset.

    :param short_seconds: how long trading would have needed more on one side than there would have been.
    """

    was: Column
    would: Column
    short_seconds: float


@dataclass(frozen=True, slots=True)
class Weights:
    """How long each look stands for what lay where: until the next one, but no longer than `longest`."""

    seconds: Sequence[float]

    @classmethod
    def of(cls, times: Sequence[datetime], longest: timedelta) -> Weights:
        """Weigh looks, oldest first. The last one stands for nothing."""
        most = longest.total_seconds()
        gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
        return cls([min(gap, most) for gap in gaps] + [0.0] * bool(times))


def balance(track: Sequence[Sums | None], weights: Weights, own: Threshold, base: Threshold) -> Balance:
    """Measure one column of one asset."""
    known = outside_own = outside_base = 0.0
    excess, furthest = _ZERO, None
    with exact():
        own_out, base_out = _outside(own), _outside(base)
        for state, seconds in zip(track, weights.seconds, strict=True):
            if state is None or not state[1]:
                continue
            known += seconds
            if over := own_out(state):
                outside_own += seconds
                excess = max(excess, over)
            if base_out(state):
                outside_base += seconds
        states = [state for state in track if state is not None and state[1]]
        if states:
            furthest = max(abs(ratio(state) - base.target) for state in set(states))
    return Balance(known, outside_own, outside_base, excess, furthest)


def _outside(threshold: Threshold) -> Callable[[Sums], Decimal]:
    """Return what tells the excess of what lies outside a band, and 0 of what lies inside."""
    lower, upper = threshold.lower, threshold.upper
    inner_lower, inner_upper = threshold.inner_lower, threshold.inner_upper

    def excess(state: Sums) -> Decimal:
        onchain, total = state
        if onchain < total * lower:
            return total * inner_lower - onchain
        if onchain > total * upper:
            return onchain - total * inner_upper
        return _ZERO

    return excess


def ratio(state: Sums) -> Decimal:
    """Return the onchain part of a total that is not zero, to 50 digits: for showing, not for judging."""
    return _SHOWN.divide(*state)


def compared(
    found: Counterfactual,
    *,
    policy: Policy,
    base: Policy,
    costs: Mapping[str, Cost],
    rates: Mapping[OperationKind, Rate],
    longest: timedelta,
) -> dict[str, Compared]:
    """Compare what was with what would have been, by asset.

    :param policy: what the replay was decided by.
    :param base: what the settings want, without the overrides.
    :param costs: what the real operations cost, by id.
    :param rates: what operations cost, by kind.
    :param longest: how long a look stands for what lay where at most.
    """
    weights = Weights.of(found.times, longest)
    result = {}
    for asset, track in found.tracks.items():
        own = policy.assets[asset].threshold
        usual = base.assets[asset].threshold
        real = [one for one in found.real if one.asset == asset]
        virtual = [one for one in found.virtual if one.asset == asset]
        result[asset] = Compared(
            was=Column(moved_by(real, costs), balance(track.was, weights, usual, usual)),
            would=Column(would_be_moved_by(virtual, rates), balance(track.would, weights, own, usual)),
            short_seconds=sum(weights.seconds[number] for number in track.short),
        )
    return result


def moved_by(real: Sequence[Past], costs: Mapping[str, Cost]) -> Moves:
    """Sum up real operations. What an open one has not paid yet is not known."""
    counted = [one for one in real if one.status is not OperationStatus.CANCELLED]
    closed = {one.id: costs.get(one.id) for one in real if one.closed_at is not None}
    paid = [None if cost is None else cost.total for cost in closed.values()]
    partial = any(cost is not None and not is_whole(cost) for cost in closed.values())
    with exact():
        amount = sum((one.moved for one in counted), _ZERO)
    fees = Fees.together(paid + [None] * (len(real) - len(closed)), partial=partial)
    return Moves(_counted(one.kind for one in counted), len(real) - len(counted), amount, fees)


def would_be_moved_by(virtual: Sequence[Virtual], rates: Mapping[OperationKind, Rate]) -> Moves:
    """Sum up operations that would have been opened, at the rates of their kinds."""
    priced = [rates[one.kind].price(one.amount) if one.kind in rates else None for one in virtual]
    with exact():
        amount = sum((one.amount for one in virtual), _ZERO)
    return Moves(_counted(one.kind for one in virtual), 0, amount, Fees.together(priced))


def _counted(kinds: Iterable[OperationKind]) -> dict[OperationKind, int]:
    found = Counter(kinds)
    return {kind: found[kind] for kind in OperationKind if found[kind]}


def together(columns: Sequence[Column]) -> Column:
    """Add one column up over assets. Times are those of all assets, one after the other.

    Amounts and excesses are of no use where the assets are not counted in the same unit.
    """
    moves, lay = [one.moves for one in columns], [one.lay for one in columns]
    kinds: Counter[OperationKind] = Counter()
    for one in moves:
        kinds.update(one.kinds)
    known = [one.fees.dollars for one in moves if one.kinds or one.cancelled]
    far = [one.furthest for one in lay if one.furthest is not None]
    with exact():
        amount = sum((one.amount for one in moves), _ZERO)
    return Column(
        Moves(
            {kind: kinds[kind] for kind in OperationKind if kinds[kind]},
            sum(one.cancelled for one in moves),
            amount,
            Fees.together(known, partial=any(one.fees.partial for one in moves)),
        ),
        Balance(
            sum(one.known_seconds for one in lay),
            sum(one.outside_own_seconds for one in lay),
            sum(one.outside_base_seconds for one in lay),
            max((one.largest_excess for one in lay), default=_ZERO),
            max(far, default=None),
        ),
    )
