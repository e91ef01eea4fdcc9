"""The doctor's look at a ledger in PostgreSQL: nothing is made there, and nothing can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import InternalError

from include.doctor.check import Look, Subject, examine
from include.doctor.ledger import CHECKS, _opened
from include.doctor.report import Level
from tests.unit.doctor.build import settings

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger


def found(url: str) -> dict[str, tuple[Level, str]]:
    subject = Subject(settings(), ledger_url=url)
    return {finding.check: (finding.level, finding.found) for finding in examine(subject, CHECKS)}


def test_ledger__without_tables__is_a_failure_and_stays_without(ledger_url: str) -> None:
    shown = found(ledger_url)

    assert shown["ledger"] == (Level.FAILURE, "there are no tables yet")
    assert shown["operations"][0] is Level.WARNING
    engine = create_engine(ledger_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_ledger__up_to_date__is_ok(ledger: Ledger, ledger_url: str) -> None:
    shown = found(ledger_url)

    assert ledger.operations() == []
    assert shown["ledger"][0] is Level.OK
    assert shown["ledger"][1].startswith("postgresql, up to date at revision ")
    assert shown["operations"] == (Level.OK, "0 are open, and none waits for a person")


@pytest.mark.usefixtures("ledger")
def test_ledger__opened_to_look__refuses_to_be_written(ledger_url: str) -> None:
    look = Look(Subject(settings(), ledger_url=ledger_url))

    with (
        _opened(look) as engine,
        engine.connect() as connection,
        pytest.raises(InternalError, match="read-only"),
    ):
        connection.execute(text("DELETE FROM operations"))
