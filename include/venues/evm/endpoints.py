"""Several endpoints of one chain, asked as if they were one.

The first is the primary. Where it gives no answer, or none in time, the next is asked. No endpoint is
believed more than a single one would be: together they are to a client what a node behind a load balancer is,
which lags now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm import parse, pinned
from include.venues.evm.errors import NodeError, TooLarge, WrongChain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from include.venues.evm.rpc import Rpc

log = logging.getLogger(__name__)
T = TypeVar("T")

REST_SECONDS: Final = 30.0
"""How long an endpoint that gave no answer, or was too slow, is asked after the others."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a chain is read.

    :param checks_chain: whether an endpoint has to show, once in a process, that it serves the right chain
        before it is believed.
    :param hedge_after: seconds after which the next endpoint is asked besides; None to wait for the answer.
    :param witnesses: how many endpoints have to say the same, where agreement is asked for.
    :param most_at_once: the most calls in one request.
    """

    checks_chain: bool = False
    hedge_after: float | None = None
    witnesses: int = 1
    most_at_once: int = pinned.READS_PER_REQUEST


READ_PLAINLY: Final = Reading()
"""One answer of one endpoint is enough, and nobody asks which chain it is."""


@dataclass
class Memory:
    """What this process knows of an endpoint."""

    serves: bool = False
    """Whether it has shown that it serves the chain it should."""
    rests_until: float = 0.0

    def rest(self, seconds: float | None = None) -> None:
        """Ask it after the others for a while."""
        self.rests_until = time.monotonic() + max(seconds or 0.0, REST_SECONDS)

    @property
    def rests(self) -> bool:
        """Whether it is asked after the others."""
        return time.monotonic() < self.rests_until


_memories: dict[tuple[str, int], Memory] = {}


def memory_of(url: str, chain_id: int) -> Memory:
    """Return what is known of an endpoint. It outlives the client, as each task and poll makes a new one."""
    return _memories.setdefault((url, chain_id), Memory())


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, and what is known of it."""

    rpc: Rpc
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How asking one endpoint ended: with an answer, or with an error."""

    answer: T | None = None
    error: Exception | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the endpoint could not be read, so that another may be."""
        return isinstance(self.error, Unavailable)

    @property
    def is_weak(self) -> bool:
        """Whether an endpoint that lags might say the same: there is nothing, or the contract refuses."""
        return isinstance(self.error, Refused) or self.answer in (None, [], b"")

    def get(self) -> T:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]  # where it is None, T has None


Outcomes: TypeAlias = "SimpleQueue[tuple[int, Outcome[T]]]"
"""What endpoints said, each with its place in `Endpoints.all`, in the order in which they did."""


