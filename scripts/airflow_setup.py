"""Put the connections, pools and Variables of `airflow_settings.yaml` into Airflow, pools for each book.

    python -m scripts.airflow_setup [--migrate] [--overwrite] [FILE]

Running it again changes nothing. What exists is kept, because a person may have changed it since: with
`--overwrite` connections and pools are set back to the file, Variables never are. That a pool counts deferred
tasks is always set. A connection that is given as AIRFLOW_CONN_<ID> is left out: Airflow takes it from there.

It is one process, and not an Airflow command for each kind of entry, because each start of Airflow costs
seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.models.connection import Connection
from airflow.models.pool import Pool
from airflow.models.variable import Variable
from airflow.utils.db import upgradedb
from airflow.utils.session import create_session
from sqlalchemy import select

from include.settings.sources import books
from scripts.astro_settings import DEFAULT_FILE, AirflowSettings, PoolSetting, SetupError, read, with_books

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session


def apply(settings: AirflowSettings, *, overwrite: bool = False) -> list[str]:
    """Write the settings into the database of this process's Airflow, in one transaction.

    :returns: a line for each entry, saying what was done about it.
    """
    done: list[str] = []
    with create_session() as session:
        for name, arguments in settings.connections.items():
            done.append(f"connection {name}: {_apply_connection(session, name, arguments, overwrite)}")
        for pool in settings.pools:
            done.append(f"pool {pool.name}: {_apply_pool(session, pool, overwrite)}")
        for name, value in settings.variables.items():
            done.append(f"variable {name}: {_apply_variable(session, name, value)}")
    return done


def _apply_connection(session: Session, name: str, arguments: Mapping[str, Any], overwrite: bool) -> str:
    if os.environ.get(f"AIRFLOW_CONN_{name.upper()}"):
        return "given in the environment"
    existing = session.scalar(select(Connection).where(Connection.conn_id == name))
    if existing is not None and not overwrite:
        return "kept"
    connection = Connection(conn_id=name, **arguments)
    if existing is not None:
        connection.id = existing.id
    session.merge(connection)
    return "created" if existing is None else "overwritten"


def _apply_pool(session: Session, pool: PoolSetting, overwrite: bool) -> str:
    existing = session.scalar(select(Pool).where(Pool.pool == pool.name))
    if existing is None or overwrite:
        Pool.create_or_update_pool(
            pool.name, pool.slots, pool.description, pool.include_deferred, session=session
        )
        return "created" if existing is None else "overwritten"
    if pool.include_deferred and not existing.include_deferred:
        existing.include_deferred = True
        return "kept, and now counts deferred tasks"
    return "kept"


def _apply_variable(session: Session, name: str, value: str) -> str:
    if session.scalar(select(Variable).where(Variable.key == name)) is not None:
        return "kept"
    Variable.set(name, value, session=session)
    return "created"


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.airflow_setup", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=DEFAULT_FILE, help="default: airflow_settings.yaml"
    )
    parser.add_argument("--migrate", action="store_true", help="create or migrate Airflow's database first")
    parser.add_argument("--overwrite", action="store_true", help="set existing connections and pools back")
    options = parser.parse_args(arguments)
    try:
        settings = with_books(read(options.file), books())
    except SetupError as error:
        print(f"airflow_setup: {error}", file=sys.stderr)
        return 1
    if options.migrate:
        upgradedb()
    for line in apply(settings, overwrite=options.overwrite):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
