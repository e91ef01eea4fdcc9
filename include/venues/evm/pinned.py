"""Many reads of one block, in as many requests as a node needs for them, all at once."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from include.venues.errors import Unavailable
from include.venues.evm import multicall, parse
from include.venues.evm.errors import NodeError, Reverted, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.venues.evm.multicall import Read
    from include.venues.evm.rpc import Rpc
    from include.venues.evm.types import Call

log = logging.getLogger(__name__)
S = TypeVar("S")
T = TypeVar("T")

Ask: TypeAlias = "Callable[[Sequence[Call], int | None], Read]"
"""Reads calls in one request, of a block or of the newest one."""

READS_PER_REQUEST: Final = 2_500
"""At 20,000 gas for a read, which is what a proxied token needs, they are within the 50 million that a node
allows one call unless its owner says otherwise."""

_MOST_HALVINGS = 4
_MOST_AT_ONCE = 8
_TOO_MUCH: Final = re.compile(
    r"out of gas|gas (limit|cap|required|allowance)|exceeds.*gas|too large|too big|size|timed? ?out",
    re.IGNORECASE,
)


def ask_node(rpc: Rpc, chain_id: int) -> Ask:
    """Return what reads from one node, in one request.

    What it raises is `Unavailable`, also when there is no Multicall3 at that block or the answer is another
    chain's; and `TooLarge` where less at once might do.
    """

    def ask(calls: Sequence[Call], block: int | None) -> Read:
        call = multicall.encode(calls)
        wanted = {"to": call.to, "data": f"0x{call.data.hex()}"}
        try:
            answer = rpc.simulate(parse.data, "eth_call", wanted, "latest" if block is None else hex(block))
            read = multicall.decode(answer, len(calls))
        except Reverted as refusal:
            # Each call in it may fail, so that only gas can make it fail as a whole.
            raise TooLarge(f"{rpc.label}: {len(calls)} calls at once failed: {refusal}") from refusal
        except multicall.Unsealed as problem:
            raise TooLarge(f"{rpc.label}: {problem}; is there a Multicall3?") from problem
        except multicall.BadAnswer as problem:
            raise Unavailable(f"{rpc.label}: {problem}; is there a Multicall3?") from problem
        except Unavailable as trouble:
            if isinstance(trouble.__cause__, NodeError) and _TOO_MUCH.search(trouble.__cause__.message):
                raise TooLarge(str(trouble)) from trouble.__cause__
            raise
        if read.seal.chain_id != chain_id:
            log.error("%s is chain %d, expected %d", rpc.label, read.seal.chain_id, chain_id)
            raise Unavailable(f"{rpc.label} is chain {read.seal.chain_id}, expected {chain_id}")
        if block is not None and read.seal.number != block:
            raise Unavailable(f"{rpc.label} was asked about {block} and answered for {read.seal.number}")
        return read

    return ask


def read(ask: Ask, calls: Sequence[Call], *, block: int | None = None, most: int = READS_PER_REQUEST) -> Read:
    """Read calls at one block, in parts where they are more than `most`, all parts at once.

    The parts are asked about the newest block, and each says which that was. Where they differ, those of a
    newer one are asked again about the oldest. In the end all have the same seal.

    :param block: the block; the newest when None.
    :raises Unavailable: they could not be read, or the block was replaced meanwhile.
    """
    parts = [calls[start : start + most] for start in range(0, len(calls), most)] or [calls]
    found = _at_once(lambda part: _in_halves(ask, part, block), parts)
    reads = [one for some in found for one in some]
    oldest = min((read.seal for _, read in reads), key=lambda seal: seal.number)
    newer = [place for place, (_, read) in enumerate(reads) if read.seal.number != oldest.number]
    again = _at_once(lambda place: ask(reads[place][0], oldest.number), newer)
    final = [read for _, read in reads]
    for place, one in zip(newer, again, strict=True):
        final[place] = one
    if any(one.seal != oldest for one in final):
        raise Unavailable(f"block {oldest.number} was replaced while it was read in {len(final)} parts")
    return multicall.Read(oldest, tuple(result for one in final for result in one.results))


def _in_halves(
    ask: Ask, calls: Sequence[Call], block: int | None, halvings: int = _MOST_HALVINGS
) -> list[tuple[Sequence[Call], Read]]:
    """Read calls, in halves where the node says that they are too many, or in halves of those."""
    try:
        return [(calls, ask(calls, block))]
    except TooLarge:
        if len(calls) < 2 or not halvings:
            raise
    middle = len(calls) // 2
    return [
        *_in_halves(ask, calls[:middle], block, halvings - 1),
        *_in_halves(ask, calls[middle:], block, halvings - 1),
    ]


def _at_once(work: Callable[[S], T], wanted: Sequence[S]) -> list[T]:
    """Do the same with each, in parallel where it is more than one."""
    if len(wanted) < 2:
        return [work(one) for one in wanted]
    with ThreadPoolExecutor(min(len(wanted), _MOST_AT_ONCE), thread_name_prefix="multicall") as pool:
        return list(pool.map(work, wanted))
