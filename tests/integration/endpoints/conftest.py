"""A world whose Base is reached by three ways, each of which can be spoilt."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from include.ledger.ledger import Ledger
from include.sandbox.proxy import FaultProxy
from include.sandbox.server import serve
from include.sandbox.world import World
from include.venues.evm import endpoints
from include.venues.evm.chain import Chain, Reading
from tests.integration.lying.conftest import AT_ONCE, QUICK, put_back
from tests.support.lying import LyingDesk, Proxies, open_lying_desk, proxies_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = 3


@dataclass(frozen=True)
class Ways:
    """Three endpoints of one node."""

    proxies: tuple[FaultProxy, ...]
    urls: tuple[str, ...]

    def chain(self, count: int = 2, **reading: float) -> Chain:
        """Return a client of the first so many of them."""
        habits = Reading(**{"checks_chain": True, **reading})  # type: ignore[arg-type]
        return Chain(self.urls[:count], chain_id=8453, name="Base", timeout=10, reading=habits)


@pytest.fixture(scope="session")
def world_of_ways() -> Iterator[World]:
    with World(block_time=None, latencies=QUICK, attestation=AT_ONCE) as world:
        yield world


@pytest.fixture(scope="session")
def plain_proxies(world_of_ways: World) -> Iterator[Proxies]:
    with proxies_before(world_of_ways) as proxies:
        yield proxies


@pytest.fixture
def world(world_of_ways: World, plain_proxies: Proxies) -> Iterator[World]:
    start = world_of_ways.snapshot()
    yield world_of_ways
    put_back(world_of_ways, plain_proxies, start)


@pytest.fixture
def ways(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    monkeypatch.setattr(endpoints, "_memories", {})
    with ExitStack() as stack:
        proxies = tuple(FaultProxy(world.base_url) for _ in range(WAYS))
        yield Ways(proxies, tuple(stack.enter_context(serve(proxy)).url for proxy in proxies))


@pytest.fixture
def desk(world: World, plain_proxies: Proxies, ways: Ways, tmp_path: Path) -> Iterator[LyingDesk]:
    """A desk that reaches Base by the first two ways."""
    with ExitStack() as stack:
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
        stack.callback(ledger.close)
        plain = stack.enter_context(open_lying_desk(world, ledger, plain_proxies))
        venues = replace(plain.book.venues, base=ways.chain(hedge_after=0.5))
        yield replace(plain, book=replace(plain.book, venues=venues))
