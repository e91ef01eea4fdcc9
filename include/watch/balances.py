"""Whether an asset has just left its band, between two checks. It only says that a check is worth it.

A look costs a request for the newest block of Base, one for all balances where that block is new, and now and
then one for Alpaca's positions, however many assets there are. Only when an asset is out of its band that was
in it before is the whole snapshot taken and judged as a check would judge it.
"""

from __future__ import annotations

import logging
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from include import snapshot
from include.check import Switch
from include.domain.amounts import USDC, exact
from include.domain.decision import Reason
from include.domain.imbalance import Imbalance, detect
from include.domain.inventory import Balance, Inventory
from include.domain.limits import midnight
from include.domain.plan import plan
from include.ledger.ledger import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from include.book import Venues
    from include.domain.decision import Decision
    from include.domain.limits import Hold
    from include.ledger.ledger import Ledger

log = logging.getLogger(__name__)

OFFCHAIN_EVERY: Final = 2.0
"""Seconds between two looks at Alpaca's positions while nothing changes on Base."""

Side = tuple[str, type[Imbalance]]
"""An asset, and on which side of its band it is."""


class Balances:
    """Follows the balances of one book. It may be looked at from any thread, by one at a time.

    An asset is told of when it leaves its band, and not again before it was seen in it, or beyond the other
    edge: what a check then does not move, the next ones on the schedule look at.

    :param venues: returns the clients, anew before every look.
    :param ledger: opens the ledger.
    :param steering: reads the switch and the hold list.
    :param rest: seconds between two snapshots.
    :param clock: counts seconds.
    """

    name = "the balances"
    at_least_every: float | None = None

    def __init__(
        self,
        venues: Callable[[], Venues],
        ledger: Callable[[], AbstractContextManager[Ledger]],
        steering: Callable[[], tuple[Switch, Hold]],
        *,
        rest: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.found: tuple[str, ...] = ()
        self._venues = venues
        self._ledger = ledger
        self._steering = steering
        self._rest = rest
        self._clock = clock
        self._block = -1
        self._onchain: Mapping[str, Decimal] = {}
        self._offchain: Mapping[str, Decimal] = {}
        self._offchain_at = float("-inf")
        self._judged_at = float("-inf")
        self._out: set[Side] = set()
        self._told: set[Side] = set()

    def look(self, waiting: Collection[Any]) -> Collection[Any]:
        """Return those who wait when a check would move an asset that has just left its band: see `found`.

        :raises VenueError: when a venue cannot be asked now.
        """
        venues, now = self._venues(), self._clock()
        if self._read(venues, now):
            self._out = self._out_of_band(venues)
        self._told &= self._out
        fresh = self._out - self._told
        if not fresh or now < self._judged_at + self._rest:
            return ()
        self._judged_at = now
        self.found = self._judge(venues, fresh)
        return waiting if self.found else ()

    # Cheap: what is where, as far as it is seen at a glance

    def _read(self, venues: Venues, now: float) -> bool:
        """Read what may have changed, and tell whether it has."""
        block, before = venues.base.head().number, (self._onchain, self._offchain)
        if block > self._block:
            self._onchain, self._block = _onchain(venues), block
        # A trade changes both sides, so where one has changed the other is looked at too.
        if self._onchain != before[0] or now >= self._offchain_at + OFFCHAIN_EVERY:
            self._offchain, self._offchain_at = _offchain(venues), now
        return (self._onchain, self._offchain) != before

    def _out_of_band(self, venues: Venues) -> set[Side]:
        policy = venues.settings.policy(may_start=True)
        found = set()
        for asset, onchain in self._onchain.items():
            offchain = max(self._offchain.get(asset, Decimal(0)), Decimal(0))
            inventory = Inventory(asset, Balance(onchain), Balance(offchain))
            imbalance = detect(inventory, policy.assets[asset].threshold)
            if imbalance is not None and policy.assets[asset].enabled:
                found.add((asset, type(imbalance)))
        return found

    # Dear: as a check would judge it

    def _judge(self, venues: Venues, fresh: set[Side]) -> tuple[str, ...]:
        """Return those of the assets that a check would move now."""
        switch, hold = self._steering()
        if switch is not Switch.RUN:
            self._told |= fresh
            return ()
        decisions = {decision.asset: decision for decision in self._decide(venues, hold)}
        self._told |= {side for side in fresh if decisions[side[0]].reason is not Reason.UNREAD}
        planned = sorted(asset for asset, _ in fresh if decisions[asset].operation is not None)
        for asset, _ in fresh:
            log.info("%s has left its band: %s", asset, decisions[asset].reason.value)
        return tuple(planned)

    def _decide(self, venues: Venues, hold: Hold) -> tuple[Decision, ...]:
        with self._ledger() as ledger:
            # Before the balances, as in a check: an operation that ends in between is still claimed here.
            open_operations, settled = ledger.open_operations(), ledger.settled()
            taken = snapshot.take(venues, new_id())
            now = venues.now()
            return plan(
                taken,
                venues.settings.policy(may_start=True),
                open_operations,
                settled=settled,
                moved_today=ledger.moved_since(midnight(now)),
                hold=hold,
                now=now,
            )


def _onchain(venues: Venues) -> dict[str, Decimal]:
    """Return what there is of each asset on Base; one that cannot be read is left out."""
    balances, _ = snapshot.on_base(venues)  # of what is left out, the check will say why
    return {asset: balance.total for asset, balance in balances.items() if isinstance(balance, Balance)}


def _offchain(venues: Venues) -> dict[str, Decimal]:
    """Return what there is of each asset at Alpaca, dollars counted as USDC where they are traded for it."""
    found: dict[str, Decimal] = {}
    with exact():
        for position in venues.alpaca.positions():
            asset = USDC if position.is_usdc else position.symbol
            found[asset] = found.get(asset, Decimal(0)) + position.quantity
        if venues.settings.dollars == "usd":
            found[USDC] = found.get(USDC, Decimal(0)) + venues.alpaca.account().cash
    return found
