"""The alerts DAG's task: what it tells whom, and what it does when something is amiss with itself."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.callback import CallbackTrigger
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from ballast import alerts
from ballast.hooks import ConnectionIncomplete
from include.alerts import readings
from include.alerts.kinds import WITHOUT_SETTINGS, Kind
from include.domain.limits import Hold
from include.ledger.alerts import AlertBook
from include.ledger.database import writing
from include.ledger.schema import CheckRow
from include.settings.loading import load_usable
from include.venues.errors import Unavailable
from tests.unit.overview import books as written
from tests.unit.plugins.fakes import NAMES, Variables, opened
from tests.unit.plugins.test_notifiers import HERE, Hanging, Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.ledger.ledger import Ledger
    from include.settings import Settings

WALLET = "0x" + "33" * 20
ARGUMENTS = {"message": "{{ title }}", "extra": "{{ runbook }}"}
KEPT = {"notifier": f"{HERE}.Kept", "kwargs": ARGUMENTS}
NOTIFIERS = json.dumps([KEPT])
BOTH = json.dumps([{"notifier": f"{HERE}.Broken"}, KEPT])


def refused(status: int) -> AirflowRuntimeError:
    return AirflowRuntimeError(
        ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status})
    )


class Ti:
    """As much of a task instance as is asked for."""

    def __init__(self) -> None:
        self.paused: bool | Exception = False
        self.state: str | Exception = "running"

    def get_dag(self, dag_id: str) -> Any:
        assert dag_id == "rebalancing"
        if isinstance(self.paused, Exception):
            raise self.paused
        return SimpleNamespace(is_paused=self.paused)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == "rebalancing"
        if isinstance(self.state, Exception):
            raise self.state
        return self.state


@pytest.fixture
def ti(monkeypatch: pytest.MonkeyPatch) -> Ti:
    made = Ti()
    monkeypatch.setattr(alerts, "get_current_context", lambda: {"ti": made})
    return made


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("BALLAST_ALERT_NOTIFIERS", NOTIFIERS)
    monkeypatch.setenv("BALLAST_ALERT_QUIET", "0")
    return monkeypatch


@pytest.fixture
def ready(
    ledger: Ledger, ti: Ti, environ: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """A ledger that the task opens, and nothing amiss."""

    @contextmanager
    def opening(_: Settings) -> Iterator[Ledger]:
        yield ledger

    Kept.told.clear()
    monkeypatch.setattr(alerts, "open_ledger", opening)
    monkeypatch.setattr(alerts, "read_hold", lambda _: Hold())
    monkeypatch.setattr(alerts, "Variable", Variables())
    written.check(ledger, datetime.now(UTC), ["AAPL"])
    yield ledger
    Hanging.let_go.set()


def stop_checks(ledger: Ledger) -> None:
    """Make the newest check an old one."""
    with writing(ledger.engine) as session:
        session.execute(update(CheckRow).values(taken_at=datetime.now(UTC) - timedelta(hours=1)))


def test_watch__nothing_amiss__tells_nobody(ready: Ledger) -> None:
    assert alerts.watch("") == {"standing": 0}
    assert Kept.told == []


def test_watch__checks_have_stopped__tells_it_once_and_its_end_once(ready: Ledger) -> None:
    stop_checks(ready)
    assert alerts.watch("") == {"standing": 1}
    assert alerts.watch("") == {"standing": 1}
    expected = "http://localhost:8080/ballast/runbook#no-check-is-made"
    assert Kept.told == [("Ballast: No check is made", expected)]
    written.check(ready, datetime.now(UTC), ["AAPL"])
    assert alerts.watch("") == {"standing": 0}
    assert alerts.watch("") == {"standing": 0}
    assert [title for title, _ in Kept.told][1:] == ["Ballast: Resolved: No check is made"]


def test_watch__a_notifier_fails__tells_the_others_and_fails_and_tries_again(
    ready: Ledger, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv("BALLAST_ALERT_NOTIFIERS", BOTH)
    stop_checks(ready)
    for _ in range(2):
        with pytest.raises(AirflowFailException, match=r"Broken could not be told .*: ConnectionError$"):
            alerts.watch("")
    assert len(Kept.told) == 1


def test_watch__no_notifier__logs_what_holds(
    ready: Ledger, environ: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environ.delenv("BALLAST_ALERT_NOTIFIERS")
    stop_checks(ready)
    assert alerts.watch("") == {"standing": 1}
    assert "no_check: the last check was made" in caplog.text


def test_watch__the_dag_is_paused_with_money_under_way__tells_it(ready: Ledger, ti: Ti, clock: Any) -> None:
    ti.paused = True
    clock.moment = datetime.now(UTC)
    opened(ready, clock)
    alerts.watch("")
    assert [title for title, _ in Kept.told] == ["Ballast: The DAG is paused while money is under way"]


def test_watch__airflow_does_not_say__keeps_what_was_told(ready: Ledger, ti: Ti, clock: Any) -> None:
    ti.paused = True
    clock.moment = datetime.now(UTC)
    opened(ready, clock)
    alerts.watch("")
    ti.paused = refused(500)
    assert alerts.watch("") == {"standing": 1}
    assert len(Kept.told) == 1


def test_watch__everything_is_held__tells_it(ready: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "read_hold", lambda _: Hold(everything="the list cannot be read"))
    alerts.watch("")
    assert [title for title, _ in Kept.told] == ["Ballast: Every asset is held back"]


def test_watch__wrong_settings__tells_that_and_what_no_setting_decides(
    ready: Ledger, environ: pytest.MonkeyPatch
) -> None:
    stop_checks(ready)
    environ.setenv("BALLAST_REBALANCING_TARGET_RATIO", "2")
    assert alerts.watch("") == {"standing": 1}
    assert [title for title, _ in Kept.told] == ["Ballast: The settings are wrong"]
    (standing,) = AlertBook(ready.engine).standing()
    assert "rebalancing_target_ratio" in standing.text
    assert Kind.NO_CHECK not in WITHOUT_SETTINGS


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionIncomplete("the Connection is missing"), "the Connection is missing"),
        (OperationalError("SELECT secret", {}, Exception("host")), "OperationalError"),
    ],
)
def test_watch__no_ledger__tells_it_once_an_hour_and_when_it_is_back(
    ready: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    works = vars(alerts)["open_ledger"]

    def broken(_: Settings) -> Any:
        raise error

    monkeypatch.setattr(alerts, "open_ledger", broken)
    for _ in range(3):
        with pytest.raises(AirflowFailException, match=f"the ledger cannot be used: {why}$"):
            alerts.watch("")
    assert [title for title, _ in Kept.told] == ["Ballast: The ledger cannot be used"]
    since, last = alerts._remembered(NAMES) or (None, None)
    assert since == last is not None
    old = last - timedelta(hours=1)
    alerts._remember(NAMES, f"{old.isoformat()} {old.isoformat()}")
    with pytest.raises(AirflowFailException):
        alerts.watch("")
    assert Kept.told[-1][0] == "Ballast: Still: The ledger cannot be used"
    monkeypatch.setattr(alerts, "open_ledger", works)
    assert alerts.watch("") == {"standing": 0}
    assert alerts.watch("") == {"standing": 0}
    assert [title for title, _ in Kept.told][2:] == ["Ballast: Resolved: The ledger cannot be used"]


def test_watch__no_ledger_and_a_notifier_that_fails__tells_it_again(
    ready: Ledger, environ: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ.setenv("BALLAST_ALERT_NOTIFIERS", BOTH)
    settings, _ = load_usable()
    alerts.tell_without_ledger(settings, "gone")
    assert alerts._remembered(NAMES) is None
    now = datetime.now(UTC).isoformat()
    alerts._remember(NAMES, f"{now} {now}")
    (failure,) = alerts.told_without_ledger_is_over(settings)
    assert failure.startswith("Broken could not be told")
    assert alerts._remembered(NAMES) is not None


def test_watch__it_is_time__reads_the_chains_and_tells_low_gas(
    ready: Ledger, environ: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ.setenv("BALLAST_WALLET", WALLET)
    environ.setenv("BALLAST_ETHEREUM_RPC_URL", "http://ethereum.test")
    environ.setenv("BALLAST_BASE_RPC_URL", "http://base.test")
    asked = []

    def open_chain(_: Settings, network: Any) -> Any:
        asked.append(network)
        if network == "ethereum":
            raise Unavailable("no answer")
        return SimpleNamespace(balance=lambda wallet: 1, nonce=lambda wallet: 7)

    monkeypatch.setattr("include.chains.open_chain", open_chain)
    alerts.watch("")
    assert [title for title, _ in Kept.told] == ["Ballast: Gas is low"]
    assert asked == ["ethereum", "base"]
    alerts.watch("")
    assert asked == ["ethereum", "base", "ethereum"], "what was read is not read again for a while"
    kept = AlertBook(ready.engine).readings()
    assert {name: one.value for name, one in kept.items()} == {"gas:base": 1, "nonce:base": 7}


def test_readings__without_a_wallet__are_not_due(ready: Ledger) -> None:
    settings, _ = load_usable()
    assert readings.due(AlertBook(ready.engine), settings, datetime.now(UTC)) == []


CONTEXT = {"dag_run": {"dag_run_id": "scheduled__1", "queued_at": "2026-03-02T14:00:00Z"}, "deadline": {}}


def test_run_does_not_end__is_told_once_however_often_airflow_calls(ready: Ledger) -> None:
    for _ in range(2):
        assert asyncio.run(alerts.run_does_not_end(context=CONTEXT)) == "scheduled__1 is told"
    assert [title for title, _ in Kept.told] == ["Ballast: A run does not end"]
    (standing,) = AlertBook(ready.engine).standing()
    assert standing.since == datetime(2026, 3, 2, 14, tzinfo=UTC)


def test_run_does_not_end__as_the_triggerer_calls_it__is_told(
    ready: Ledger, environ: pytest.MonkeyPatch
) -> None:
    """Airflow's own trigger, with what it keeps of the callback and the context that its scheduler adds."""
    environ.setenv("BALLAST_ALERT_RUN_DEADLINE", "2h")
    alert = alerts.deadline(load_usable()[0])
    assert alert is not None
    kept = alert.callback.serialize()
    trigger = CallbackTrigger(kept["path"], {**kept["kwargs"], "context": CONTEXT})

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    first, last = asyncio.run(events())
    assert first["state"] == "running"
    assert (last["state"], last["body"]) == ("success", "scheduled__1 is told")
    assert [title for title, _ in Kept.told] == ["Ballast: A run does not end"]


