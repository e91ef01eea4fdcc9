"""Two local chains for all integration tests of a process, and a way back to how they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.sandbox.anvil import BASE_CHAIN_ID, ETHEREUM_CHAIN_ID, AnvilProcess, start_anvil
from include.sandbox.chains import Deployment, deploy

if TYPE_CHECKING:
    from collections.abc import Iterator

STOCKS = ("AAPL", "TSLA")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def ethereum_chain() -> Iterator[AnvilProcess]:
    """Ethereum: a block for each transaction, with the contracts of `deployment` once that is asked for."""
    with start_anvil(ETHEREUM_CHAIN_ID, block_time=None) as chain:
        yield chain


@pytest.fixture(scope="session")
def base_chain() -> Iterator[AnvilProcess]:
    """Base: a block for each transaction, with the contracts of `deployment` once that is asked for."""
    with start_anvil(BASE_CHAIN_ID, block_time=None) as chain:
        yield chain


@pytest.fixture(scope="session")
def deployment(ethereum_chain: AnvilProcess, base_chain: AnvilProcess) -> Deployment:
    """USDC, CCTP, Multicall3 and two stock tokens on the two chains."""
    return deploy(ethereum_chain.url, base_chain.url, STOCKS)


@pytest.fixture
def fresh_chains(
    ethereum_chain: AnvilProcess, base_chain: AnvilProcess, deployment: Deployment
) -> Iterator[Deployment]:
    """The deployment on chains that go back to how they were when the test ends."""
    snapshots = [(chain, chain.snapshot()) for chain in (ethereum_chain, base_chain)]
    yield deployment
    for chain, snapshot in snapshots:
        chain.revert(snapshot)
