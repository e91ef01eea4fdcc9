"""A ledger in a file of its own, and what is written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.ledger.ledger import Ledger
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=clock)
    yield opened
    opened.close()
