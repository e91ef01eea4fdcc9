"""One quick world for all of these tests, with a proxy before each endpoint; put back after each test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from include.ledger.ledger import Ledger
from include.sandbox.alpaca.settings import Latencies, Rules
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.world import Snapshot, World
from tests.support.lying import LyingDesk, Proxies, open_lying_desk, proxies_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = Latencies(
    mint_journal=0,
    mint_token=0,
    redemption_seen=0,
    redemption_credit=0,
    withdrawal_processing=0,
    withdrawal_broadcast=0,
    deposit_credit=0,
    whitelist_approval=0,
)
AT_ONCE = AttestationSettings(
    fast_latency={0: 0, 6: 0}, standard_latency={0: 0.5, 6: 0.5}, reattest_latency=0
)


def put_back(world: World, proxies: Proxies, start: Snapshot) -> None:
    """Make the world what it was, whatever was done to it."""
    proxies.clear()
    core, service = world.broker.core, world.attestation
    core.rules, core.latencies = Rules(), QUICK
    assert service is not None
    service.change(AT_ONCE)
    for chain in (world.ethereum, world.base):
        chain.rpc.request("evm_setAutomine", True)
    world.revert(start)


class OpenDesk(Protocol):
    """Opens a desk in the world of the test."""

    def __call__(self, **options: Any) -> LyingDesk:
        """See `open_lying_desk`."""
        ...


@pytest.fixture(scope="session")
def lying_world() -> Iterator[World]:
    with World(block_time=None, latencies=QUICK, attestation=AT_ONCE) as world:
        yield world


@pytest.fixture(scope="session")
def all_proxies(lying_world: World) -> Iterator[Proxies]:
    with proxies_before(lying_world) as proxies:
        yield proxies


@pytest.fixture
def proxies(all_proxies: Proxies) -> Iterator[Proxies]:
    all_proxies.forget()
    yield all_proxies
    all_proxies.clear()


@pytest.fixture
def world(lying_world: World, proxies: Proxies) -> Iterator[World]:
    start = lying_world.snapshot()
    yield lying_world
    put_back(lying_world, proxies, start)


@pytest.fixture
def open_desk(world: World, proxies: Proxies, tmp_path: Path) -> Iterator[OpenDesk]:
    with ExitStack() as stack:
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
        stack.callback(ledger.close)
        yield lambda **options: stack.enter_context(open_lying_desk(world, ledger, proxies, **options))


@pytest.fixture
def desk(open_desk: OpenDesk) -> LyingDesk:
    return open_desk()
