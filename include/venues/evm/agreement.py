"""The same reads from several endpoints, believed where enough of them say the same of the same block."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from include.venues.errors import Unavailable, VenueError
from include.venues.evm import pinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.venues.evm.endpoints import Endpoints, Outcomes
    from include.venues.evm.multicall import Read, Seal
    from include.venues.evm.types import Call

MOST_BEHIND_SECONDS: Final = 60
"""An endpoint does not vouch for a block that is older than this, compared with the newest it knows."""


def read(
    endpoints: Endpoints,
    calls: Sequence[Call],
    *,
    chain_id: int,
    witnesses: int,
    most: int = pinned.READS_PER_REQUEST,
) -> Read:
    """Read calls at the newest block of which so many endpoints say the same.

    The same block, and the same answers. All are asked at once about their newest block. That is one round
    where they are level; those that are ahead are asked again about the newest block that enough of them
    know, and about older ones where there is no agreement about that. It does not wait for more endpoints
    than it takes.

    :param witnesses: how many endpoints.
    :param most: the most calls in one request.
    :raises Unavailable: fewer than that agree.
    """
    return _Hearing(endpoints, calls, chain_id, witnesses, most).verdict()


class _Hearing:
    """What endpoints have said so far."""

    def __init__(
        self, endpoints: Endpoints, calls: Sequence[Call], chain_id: int, witnesses: int, most: int
    ) -> None:
        self._endpoints = endpoints
        self._calls = calls
        self._chain_id = chain_id
        self._witnesses = witnesses
        self._most = most
        self._newest: dict[int, Read] = {}
        self._said: dict[int, list[Read]] = {}
        self._asked: set[tuple[int, int | None]] = set()
        self._errors: dict[int, VenueError] = {}
        self._outcomes: Outcomes[Read] = SimpleQueue()
        self._awaited = 0

    def verdict(self) -> Read:
        """Ask until enough agree, or no more can be asked."""
        for place in range(len(self._endpoints.all)):
            self._ask(place, None)
        while self._awaited or self._ask_about_an_older_block():
            place, outcome = self._outcomes.get()
            self._awaited -= 1
            if outcome.error is not None:
                if not isinstance(outcome.error, VenueError):
                    raise outcome.error
                self._errors.setdefault(place, outcome.error)
                continue
            read = outcome.get()
            self._newest.setdefault(place, read)
            self._said.setdefault(place, []).append(read)
            if self._vouches(read) >= self._witnesses:
                return read
            self._ask_about_the_common_block()
        raise Unavailable(self._disagreement())

    def _vouches(self, read: Read) -> int:
        return sum(any(read == other for other in said) for said in self._said.values())

    def _seals(self) -> list[Seal]:
        """Return each endpoint's newest block, the newest of them first."""
        return sorted((read.seal for read in self._newest.values()), key=lambda seal: -seal.number)

    def _ask_about_the_common_block(self) -> None:
        """Ask about the newest block that enough endpoints say they know."""
        seals = self._seals()
        if len(seals) >= self._witnesses:
            self._ask_those_ahead(seals[self._witnesses - 1])

    def _ask_about_an_older_block(self) -> bool:
        """Ask about the next older of the blocks: one that says it knows the common one may have lied."""
        return any(self._ask_those_ahead(seal) for seal in self._seals())

    def _ask_those_ahead(self, common: Seal) -> bool:
        """Ask those that know newer blocks about this one, and tell whether there were any left to ask."""
        before = self._awaited
        for place, read in self._newest.items():
            behind = read.seal.timestamp - common.timestamp
            if read.seal.number > common.number and behind <= MOST_BEHIND_SECONDS:
                self._ask(place, common.number)
        return self._awaited > before

    def _ask(self, place: int, block: int | None) -> None:
        if (place, block) in self._asked:
            return
        self._asked.add((place, block))
        self._awaited += 1
        self._endpoints.start(
            place,
            lambda rpc: pinned.read(
                pinned.ask_node(rpc, self._chain_id), self._calls, block=block, most=self._most
            ),
            self._outcomes,
            proves_chain=True,
        )

    def _disagreement(self) -> str:
        label, count = self._endpoints.label, len(self._endpoints.all)
        blocks = ", ".join(
            f"{self._endpoints.all[place].rpc.label} at block {read.seal.number}"
            for place, read in sorted(self._newest.items())
        )
        failed = "; ".join(str(error) for _, error in sorted(self._errors.items()))
        said = "; ".join(part for part in (blocks, failed) if part)
        return f"{label}: no {self._witnesses} of {count} endpoints agree ({said})"
