"""A real ledger, and settings of two assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domain.limits import Hold
from include.overview.reader import Reader, Steering, Viewer
from include.settings import load_settings
from tests.unit.exits.conftest import stage
from tests.unit.ledger.conftest import clock, ledger, ledger_url

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url", "stage"]

STEERING, VIEWER = Steering("run", Hold()), Viewer("ada", may_act=True)


def settings(**values: str) -> Settings:
    given = {"token_addresses": '{"AAPL": "0x' + "11" * 20 + '"}'} | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


@pytest.fixture
def reader(ledger: Ledger, clock: Clock) -> Reader:
    return Reader(ledger.engine, now=clock)
