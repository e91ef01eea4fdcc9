"""A whole Airflow over the local world, with hands: hold the venues still, interfere, let go, and count."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil
from sqlalchemy import select

from include.domain.inventory import Venue
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.ledger.records import EffectStatus
from include.ledger.schema import CheckRow
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.proxy import FaultProxy
from include.sandbox.scenario import Holding, Scenario, Shift, Side
from include.sandbox.server import serve
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET
from scripts.local_airflow import COMPONENTS
from scripts.local_ballast import DAG_ID, LocalBallast
from tests.support import postgres
from tests.support.lying import effects_outside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from include.ledger.records import Operation

PATIENCE = 150
ATTEMPTS = 5
LOCKED = (httpx.codes.INTERNAL_SERVER_ERROR, httpx.codes.SERVICE_UNAVAILABLE)
STOCKS = ("AAPL", "MSFT", "NVDA", "TSLA")
BALANCED = Scenario(
    stocks={symbol: Holding(Decimal(50), Decimal(50)) for symbol in STOCKS},
    usdc=Holding(Decimal(5000), Decimal(5000)),
)
MOVED = Decimal("0.31")
"""The part of an asset that trading moves: out of the band of 0.3, and never when only half of it is seen."""
HELD = ("shares", "tokens", "alpaca", "base")
BAND = Decimal("0.2"), Decimal("0.8")
HOLDS = ("mint", "redemption", "withdrawal", "deposit")
RPC_KEY = "rpc-key-7f3a9c51e2"  # as providers have it in the path of their URLs
OUTSIDE = {
    OperationKind.MINT: ("request of mint {}", "mint of {}"),
    OperationKind.REDEMPTION: ("tokens of {} sent", "request of redeem {}"),
    OperationKind.USDC_ALPACA_TO_BASE: (
        "transfer OUTGOING",
        "payout",
        "burn on ethereum",
        "receive on base",
    ),
    OperationKind.USDC_BASE_TO_ALPACA: (
        "burn on base",
        "receive on ethereum",
        "deposit",
        "transfer INCOMING",
    ),
}
"""What one operation of each kind does outside, each once."""


@dataclass
class KeyedBallast(LocalBallast):
    """A local Ballast with every kind of secret: an OAuth2 client, and nodes with a key in their URL."""

    nodes: dict[str, FaultProxy] = field(init=False, default_factory=dict)

    def _environment(self) -> dict[str, str]:
        world, urls = self.world, {}
        for name, url in (("ethereum", world.ethereum_url), ("base", world.base_url)):
            self.nodes[name] = FaultProxy(url)
            served = self._stack.enter_context(serve(_behind_key(self.nodes[name])))
            urls[f"BALLAST_{name.upper()}_RPC_URL"] = f"{served.url}/v3/{RPC_KEY}"
        token_url = f"{world.alpaca_url}/v1/oauth2/token"
        alpaca = (
            f'{{"conn_type": "alpaca", "host": "{world.alpaca_url}", "login": "{KEY_ID}", '
            f'"password": "{SECRET}", "extra": {{"account_id": "{ACCOUNT_ID}", '
            f'"auth": "client_credentials", "token_url": "{token_url}"}}}}'
        )
        return super()._environment() | urls | {"AIRFLOW_CONN_ALPACA": alpaca}


def _behind_key(node: FaultProxy) -> Callable[..., Awaitable[None]]:
    """Serve a node at a URL whose path is its key, as providers do; it takes requests at no other."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"] == f"/v3/{RPC_KEY}"
            scope = {**scope, "path": "/"}
        await node(scope, receive, send)

    return app


@contextmanager
def _database() -> Iterator[dict[str, str]]:
    """Give Airflow a PostgreSQL where one is installed, as in production.

    Over SQLite, what these cases do at once can end the scheduler, and requests are refused for a lock.
    """
    if postgres.binaries() is None:
        yield {}
        return
    with postgres.server() as url:
        yield {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url.replace("+psycopg:", "+psycopg_async:"),
        }


