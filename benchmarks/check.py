"""One look at both venues: how many requests it is, and how long it takes beside the slowest of them.

Compared with the usual way: a call to the chain for each balance, one after another or many at once.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx
from web3 import AsyncWeb3, Web3
from web3.providers import AsyncHTTPProvider, HTTPProvider

from benchmarks.figure import Figure
from benchmarks.ground import MAKER, Ground, ground
from include import snapshot
from include.book import Network, Venues
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.cctp.attestation import AttestationService
from include.venues.evm.chain import Chain, Reading
from include.venues.evm.transport import NodeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include import profiles
    from include.settings import Asset
    from include.venues.evm.types import Call

NAME: Final = "check"
LATENCY: Final = 0.05
"""Seconds that every endpoint takes besides what it works: an ordinary way to a provider and back."""
AT_ONCE: Final = 20
"""How many requests the usual way has open, where it has many."""
ALPACAS: Final = 3
ONE_ROUND_TO: Final = 100
"""Assets. The parts of more are still being written when the first answer comes."""
WALL_GOALS: Final = {10: "<= 1.2", 100: "<= 1.2", 1000: "<= 2"}


Span: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Ballast's look at a world.

    :param spans: of each request of the last one, when it left and when its answer had come.
    """

    venues: Venues
    spans: list[Span]

    def __call__(self) -> None:
        """Take a snapshot, all of which could be read."""
        self.spans.clear()
        taken = snapshot.take(self.venues, "bench")
        assert all(one.total is not None for one in taken.inventories.values())

    @property
    def slowest(self) -> float:
        """The seconds of the slowest request of the last one."""
        return max(ended - began for began, ended in self.spans)

    @property
    def late(self) -> int:
        """How many requests of the last one left only when another had been answered."""
        first = min(ended for _, ended in self.spans)
        return sum(began > first for began, _ in self.spans)

    @property
    def reads(self) -> list[Call]:
        """Everything that is asked of Base."""
        settings = self.venues.settings
        return [call for one in settings.watched() for call in snapshot.calls(settings, one, MAKER)]


class TimedNode(NodeProvider):
    """Carries requests to a node, and notes when each was under way."""

    def __init__(self, url: str, spans: list[Span]) -> None:
        super().__init__(url, timeout=60)
        self._spans = spans

    def _post(self, method: str, request: bytes) -> tuple[int, float | None, bytes]:
        began = time.perf_counter()
        try:
            return super()._post(method, request)
        finally:
            self._spans.append((began, time.perf_counter()))


