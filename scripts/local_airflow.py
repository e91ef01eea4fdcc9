"""A whole Airflow on this machine: five processes that can be watched, restarted and killed one by one.

For `make up`, `make demo` and the end-to-end tests. Unless it is given people, everybody who reaches its
pages is an administrator; so it listens on the loopback address only.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from scripts import processes
from scripts.astro_settings import DEFAULT_FILE, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

HOST: Final = "127.0.0.1"
COMPONENTS: Final[tuple[str, ...]] = ("api-server", "task-server", "scheduler", "dag-processor", "triggerer")
"""The API server is two: one for people, and one for tasks."""
TASKS_TALK_TO: Final = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
_DATABASE: Final = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_PATIENT: Final = "?timeout=30"
"""Seconds to wait for SQLite's lock, instead of 5: the scheduler ends when it cannot have it."""
_HEALTH_NAMES: Final = {
    "scheduler": "scheduler",
    "dag_processor": "dag-processor",
    "triggerer": "triggerer",
}


class AirflowFailed(RuntimeError):
    """A part of the local Airflow did not start, or ended by itself. The message has the end of its log."""


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path, port: int, *, root: Path = ROOT) -> dict[str, str]:
    """Return what an Airflow of this project has to find in its environment.

    :param home: where its database, logs and generated secrets are.
    :param port: of its API server and pages, on the loopback address.
    """
    url = f"http://{HOST}:{port}"
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        TASKS_TALK_TO: f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        _DATABASE: f"sqlite:///{home / 'airflow.db'}{_PATIENT}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # Fixed by default, so that a second Airflow on the machine would not start.
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        # A task whose process died is run again after half a minute instead of five: every leg stands that.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        # Room for a thousand waits and what watches the balances, which comes last.
        "AIRFLOW__TRIGGERER__CAPACITY": "2000",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # So long a slot and a stale "success" can outlive their task: less than `FIRST_LOOK`.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "PYTHONPATH": os.pathsep.join(str(path) for path in (root, root / "plugins", root / "config")),
        # Every task's process reads our code anew: let it find it compiled, whatever this shell is set to.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(root / ".run" / "pycache"),
    }
    own |= _secrets(home / "secrets.json")
    # Airflow's processes talk to each other over HTTP; a proxy in the environment is not for that.
    for name in ("NO_PROXY", "no_proxy"):
        own[name] = ",".join(filter(None, (os.environ.get(name), HOST, "localhost")))
    return own