@dataclass
class Stage:
    """One Airflow, on which one fault after another is played."""

    ballast: KeyedBallast
    client: httpx.Client
    times: dict[str, float] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    _killed: set[str] = field(default_factory=set)
    _known: dict[tuple[str, OperationKind, int], str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(
        cls, home: Path, *, extra: dict[str, str] | None = None, people: dict[str, str] | None = None
    ) -> Iterator[Self]:
        """Start everything, with the DAG unpaused and nothing out of balance.

        :param extra: environment variables that win over those here.
        :param people: who may log in, and their roles; the first starts the runs.
        """
        own = {
            "BALLAST_WORKER_PATIENCE": "5s",
            # Every case starts runs by hand; the schedule goes on too, but slowly.
            "BALLAST_REBALANCING_CHECK_INTERVAL": "20s",
            # A process that is killed with the lease in its hand holds the others up for so long.
            "BALLAST_LEASE_SECONDS": "10",
        }
        with (
            _database() as database,
            KeyedBallast(
                home,
                lambda _text: None,
                scenario=BALANCED,
                extra=own | database | (extra or {}),
                people=people or {},
            ) as ballast,
        ):
            ballast.world.broker.core.latencies = Latencies(
                mint_journal=0.1, mint_token=0.1, redemption_seen=0.1, redemption_credit=0.1,
                withdrawal_processing=0.1, withdrawal_broadcast=0.1, deposit_credit=0.1,
            )  # fmt: skip
            ballast.unpause()
            with ballast.airflow.client() as client:
                yield cls(ballast, client)

    # -- the world -------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Let nothing arrive: what the venues are asked for from now on waits until `release`."""
        core = self.ballast.world.broker.core
        core.faults.clear()
        for work in HOLDS:
            core.faults.arm(Fault(target=work, kind="stuck", times=1000))
        self._pause_attestations(True)

    def release(self, *, but: str | None = None) -> None:
        """Let everything go on that is held, and hold nothing more.

        :param but: one of `HOLDS` that is to stay held from now on.
        """
        core = self.ballast.world.broker.core
        core.faults.clear()
        if but is not None:
            core.faults.arm(Fault(target=but, kind="stuck", times=1000))
        self._pause_attestations(False)
        with core.lock:
            held = [work.id for work in core.state.open_work() if work.fate is not None]
            held += [found.key for found in core.state.redemptions.values() if found.fate is not None]
            held += [found.key for found in core.state.deposits.values() if found.fate is not None]
        for key in held:
            core.release(key)

    def release_broker(self) -> None:
        """Let the broker go on, and keep attestations held."""
        self.release()
        self._pause_attestations(True)

    def _pause_attestations(self, paused: bool) -> None:
        service = self.ballast.world.attestation
        assert service is not None
        service.change(service.settings.patched({"paused": paused}))

    def trade(self, *kinds_and_assets: tuple[OperationKind, str]) -> None:
        """Bring assets out of balance, each so that an operation of that kind puts it right."""
        for kind, asset in kinds_and_assets:
            places = self.ballast.world.holdings()[asset]
            total = sum(places[place] for place in HELD if place in places)
            amount = (total * MOVED).quantize(Decimal("0.000001"))
            # What has too much offchain has been bought there, and paid onchain.
            source = Side.ONCHAIN if kind.source is Venue.OFFCHAIN else Side.OFFCHAIN
            self.ballast.world.shift(Shift(asset, amount, source))

    def open(self, *kinds_and_assets: tuple[OperationKind, str]) -> list[Operation]:
        """Bring assets out of balance, have a run look at once, and return the operations it opened."""
        known = {operation.id for operation in self.ballast.ledger.operations()}
        self.trade(*kinds_and_assets)
        self.trigger()
        wanted = set(kinds_and_assets)

        def opened() -> list[Operation]:
            return [one for one in self.ballast.ledger.operations() if one.id not in known]

        self.wait(lambda: {(one.kind, one.asset) for one in opened()} == wanted, f"{wanted} opened")
        found = {(one.kind, one.asset): one for one in opened()}
        return [found[wish] for wish in kinds_and_assets]

    # -- waiting ---------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        """Wait until something holds, and start again what has ended by itself, as any service manager would.

        Over SQLite that happens: two writers meet, and the scheduler ends with "database is locked".
        """
        end = time.monotonic() + timeout
        while not condition():
            self._start_what_ended()
            assert time.monotonic() < end, f"not {what} in {timeout:g} s: {self.ballast.airflow.health()}"
            time.sleep(0.3)

    def _start_what_ended(self) -> None:
        airflow = self.ballast.airflow
        for component in COMPONENTS:
            if component not in self._killed and not airflow.is_running(component):
                self.ended.append(f"{component}: {airflow.tail(component, 8)}")
                airflow.orphans.append(airflow.pid(component))
                airflow.start([component])

    def wait_effect(self, operation: Operation, name: str) -> None:
        """Wait until an effect is proven to have happened."""
        ledger = self.ballast.ledger

        def is_done() -> bool:
            return any(
                effect.name == name and effect.status is EffectStatus.DONE
                for effect in ledger.effects(operation.id)
            )

        self.wait(is_done, f"{name} of {operation.kind} done")

    def wait_state(self, operation: Operation, leg: Leg, state: str, *, tries: int = 1) -> dict[str, Any]:
        """Wait until the task of a leg is in a state, and return it.

        :param tries: which try has to be.
        """
        found: dict[str, Any] = {}

        def is_there() -> bool:
            found.update(self.task(operation, leg) or {})
            return (found.get("state"), found.get("try_number")) == (state, tries)

        try:
            self.wait(is_there, f"{leg} of {operation.kind} {state} in try {tries}")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; it is {found.get('state')} in {found.get('try_number')}"
            ) from None
        return found

    def wait_settled(self, *operations: Operation) -> None:
        """Wait until the ledger says that operations have settled."""
        ledger = self.ballast.ledger

        def are_settled() -> bool:
            now = [ledger.operation(operation.id) for operation in operations]
            assert not [one for one in now if one.status is OperationStatus.CANCELLED]
            return all(one.status is OperationStatus.SETTLED for one in now)

        self.wait(are_settled, f"settled: {[str(one.kind) for one in operations]}")

    def wait_run(self, run_id: str) -> str:
        """Wait until a run is over, and return its state."""
        self.wait(lambda: self.run(run_id)["state"] in ("success", "failed"), f"{run_id} over")
        return str(self.run(run_id)["state"])

    # -- Airflow ---------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask Airflow's REST API about this DAG."""
        return self.call(method, f"/dags/{DAG_ID}{path}", **arguments)

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask Airflow's REST API.

        Over SQLite, a request that changes something can meet the lock of a task's request in that server,
        and is refused after 5 s, before it has done anything.
        """
        for _ in range(ATTEMPTS):
            answer = self.client.request(method, f"/api/v2{path}", **arguments)
            if answer.status_code not in LOCKED:
                break
        return answer.raise_for_status()

    def trigger(self) -> str:
        """Start a run by hand, and return its id."""
        answer = self.ask("POST", "/dagRuns", json={"logical_date": None}).json()
        return str(answer["dag_run_id"])

    def set_checks_at_once(self, slots: int) -> None:
        """Let so many checks look at the same time; with none, they gather until there are some."""
        pool = {"name": "rebalancing_check", "slots": slots, "include_deferred": False}
        self.call("PATCH", "/pools/rebalancing_check", json=pool)

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        found: dict[str, Any] = self.ask("GET", f"/dagRuns/{run_id}").json()
        return found

    def task(self, operation: Operation, leg: Leg, run_id: str | None = None) -> dict[str, Any] | None:
        """Return the task instance that pushes a leg of an operation, in the run that has it.

        :param run_id: another run that had it.
        """
        run_id = run_id or self.ballast.ledger.operation(operation.id).run_id
        task_id = f"{operation.kind}.{leg}"
        tasks = self.ask("GET", f"/dagRuns/{run_id}/taskInstances", params={"task_id": task_id}).json()
        for found in tasks["task_instances"]:
            if found["map_index"] >= 0 and operation.id == self._pushed(
                run_id, operation.kind, found["map_index"]
            ):
                return dict(found)
        return None

    def _pushed(self, run_id: str, kind: OperationKind, map_index: int) -> str:
        """Return the operation that a run's tasks of this index push."""
        key = (run_id, kind, map_index)
        if key not in self._known:
            path = f"/dagRuns/{run_id}/taskInstances/claim_{kind}/xcomEntries/return_value"
            for index, entry in enumerate(self.ask("GET", path).json()["value"]):
                self._known[run_id, kind, index] = entry["operation_id"]
        return self._known[key]

    @staticmethod
    def path(task: dict[str, Any]) -> str:
        """Return the path of a task instance in the API of its DAG."""
        return f"/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"

    def tries(self, operation: Operation, leg: Leg, run_id: str | None = None) -> list[str]:
        """Return how each try of a leg's task ended, the first one first; its run has to be over."""
        task = self.task(operation, leg, run_id)
        assert task is not None
        found = self.ask("GET", f"{self.path(task)}/tries").json()["task_instances"]
        return [str(one["state"]) for one in sorted(found, key=lambda one: one["try_number"])]

    def log(self, task: dict[str, Any], number: int) -> str:
        """Return what a try of a task has logged."""
        folder = self.ballast.airflow.home / "logs" / f"dag_id={DAG_ID}" / f"run_id={task['dag_run_id']}"
        file = folder / f"task_id={task['task_id']}" / f"map_index={task['map_index']}"
        return (file / f"attempt={number}.log").read_text(encoding="utf-8")

    def output(self, component: str) -> str:
        """Return what a component has written since its first start."""
        return self.ballast.airflow.log(component).read_text(errors="replace")

    def health(self, component: str) -> str | None:
        """Return how Airflow's own report calls a component."""
        report: dict[str, Any] = self.ballast.airflow.health().get(component) or {}
        return report.get("status")

    def kill(self, component: str) -> None:
        """Kill one of Airflow's processes with all that it started, at once."""
        airflow = self.ballast.airflow
        os.killpg(airflow.pid(component), signal.SIGKILL)
        self._killed.add(component)
        airflow.stop([component])

    def kill_task(self, task: dict[str, Any]) -> None:
        """Kill the process of a task, and only that."""
        process = psutil.Process(task["pid"])
        scheduler = self.ballast.airflow.pid("scheduler")
        assert scheduler in [parent.pid for parent in process.parents()], process
        process.kill()

    def start(self, component: str) -> None:
        """Start a process that was killed, and wait until it is at work."""
        self._killed.discard(component)
        self.ballast.airflow.start([component])
        self.wait(self.ballast.airflow.is_healthy, "healthy")

    # -- cases -----------------------------------------------------------------------------------------

    @contextmanager
    def case(self, name: str) -> Iterator[Case]:
        """Play a case: nothing is open before, and all money has moved once and arrived after."""
        with ExitStack() as stack:
            stack.callback(self.release)  # also when the case failed, for the next one
            # At once, unless the case before has failed.
            self.wait(self.is_calm, "nothing open and all balanced")
            case = Case(self, name, len(self.ballast.ledger.operations()), self.effects())
            yield case
        case.verify()

    def is_calm(self) -> bool:
        """Tell whether nothing is open and every asset in its band, as the chains and the broker have it."""
        if self.ballast.ledger.open_operations():
            return False
        return all(
            BAND[0]
            <= sum(places[place] for place in ("tokens", "base") if place in places) / total
            <= BAND[1]
            for places in self.ballast.world.holdings().values()
            if (total := sum(places[place] for place in HELD if place in places))
        )

    def effects(self) -> Counter[str]:
        """Count everything that was done outside, read from the chains and the broker."""
        return effects_outside(self.ballast.world)

    def reasons(self, run_id: str) -> dict[str, str]:
        """Return what the check of a run decided about each asset."""
        ledger = self.ballast.ledger
        with ledger.engine.connect() as connection:
            checks = connection.scalars(select(CheckRow.id).where(CheckRow.run_id == run_id)).all()
        return {one.asset: one.reason.value for check in checks for one in ledger.decisions(check)}

    def modes(self, run_id: str) -> list[str]:
        """Return in which mode the checks of a run were made."""
        with self.ballast.ledger.engine.connect() as connection:
            return list(connection.scalars(select(CheckRow.mode).where(CheckRow.run_id == run_id)))


@dataclass
class Case:
    """What was before a case, and when it was over."""

    stage: Stage
    name: str
    operations_before: int
    effects_before: Counter[str]
    _began: float | None = None

    def mended(self) -> None:
        """Remember that the fault is over by now; what follows is the recovery."""
        self._began = time.monotonic()

    def recovered(self) -> None:
        """Remember that everything has settled."""
        assert self._began is not None
        self.stage.times[self.name] = time.monotonic() - self._began

    def operations(self) -> list[Operation]:
        """Return the operations that were opened in this case."""
        return self.stage.ballast.ledger.operations()[self.operations_before :]

    def verify(self) -> None:
        """Require that each operation did its effects once, and that nothing is left under way."""
        world, operations = self.stage.ballast.world, self.operations()
        assert operations
        assert {one.status for one in operations} == {OperationStatus.SETTLED}
        assert self.stage.ballast.ledger.open_operations() == []
        expected = Counter(what.format(one.asset) for one in operations for what in OUTSIDE[one.kind])
        assert self.stage.effects() - self.effects_before == expected
        assert world.conservation() == []
        assert world.under_way() == {}


__all__ = ["RPC_KEY", "Case", "KeyedBallast", "Stage"]
