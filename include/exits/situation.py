"""Where an operation stands, what it waits for, and what a person can do about it: from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.domain.amounts import from_base_units, plain
from include.exits.refusal import Refusal
from include.ledger.records import EffectStatus, Verb
from include.legs.approval import approval_from
from include.legs.convert import ORDER
from include.legs.mint import REQUEST as MINT_REQUEST
from include.legs.withdraw import REQUEST as WITHDRAWAL_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, Intervention, LegState, Operation

REQUESTS = (MINT_REQUEST, WITHDRAWAL_REQUEST, ORDER)
"""The effects that are a request to Alpaca. Every other irreversible effect is a transaction."""


def is_transaction(effect: Effect) -> bool:
    """Tell whether an effect is a signed transaction; others are a request to a venue."""
    return "data" in effect.intent


def is_unresolved(effect: Effect) -> bool:
    """Tell whether an effect left, or may have left, and what became of it is not known."""
    if is_transaction(effect):  # its bytes exist from the first moment on
        return not effect.status.is_resolved
    return effect.status in (EffectStatus.SENT, EffectStatus.UNKNOWN)


def newest(effects: Sequence[Effect]) -> list[Effect]:
    """Return the newest attempt of each effect."""
    found: dict[tuple[str, str], Effect] = {}
    for effect in effects:
        known = found.get((effect.leg, effect.name))
        if known is None or known.attempt < effect.attempt:
            found[effect.leg, effect.name] = effect
    return list(found.values())


@dataclass(frozen=True, slots=True)
class LegSituation:
    """One leg.

    :param state: done, blocked, ready, waiting or attention; closed where the operation ended without it.
    :param waiting_for: None only where it is done or closed.
    :param overdue: whether it waits for longer than it should.
    :param attention: what a person has to decide.
    """

    name: str
    state: str
    waiting_for: str | None
    since: datetime | None
    due: datetime | None
    overdue: bool
    attention: str | None
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """One operation, its legs, what people did with it, and what they can do now.

    :param verbs: what can be done, with a sentence for each. Each is checked again when it is done.
    """

    operation: Operation
    legs: tuple[LegSituation, ...]
    verbs: Mapping[Verb, str]
    interventions: tuple[Intervention, ...]

    @property
    def current(self) -> LegSituation | None:
        """The leg that has to go on, None where the operation is closed."""
        return next((leg for leg in self.legs if leg.state in ("ready", "waiting", "attention")), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        operation = self.operation
        return {
            "operation": operation.id,
            "kind": operation.kind.value,
            "asset": operation.asset,
            "amount": plain(operation.quantity),
            "status": operation.status.value,
            "opened_at": operation.opened_at.isoformat(timespec="seconds"),
            "run": operation.run_id,
            "outcome": operation.outcome,
            "delivered": _amount(operation, operation.delivered),
            "legs": [_leg_dict(leg) for leg in self.legs],
            "verbs": {verb.value: sentence for verb, sentence in self.verbs.items()},
            "interventions": [
                {
                    "verb": done.verb.value,
                    "reason": done.reason,
                    "actor": done.actor,
                    "at": done.at.isoformat(timespec="seconds"),
                    "detail": dict(done.detail),
                }
                for done in self.interventions
            ],
        }

    def lines(self) -> list[str]:
        """Return it as text, a line each."""
        operation = self.operation
        found = [
            f"{operation.id}  {operation.kind} {plain(operation.quantity)} {operation.asset}, "
            f"{operation.status}, opened {_moment(operation.opened_at)} by {operation.run_id}"
        ]
        if operation.outcome is not None:
            found.append(f"  outcome: {operation.outcome}")
        for leg in self.legs:
            found.append(f"  {leg.name}: {leg.state}")
            if leg.waiting_for is not None:
                due = f", {'overdue since' if leg.overdue else 'due'} {_moment(leg.due)}" if leg.due else ""
                found.append(f"    waits for {leg.waiting_for}, since {_moment(leg.since)}{due}")
            if leg.attention is not None:
                found.append(f"    to decide: {leg.attention}")
            found.extend(f"    {_effect_line(effect)}" for effect in leg.effects)
        found.extend(
            f"  {done.actor} did {done.verb} at {_moment(done.at)}: {done.reason}"
            for done in self.interventions
        )
        found.extend(f"  can {verb}: {sentence}" for verb, sentence in self.verbs.items())
        return found


def describe(ledger: Ledger, operation_id: str, now: datetime) -> Situation:
    """Say where an operation stands and what a person can do. Nothing is asked of the world.

    :raises Refusal: when there is no such operation.
    """
    try:
        operation = ledger.operation(operation_id)
    except LookupError as error:
        raise Refusal(str(error.args[0])) from None
    return situation_of(
        operation,
        ledger.legs(operation_id),
        ledger.effects(operation_id),
        ledger.interventions(operation_id),
        now,
    )


def situation_of(
    operation: Operation,
    legs: Iterable[LegState],
    effects: Sequence[Effect],
    interventions: Iterable[Intervention],
    now: datetime,
) -> Situation:
    """Say the same from what has been read of the ledger already."""
    legs, interventions = tuple(legs), tuple(interventions)
    found: list[LegSituation] = []
    before: LegState | None = None
    for leg in legs:
        own = tuple(effect for effect in effects if effect.leg == leg.name)
        found.append(_leg(operation, leg, before, own, now))
        before = leg
    return Situation(
        operation=operation,
        legs=tuple(found),
        verbs=_answers(legs, interventions, now) | _verbs(operation, effects)
        if operation.status.is_open
        else {},
        interventions=interventions,
    )


def describe_open(ledger: Ledger, now: datetime) -> list[Situation]:
    """Say it of every open operation, oldest first."""
    return [describe(ledger, operation.id, now) for operation in ledger.operations(only_open=True)]


def _leg(
    operation: Operation, leg: LegState, before: LegState | None, effects: tuple[Effect, ...], now: datetime
) -> LegSituation:
    waiting_for, since, due = leg.waiting_for, leg.waiting_since, leg.due_at
    if leg.is_done:
        state, waiting_for = "done", None
    elif not operation.status.is_open:
        state, waiting_for, since, due = "closed", None, None, None
    elif before is not None and not before.is_done:
        state, waiting_for, since = "blocked", f"the leg before it, {before.name}", operation.opened_at
    elif waiting_for is None:
        state, waiting_for = "ready", f"a task of {operation.run_id}, or of a later run, to push it"
        since = before.done_at if before is not None else operation.opened_at
    else:
        state = "waiting" if leg.attention is None else "attention"
    overdue = due is not None and now > due
    return LegSituation(leg.name.value, state, waiting_for, since, due, overdue, leg.attention, effects)


def _answers(
    legs: Sequence[LegState], interventions: Sequence[Intervention], now: datetime
) -> dict[Verb, str]:
    """Name the answers to the question whether the operation may begin, where that is still to be said."""
    approval = approval_from(legs, interventions)
    if approval is None or approval.given is not None or now >= approval.until:
        return {}
    where = f"among Airflow's required actions or on the page, until {_moment(approval.until)}"
    return {
        Verb.APPROVE: f"let it begin: {where}. Without that it is cancelled then.",
        Verb.REJECT: f"cancel it: {where}. Its asset rests as after any cancelled operation.",
    }


def _verbs(operation: Operation, effects: Sequence[Effect]) -> dict[Verb, str]:
    """Name what can be done as far as the ledger knows; the world is asked when it is done."""
    found = {
        Verb.RESUME: "look again: forget what is waited for. Its task wakes up within ten minutes; "
        "if its run is over, the next run takes it over."
    }
    current = newest(effects)
    asked = [effect for effect in current if effect.name in REQUESTS and is_unresolved(effect)]
    signed = [effect for effect in current if is_transaction(effect) and is_unresolved(effect)]
    found |= _ways_out(operation, effects, asked, signed)
    if asked or signed:
        names = ", ".join(effect.name for effect in (*asked, *signed))
        what = "the id that Alpaca gave it" if asked else "the hash of the transaction that did it"
        found[Verb.ADOPT] = f"say under which reference {names} happened: {what}. It is verified first."
    return found


def _ways_out(
    operation: Operation, effects: Sequence[Effect], asked: Sequence[Effect], signed: Sequence[Effect]
) -> dict[Verb, str]:
    """Say how the operation, or an effect of it, can be given up."""
    irreversible = [effect for effect in signed if effect.irreversible]
    done = any(effect.irreversible and effect.status is EffectStatus.DONE for effect in effects)
    withdrawing = any(effect.name == WITHDRAWAL_REQUEST for effect in asked)
    found = {}
    if not (done or irreversible or withdrawing):
        ordered = any(effect.name == ORDER and effect.status is EffectStatus.DONE for effect in effects)
        why, checked = "nothing has moved", ""
        if asked:
            checked = " Alpaca is asked first whether it knows the request."
        elif ordered:
            why, checked = "nothing has left Alpaca", " Alpaca is asked first whether the order is over."
        found[Verb.CANCEL] = f"close it and free {operation.asset}, as {why}.{checked}"
    statements = []
    if asked:
        names = ", ".join(effect.name for effect in asked)
        statements.append(
            f"that {names} never happened (outcome not_done), if Alpaca shows nothing that fits"
        )
    if not irreversible:
        statements.append("how it ended (outcome closed, with the amount that was delivered)")
    if statements:
        found[Verb.RECONCILE] = f"state {', or '.join(statements)}."
    return found


def _effect_line(effect: Effect) -> str:
    parts = [f"{effect.name} (attempt {effect.attempt}): {effect.status}"]
    if effect.reference:
        parts.append(effect.reference)
    if effect.detail:
        parts.append(effect.detail)
    return ", ".join(parts)


def _leg_dict(leg: LegSituation) -> dict[str, Any]:
    return {
        "leg": leg.name,
        "state": leg.state,
        "waiting_for": leg.waiting_for,
        "since": None if leg.since is None else leg.since.isoformat(timespec="seconds"),
        "due": None if leg.due is None else leg.due.isoformat(timespec="seconds"),
        "overdue": leg.overdue,
        "attention": leg.attention,
        "effects": [
            {
                "id": effect.id,
                "name": effect.name,
                "attempt": effect.attempt,
                "status": effect.status.value,
                "reference": effect.reference,
                "detail": effect.detail,
            }
            for effect in leg.effects
        ],
    }


def _amount(operation: Operation, amount: int | None) -> str | None:
    return None if amount is None else plain(from_base_units(amount, operation.decimals))


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