class Endpoints:
    """The endpoints of one chain. It may be shared between threads.

    :param endpoints: the first is the primary.
    :param chain_id: what they must serve.
    :param checks_chain: ask each of them for its chain id, once, before it is believed. One that serves
        another chain counts as one that cannot be read.
    :param hedge_after: seconds after which the next is asked although an answer may still come; None to wait
        for it.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        chain_id: int,
        checks_chain: bool = False,
        hedge_after: float | None = None,
    ) -> None:
        self.all = tuple(endpoints)
        self.label = self.all[0].rpc.label
        self._chain_id = chain_id
        self._checks_chain = checks_chain
        self._hedge_after = hedge_after

    def read(self, parse: Callable[[Any], T], method: str, *params: object) -> T:
        """Read from the first that answers, as `Rpc.read` does."""
        return self.first(lambda rpc: rpc.read(parse, method, *params))

    def simulate(self, parse: Callable[[Any], T], method: str, *params: object) -> T:
        """Run a contract on the first that answers, as `Rpc.simulate` does."""
        return self.first(lambda rpc: rpc.simulate(parse, method, *params))

    def first(self, work: Callable[[Rpc], T], *, proves_chain: bool = False) -> T:
        """Return what the first endpoint says that gives a sound answer.

        That there is nothing, or that a contract refuses, may only mean that an endpoint lags. From another
        than the first asked, it counts when all that were asked before it have answered too, or failed.

        :param proves_chain: the work itself raises Unavailable where another chain answers.
        :raises VenueError: as the work does; where none could be read, what the primary did.
        """
        if len(self.all) == 1:
            return self.outcome(0, work, proves_chain=proves_chain).get()
        # Sorting is stable: but for those that rest, they are asked in the order in which they were given.
        order = sorted(range(len(self.all)), key=lambda place: self.all[place].memory.rests)
        ended: dict[int, Outcome[T]] = {}
        outcomes: Outcomes[T] = SimpleQueue()
        asked, is_slow = 0, False
        while len(ended) < len(order):
            if asked == len(ended) or is_slow:
                self.start(order[asked], work, outcomes, proves_chain=proves_chain)
                asked += 1
            try:
                place, outcome = outcomes.get(timeout=self._hedge_after if asked < len(order) else None)
            except Empty:
                is_slow = True
                continue
            is_slow, ended[place] = False, outcome
            if (winner := _winner(order[:asked], ended)) is not None:
                return ended[self._won(winner, order[:asked], ended)].get()
        return ended[0].get()

    def _won(self, winner: int, asked: Sequence[int], ended: Mapping[int, Outcome[T]]) -> int:
        """Let those rest that were asked before the winner and have not answered yet."""
        for place in asked[: asked.index(winner)]:
            if place not in ended:
                self.all[place].memory.rest()
        return winner

    def offer(self, work: Callable[[Rpc], T]) -> T:
        """Hand the same to all endpoints at once, and return when the first has taken it.

        :raises OutcomeUnknown: none is known to have taken it, and one may have.
        :raises VenueError: none has it; what the primary said, which it may not even have been given.
        """
        if len(self.all) == 1:
            return self.outcome(0, work).get()
        outcomes: Outcomes[T] = SimpleQueue()
        for place in range(len(self.all)):
            self.start(place, work, outcomes)
        ended: dict[int, Outcome[T]] = {}
        while len(ended) < len(self.all):
            place, ended[place] = outcomes.get()
            if ended[place].error is None:
                return ended[place].get()
        unknown = [one for _, one in sorted(ended.items()) if isinstance(one.error, OutcomeUnknown)]
        return (unknown or [ended[0]])[0].get()

    def start(
        self, place: int, work: Callable[[Rpc], T], outcomes: Outcomes[T], *, proves_chain: bool = False
    ) -> None:
        """Ask one endpoint in the background; how it ended goes into the queue."""

        def run() -> None:
            outcomes.put((place, self.outcome(place, work, proves_chain=proves_chain)))

        # No pool: its threads would be waited for when the process ends, however long an endpoint is silent.
        threading.Thread(target=run, name=f"endpoint-{place}", daemon=True).start()

    def outcome(self, place: int, work: Callable[[Rpc], T], *, proves_chain: bool = False) -> Outcome[T]:
        """Ask one endpoint, and remember how it behaved."""
        endpoint = self.all[place]
        try:
            if self._checks_chain and not proves_chain and not endpoint.memory.serves:
                self._check_chain(endpoint)
            answer = work(endpoint.rpc)
        except Exception as error:
            # One that answers with an error of its own, or wants less at once, is awake.
            is_awake = isinstance(error, TooLarge) or isinstance(error.__cause__, NodeError)
            if isinstance(error, Unavailable) and not is_awake:
                endpoint.memory.rest(error.retry_after)
            return Outcome(error=error)
        endpoint.memory.serves |= proves_chain
        return Outcome(answer)

    def _check_chain(self, endpoint: Endpoint) -> None:
        try:
            verify_chain_id(endpoint.rpc, self._chain_id)
        except WrongChain as wrong:
            # Not a refusal, which could end an operation: it is the endpoint that is unfit.
            log.error("%s", wrong)
            raise Unavailable(str(wrong)) from wrong
        endpoint.memory.serves = True


def verify_chain_id(rpc: Rpc, chain_id: int) -> None:
    """Ask an endpoint which chain it serves.

    :raises WrongChain: when it is not the wanted one.
    """
    found = rpc.read(parse.quantity, "eth_chainId")
    if found != chain_id:
        raise WrongChain(f"{rpc.label} is chain {found}, expected {chain_id}")


def _winner(asked: Sequence[int], ended: Mapping[int, Outcome[Any]]) -> int | None:
    """Return whose answer counts by now, of those that were asked; None where none does yet."""
    for number, place in enumerate(asked):
        outcome = ended.get(place)
        if outcome is None or outcome.is_failure:
            continue
        if not outcome.is_weak or all(before in ended for before in asked[:number]):
            return place
    return None