def _secrets(file: Path) -> dict[str, str]:
    """Return the keys that all processes share, made at the first start.

    Airflow would make them too, but its very first process runs without, and stores connections unencrypted.
    """
    with suppress(FileNotFoundError):
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return found
    made = {
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(64),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        json.dump(made, target)
    return made


class LocalAirflow:
    """An Airflow with this project's DAGs, plugins, connections, pools and Variables.

    As a context manager it is prepared, started and healthy inside, and gone after.

    :param home: kept between starts; delete it for a fresh Airflow.
    :param port: of its pages; a free one when left out.
    :param extra: environment variables besides `environment`, such as settings and connections.
    :param settings_file: the connections, pools and Variables to begin with.
    :param people: who may log in, by name, and the role of each: viewer, user, op or admin. Where there are
        some, nobody gets in without a password.
    :ivar components: the processes there are, by name.
    :ivar passwords: of those people, made up at each start.
    :ivar orphans: process groups whose leader was killed.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        settings_file: Path = DEFAULT_FILE,
        root: Path = ROOT,
        people: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.passwords = {name: secrets.token_urlsafe(12) for name in people or {}}
        self._task_port = free_port()
        tasks = {TASKS_TALK_TO: f"http://{HOST}:{self._task_port}/execution/"}
        self.environment = (
            environment(self.home, self.port, root=root) | tasks | self._login(people) | dict(extra or {})
        )
        self.components = COMPONENTS
        self._settings_file = settings_file.resolve()
        self._root = root
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, datetime] = {}
        self.orphans: list[int] = []

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.prepare()
            self.start()
            self.wait_healthy()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _login(self, people: Mapping[str, str] | None) -> dict[str, str]:
        """Return what lets only these people in. Airflow itself takes the passwords from a file."""
        if not people:
            return {}
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{people[name]}" for name in people),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
        }

    def _write_passwords(self) -> None:
        file = self.home / "passwords.json"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
            json.dump(self.passwords, target)

    def prepare(self, *, overwrite: bool = False) -> None:
        """Create or migrate the database, and put connections, pools and Variables into it.

        :param overwrite: whether connections and pools that exist are set back to the file.
        :raises AirflowFailed: with the end of the output.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        if self.passwords:
            self._write_passwords()
        command = [sys.executable, "-m", "scripts.airflow_setup", "--migrate", str(self._settings_file)]
        if overwrite:
            command.append("--overwrite")
        with self.log("setup").open("wb") as log:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                cwd=self._root,
                env=os.environ | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise AirflowFailed(f"Airflow could not be set up:\n{self.tail('setup')}")

    def start(self, components: Iterable[str] | None = None) -> None:
        """Start those of the processes that are not running, and return at once.

        Each is the leader of a process group of its own, and its output goes to `log(component)`.

        :param components: all when left out.
        """
        for component in self.components if components is None else components:
            if self.is_running(component):
                continue
            self._began[component] = datetime.now(UTC)
            with self.log(component).open("ab") as log:
                self._processes[component] = subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-m", "airflow", *self.arguments_of(component)],
                    cwd=self._root,
                    env=os.environ | self.environment_of(component),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self._record()

    def arguments_of(self, component: str) -> tuple[str, ...]:
        """Return the command that Airflow is to run for a component."""
        # What people do is logged in the server's event loop, which waits for SQLite's one writer. Were that
        # writer a task's request in the same server, it could not end meanwhile: both would fail.
        options = {
            "api-server": ("--apps", "core"),
            "task-server": ("--apps", "execution", "--port", str(self._task_port)),
        }
        return ("api-server" if component == "task-server" else component, *options.get(component, ()))

    def environment_of(self, component: str) -> dict[str, str]:
        """Return what a component has to find in its environment."""
        found = dict(self.environment)
        if component == "api-server":
            # Two people at once can still hold each other up, and are stuck for so long.
            found[_DATABASE] = found[_DATABASE].removesuffix(_PATIENT)
        return found

    def wait_healthy(self, timeout: float = 120) -> None:
        """Wait until the API server answers, and every process has reported a heartbeat since it was started.

        :param timeout: in seconds.
        :raises AirflowFailed: a process ended, or not all were healthy in time.
        """
        self.wait_until(self.is_healthy, "healthy", timeout)

    def wait_until(self, condition: Callable[[], object], what: str, timeout: float = 120) -> None:
        """Wait until a condition holds, and fail at once if one of the processes ends.

        :param what: the condition in words, for the error.
        :param timeout: in seconds.
        :raises AirflowFailed: as `wait_healthy` does.
        """
        end = time.monotonic() + timeout
        while not condition():
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise AirflowFailed(
                        f"{component} ended with {process.returncode}:\n{self.tail(component)}"
                    )
            if time.monotonic() > end:
                raise AirflowFailed(
                    f"not {what} in {timeout:g} s: {self.health() or self.tail('api-server')}"
                )
            time.sleep(0.2)

    def is_healthy(self) -> bool:
        """Tell whether everything that was started is up, each with a heartbeat of its own.

        Airflow's report alone would call a process healthy for half a minute after it was killed.
        """
        health = self.health()
        if not health or health["metadatabase"]["status"] != "healthy":
            return False
        if self.is_running("task-server") and not self._answers_tasks():
            return False
        return all(
            self._beats(health.get(name) or {}, name)
            for name, component in _HEALTH_NAMES.items()
            if component in self._processes
        )

    def _beats(self, report: Mapping[str, str | None], name: str) -> bool:
        beat = report.get(f"latest_{name}_heartbeat")
        if report.get("status") != "healthy" or beat is None:
            return False
        return datetime.fromisoformat(beat) >= self._began[_HEALTH_NAMES[name]]

    def _answers_tasks(self) -> bool:
        try:
            url = f"{self.environment[TASKS_TALK_TO]}health/ping"
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def health(self) -> dict[str, Any]:
        """Return Airflow's own report of its health, or nothing while the API server does not answer."""
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5, trust_env=False)
            report: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
        except (httpx.HTTPError, json.JSONDecodeError):
            return {}
        return report

    def client(self, name: str | None = None) -> httpx.Client:
        """Return a client of the REST API (`/api/v2/...`) that is logged in. Close it after use.

        :param name: as whom; where there are people, the first of them when left out.
        """
        method, body = "GET", None
        if self.passwords:
            name = name or next(iter(self.passwords))
            method, body = "POST", {"username": name, "password": self.passwords[name]}
        url = f"{self.url}/auth/token"
        answer = httpx.request(method, url, json=body, timeout=30, trust_env=False, follow_redirects=True)
        answer.raise_for_status()
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
            timeout=30,
            trust_env=False,
        )

    def is_running(self, component: str) -> bool:
        """Tell whether a process was started and has not ended."""
        process = self._processes.get(component)
        return process is not None and process.poll() is None

    def pid(self, component: str) -> int:
        """Return the process id of a component, which is also that of its process group."""
        return self._processes[component].pid

    def began(self, component: str) -> datetime:
        """Return when a component was started last."""
        return self._began[component]

    def kill(self, component: str) -> None:
        """Kill one process and nothing else, as a crash would; its children live on until `stop`."""
        process = self._processes.pop(component)
        self.orphans.append(process.pid)
        process.kill()
        process.wait()
        self._record()

    def stop(self, components: Iterable[str] | None = None, *, patience: float = 15) -> None:
        """Stop processes with everything they started: asked first, killed after `patience` seconds.

        :param components: all when left out, and then also what killed ones have left behind.
        """
        chosen = tuple(self._processes if components is None else components)
        groups = [self._processes[name].pid for name in chosen if name in self._processes]
        processes.end_groups(groups, patience)
        if components is None:
            # Idle workers without a scheduler do not end when asked.
            processes.end_groups(self.orphans, patience=0)
            self.orphans = []
        for name in chosen:
            process = self._processes.pop(name, None)
            if process is not None:
                process.wait()
        self._record()

    def log(self, name: str) -> Path:
        """Return the file with the output of a component, or of `setup`."""
        return self.home / f"{name}.log"

    def tail(self, name: str, lines: int = 30) -> str:
        """Return the end of a component's output."""
        try:
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _record(self) -> None:
        """Write down who runs, for `stop_recorded` in another process."""
        running = {name: process.pid for name, process in self._processes.items() if process.poll() is None}
        processes.record(self.home, running, url=self.url)
