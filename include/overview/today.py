"""What has moved today, what that has cost, and what the day's limits leave."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.amounts import USDC, exact, plain
from include.domain.cost import shown
from include.domain.limits import moved
from include.domain.operation import OperationStatus
from include.overview import models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from include.domain.cost import Cost
    from include.ledger.records import Operation
    from include.overview.assets import Band
    from include.settings import Settings


def today(
    operations: Sequence[Operation],
    costs: Sequence[Cost],
    since: datetime,
    settings: Settings,
    bands: Mapping[str, Band],
) -> models.Today:
    """Sum up the day.

    :param operations: those that were opened or closed today, or are open.
    :param costs: of those that were closed today.
    :param since: midnight, UTC.
    """
    closed = [one.status for one in operations if one.closed_at is not None and one.closed_at >= since]
    amounts = moved((one.asset, one.quantity, one.status) for one in operations if one.opened_at >= since)
    with exact():
        total = sum((cost.total for cost in costs), Decimal(0))
    return models.Today(
        since=since,
        settled=closed.count(OperationStatus.SETTLED),
        cancelled=closed.count(OperationStatus.CANCELLED),
        cost_dollars=shown(total) if costs else None,
        cost_is_partial=any(cost.missing or (cost.gas and cost.eth_price is None) for cost in costs),
        moved=[
            models.Moved(asset=asset, amount=plain(amount), limit=_limit(bands.get(asset)))
            for asset, amount in sorted(amounts.items())
        ],
        together=_together(amounts, settings),
    )


def _limit(band: Band | None) -> str | None:
    return None if band is None else band.daily_maximum


def _together(amounts: Mapping[str, Decimal], settings: Settings) -> list[models.Together]:
    found = []
    for of, usdc, limit in (
        ("all equities", False, settings.equity_daily_maximum),
        (USDC, True, settings.usdc_daily_maximum),
    ):
        if limit is None:
            continue
        with exact():
            amount = sum((one for asset, one in amounts.items() if (asset == USDC) is usdc), Decimal(0))
        found.append(models.Together(of=of, amount=plain(amount), limit=plain(limit)))
    return found
