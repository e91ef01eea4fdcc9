"""What operations have cost, and for how long one has been waiting for its cost: read from the books."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import select

from include.domain.amounts import USDC_DECIMALS, exact, floor_to, from_base_units, parse
from include.domain.budget import waited as waited_by
from include.domain.cost import Cost, Estimate
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationStatus
from include.ledger.database import reading
from include.ledger.records import CheckMode, EffectStatus
from include.ledger.schema import CheckRow, DecisionRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any

    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, LegState, Operation


def costs_of(ledger: Ledger, operation: Operation) -> tuple[Estimate | None, Cost]:
    """Return what an operation was expected to cost, where that was asked, and what it has really cost."""
    estimate = operation.estimate and Estimate.from_dict(operation.estimate)
    cost = real_cost(operation, ledger.legs(operation.id), ledger.effects(operation.id))
    return estimate or None, cost


def real_cost(operation: Operation, legs: Sequence[LegState], effects: Iterable[Effect]) -> Cost:
    """Add up what an operation has cost by what the ledger knows of it; the rest is listed as missing.

    Gas counts in dollars at the price of ETH that the estimate was made with.
    """
    lost: dict[Leg, Decimal] = {}
    missing: list[str] = []
    for name, leg in ((leg.name, leg) for leg in legs if leg.name in _ITEMS):
        if leg.is_done and leg.amount_in is not None and leg.amount_out is not None:
            short = leg.amount_in - leg.amount_out
            lost[name] = from_base_units(max(short, 0), operation.decimals)
        elif operation.status is not OperationStatus.CANCELLED:
            missing.append(_ITEMS[name])
    conversion = _conversion(next((leg for leg in legs if leg.name is Leg.CONVERT), None))
    if conversion is None:
        missing.append("conversion")
    gas: dict[str, int] = {}
    for effect in effects:
        if "data" not in effect.intent:  # a request to a venue
            continue
        network = effect.intent["network"]
        gas[network] = gas.get(network, 0) + (effect.gas_paid or 0)
        # What never was mined cost nothing; of what was, or may be, the receipt has still to be seen.
        if effect.gas_paid is None and effect.status is not EffectStatus.NOT_DONE:
            missing.append(f"gas of {effect.name}")
    price = (operation.estimate or {}).get("cost", {}).get("eth_price")
    return Cost(
        circle_fee=lost.get(Leg.BRIDGE, Decimal(0)),
        withdrawal_fee=lost.get(Leg.WITHDRAW, Decimal(0)),
        conversion=conversion or Decimal(0),
        gas=gas,
        eth_price=None if price is None else parse(price),
        missing=tuple(missing),
    )


def waited(
    ledger: Ledger, asset: str, now: datetime, *, longest_gap: timedelta
) -> tuple[timedelta, timedelta]:
    """Return for how long live checks have found an asset outside its band, and refused it for its cost.

    :param longest_gap: nothing heard for longer than this ends both.
    """
    query = (
        select(CheckRow.taken_at, DecisionRow.reason)
        .join(DecisionRow, DecisionRow.check_id == CheckRow.id)
        .where(DecisionRow.asset == asset, CheckRow.mode == CheckMode.LIVE.value, CheckRow.taken_at <= now)
        .order_by(CheckRow.taken_at.desc())
    )
    with reading(ledger.engine) as session:
        rows = session.execute(query.execution_options(yield_per=100))
        return waited_by(((at, Reason(reason)) for at, reason in rows), now, longest_gap=longest_gap)


_ITEMS = {Leg.BRIDGE: "Circle's fee", Leg.WITHDRAW: "withdrawal fee"}


def _conversion(leg: LegState | None) -> Decimal | None:
    """Return what was lost between dollars and USDC; below zero where something was gained.

    None where it is not known.
    """
    if leg is None:
        return Decimal(0)
    noted: Mapping[str, Any] | None = leg.notes.get("conversion")
    if noted is None or not leg.is_done:
        return None
    if "filled" not in noted:  # no order was needed, or none was filled
        return Decimal(0)
    if noted["dollars"] is None:
        return None
    filled, dollars = parse(noted["filled"]), parse(noted["dollars"])
    with exact():
        if "from_position" not in noted:
            return filled - dollars
        # What did not come out of all that was there to move has been taken as a fee.
        there = floor_to(parse(noted["from_position"]) + filled, USDC_DECIMALS)
        asked = from_base_units(leg.amount_in or 0, USDC_DECIMALS)
        fee = min(asked, there) - from_base_units(leg.amount_out or 0, USDC_DECIMALS)
        return dollars - filled + max(fee, Decimal(0))