class TimedHttp(httpx.HTTPTransport):
    """The same for Alpaca."""

    def __init__(self, spans: list[Span]) -> None:
        super().__init__()
        self._spans = spans

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and take its whole answer."""
        began = time.perf_counter()
        response = super().handle_request(request)
        response.read()
        self._spans.append((began, time.perf_counter()))
        return response


@contextmanager
def look_at(world: Ground) -> Iterator[Look]:
    """Open the clients as a task does, each request timed."""
    settings, spans = world.settings, list[Span]()

    def chain(network: Network, facts: profiles.Chain) -> Chain:
        [url] = settings.rpc_urls(network.value)
        reading = Reading(checks_chain=True, most_at_once=settings.rpc_reads_at_once)
        provider = TimedNode(url, spans)
        return Chain(url, chain_id=facts.chain_id, name=facts.name, provider=provider, reading=reading)

    venues = Venues(
        settings=settings,
        alpaca=AlpacaBroker(
            world.urls["alpaca"], ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET), transport=TimedHttp(spans)
        ),
        ethereum=chain(Network.ETHEREUM, settings.chains.ethereum),
        base=chain(Network.BASE, settings.chains.base),
        attestations=AttestationService("http://127.0.0.1:9"),
    )
    try:
        yield Look(venues, spans)
    finally:
        venues.close()


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# The usual way


def usual_calls(look: Look) -> list[Call]:
    """Return the reads of balances and rates, without those that hold the contracts to the settings."""

    def wanted(asset: Asset) -> list[Call]:
        every = list(snapshot.calls(look.venues.settings, asset, MAKER))
        return [one for place, one in enumerate(every) if place not in {1, 3, 4}] if asset.wrapper else every

    return [call for asset in look.venues.settings.watched() for call in wanted(asset)]


def one_after_another(url: str, calls: list[Call]) -> None:
    """Read with web3.py, a request for each, pinned to one block."""
    node = Web3(HTTPProvider(url))
    block = node.eth.block_number
    for call in calls:
        node.eth.call({"to": Web3.to_checksum_address(call.to), "data": Web3.to_hex(call.data)}, block)


def many_at_once(url: str, calls: list[Call]) -> None:
    """Read with web3.py and asyncio, a request for each, pinned to one block."""

    async def read() -> None:
        node = AsyncWeb3(AsyncHTTPProvider(url))
        block, gate = await node.eth.block_number, asyncio.Semaphore(AT_ONCE)

        async def one(call: Call) -> None:
            async with gate:
                to, data = Web3.to_checksum_address(call.to), Web3.to_hex(call.data)
                await node.eth.call({"to": to, "data": data}, block)

        await asyncio.gather(*(one(call) for call in calls))
        await node.provider.disconnect()

    asyncio.run(read())


# What is measured


def run(quick: bool) -> list[Figure]:
    """Measure it for 10, 100 and 1,000 assets, or only for the first two."""
    figures: list[Figure] = []
    for count in (10, 100) if quick else (10, 100, 1000):
        with ground(count) as world, look_at(world) as look:
            figures += _requests(world, look, count)
            figures += _wall(world, look, count, runs=5 if quick else 11)
            if count == (10 if quick else 100):
                figures += _beside_the_usual_way(world, look, count, runs=1)
    return figures


def _requests(world: Ground, look: Look, count: int) -> list[Figure]:
    world.asked()
    look()  # the first in this process, so that whatever is asked once is among it
    asked = {venue: sum(found.values()) for venue, found in world.asked().items()}
    parts = math.ceil(len(look.reads) / world.settings.rpc_reads_at_once)
    usual = f"{len(usual_calls(look)) + 1} with a request for each balance"
    return [
        Figure(
            f"requests to both chains, {count} assets",
            asked["ethereum"] + asked["base"],
            "requests",
            goal=f"== {1 + parts}",
            compared_with=usual,
            guard=True,
        ),
        Figure(
            f"requests to Alpaca, {count} assets",
            asked["alpaca"],
            "requests",
            goal=f"== {ALPACAS}",
            guard=True,
        ),
    ]


def _wall(world: Ground, look: Look, count: int, *, runs: int) -> list[Figure]:
    """Compare a look with the slowest of its requests: what is more is ours."""
    figures = []
    for latency in (0.0, LATENCY):
        world.set_latency(latency)
        look()
        timed = [(_timed(look), look.slowest, look.late) for _ in range(runs)]
        middle = statistics.median(slowest for _, slowest, _ in timed)
        figures.append(
            Figure.of(
                f"time of a look, {count} assets, endpoints {latency * 1000:.0f} ms away",
                [ours / slowest for ours, slowest, _ in timed],
                "times",
                goal=WALL_GOALS[count] if latency else "",
                compared_with=f"the slowest of its requests ({middle:.3f} s)",
            )
        )
    if count <= ONE_ROUND_TO:
        name = f"requests of a look that waited for another, {count} assets"
        late = min(late for *_, late in timed)  # a second round would be there in each
        figures.append(Figure(name, late, "requests", goal="== 0", guard=True))
    began = time.process_time()
    for _ in range(runs):
        look()
    cpu = (time.process_time() - began) / runs
    figures.append(Figure(f"CPU of a look, {count} assets", round(cpu, 4), "s"))
    return figures


def _beside_the_usual_way(world: Ground, look: Look, count: int, *, runs: int) -> list[Figure]:
    """Compare the chain's part with a request for each balance."""
    world.set_latency(LATENCY)
    calls, url = usual_calls(look), world.urls["base"]
    figures = []
    for name, way in (("one after another", one_after_another), (f"{AT_ONCE} at once", many_at_once)):
        ratios = [_timed(partial(way, url, calls)) / _timed(look) for _ in range(runs)]
        figures.append(
            Figure.of(
                f"web3.py, a call for each balance, {name}, {count} assets",
                ratios,
                "times",
                goal=">= 2",
                compared_with="a whole look, Alpaca among it",
                guard=name == "one after another",
            )
        )
    return figures
