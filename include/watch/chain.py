"""Which transactions of a chain are deep enough: one look at its newest block for all who wait.

Our own transactions are told by the sender's nonce: one request a block. Those of others are found among the
hashes that each block names. Only one that may have been mined before we began is asked for by itself.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from include.legs.conditions import NonceSpent, TransactionTrusted
from include.venues.errors import Unavailable
from include.watch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from include.book import Network, Venues
    from include.legs.conditions import Condition
    from include.venues.evm.chain import Chain
    from include.venues.evm.types import Contents, Hash

log = logging.getLogger(__name__)

REMEMBERED: Final = 32
"""How many blocks are kept, so that a wait which begins later finds its transaction in them."""
LONGEST_GAP: Final = 16
"""Blocks that are read one by one after a pause. After a longer one it is as if we began anew."""
RECEIPTS_AT_ONCE: Final = 10
"""How many transactions that it has not asked for yet one look asks for by themselves."""


class OnChain:
    """What is trusted on one chain.

    :param venues: returns the clients, anew before every look.
    """

    at_least_every: float | None = 2.0

    def __init__(self, network: Network, venues: Callable[[], Venues]) -> None:
        self.name = network.value.capitalize()
        self._network = network
        self._venues = venues
        self._blocks: deque[Contents] = deque(maxlen=REMEMBERED)
        self._mined: dict[Hash, int] = {}
        self._asked: set[Hash] = set()
        self._turns = Turns()
        self._nonces: dict[str, int] = {}
        self._nonces_at = -1

    def look(self, waiting: Collection[Condition]) -> set[Condition]:
        """Read the newest block, and what else is needed for those who wait.

        :raises VenueError: when the chain cannot be asked now.
        """
        venues = self._venues()
        chain = venues.chain(self._network)
        newest = chain.contents()
        if newest is None:
            raise Unavailable(f"{self.name} has no newest block")
        trusted = newest.block.number - venues.confirmations(self._network) + 1
        own = [one for one in waiting if isinstance(one, NonceSpent)]
        theirs = [one for one in waiting if isinstance(one, TransactionTrusted)]
        return {*self._spent(chain, own, trusted), *self._deep(chain, theirs, newest, trusted)}

    # Our own transactions

    def _spent(self, chain: Chain, waiting: list[NonceSpent], trusted: int) -> list[NonceSpent]:
        """Return those whose nonce is spent at the trusted block: one request for a sender and a block."""
        if trusted < 0:
            return []
        if trusted != self._nonces_at:
            self._nonces, self._nonces_at = {}, trusted
        for sender in {one.sender for one in waiting} - self._nonces.keys():
            self._nonces[sender] = chain.nonce(sender, block=trusted)
        return [one for one in waiting if self._nonces[one.sender] > one.nonce]

    # Those of others

    def _deep(
        self, chain: Chain, waiting: list[TransactionTrusted], newest: Contents, trusted: int
    ) -> list[TransactionTrusted]:
        wanted = {one.transaction_hash for one in waiting}
        self._mined = {tx_hash: block for tx_hash, block in self._mined.items() if tx_hash in wanted}
        if not wanted:
            self._blocks.clear()
            return []
        self._follow(chain, newest)
        for contents in self._blocks:
            for tx_hash in wanted.intersection(contents.transactions):
                self._mined[tx_hash] = contents.block.number
        self._ask(chain, wanted - self._mined.keys())
        return [one for one in waiting if self._mined.get(one.transaction_hash, trusted + 1) <= trusted]

    def _ask(self, chain: Chain, unnamed: set[Hash]) -> None:
        """Ask for transactions that no block has named: they may have been mined before we looked.

        Those that were asked for before have a turn one at a time, as behind one URL there may be nodes that
        know less than others.
        """
        self._asked &= unnamed
        new = list(unnamed - self._asked)[:RECEIPTS_AT_ONCE]
        for tx_hash in new or self._turns.take(unnamed, 1):
            self._asked.add(tx_hash)
            receipt = chain.receipt(tx_hash)
            if receipt is not None:
                self._mined[tx_hash] = receipt.block_number

    def _follow(self, chain: Chain, newest: Contents) -> None:
        """Take in the blocks up to the newest one. What does not join on is another chain: begin anew."""
        known = self._blocks[-1].block if self._blocks else None
        if known is not None and newest.block.number <= known.number:
            if newest.block in {contents.block for contents in self._blocks}:
                return  # nothing new, or a node that lags
            self._forget()
        elif known is not None and newest.block.number - known.number > LONGEST_GAP:
            self._forget()
        elif known is not None:
            for number in range(known.number + 1, newest.block.number):
                between = chain.contents(number)
                if between is None:
                    return  # this node does not know it yet: at the next look
                self._add(between)
        self._add(newest)

    def _add(self, contents: Contents) -> None:
        if self._blocks and contents.parent != self._blocks[-1].block.hash:
            self._forget()
        self._blocks.append(contents)

    def _forget(self) -> None:
        """Forget what was found: of a reorganised chain, or after a gap, nothing of it may be true."""
        log.debug("%s: the blocks do not join on", self.name)
        self._blocks.clear()
        self._mined.clear()
        self._asked.clear()
