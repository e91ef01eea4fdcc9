"""One operation, as it is shown: open, in the list, or with everything it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from include.alerts.anchors import section_of
from include.domain.amounts import from_base_units, plain
from include.domain.cost import shown
from include.exits.situation import situation_of
from include.ledger.costs import real_cost
from include.ledger.records import ANSWERS, Verb
from include.overview import links, models

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.domain.cost import Cost
    from include.exits.situation import LegSituation, Situation
    from include.ledger.queries import Case
    from include.ledger.records import LegState, Operation
    from include.profiles import Profile

_STAGES: dict[str, models.LegStage] = {
    "done": "done",
    "ready": "now",
    "waiting": "waiting",
    "attention": "waiting",
    "blocked": "later",
    "closed": "closed",
}


def unit(operation: Operation) -> Literal["shares", "USDC"]:
    """Return what the amounts of an operation count."""
    return "USDC" if operation.kind.moves_usdc else "shares"


def estimated(operation: Operation) -> str | None:
    """Return what it was expected to cost in dollars, where that was asked."""
    return None if not operation.estimate else operation.estimate["cost"]["total"]


def situation(case: Case, now: datetime) -> Situation:
    """Say where an operation stands."""
    return situation_of(case.operation, case.legs, case.effects, case.interventions, now)


def cost(case: Case) -> Cost:
    """Return what an operation has cost so far."""
    return real_cost(case.operation, case.legs, case.effects)


def opened(
    case: Case, profile: Profile, now: datetime
) -> tuple[models.OpenOperation, list[models.Attention]]:
    """Show an open operation, and what of it a person has to decide."""
    operation, stands = case.operation, situation(case, now)
    shown_ = models.OpenOperation(
        id=operation.id,
        kind=operation.kind,
        asset=operation.asset,
        amount=plain(operation.quantity),
        unit=unit(operation),
        opened_at=operation.opened_at,
        age_seconds=int((now - operation.opened_at).total_seconds()),
        run_id=operation.run_id,
        overdue=_overdue(stands),
        estimate=estimated(operation),
        legs=[models.Leg(**parts) for parts in _legs(case, stands, profile)],
    )
    attention = [
        models.Attention(
            operation_id=operation.id,
            asset=operation.asset,
            kind=operation.kind,
            leg=leg.name,
            since=leg.since,
            text=leg.attention,
            verbs=[
                verb.value for verb in stands.verbs if verb in ANSWERS or ANSWERS.isdisjoint(stands.verbs)
            ],
            runbook=section_of(leg.attention, leg.waiting_for),
        )
        for leg in stands.legs
        if leg.attention is not None and leg.state == "attention"
    ]
    return shown_, attention


def by_urgency(needs: Iterable[models.Attention]) -> list[models.Attention]:
    """Put first what is cancelled if nobody answers in time."""
    return sorted(needs, key=lambda need: Verb.APPROVE.value not in need.verbs)


def listed(operation: Operation, paid: Cost | None) -> models.ListedOperation:
    """Show an operation in the list.

    :param paid: what it has cost in the end; None while it is open.
    """
    return models.ListedOperation(**_head(operation, paid))


def detailed(case: Case, profile: Profile, now: datetime) -> models.Operation:
    """Show everything about one operation."""
    operation, stands, paid = case.operation, situation(case, now), cost(case)
    return models.Operation(
        **_head(operation, None if operation.status.is_open else paid),
        check_id=operation.check_id,
        overdue=_overdue(stands),
        cost_words=paid.words(),
        legs=[
            models.DetailedLeg(**parts, effects=_effects(case, leg, profile))
            for parts, leg in zip(_legs(case, stands, profile), stands.legs, strict=True)
        ],
        interventions=[
            models.Intervention(verb=done.verb.value, reason=done.reason, actor=done.actor, at=done.at)
            for done in case.interventions
        ],
        verbs={verb.value: sentence for verb, sentence in stands.verbs.items()},
    )


def _overdue(stands: Situation) -> bool:
    return stands.current is not None and stands.current.overdue


def _head(operation: Operation, paid: Cost | None) -> dict[str, Any]:
    return {
        "id": operation.id,
        "kind": operation.kind,
        "asset": operation.asset,
        "amount": plain(operation.quantity),
        "unit": unit(operation),
        "delivered": _amount(operation, operation.delivered),
        "status": operation.status.value,
        "outcome": operation.outcome,
        "opened_at": operation.opened_at,
        "closed_at": operation.closed_at,
        "run_id": operation.run_id,
        "estimated_cost": estimated(operation),
        "paid_cost": None if paid is None else shown(paid.total),
    }


def _legs(case: Case, stands: Situation, profile: Profile) -> list[dict[str, Any]]:
    return [_leg(case, state, leg, profile) for state, leg in zip(case.legs, stands.legs, strict=True)]


def _leg(case: Case, state: LegState, leg: LegSituation, profile: Profile) -> dict[str, Any]:
    return {
        "name": leg.name,
        "state": _STAGES[leg.state],
        "amount_in": _amount(case.operation, state.amount_in),
        "amount_out": _amount(case.operation, state.amount_out),
        "waiting_for": leg.waiting_for,
        "since": leg.since if leg.state != "done" else state.started_at,
        "due_at": leg.due if leg.state != "done" else None,
        "done_at": state.done_at,
        "attention": leg.attention if leg.state == "attention" else None,
        "links": links.of_leg(profile, case.operation.kind, state, leg.effects, case.signed),
    }


def _effects(case: Case, leg: LegSituation, profile: Profile) -> list[models.Effect]:
    return [
        models.Effect(
            id=effect.id,
            name=effect.name,
            attempt=effect.attempt,
            status=effect.status.value,
            irreversible=effect.irreversible,
            reference=effect.reference,
            detail=effect.detail,
            link=links.of_effect(profile, effect, case.signed),
            intended_at=effect.intended_at,
            sent_at=effect.sent_at,
        )
        for effect in leg.effects
    ]


def _amount(operation: Operation, amount: int | None) -> str | None:
    return None if amount is None else plain(from_base_units(amount, operation.decimals))
