"""One world of each sort for all of these tests, put back after each; a ledger of its own for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.ledger.ledger import Ledger
from include.sandbox.scenario import VAULTS
from include.sandbox.world import World
from tests.support.desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    with World(block_time=None) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    start = running_world.snapshot()
    yield running_world
    running_world.revert(start)


@pytest.fixture(scope="session")
def running_vaults() -> Iterator[World]:
    with World(VAULTS, block_time=None) as world:
        yield world


@pytest.fixture
def vault_world(running_vaults: World) -> Iterator[World]:
    """A world whose maker trades from vaults and in wrapped tokens."""
    start = running_vaults.snapshot()
    yield running_vaults
    running_vaults.revert(start)


@pytest.fixture
def vault_desk(vault_world: World, tmp_path: Path) -> Iterator[Desk]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with open_desk(vault_world, ledger) as opened:
        yield opened
    ledger.close()


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Iterator[Desk]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with open_desk(world, ledger) as opened:
        yield opened
    ledger.close()
