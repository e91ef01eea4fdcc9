"""The two chains and an attestation service whose clock the test holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.sandbox.attestation import AttestationService
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.server import serve
from tests.integration.sandbox.cctp import Chain, Clock, Iris

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.sandbox.anvil import AnvilProcess
    from include.sandbox.chains import Deployment

SETTINGS = AttestationSettings(
    fast_latency={0: 20, 6: 8}, standard_latency={0: 900, 6: 1200}, reattest_latency=60
)


@pytest.fixture
def ethereum(ethereum_chain: AnvilProcess, fresh_chains: Deployment) -> Chain:
    return Chain(ethereum_chain, fresh_chains.ethereum)


@pytest.fixture
def base(base_chain: AnvilProcess, fresh_chains: Deployment) -> Chain:
    return Chain(base_chain, fresh_chains.base)


@pytest.fixture
def iris(ethereum: Chain, base: Chain, fresh_chains: Deployment) -> Iterator[Iris]:
    clock = Clock()
    # The wall clock stands at zero: ages are counted from when a message was first seen
    service = AttestationService(
        ethereum.url, base.url, fresh_chains, SETTINGS, monotonic=clock, wall=lambda: 0.0
    )
    with serve(service.app) as server:
        yield Iris(server.url, service, clock)
    service.stop()
