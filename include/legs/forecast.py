"""When a wait is likely to end: told by the time between blocks, or by how long the last such waits took.

It is a guess, for whoever has to choose where to wait. A wrong one costs seconds and decides nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median_low
from typing import TYPE_CHECKING, Any

from include.book import Network
from include.legs.conditions import (
    Attested,
    Condition,
    DepositDecided,
    NonceSpent,
    OrderDecided,
    RedemptionDecided,
    TokenizationDecided,
    TransactionTrusted,
    Until,
    WithdrawalDecided,
)
from include.venues.errors import VenueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.book import Book, Venues
    from include.domain.operation import Leg

LAST = 5
"""So many of the newest waits count."""
LEGS_BACK = 20
"""So many legs of the name are searched for them: a bridge goes either way, and waits for the one it left."""
LEARNT = (
    Attested,
    DepositDecided,
    OrderDecided,
    RedemptionDecided,
    TokenizationDecided,
    WithdrawalDecided,
)
"""What others do in a time that only experience tells."""


def expected_end(book: Book, leg: Leg, operation_id: str, condition: Condition) -> datetime | None:
    """Return when a condition that does not hold yet is likely to, or None where nothing tells.

    :param leg: the leg that waits for it now.
    """
    if isinstance(condition, LEARNT):
        return _learnt(book, leg, operation_id, condition)
    if isinstance(condition, NonceSpent | TransactionTrusted):
        try:
            return _mined(book.venues, condition)
        except VenueError:
            return None
    return None


def clocked(notes: Mapping[str, Any], condition: Condition | None, now: datetime) -> dict[str, Any]:
    """Return what a leg has to note, so that later ones know how long its waits took.

    :param notes: what it has noted so far.
    :param condition: what it waits for from now on; None when it is done.
    """
    if isinstance(condition, Until):
        return {}  # an outage, or a pause: perhaps the same wait goes on after it
    began, name = notes.get("wait"), _name(condition)
    if (began or {}).get("for") == name:
        return {}
    found: dict[str, Any] = {"wait": name and {"for": name, "since": now.isoformat()}}
    if began:
        took = (now - datetime.fromisoformat(began["since"])).total_seconds()
        found["waited"] = {**notes.get("waited", {}), began["for"]: round(took, 1)}
    return found


def _name(condition: Condition | None) -> str | None:
    if isinstance(condition, Attested):
        return f"{condition.name} {condition.source_domain}"  # each chain takes a time of its own
    return condition.name if isinstance(condition, LEARNT) else None


def _learnt(book: Book, leg: Leg, operation_id: str, condition: Condition) -> datetime | None:
    name = _name(condition)
    began = next(
        (state.notes.get("wait") for state in book.ledger.legs(operation_id) if state.name is leg), None
    )
    if not began or began["for"] != name:
        return None
    lately = (state.notes.get("waited", {}).get(name) for state in book.ledger.lately(leg, LEGS_BACK))
    took = [seconds for seconds in lately if seconds is not None][:LAST]
    if not took:
        return None
    return datetime.fromisoformat(began["since"]) + timedelta(seconds=median_low(took))


def _mined(venues: Venues, condition: NonceSpent | TransactionTrusted) -> datetime:
    """Count the blocks that are missing, as if what is not mined yet were in the next one."""
    network = Network(condition.network)
    chain, wanted = venues.chain(network), venues.confirmations(network)
    head = chain.head()
    depth = 0
    if isinstance(condition, TransactionTrusted):
        receipt = chain.receipt(condition.transaction_hash)
        depth = 0 if receipt is None else head.number - receipt.block_number + 1
    else:
        while depth < min(wanted, head.number) and _spent(venues, condition, head.number - depth):
            depth += 1
    missing = max(wanted - depth, 0) * venues.facts(network).block_seconds
    return datetime.fromtimestamp(head.timestamp, UTC) + timedelta(seconds=missing)


def _spent(venues: Venues, condition: NonceSpent, block: int) -> bool:
    return venues.chain(Network(condition.network)).nonce(condition.sender, block=block) > condition.nonce
