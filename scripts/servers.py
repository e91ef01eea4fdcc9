"""A PostgreSQL and a Redis of our own: on the loopback address, on free ports, with passwords made up here.

What they hold ends with them, so PostgreSQL does not wait for the disk.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
import redis
from sqlalchemy import URL

from scripts import processes
from scripts.local_airflow import HOST, free_port
from tests.support.postgres import binaries

if TYPE_CHECKING:
    from collections.abc import Callable

USER: Final = "ballast"
START_SECONDS: Final = 30
STOP_SECONDS: Final = 10
POSTGRES_SETTINGS: Final = {
    "fsync": "off",
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    # A process that was killed in the middle of a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "60s",
}


class ServerFailed(RuntimeError):
    """A server could not be started. The message has the end of its log."""


def missing() -> list[str]:
    """Return what has to be installed before these servers can be started, as Debian calls it."""
    found = [] if binaries() is not None else ["postgresql"]
    return found + ([] if shutil.which("redis-server") else ["redis-server"])


class Server(ABC):
    """One server; a context manager that ends it.

    :param log: where its output goes.
    :ivar port: of the loopback address.
    """

    name: str
    ends_by: signal.Signals = signal.SIGTERM

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)
        self.folder = Path(tempfile.mkdtemp(prefix=f"ballast-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that was started, which is also its process group.

        :raises ServerFailed: when it is not running.
        """
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running")
        return self._process.pid

    @abstractmethod
    def start(self) -> None:
        """Start it, and return when it takes connections.

        :raises ServerFailed: with the end of its log.
        """

    def stop(self) -> None:
        """End it, if need be by force, and remove what it kept. Stopping twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            for number in (self.ends_by, signal.SIGKILL):
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                    break
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: list[str], answers: Callable[[], object], given: bytes = b"") -> None:
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        end = time.monotonic() + START_SECONDS
        while not answers():
            if process.poll() is not None or time.monotonic() > end:
                raise ServerFailed(f"{self.name} does not answer:\n{self._tail()}")
            time.sleep(0.05)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


class Postgres(Server):
    """A cluster of its own, with as many databases as are asked for."""

    name = "postgres"
    ends_by = signal.SIGINT  # without waiting for its clients

    def start(self) -> None:
        """Create the cluster, and start it."""
        programs = binaries()
        if programs is None:
            raise ServerFailed("PostgreSQL is not installed")
        data, password, as_owner = self.folder / "data", self.folder / "password", _as_owner(self.folder)
        password.touch(0o600)
        password.write_text(self.password, encoding="utf-8")
        if as_owner:
            shutil.chown(password, "postgres")
        made = subprocess.run(  # noqa: S603 - our own command
            [
                *as_owner, str(programs / "initdb"), "-D", str(data), "-U", USER, "-E", "UTF8", "--no-sync",
                "--auth=scram-sha-256", f"--pwfile={password}",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServerFailed(f"initdb failed: {made.stderr}")
        settings = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *settings]
        self._run([*as_owner, *command], self._answers)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=HOST, port=self.port, user=USER, password=self.password, dbname="postgres", autocommit=True
        )

    def create(self, database: str) -> str:
        """Create a database, and return its URL, with the password."""
        with self._connect() as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
        url = URL.create("postgresql+psycopg", USER, self.password, HOST, self.port, database)
        return url.render_as_string(hide_password=False)


def of_airflow(url: str) -> dict[str, str]:
    """Return what makes a PostgreSQL database that of an Airflow: its environment variables."""
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url.replace("+psycopg:", "+psycopg_async:"),
    }


class Redis(Server):
    """A broker of messages, which keeps nothing on the disk."""

    name = "redis"

    def start(self) -> None:
        """Start it. Its password is told by its input, where nobody else sees it."""
        settings = f'bind {HOST}\nport {self.port}\nrequirepass {self.password}\nsave ""\ndir {self.folder}\n'
        self._run(["redis-server", "-"], self._answers, settings.encode())

    def _answers(self) -> bool:
        try:
            with redis.Redis(HOST, self.port, password=self.password) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    @property
    def url(self) -> str:
        """Where it is, with the password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


def record(home: Path, *servers: Server) -> None:
    """Write down which servers run, for `stop_recorded` in another process."""
    processes.record(home, {server.name: server.pid for server in servers})


def _as_owner(home: Path) -> list[str]:
    """Let PostgreSQL run as the user that its package brings, since it does not run as root."""
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwnam("postgres")
    os.chown(home, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
