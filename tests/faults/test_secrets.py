"""No secret is left anywhere: with every log at its most talkative, and with venues that refuse and break."""

from __future__ import annotations

import base64
import json
import subprocess
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import MetaData, create_engine, select, text

from include.domain.amounts import USDC
from include.domain.operation import Leg, OperationKind
from include.sandbox.alpaca.faults import Fault
from include.sandbox.proxy import Rule
from include.sandbox.world import KEY_ID, SECRET
from scripts.local_airflow import COMPONENTS
from tests.faults.stage import RPC_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.faults.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WORK = (
    (OperationKind.MINT, "AAPL"),
    (OperationKind.REDEMPTION, "MSFT"),
    (OperationKind.USDC_ALPACA_TO_BASE, USDC),
)
TELLTALE = f"over the limit of https://node.example/v3/{RPC_KEY}"
FAULTS = {
    "base": (
        Rule("eth_chainId", "reset"),  # fails a task
        Rule("eth_estimateGas", "reset"),
        Rule("eth_getTransactionReceipt", "error", message=TELLTALE),
    ),
    "ethereum": (
        Rule("eth_getTransactionCount", "html", status=502),
        Rule("eth_getTransactionReceipt", "error", message=TELLTALE),
    ),
}
CONTROL = "a-text-that-is-hidden-on-purpose"


@pytest.fixture(scope="module")
def found(stage: Stage) -> dict[str, list[str]]:
    """Play operations with everything that may talk made to talk, and look for secrets before and after."""
    airflow, core = stage.ballast.airflow, stage.ballast.world.broker.core
    airflow.stop(["scheduler", "triggerer"])
    airflow.environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "DEBUG"
    airflow.start(["scheduler", "triggerer"])
    stage.wait(airflow.is_healthy, "healthy")
    with stage.case("secrets"):
        stage.hold()
        for name, rules in FAULTS.items():
            stage.ballast.nodes[name].arm(*rules)
        core.faults.arm(Fault(target="token", kind="status", status=500))
        operations = stage.open(*WORK)
        for operation in operations:
            stage.wait_state(operation, operation.kind.legs[0], "deferred")
        core.faults.arm(Fault(target="*", kind="html", status=503, times=4))
        stage.wait(lambda: not [one for one in core.faults.armed() if not one.is_fate], "refused in triggers")
        waiting = find(stage, *secrets(stage))
        stage.release()
        stage.wait_settled(*operations)
        for operation in operations:
            assert stage.wait_run(stage.ballast.ledger.operation(operation.id).run_id) == "success"
    assert {name: node.hits for name, node in stage.ballast.nodes.items()} == {
        name: len(rules) for name, rules in FAULTS.items()
    }
    return {"waiting": waiting, "settled": find(stage, *secrets(stage))}


def test_secrets__while_legs_wait_and_after_they_settled__are_nowhere(found: dict[str, list[str]]) -> None:
    assert found == {"waiting": [], "settled": []}


def test_connections__given_in_the_environment__are_not_stored(
    stage: Stage, found: dict[str, list[str]]
) -> None:
    with connected(airflow_url(stage)) as database:
        assert database.execute(text("SELECT conn_id FROM connection")).fetchall() == []


def test_search__a_text_in_each_kind_of_place__finds_it(stage: Stage, found: dict[str, list[str]]) -> None:
    """Without this, a search that looks in the wrong places would pass."""
    file = stage.ballast.airflow.home / "logs" / "control.log"
    file.write_text(f"a line with {CONTROL} in it", encoding="utf-8")
    variable = {"key": "control", "value": CONTROL}
    stage.call("POST", "/variables", json=variable)
    with connected(airflow_url(stage)) as database:
        [[stored]] = database.execute(text("SELECT val FROM variable WHERE key = 'control'")).fetchall()
    try:
        hits = find(stage, CONTROL)
    finally:
        file.unlink()
        stage.call("DELETE", "/variables/control")
    assert CONTROL not in stored  # it is encrypted there, and found all the same
    assert f"{file}" in hits
    assert "airflow: variable" in hits


def test_search__everything_that_tasks_leave__is_looked_at(stage: Stage, found: dict[str, list[str]]) -> None:
    """The places that are searched are there and hold what they should."""
    [mint, *_] = [one for one in stage.ballast.ledger.operations() if one.kind is OperationKind.MINT][-1:]
    places = find(stage, mint.id)
    assert {"airflow: xcom", "airflow: rendered_task_instance_fields"} <= set(places)
    assert {"ledger: operations", "ledger: effects"} <= set(places)
    task = stage.task(mint, Leg.MINT)
    assert task is not None
    assert mint.id in stage.log(task, task["try_number"])
    assert "[debug" in stage.output("triggerer")


def secrets(stage: Stage) -> set[str]:
    """Return everything that must not be anywhere, in lower case."""
    key = bytes(stage.ballast.world.maker.key)
    tokens = stage.ballast.world.broker.app._authority._tokens
    assert tokens
    login = base64.b64encode(f"{KEY_ID}:{SECRET}".encode()).decode()
    return {
        key.hex(),
        str(int.from_bytes(key)),
        base64.b64encode(key).decode(),
        SECRET,
        login,
        RPC_KEY,
        *tokens,
    }


def find(stage: Stage, *wanted: str) -> list[str]:
    """Return where any of these texts is, whatever the case of its letters."""
    home = stage.ballast.home
    lower = [text.lower() for text in wanted]
    places = [*_files(home), *_commands(stage)]
    keys = json.loads((stage.ballast.airflow.home / "secrets.json").read_text(encoding="utf-8"))
    fernet = Fernet(keys["AIRFLOW__CORE__FERNET_KEY"])
    places += _tables("airflow", airflow_url(stage), fernet)
    places += _tables("ledger", f"sqlite:///{home / 'ledger.db'}", fernet)
    return sorted({place for place, text in places if any(one in text.lower() for one in lower)})


def _files(home: Path) -> Iterator[tuple[str, str]]:
    for file in home.rglob("*"):
        if file.is_file():
            # Read elsewhere: to close a database here would drop the locks of this process on it.
            done = subprocess.run(["cat", file], capture_output=True, check=False)
            yield str(file), done.stdout.decode("latin-1")


def _commands(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield the command lines of Airflow's processes, which everybody on the machine can read."""
    for component in COMPONENTS:
        process = psutil.Process(stage.ballast.airflow.pid(component))
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                yield f"command of {component}", " ".join(one.cmdline())


def airflow_url(stage: Stage) -> str:
    """Return where Airflow's database is."""
    return stage.ballast.airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open a database, and leave nothing open after."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _tables(name: str, url: str, fernet: Fernet) -> Iterator[tuple[str, str]]:
    """Yield every value of every table, decrypted and unpacked."""
    with connected(url) as database:
        known = MetaData()
        known.reflect(database)
        assert len(known.tables) > 5
        for table in known.tables.values():
            for row in database.execute(select(table)):
                for value in row:
                    yield f"{name}: {table.name}", _plain(value, fernet)


def _plain(value: object, fernet: Fernet) -> str:
    content = value if isinstance(value, bytes) else str(value).encode()
    if content.strip(b'"').startswith(b"gAAAA"):
        return fernet.decrypt(content.strip(b'"')).decode("latin-1")
    with suppress(zlib.error):
        content = zlib.decompress(content)
    return content.decode("latin-1")
