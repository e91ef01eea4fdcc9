"""What a person asks for, as a form or a command line gives it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING

from include.exits.refusal import Refusal
from include.ledger.records import Verb

if TYPE_CHECKING:
    from include.exits.situation import Situation
    from include.exits.verbs import Exits


class Outcome(StrEnum):
    """What a person states when they reconcile."""

    NOT_DONE = "not_done"
    """A request never happened. The operation goes on."""
    CLOSED = "closed"
    """The operation is over."""


@dataclass(frozen=True, slots=True)
class Request:
    """One act on one operation. Empty text stands for what was left out.

    :param effect: id or name of the effect, to adopt or to reconcile as not done.
    :param delivered: with the outcome `closed`: what arrived, in whole shares or USDC.
    """

    verb: Verb
    operation_id: str
    reason: str
    effect: str = ""
    reference: str = ""
    outcome: str = ""
    delivered: str = ""

    def perform(self, exits: Exits) -> Situation:
        """Do it, and return where the operation stands then.

        :raises Refusal: when it is not done.
        """
        if not self.operation_id.strip():
            raise Refusal("the id of an operation is needed; list shows those that are open")
        operation_id = self.operation_id.strip()
        match self.verb:
            case Verb.RESUME:
                return exits.resume(operation_id, self.reason)
            case Verb.CANCEL:
                return exits.cancel(operation_id, self.reason)
            case Verb.ADOPT:
                return exits.adopt(operation_id, self.reason, reference=self.reference, effect=self.effect)
            case Verb.RECONCILE if self.outcome == Outcome.NOT_DONE:
                return exits.refute(operation_id, self.reason, effect=self.effect)
            case Verb.RECONCILE if self.outcome == Outcome.CLOSED:
                return exits.close(operation_id, self.reason, delivered=self._delivered())
            case Verb.APPROVE | Verb.REJECT:
                raise Refusal(
                    f"{self.verb} it where Airflow asks, among its required actions, or on the page"
                )
            case Verb.RECONCILE:
                raise Refusal("to reconcile, an outcome is needed: not_done or closed")

    def _delivered(self) -> Decimal:
        try:
            return Decimal(self.delivered.strip())
        except InvalidOperation:
            raise Refusal("the delivered amount is needed as a number, 0 for nothing") from None
