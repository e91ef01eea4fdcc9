"""The same tests as on SQLite: what the ledger promises does not depend on the database."""

from __future__ import annotations

import pytest

from include.ledger.database import LedgerOutdated
from include.ledger.ledger import Ledger
from tests.unit.ledger.test_alerts import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_costs import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_database import (
    test_migrate__again__changes_nothing,
    test_migrations__up_to_head__give_exactly_the_schema,
    test_writing__an_exception__rolls_everything_back,
)
from tests.unit.ledger.test_effects import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_interventions import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_ledger import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_limits import *  # noqa: F403 - every test of the module
from tests.unit.ledger.test_owner import *  # noqa: F403 - every test of the module

__all__ = [
    "test_migrate__again__changes_nothing",
    "test_migrations__up_to_head__give_exactly_the_schema",
    "test_writing__an_exception__rolls_everything_back",
]

pytestmark = pytest.mark.integration


def test_open__tables_missing__says_what_to_do(ledger_url: str) -> None:
    with pytest.raises(LedgerOutdated, match="migrate"):
        Ledger.open(ledger_url)


def test_open__tables_there__works(ledger: Ledger, ledger_url: str) -> None:
    assert ledger.operations() == []
    opened = Ledger.open(ledger_url)
    assert opened.operations() == []
    opened.close()