@pytest.mark.parametrize(
    ("state", "standing"), [("running", 1), ("success", 0), (refused(404), 0), (refused(500), 1)]
)
def test_run_does_not_end__stands_until_airflow_says_that_it_is_over(
    ready: Ledger, ti: Ti, state: str | Exception, standing: int
) -> None:
    asyncio.run(alerts.run_does_not_end(context=CONTEXT))
    ti.state = state
    assert alerts.watch("") == {"standing": standing}


def test_run_does_not_end__airflow_gives_no_context__is_told_all_the_same(ready: Ledger) -> None:
    assert asyncio.run(alerts.run_does_not_end()) == "a run is told"


def test_places__are_those_of_the_settings_or_of_airflow(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("AIRFLOW__API__BASE_URL", "https://flow.test/under/")
    found = alerts.places(load_usable()[0])
    assert (found.page, found.runbook) == (
        "https://flow.test/under/ballast/",
        "https://flow.test/under/ballast/runbook",
    )
    environ.setenv("BALLAST_PAGE_URL", "https://desk.test/page")
    environ.setenv("BALLAST_RUNBOOK_URL", "https://wiki.test/runbook")
    found = alerts.places(load_usable()[0])
    assert (found.page, found.runbook) == ("https://desk.test/page/", "https://wiki.test/runbook")


def test_interval__with_wrong_settings__is_there(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("BALLAST_REBALANCING_TARGET_RATIO", "2")
    assert alerts.interval("") == timedelta(minutes=1)
