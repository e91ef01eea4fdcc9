"""What a move may cost: a budget that grows while the move waits for it, and what haste is worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Final, Literal

from include.domain.amounts import not_negative, plain
from include.domain.cost import Estimate, Quote, Speed, shown
from include.domain.decision import Reason
from include.domain.limits import Shut

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.domain.decision import PlannedOperation
    from include.domain.imbalance import Imbalance, Threshold

FAR: Final = Decimal("0.1")
"""So far beyond its band, as a part of the total, is as urgent as one `patience` outside it."""
SPEED_BPS: Final = Decimal(5)
"""What stands in for the budget when a speed is chosen and none is set."""
LONGEST_FORECAST: Final = timedelta(days=3650)

_PRECISE: Final = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN)
_TICK: Final = timedelta(microseconds=1)

OVER: Final = frozenset(
    {Reason.CLAIMED, Reason.SETTLING, Reason.IN_FLIGHT, Reason.NO_INVENTORY, Reason.BALANCED}
)
"""What a check says when an asset does not wait any more: it is moved, or need not be."""
UNJUDGED: Final = frozenset(
    {Reason.STALE, Reason.UNREAD, Reason.ASKED_BEFORE, Reason.OVER_AVAILABLE, Reason.OVER_MAXIMUM}
)


@dataclass(frozen=True, slots=True)
class CostPolicy:
    """What people are willing to pay.

    :param speed: how USDC crosses; `auto` weighs cost against urgency.
    :param budget_bps: what a move of USDC may cost, in basis points of it; None for anything.
    :param patience: the budget doubles each time this passes.
    :raises ValueError: if the budget could not grow.
    """

    speed: Literal["fast", "standard", "auto"] = "fast"
    budget_bps: Decimal | None = None
    patience: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.budget_bps is not None and not_negative(self.budget_bps, "budget_bps") == 0:
            raise ValueError("a budget of nothing would never grow")
        if self.patience <= timedelta(0):
            raise ValueError("patience must be above zero")


@dataclass(frozen=True, slots=True)
class Need:
    """How badly an asset has to be moved.

    :param beyond: how far its ratio is outside the band, as a part of the total; 0 at the band's edge.
    :param out_for: for how long it has been outside the band.
    :param refused_for: for how long it has been refused for its cost.
    """

    beyond: Decimal = Decimal(0)
    out_for: timedelta = timedelta(0)
    refused_for: timedelta = timedelta(0)

    def urgency(self, patience: timedelta) -> Decimal:
        """Return 0 for what has just come to the edge of its band, more for what is further or longer out.

        Each tenth of the total beyond the band adds 1, and so does each `patience` outside it.
        """
        return _PRECISE.add(_PRECISE.divide(self.beyond, FAR), _times(self.out_for, patience))


def beyond(imbalance: Imbalance, total: Decimal, threshold: Threshold) -> Decimal:
    """Return how far outside its band an asset is, as a part of its total.

    :param total: what there is of it at both venues; above zero.
    """
    # The excess reaches to where a move ends, which is `deviation - stop` inside the band's edge.
    inside = _PRECISE.subtract(threshold.deviation, threshold.stop)
    share = _PRECISE.divide(imbalance.excess, total)
    return max(Decimal(0), _PRECISE.subtract(share, inside))


def budget(bps: Decimal, amount: Decimal, waited: timedelta, patience: timedelta) -> Decimal:
    """Return what a move of an amount may cost after a time of waiting, in dollars.

    It doubles with each `patience` and grows all the time in between, so that it exceeds every cost one day:
    nothing waits for ever.
    """
    grown = _PRECISE.power(Decimal(2), _times(waited, patience))
    return _PRECISE.multiply(_share(bps, amount), grown)


def wait_needed(cost: Decimal, bps: Decimal, amount: Decimal, patience: timedelta) -> timedelta | None:
    """Return after how long in all the budget covers a cost; None if that is more than ten years."""
    times = _PRECISE.divide(cost, _share(bps, amount))
    if times <= 1:
        return timedelta(0)
    doublings = _PRECISE.divide(_PRECISE.ln(times), _PRECISE.ln(Decimal(2)))
    ticks = _PRECISE.multiply(doublings, Decimal(patience // _TICK))
    if ticks > LONGEST_FORECAST // _TICK:
        return None
    return timedelta(microseconds=int(ticks.to_integral_value(ROUND_CEILING)) + 1)


def choose_speed(
    fast: Decimal, standard: Decimal, urgency: Decimal, *, worth: Decimal, most: Decimal | None = None
) -> Speed:
    """Choose between the costs of the two speeds.

    Fast, if what it costs more is at most `urgency` times `worth`; but not where only standard is affordable.

    :param worth: what haste is worth at an urgency of 1, in dollars.
    :param most: what the move may cost; None for anything.
    """
    if most is not None and fast > most:
        return Speed.STANDARD
    haste = _PRECISE.multiply(urgency, worth)
    return Speed.FAST if _PRECISE.subtract(fast, standard) <= haste else Speed.STANDARD


def judge(
    operation: PlannedOperation, quote: Quote, need: Need, policy: CostPolicy, *, now: datetime
) -> tuple[Estimate, Shut | None]:
    """Estimate what a move costs, and tell whether it has to wait for its cost.

    Equities are estimated only: what moves them has no other way, and their fees are gas alone.
    """
    kind, amount = operation.kind, operation.amount
    if not kind.moves_usdc:
        cost = quote.price(kind, amount, None)
        return Estimate(amount, None, cost, "; ".join(quote.notes), quote), None
    bps, patience = policy.budget_bps, policy.patience
    most = None if bps is None else budget(bps, amount, need.refused_for, patience)
    speed, why = _speed(operation, quote, need, policy, most)
    estimate = Estimate(
        amount, speed, quote.price(kind, amount, speed), "; ".join((why, *quote.notes)), quote
    )
    if bps is None or most is None:
        return estimate, None
    if quote.missing:
        return estimate, Shut(Reason.UNPRICED, f"its cost is not known: {'; '.join(quote.missing)}")
    if estimate.cost.total <= most:
        return estimate, None
    needed = wait_needed(estimate.cost.total, bps, amount, patience)
    if needed is None:
        when = "it would take more than ten years of waiting"
    else:
        at = now + max(needed - need.refused_for, timedelta(0))
        when = f"at this cost the budget has grown enough at {at.isoformat(timespec='seconds')}"
    return estimate, Shut(
        Reason.OVER_COST_BUDGET,
        f"it would cost {estimate.cost.words()}; the budget is {_floor(most)} dollars after waiting "
        f"{_minutes(need.refused_for)}, and {when}",
    )


def _speed(
    operation: PlannedOperation, quote: Quote, need: Need, policy: CostPolicy, most: Decimal | None
) -> tuple[Speed, str]:
    """Choose the speed, and say why."""
    kind, amount = operation.kind, operation.amount
    offered = quote.offers(Speed.FAST, amount)
    if policy.speed != "auto":
        # What is asked to be fast and cannot be, Circle turns to standard by itself, and takes no fee.
        doubt = f"; {_why_not(quote)}" if policy.speed == "fast" and not offered else ""
        return Speed(policy.speed), f"{policy.speed}, as it is set{doubt}"
    if not offered:
        return Speed.STANDARD, f"standard: {_why_not(quote)}"
    fast, standard = (quote.price(kind, amount, speed).total for speed in (Speed.FAST, Speed.STANDARD))
    urgency = need.urgency(policy.patience)
    worth = _share(policy.budget_bps or SPEED_BPS, amount)
    speed = choose_speed(fast, standard, urgency, worth=worth, most=most)
    extra, haste = _PRECISE.subtract(fast, standard), _PRECISE.multiply(urgency, worth)
    return speed, (
        f"{speed.value}, as fast costs {shown(extra)} dollars more and haste is worth {_floor(haste)} "
        f"({plain(need.beyond.quantize(Decimal('0.0001'), ROUND_FLOOR))} of the total beyond the band, "
        f"{_minutes(need.out_for)} outside it)"
    )


def waited(
    rows: Iterable[tuple[datetime, Reason]], now: datetime, *, longest_gap: timedelta
) -> tuple[timedelta, timedelta]:
    """Return for how long an asset has been outside its band, and for how long refused for its cost.

    Each is counted from the first of a row of checks up to now. A row ends where a check found the asset
    balanced, moved or moving, and where nothing was heard for longer than `longest_gap`: what people held
    back for a day did not wait for a budget.

    :param rows: when checks were made and what they said about the asset, newest first.
    """
    out = refused = now
    for at, reason in rows:
        if reason in OVER or out - at > longest_gap:
            break
        if reason in UNJUDGED:
            continue
        if reason is Reason.OVER_COST_BUDGET and refused - at <= longest_gap:
            refused = at
        out = at
    return now - out, now - refused


def _times(time: timedelta, patience: timedelta) -> Decimal:
    return _PRECISE.divide(Decimal(time // _TICK), Decimal(patience // _TICK))


def _share(bps: Decimal, amount: Decimal) -> Decimal:
    return _PRECISE.divide(_PRECISE.multiply(bps, amount), Decimal(10_000))


def _floor(dollars: Decimal) -> str:
    """Write dollars that may be spent: never shown as more than they are."""
    return plain(dollars.quantize(Decimal("0.000001"), rounding=ROUND_FLOOR, context=_PRECISE))


def _minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1)} min"


def _why_not(quote: Quote) -> str:
    """Say why fast is not offered."""
    if Speed.FAST not in quote.circle_bps:
        return "the price of fast is not known"
    return f"Circle lets only {plain(quote.fast_allowance or Decimal(0))} USDC through fast at the moment"
