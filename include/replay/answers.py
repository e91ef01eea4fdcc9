"""From what was worked out to the page's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from include.domain.amounts import USDC, plain
from include.domain.cost import shown
from include.domain.operation import OperationKind
from include.replay import measures, models

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from include.domain.imbalance import Threshold
    from include.ledger.replays import ReplayHead
    from include.replay.fees import Rate
    from include.replay.holdings import Sums
    from include.replay.report import Worked

POINTS: Final = 500
_EQUITIES, _EVERYTHING = "all equities", "everything"


def replays(heads: Sequence[ReplayHead]) -> models.Replays:
    """Show the list of replays."""
    return models.Replays(replays=[_replay(head) for head in heads])


def _replay(head: ReplayHead) -> models.Replay:
    return models.Replay(
        id=head.replay.id,
        name=head.replay.name,
        created_at=head.created_at,
        first=head.first,
        last=head.last,
        overrides=dict(head.replay.overrides),
        done=head.done,
        skipped=dict(head.skipped),
    )


def report(head: ReplayHead, worked: Worked) -> models.Report:
    """Show a replay beside what was done."""
    times = worked.found.times
    return models.Report(
        replay=_replay(head),
        looks=len(times),
        since=times[0] if times else None,
        until=times[-1] if times else None,
        together=_together(worked),
        assets=[_compared(asset, one) for asset, one in worked.compared.items()],
        assumed={kind.value: _assumed(kind, worked) for kind in OperationKind},
    )


def _together(worked: Worked) -> list[models.Compared]:
    groups = (
        (_EQUITIES, [asset for asset in worked.compared if asset != USDC], True),
        (_EVERYTHING, list(worked.compared), False),
    )
    return [
        _compared(
            name,
            measures.Compared(
                was=measures.together([worked.compared[asset].was for asset in assets]),
                would=measures.together([worked.compared[asset].would for asset in assets]),
                short_seconds=sum(worked.compared[asset].short_seconds for asset in assets),
            ),
            one_unit=one_unit,
        )
        for name, assets, one_unit in groups
        if assets
    ]


def _compared(of: str, one: measures.Compared, *, one_unit: bool = True) -> models.Compared:
    return models.Compared(
        of=of,
        was=_column(one.was, one_unit=one_unit),
        would=_column(one.would, one_unit=one_unit),
        short_seconds=int(one.short_seconds),
    )


def _column(column: measures.Column, *, one_unit: bool) -> models.Column:
    moves, lay = column.moves, column.lay
    return models.Column(
        operations={kind.value: count for kind, count in moves.kinds.items()},
        cancelled=moves.cancelled,
        moved=plain(moves.amount) if one_unit else None,
        fees=models.Fees(
            dollars=None if moves.fees.dollars is None else shown(moves.fees.dollars),
            partial=moves.fees.partial,
        ),
        known_seconds=int(lay.known_seconds),
        outside_own_seconds=int(lay.outside_own_seconds),
        outside_base_seconds=int(lay.outside_base_seconds),
        largest_excess=plain(lay.largest_excess) if one_unit else None,
        furthest=None if lay.furthest is None else _short(lay.furthest),
    )


def _assumed(kind: OperationKind, worked: Worked) -> models.Assumed:
    length, sample = worked.takes[kind]
    rate: Rate | None = worked.rates.get(kind)
    return models.Assumed(
        takes_seconds=int(length.total_seconds()),
        takes_from=sample,
        fixed_dollars=None if rate is None else shown(rate.fixed),
        part=None if rate is None else _short(rate.part),
        costs_from=0 if rate is None else rate.sample,
    )


def history(asset: str, worked: Worked) -> models.History:
    """Show the ratios of one asset over the time."""
    track = worked.found.tracks[asset]
    own, base = worked.policy.assets[asset].threshold, worked.base.assets[asset].threshold
    return models.History(
        asset=asset,
        **_band("", own),
        **_band("base_", base),
        points=_points(worked.found.times, track.was, track.would, worked.longest.total_seconds()),
        real=[
            models.Moved(
                kind=one.kind.value,
                amount=plain(one.moved),
                opened_at=one.opened_at,
                closed_at=one.closed_at,
                status=one.status.value,
            )
            for one in worked.found.real
            if one.asset == asset
        ],
        virtual=[
            models.Moved(
                kind=one.kind.value,
                amount=plain(one.amount),
                opened_at=one.opened_at,
                closed_at=one.closed_at,
                status="virtual",
            )
            for one in worked.found.virtual
            if one.asset == asset
        ],
    )


def _band(prefix: str, threshold: Threshold) -> dict[str, str]:
    return {
        f"{prefix}target": plain(threshold.target),
        f"{prefix}lower": plain(threshold.lower),
        f"{prefix}upper": plain(threshold.upper),
    }


def _points(
    times: Sequence[datetime], was: Sequence[Sums | None], would: Sequence[Sums | None], longest: float
) -> list[tuple[int, str | None, str | None]]:
    """Return no more than twice `POINTS` points: of each stretch, the look whose ratio is farthest off.

    Where nothing was recorded for too long, a point without ratios makes a gap.
    """
    width = max(1, -(-len(times) // POINTS))
    found: list[tuple[int, str | None, str | None]] = []
    for first in range(0, len(times), width):
        chosen = max(range(first, min(first + width, len(times))), key=lambda one: _odd(was[one], would[one]))
        at = int(times[chosen].timestamp())
        if found and at - found[-1][0] > max(longest, 2 * width * longest / 3):
            found.append(((found[-1][0] + at) // 2, None, None))
        found.append((at, _ratio(was[chosen]), _ratio(would[chosen])))
    return found


def _odd(was: Sums | None, would: Sums | None) -> Decimal | int:
    """Return how far the two are from each other: what a chart must not lose."""
    if was is None or would is None or not was[1]:
        return -1
    return abs(measures.ratio(was) - measures.ratio(would))


def _ratio(state: Sums | None) -> str | None:
    return None if state is None or not state[1] else _short(measures.ratio(state))


def _short(number: Decimal) -> str:
    return plain(round(number, 6))
