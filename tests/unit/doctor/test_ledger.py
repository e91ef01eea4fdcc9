from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import text

from include.doctor import ledger as looks
from include.doctor.check import Subject, examine
from include.doctor.report import Level
from include.domain.operation import Leg, OperationKind
from include.ledger.database import _alembic, open_engine
from include.ledger.ledger import Ledger
from include.ledger.owner import Owner, require_owner
from tests.support.clock import Clock
from tests.support.plans import recorded_check
from tests.unit.doctor.build import settings

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def found(file: Path, clock: Clock | None = None) -> dict[str, tuple[Level, str]]:
    subject = Subject(settings(), ledger_url=f"sqlite:///{file}", now=clock or Clock())
    return {one.check: (one.level, one.found) for one in examine(subject, looks.CHECKS)}


def waiting(file: Path, clock: Clock, *, attention: str | None) -> str:
    """Leave an operation whose leg waits, due in a minute, and return its id."""
    ledger = Ledger.open(f"sqlite:///{file}", now=clock)
    operation = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=31 * 10**9,
        decimals=9,
        check_id=recorded_check(ledger, clock()),
        run_id="run-1",
        taken_at=clock(),
    )
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        lease.wait(Leg.MINT, waiting_for="Alpaca to mint", due_in=MINUTE, attention=attention)
    ledger.close()
    return operation.id


def test_ledger__of_another_wallet__is_a_failure(file: Path, clock: Clock) -> None:
    ledger = Ledger.open(f"sqlite:///{file}", now=clock)
    require_owner(ledger.engine, Owner("0x" + "77" * 20, "mainnet", "fund"), now=clock())
    ledger.close()
    subject = Subject(settings(), ledger_url=f"sqlite:///{file}", now=clock)

    of_ledger = [one for one in examine(subject, looks.CHECKS) if one.check == "ledger"]

    assert [one.level for one in of_ledger] == [Level.OK, Level.FAILURE]
    assert "(book fund)" in of_ledger[1].found


def test_ledger__not_there__is_a_warning_and_is_not_made(file: Path) -> None:
    shown = found(file)

    assert shown["ledger"] == (Level.WARNING, f"{file} is not there")
    assert shown["operations"] == (Level.OK, "there is no ledger yet")
    assert not file.exists()


def test_ledger__up_to_date__is_ok_and_left_as_it_is(file: Path) -> None:
    Ledger.open(f"sqlite:///{file}").close()
    before = file.read_bytes()

    shown = found(file)

    assert shown["ledger"][0] is Level.OK
    assert shown["ledger"][1].startswith("sqlite, up to date at revision ")
    assert shown["operations"] == (Level.OK, "0 are open, and none waits for a person")
    assert file.read_bytes() == before


def test_ledger__older__is_not_brought_up_to_date_by_looking(file: Path) -> None:
    engine = open_engine(f"sqlite:///{file}")
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.upgrade(_alembic(connection), "0001")
    engine.dispose()

    for _ in range(2):
        shown = found(file)
        assert shown["ledger"] == (Level.WARNING, "the tables are at the older revision 0001")
        assert shown["operations"][0] is Level.WARNING


def test_ledger__of_a_newer_version__is_a_failure(file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{file}")
    with ledger.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ledger.close()

    level, shown = found(file)["ledger"]

    assert level is Level.FAILURE
    assert shown == "the tables are at revision 9999, which this version does not know"


def test_ledger__an_empty_file__has_no_tables_yet(file: Path) -> None:
    file.touch()

    assert found(file)["ledger"] == (Level.WARNING, "there are no tables yet")


def test_ledger__not_a_database__cannot_be_read(file: Path) -> None:
    file.write_bytes(b"something else " * 100)

    shown = found(file)

    assert shown["ledger"] == (Level.FAILURE, "the database cannot be read: DatabaseError")
    assert shown["operations"][0] is Level.WARNING


def test_ledger__password_in_its_url__is_not_shown() -> None:
    url = "postgresql://ballast:sentinel@/ledger?host=/nowhere"

    findings = examine(Subject(settings(), ledger_url=url), looks.CHECKS)

    assert findings[0].level is Level.FAILURE
    assert "sentinel" not in repr(findings)


def test_operations__one_waits_for_a_person__is_a_failure_that_says_what_about(
    file: Path, clock: Clock
) -> None:
    id_ = waiting(file, clock, attention="its answer was lost")

    text = f"mint of AAPL ({id_}), leg mint: its answer was lost"
    assert found(file, clock)["operations"] == (Level.FAILURE, text)


def test_operations__overdue__is_a_warning_from_its_deadline_on(file: Path, clock: Clock) -> None:
    id_ = waiting(file, clock, attention=None)

    assert found(file, clock)["operations"] == (Level.OK, "1 are open, and none waits for a person")
    clock.pass_(seconds=61)
    text = f"mint of AAPL ({id_}), leg mint: overdue since 2026-03-02 14:31 UTC, waiting for Alpaca to mint"
    assert found(file, clock)["operations"] == (Level.WARNING, text)
