"""PostgreSQL and Redis of our own: they answer who has the password, and end with what they kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import create_engine, text

from scripts.local_airflow import HOST
from scripts.processes import stop_recorded
from scripts.servers import USER, Postgres, Redis, ServerFailed, missing, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres") / "log") as started:
        yield started


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis") / "log") as started:
        yield started


def test_postgres__two_databases__are_apart(postgres: Postgres) -> None:
    one, two = (create_engine(postgres.create(name)) for name in ("one", "two"))
    with one.begin() as connection:
        connection.execute(text("CREATE TABLE here (n integer)"))
    with two.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('here')")).scalar() is None
        shown = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()
    assert shown == "1min"
    one.dispose()
    two.dispose()


def test_postgres__without_its_password__refuses(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=HOST, port=postgres.port, user=USER, password="guess", dbname="postgres")


def test_redis__without_its_password__refuses(broker: Redis) -> None:
    with redis.Redis(HOST, broker.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.Redis.from_url(broker.url) as client:
        assert client.ping()


def test_passwords__of_both__are_on_no_command_line(postgres: Postgres, broker: Redis) -> None:
    for server in (postgres, broker):
        assert server.password not in " ".join(psutil.Process(server.pid).cmdline())


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_stop__a_server_that_runs__ends_it_with_its_folder(
    kind: type[Postgres] | type[Redis], tmp_path: Path
) -> None:
    with kind(tmp_path / "log") as server:
        pid = server.pid
        assert server.folder.exists()
    assert not psutil.pid_exists(pid)
    assert not server.folder.exists()
    server.stop()
    with pytest.raises(ServerFailed, match="not running"):
        _ = server.pid


def test_stop_recorded__by_another_process__ends_them(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres") as postgres, Redis(tmp_path / "redis") as broker:
        record(tmp_path, postgres, broker)
        assert stop_recorded(tmp_path) == ["postgres", "redis"]
        for server in (postgres, broker):
            assert psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE


def test_start__on_a_port_that_is_taken__fails_with_its_log(tmp_path: Path, broker: Redis) -> None:
    second = Redis(tmp_path / "log")
    second.port = broker.port
    with pytest.raises(ServerFailed, match=r"redis does not answer:\n[\s\S]*bind"), second:
        pass
