"""What is read for which conditions: one source for each chain, each list at Alpaca, and Circle."""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from include.book import Network
from include.legs.conditions import (
    Attested,
    DepositDecided,
    NonceSpent,
    Reattested,
    RedemptionDecided,
    TokenizationDecided,
    TransactionTrusted,
    WithdrawalDecided,
)
from include.venues.errors import VenueError
from include.watch.chain import OnChain
from include.watch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

    from include.book import Venues
    from include.legs.conditions import Condition
    from include.venues.alpaca.models import CryptoTransfer, TokenizationRequest
    from include.watch.poll import Source

log = logging.getLogger(__name__)

LIST_EVERY: Final = 3.0
"""Seconds between two looks at a list, which costs the same however many wait for its rows."""
RECENT: Final = timedelta(days=1)
"""Older tokenizations are asked for one by one: Alpaca never shortens their list, so we do."""
AT_ONCE: Final = 4
"""How many of the waits that cost a request of their own are served by one look, in turns."""


def source_of(condition: Condition, venues: Callable[[], Venues]) -> tuple[Hashable, Callable[[], Source]]:
    """Return the key of what a condition is looked at by, and how to begin.

    :param venues: returns the clients, anew before every look.
    :raises ValueError: it names a network that there is none of.
    """
    if isinstance(condition, NonceSpent | TransactionTrusted):
        network = Network(condition.network)
        return network, lambda: OnChain(network, venues)
    if isinstance(condition, TokenizationDecided | RedemptionDecided):
        return "tokenizations", lambda: Listed("Alpaca's tokenizations", venues, _tokenizations)
    if isinstance(condition, WithdrawalDecided | DepositDecided):
        return "transfers", lambda: Listed("Alpaca's transfers", venues, _transfers)
    if isinstance(condition, Attested | Reattested):
        return "attestations", lambda: Attestations(venues)
    return condition.name, lambda: OneByOne(condition.name, venues)


def _tokenizations(venues: Venues) -> Sequence[TokenizationRequest]:
    return venues.alpaca.tokenization_requests(after=venues.now() - RECENT)


def _transfers(venues: Venues) -> Sequence[CryptoTransfer]:
    return venues.alpaca.transfers()


class OneByOne:
    """Waits that cost a request each: some of them at a look, in turns.

    :param venues: returns the clients, anew before every look.
    """

    at_least_every: float | None = None

    def __init__(self, name: str, venues: Callable[[], Venues]) -> None:
        self.name = name
        self._venues = venues
        self._turns = Turns()

    def look(self, waiting: Collection[Condition]) -> set[Condition]:
        """Ask for those whose turn it is.

        :raises VenueError: when none of them could be asked for.
        """
        venues = self._venues()
        return _each((one, partial(one.holds, venues)) for one in self._turns.take(waiting, AT_ONCE))


class Listed:
    """Rows of a list at Alpaca. What the list does not have is asked for by itself, one at a look.

    :param venues: returns the clients, anew before every look.
    :param read: reads the list.
    """

    at_least_every: float | None = LIST_EVERY

    def __init__(
        self,
        name: str,
        venues: Callable[[], Venues],
        read: Callable[[Venues], Sequence[TokenizationRequest | CryptoTransfer]],
    ) -> None:
        self.name = name
        self._venues = venues
        self._read = read
        self._turns = Turns()

    def look(self, waiting: Collection[Any]) -> set[Condition]:
        """Read the list once for all.

        :raises VenueError: when it cannot be read now.
        """
        venues = self._venues()
        rows = defaultdict(list)
        for row in self._read(venues):
            rows[row.id].append(row)
            if row.tx_hash is not None:
                rows[row.tx_hash].append(row)
        found = _each((one, partial(_told, one, rows[one.row])) for one in waiting if one.row in rows)
        unlisted = self._turns.take((one for one in waiting if one.row not in rows), 1)
        with suppress(VenueError):  # the list itself could be read
            found |= _each((one, partial(one.holds, venues)) for one in unlisted)
        return found


class Attestations:
    """Burns whose messages Circle attests. It is asked about one burn at a time.

    :param venues: returns the clients, anew before every look.
    """

    name = "Circle's attestations"
    at_least_every: float | None = None

    def __init__(self, venues: Callable[[], Venues]) -> None:
        self._venues = venues
        self._turns = Turns()

    def look(self, waiting: Collection[Attested | Reattested]) -> set[Condition]:
        """Ask about the burns whose turn it is.

        :raises VenueError: when none of them could be asked about.
        """
        service = self._venues().attestations
        burns = defaultdict(list)
        for one in waiting:
            burns[one.source_domain, one.transaction_hash].append(one)
        found: set[Condition] = set()
        failures = []
        chosen = self._turns.take(burns, AT_ONCE)
        for burn in chosen:
            try:
                messages = service.messages(*burn)
            except VenueError as error:
                failures.append(error)
            else:
                found |= _each((one, partial(one.told_by, messages)) for one in burns[burn])
        if len(failures) == len(chosen):
            raise failures[0]
        return found


def _told(condition: Any, rows: Iterable[TokenizationRequest | CryptoTransfer]) -> bool:
    return any(condition.told_by(row) for row in rows)


def _each(checks: Iterable[tuple[Condition, Callable[[], bool]]]) -> set[Condition]:
    """Return the conditions that hold. One that cannot even be judged wakes its leg, which will say why.

    :raises VenueError: when a venue answered to none of the checks.
    """
    found: set[Condition] = set()
    failures: list[VenueError] = []
    answered = False
    for condition, check in checks:
        try:
            if check():
                found.add(condition)
            answered = True
        except VenueError as error:
            failures.append(error)
        except Exception:
            log.exception("%s could not be judged, so its leg is woken", condition)
            found.add(condition)
    if failures and not answered and not found:
        raise failures[0]
    return found
