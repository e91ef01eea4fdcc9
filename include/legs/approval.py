"""Whether an operation may begin: what its terms ask for, and what a person has said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.ledger.records import ANSWERS, Verb
from include.legs.route import Terms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.ledger.ledger import Ledger
    from include.ledger.records import Intervention, LegState, Operation


@dataclass(frozen=True, slots=True)
class Approval:
    """What an operation needs that is begun only if a person approves it.

    :param until: an absolute moment; from then on nobody can approve it.
    :param given: who approved it, when and why; None where nobody has.
    :param refused: the same of who rejected it.
    """

    until: datetime
    given: Intervention | None = None
    refused: Intervention | None = None


def approval_from(legs: Iterable[LegState], interventions: Iterable[Intervention]) -> Approval | None:
    """Return what an operation needs, from what has been read of it; None if it needs nobody."""
    until = _until(legs)
    if until is None:
        return None
    said = {one.verb: one for one in interventions if one.verb in ANSWERS}
    return Approval(until, said.get(Verb.APPROVE), said.get(Verb.REJECT))


def approval_of(operation: Operation, ledger: Ledger) -> Approval | None:
    """Return the same from the ledger; what people did is read only where it matters."""
    legs = ledger.legs(operation.id)
    return None if _until(legs) is None else approval_from(legs, ledger.interventions(operation.id))


def unanswered(until: datetime) -> str:
    """Say why an operation is cancelled that nobody approved in time."""
    return f"nobody approved it until {until:%Y-%m-%d %H:%M:%S} UTC"


def _until(legs: Iterable[LegState]) -> datetime | None:
    # Every leg has the same terms; those of operations from before such notes ask for nothing.
    terms = next((leg.notes["terms"] for leg in legs if "terms" in leg.notes), None)
    return None if terms is None else Terms.from_dict(terms).approve_until
