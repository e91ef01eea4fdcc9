"""The four things that a person can do with an open operation.

Each takes the operation's lease, so that it never races a leg; needs a reason and a name; is checked against
the world first; and is recorded in the commit that does it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from include.domain.amounts import from_base_units, plain, to_base_units
from include.exits.evidence import Evidence
from include.exits.refusal import Refusal
from include.exits.situation import REQUESTS, describe, is_transaction, is_unresolved, newest
from include.ledger.interventions import Person
from include.ledger.lease import EffectMoved, LeaseLost, MoneyMayHaveMoved
from include.ledger.ledger import LeaseHeld
from include.ledger.records import EffectStatus, Verb
from include.legs.convert import ORDER
from include.legs.withdraw import REQUEST as WITHDRAWAL_REQUEST
from include.venues.errors import VenueError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from include.book import Venues
    from include.exits.situation import Situation
    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, LegState, Operation

LONGEST_NAME = 200
REFERENCE = re.compile(r"[0-9A-Za-z_-]{1,128}")


@dataclass(frozen=True, slots=True)
class Exits:
    """Where a person works on one book, under their own name. No key is needed, as nothing is signed here.

    Every verb raises `Refusal` where it is not done, and returns where the operation stands after it.

    :param actor: who it is, for the record.
    """

    venues: Venues
    ledger: Ledger
    actor: str

    def resume(self, operation_id: str, reason: str) -> Situation:
        """Forget what the operation waits for, so that the next push looks at once."""
        with self._case(Verb.RESUME, operation_id, reason) as case:
            case.person.resume()
        return self._situation(operation_id)

    def cancel(self, operation_id: str, reason: str) -> Situation:
        """Close an operation that has moved nothing, and free its asset."""
        with self._case(Verb.CANCEL, operation_id, reason) as case:
            refuted, why = [], ""
            for effect in case.effects:
                if effect.name == ORDER and effect.status is EffectStatus.DONE:
                    # What it converted stays at Alpaca: it is enough that it does not go on.
                    case.evidence.of_end([effect])
                elif (effect.irreversible or effect.name == ORDER) and _may_have_moved(effect):
                    _require_cancellable(effect)
                    why = case.evidence.of_absence(effect)
                    refuted.append(effect)
            case.person.cancel(refuted, why)
        return self._situation(operation_id)

    def adopt(self, operation_id: str, reason: str, *, reference: str, effect: str = "") -> Situation:
        """Take a reference as the proof that an effect happened, once it is verified.

        :param reference: the id at Alpaca, or the hash of a transaction.
        :param effect: id or name of the effect; may be left out where only one is not resolved.
        """
        with self._case(Verb.ADOPT, operation_id, reason) as case:
            chosen = case.choose(effect)
            if chosen.status is EffectStatus.DONE:
                raise Refusal(f"{chosen.name} is proven to have happened as {chosen.reference}")
            if REFERENCE.fullmatch(reference.strip()) is None:
                raise Refusal("a reference is needed: the id at Alpaca, or the hash of a transaction")
            case.person.adopt(chosen, case.evidence.of_reference(chosen, reference.strip()))
        return self._situation(operation_id)

    def refute(self, operation_id: str, reason: str, *, effect: str = "") -> Situation:
        """State that a request never happened. The next push of its leg may then make a new attempt.

        :param effect: id or name of the effect; may be left out where only one is not resolved.
        """
        with self._case(Verb.RECONCILE, operation_id, reason) as case:
            chosen = case.choose(effect)
            case.person.refute(chosen, case.evidence.of_absence(chosen))
        return self._situation(operation_id)

    def close(self, operation_id: str, reason: str, *, delivered: Decimal) -> Situation:
        """State how the operation ended, close it, and free its asset.

        :param delivered: what arrived at the destination, in whole shares or USDC; 0 for nothing.
        """
        with self._case(Verb.RECONCILE, operation_id, reason) as case:
            amount = _base_units(case.operation, delivered, self.ledger.legs(operation_id))
            case.evidence.of_end(case.effects)
            case.person.close(amount)
        return self._situation(operation_id)

    def _situation(self, operation_id: str) -> Situation:
        return describe(self.ledger, operation_id, self.venues.now())

    @contextmanager
    def _case(self, verb: Verb, operation_id: str, reason: str) -> Iterator[_Case]:
        actor, reason = self.actor.strip()[:LONGEST_NAME], reason.strip()
        if not actor or not reason:
            raise Refusal("a reason is needed" if actor else "a name is needed")
        self._open_operation(operation_id)
        duration = timedelta(seconds=self.venues.settings.lease_seconds)
        try:
            with self.ledger.lease(operation_id, f"{actor} ({verb})", duration) as lease:
                # Again, as it may have ended while the lease was somebody else's.
                operation = self._open_operation(operation_id)
                yield _Case(
                    operation,
                    newest(self.ledger.effects(operation_id)),
                    Evidence(self.venues, lease, operation),
                    Person(lease, actor, reason),
                )
        except LeaseHeld as held:
            raise Refusal(f"{held}; try again then") from held
        except (LeaseLost, EffectMoved, MoneyMayHaveMoved) as error:
            raise Refusal(f"nothing was changed: {error}") from error
        except VenueError as error:
            raise Refusal(f"nothing was changed, as it could not be checked: {error}") from error

    def _open_operation(self, operation_id: str) -> Operation:
        try:
            operation = self.ledger.operation(operation_id)
        except LookupError as error:
            raise Refusal(str(error.args[0])) from None
        if not operation.status.is_open:
            raise Refusal(f"operation {operation_id} is {operation.status} already: {operation.outcome}")
        return operation


@dataclass(frozen=True, slots=True)
class _Case:
    """An open operation under a person's lease. `effects` are the newest attempts."""

    operation: Operation
    effects: list[Effect]
    evidence: Evidence
    person: Person

    def choose(self, named: str) -> Effect:
        """Return the effect that a person means."""
        named = named.strip()
        if named:
            found = [effect for effect in self.effects if named in (effect.id, effect.name)]
        else:
            found = [effect for effect in self.effects if is_unresolved(effect)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{effect.name} ({effect.id})" for effect in self.effects) or "none"
        raise Refusal(f"say which effect is meant: {known}")


def _may_have_moved(effect: Effect) -> bool:
    return effect.status is EffectStatus.DONE or is_unresolved(effect)


def _require_cancellable(effect: Effect) -> None:
    """Pass where Alpaca can still say that nothing has moved."""
    if effect.status is EffectStatus.DONE:
        raise Refusal(f"{effect.name} happened as {effect.reference}: the money has left, so reconcile it")
    if effect.name == WITHDRAWAL_REQUEST:
        raise Refusal(f"{effect.name} may have been taken and has no key to ask by: adopt or reconcile it")
    if is_transaction(effect) or effect.name not in REQUESTS:
        raise Refusal(f"{effect.name} is signed and may be mined at any time: wait until that is decided")


def _base_units(operation: Operation, delivered: Decimal, legs: list[LegState]) -> int:
    # What a wrapper gives back can be worth more by then than what was asked for.
    most = max(operation.amount, *(leg.amount_out or 0 for leg in legs))
    try:
        amount = to_base_units(delivered, operation.decimals)
    except ValueError as error:
        raise Refusal(f"delivered is no amount: {error}") from error
    if not 0 <= amount <= most:
        limit = plain(from_base_units(most, operation.decimals))
        raise Refusal(f"delivered is an amount from 0 to {limit}, not {plain(delivered)}")
    return amount
