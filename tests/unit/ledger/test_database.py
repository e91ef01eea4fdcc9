"""Opening and migrating the database, and what its columns refuse."""

from __future__ import annotations

import runpy
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from include.ledger.__main__ import main
from include.ledger.database import (
    LedgerOutdated,
    _alembic,
    is_current,
    migrate,
    open_engine,
    require_current,
    writing,
)
from include.ledger.ledger import Ledger
from include.ledger.schema import Base, BaseUnits, CheckRow, Utc

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clock import Clock


def test_migrations__up_to_head__give_exactly_the_schema(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []


def test_migrate__again__changes_nothing(ledger: Ledger) -> None:
    migrate(ledger.engine)
    assert is_current(ledger.engine)


def test_downgrade__leaves_nothing_behind(ledger: Ledger) -> None:
    with ledger.engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.downgrade(_alembic(connection), "base")
    assert inspect(ledger.engine).get_table_names() == ["alembic_version"]


def test_require_current__empty_database__says_what_to_do(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(LedgerOutdated, match="migrate"):
        require_current(engine)


def test_open__new_sqlite_file_in_a_new_folder__has_its_tables(tmp_path: Path, clock: Clock) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}", now=clock)
    assert ledger.operations() == []
    with ledger.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2
    ledger.close()


def test_open_engine__in_memory__needs_no_file() -> None:
    assert open_engine("sqlite://").dialect.name == "sqlite"


def test_open_engine__postgres_names__take_the_installed_driver() -> None:
    for url in ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"):
        assert open_engine(url).dialect.driver == "psycopg"


def test_main__migrate__makes_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert main(["migrate", url]) == 0
    assert is_current(open_engine(url))
    assert "up to date" in capsys.readouterr().out


def test_command__as_a_program__makes_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setattr("sys.argv", ["include.ledger", "migrate", url])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("include.ledger", run_name="__main__")
    assert ended.value.code == 0
    assert is_current(open_engine(url))


def test_writing__an_exception__rolls_everything_back(ledger: Ledger, clock: Clock) -> None:
    def broken() -> None:
        with writing(ledger.engine) as session:
            session.add(
                CheckRow(
                    id="a",
                    run_id="r",
                    mode="live",
                    taken_at=clock(),
                    recorded_at=clock(),
                    snapshot={},
                )
            )
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert ledger.snapshot_before(clock()) is None


@pytest.mark.parametrize("value", [1.5, "1", True, -1])
def test_base_units__anything_but_a_whole_number__is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="base units"):
        BaseUnits().process_bind_param(value, create_engine("sqlite://").dialect)  # type: ignore[arg-type]


def test_columns__none__stays_none() -> None:
    dialect = create_engine("sqlite://").dialect
    for column in (BaseUnits(), Utc()):
        assert column.process_bind_param(None, dialect) is None
        assert column.process_result_value(None, dialect) is None


def test_utc__without_a_zone__is_refused() -> None:
    with pytest.raises(TypeError, match="time zone"):
        Utc().process_bind_param(datetime(2026, 1, 1), create_engine("sqlite://").dialect)  # noqa: DTZ001 - what is refused


def test_utc__with_a_zone__is_read_as_utc(clock: Clock) -> None:
    assert Utc().process_result_value(clock(), create_engine("sqlite://").dialect) == clock()
