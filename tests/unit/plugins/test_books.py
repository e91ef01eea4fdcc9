"""Two books in one Airflow: whatever one does, the other's Variables, ledger and venues are left alone."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType, TaskDeferred
from airflow.sdk.execution_time.comms import ErrorResponse

from ballast import alerts, hooks, operations, operators, progress, switch, tasks, triggers, watcher
from ballast.hooks import CircleHook, ConnectionIncomplete
from ballast.operators import OPERATORS
from ballast.triggers import ConditionTrigger, SwitchTrigger
from ballast.watcher import BalanceTrigger
from include import snapshot
from include.check import Switch
from include.domain.limits import Hold
from include.domain.operation import Leg
from include.ledger import ledger as ledgers
from include.ledger.ledger import Ledger
from include.legs.conditions import TokenizationDecided
from include.settings import Names, Settings, sources
from include.settings.loading import load_usable
from include.venues.errors import Unavailable
from include.watch import sources as sources_of_waits
from tests.support.plans import snapshot as balances
from tests.unit.plugins.fakes import NAMES, RUN, Variables, context, opened, settings
from tests.unit.plugins.test_notifiers import HERE, Kept
from tests.unit.plugins.test_tasks import ENABLED, MINT, SHARES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.clock import Clock

FUND = Names("fund")
OTHER_WALLET = "0x" + "44" * 20


@pytest.fixture
def funds_ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    found = Ledger.open(f"sqlite:///{tmp_path / 'fund.db'}", now=clock)
    yield found
    found.close()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for settings, and none in the environment."""
    for name in [name for name in os.environ if name.startswith("BALLAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "settings.toml")
    (tmp_path / "books").mkdir()
    return tmp_path


class TestVariables:
    def test_restore__of_one_book__leaves_the_others_variable_of_the_same_asset(
        self, ledger: Ledger, funds_ledger: Ledger, clock: Clock, variables: Variables
    ) -> None:
        own, of_fund = opened(ledger, clock), opened(funds_ledger, clock)
        progress.restore(NAMES, ledger)
        progress.restore(FUND, funds_ledger)

        shown = {name: json.loads(variables.values[name.in_progress("AAPL")]) for name in (NAMES, FUND)}
        assert shown[NAMES]["operation"] == own["operation_id"]
        assert shown[FUND]["operation"] == of_fund["operation_id"]

        with funds_ledger.lease(of_fund["operation_id"], "somebody", timedelta(minutes=1)) as lease:
            lease.cancel("closed")
        before = variables.values[NAMES.in_progress("AAPL")]
        progress.restore(FUND, funds_ledger)
        progress.restore(NAMES, ledger)

        assert FUND.in_progress("AAPL") not in variables.values
        assert variables.values[NAMES.in_progress("AAPL")] == before

    def test_switch_and_hold__of_one_book__say_nothing_about_the_other(self, variables: Variables) -> None:
        variables.values |= {FUND.switch: "halt", FUND.hold: "AAPL"}

        assert (switch.read_switch(NAMES), switch.read_switch(FUND)) == (Switch.RUN, Switch.HALT)
        assert (switch.read_hold(NAMES), switch.read_hold(FUND)) == (Hold(), Hold(frozenset({"AAPL"})))

    def test_switch__of_a_book_without_one__is_drain_whatever_the_others_says(
        self, variables: Variables
    ) -> None:
        assert switch.read_switch(NAMES) is Switch.RUN
        assert switch.read_switch(FUND) is Switch.DRAIN

    def test_trip__of_one_book__leaves_the_other_at_run(self, variables: Variables) -> None:
        variables.values[FUND.switch] = "run"

        switch.trip(FUND)

        assert (variables.values[NAMES.switch], variables.values[FUND.switch]) == ("run", "drain")


class TestTriggers:
    @pytest.mark.parametrize(
        "trigger",
        [
            ConditionTrigger(condition={}, every=1, wake_at="", operation_id="1", book="fund"),
            SwitchTrigger(every=1, wake_at="", operation_id="1", book="fund"),
            BalanceTrigger(every=1, rest=5, book="fund"),
        ],
    )
    def test_serialize__of_a_book__is_read_back_as_of_that_book(self, trigger: Any) -> None:
        path, arguments = trigger.serialize()
        assert arguments["book"] == "fund"

        again = import_string(path)(**json.loads(json.dumps(arguments)))

        assert again.book == "fund"
        assert again.serialize() == (path, arguments)

    @pytest.mark.parametrize(
        ("kind", "arguments"),
        [
            (ConditionTrigger, {"condition": {}, "every": 1, "wake_at": "", "operation_id": "1"}),
            (SwitchTrigger, {"every": 1, "wake_at": "", "operation_id": "1"}),
            (BalanceTrigger, {"every": 1, "rest": 5}),
        ],
    )
    def test_serialize__deferred_before_books_had_names__is_of_the_nameless_one(
        self, kind: Any, arguments: dict[str, Any]
    ) -> None:
        """And stays readable by a triggerer that still runs the older code."""
        trigger = kind(**arguments)

        assert trigger.book == ""
        assert trigger.serialize()[1] == arguments

    def test_shared_venues__of_two_books__are_two_and_closed_apart(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed: list[str] = []

        def connect(given: Settings) -> Any:
            return SimpleNamespace(book=given.book, close=lambda: closed.append(given.book))

        monkeypatch.setattr(triggers, "_venues", {})
        monkeypatch.setattr(triggers, "load_settings", settings)
        monkeypatch.setattr(triggers, "connect", connect)

        assert [triggers.shared_venues(book).book for book in ("", "fund")] == ["", "fund"]  # type: ignore[attr-defined]  # of a fake
        triggers.close_venues("fund")
        triggers.forget_venues("gone")

        assert closed == ["fund"]
        assert list(triggers._venues) == [""]

    def test_shared_hub__of_two_books__are_two_and_each_forgets_its_own_clients(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            own, of_fund = triggers.shared_hub(""), triggers.shared_hub("fund")
            assert own is not of_fund
            assert triggers.shared_hub("fund") is of_fund
            of_fund.refused()

        monkeypatch.setattr(triggers, "_venues", {"": object(), "fund": object()})
        asyncio.run(scenario())

        assert list(triggers._venues) == [""]

    @pytest.mark.parametrize("book", ["", "fund"])
    def test_condition__of_a_book__is_looked_at_in_its_poll_and_by_its_clients(
        self, monkeypatch: pytest.MonkeyPatch, book: str
    ) -> None:
        asked: list[tuple[str, str]] = []

        class Poll:
            def __init__(self, book: str) -> None:
                self.book = book

            async def until(
                self, _condition: object, *, source: Callable[[], object], **_rest: object
            ) -> None:
                asked.append(("poll", self.book))
                source()

        monkeypatch.setattr(triggers, "shared_hub", Poll)
        monkeypatch.setattr(triggers, "shared_venues", lambda book: asked.append(("clients", book)))
        monkeypatch.setattr(sources_of_waits, "source_of", lambda _condition, venues: ("all", venues))
        condition = TokenizationDecided("1").to_dict()

        asyncio.run(
            ConditionTrigger(condition=condition, every=1, wake_at="", operation_id="1", book=book)._until()
        )

        assert asked == [("poll", book), ("clients", book)]

    def test_switch__of_one_book_leaves_halt__wakes_nobody_of_the_other(
        self, clock: Clock, variables: Variables
    ) -> None:
        variables.values |= {NAMES.switch: "halt", FUND.switch: "run"}
        wake_at = (clock() + timedelta(hours=1)).isoformat()
        halted = SwitchTrigger(every=0.001, wake_at=wake_at, operation_id="own")
        free = SwitchTrigger(every=0.001, wake_at=wake_at, operation_id="other", book="fund")

        async def scenario() -> bool:
            waiting = asyncio.ensure_future(halted._until())
            await asyncio.wait_for(free._until(), 10)
            woken = waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
            return woken

        assert asyncio.run(scenario()) is False

    def test_watcher__of_a_book__follows_its_balances_switch_and_hold_list(
        self, monkeypatch: pytest.MonkeyPatch, variables: Variables
    ) -> None:
        asked: list[str] = []

        @contextmanager
        def open_ledger(given: Settings) -> Iterator[str]:
            asked.append(given.ledger_conn_id)
            yield given.ledger_conn_id

        monkeypatch.setattr(watcher, "open_ledger", open_ledger)
        monkeypatch.setattr(watcher, "load_settings", settings)
        own, of_fund = object(), object()
        monkeypatch.setattr(triggers, "_venues", {"": own, "fund": of_fund})
        variables.values |= {FUND.switch: "halt", FUND.hold: "AAPL"}

        found = BalanceTrigger(every=1, rest=5, book="fund")._balances()

        with found._ledger():
            assert asked == ["rebalancing_ledger_fund"]
        assert found._venues() is of_fund
        assert found._steering() == (Switch.HALT, Hold.read("AAPL"))

    def test_leg__of_a_book_at_halt__is_deferred_with_the_book(
        self, ledger: Ledger, clock: Clock, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = settings(book="fund")
        book = SimpleNamespace(ledger=ledger, settings=own, venues=SimpleNamespace(now=clock, settings=own))

        @contextmanager
        def opening(what: Any, _: Any = None) -> Iterator[Any]:
            yield what

        monkeypatch.setattr(operators, "load_settings", settings)
        monkeypatch.setattr(operators, "open_ledger", lambda given: opening(ledger, given))
        monkeypatch.setattr(operators, "open_book", lambda given: opening(book, given))
        variables.values[FUND.switch] = "halt"
        operation = opened(ledger, clock)

        with pytest.raises(TaskDeferred) as found:
            OPERATORS[Leg.MINT](task_id="mint", book="fund", operation=operation).execute(context(Leg.MINT))

        assert isinstance(found.value.trigger, SwitchTrigger)
        assert found.value.trigger.book == "fund"


class Silent:
    """A chain that answers nothing, so that nothing is known of what a move costs."""

    def fees(self) -> Any:
        raise Unavailable("silent")

    def multicall(self, _: Any, *, agreed: bool = False) -> Any:
        raise Unavailable("silent")


class TestTasks:
    """The real functions of the tasks, for two books with a ledger each."""

    @pytest.fixture
    def enter(
        self,
        ledger: Ledger,
        funds_ledger: Ledger,
        clock: Clock,
        variables: Variables,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        variables.values[FUND.switch] = "run"
        by_connection = {"rebalancing_ledger": ledger, "rebalancing_ledger_fund": funds_ledger}

        @contextmanager
        def open_ledger(given: Settings) -> Iterator[Ledger]:
            yield by_connection[given.ledger_conn_id]

        @contextmanager
        def open_venues(given: Settings) -> Iterator[Any]:
            yield SimpleNamespace(settings=given, now=clock, base=Silent())

        def load(*, book: str) -> Settings:
            wallet = {"wallet": OTHER_WALLET} if book else {}
            return settings(book=book, **ENABLED, **wallet)

        def state(dag_id: str, run_id: str) -> str:
            detail = {"status_code": 404}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))

        def task_context() -> Any:
            return {
                "run_id": RUN,
                "dag_run": SimpleNamespace(run_type="scheduled", triggering_user_name=None, conf=None),
                "params": {"dry_run": False, "assets": []},
                "logical_date": clock(),
                "ti": SimpleNamespace(dag_id="rebalancing", get_dagrun_state=state),
            }

        monkeypatch.setattr(tasks, "load_settings", load)
        monkeypatch.setattr(tasks, "open_ledger", open_ledger)
        monkeypatch.setattr(tasks, "open_venues", open_venues)
        monkeypatch.setattr(tasks, "get_current_context", task_context)
        monkeypatch.setattr(ledgers, "utc_now", clock)
        monkeypatch.setattr(snapshot, "take", lambda *_: balances(clock(), AAPL=SHARES))

    @pytest.mark.usefixtures("enter")
    def test_check_and_claim__of_both_books__open_the_same_asset_once_in_each_ledger(
        self, ledger: Ledger, funds_ledger: Ledger, clock: Clock, variables: Variables
    ) -> None:
        checked = {book: tasks.check(book) for book in ("", "fund")}
        clock.pass_(seconds=1)
        handed = {book: tasks.claim(book, MINT, checked[book]) for book in ("", "fund")}

        for book, own in (("", ledger), ("fund", funds_ledger)):
            [operation] = own.operations()
            assert [one["operation_id"] for one in handed[book]] == [operation.id]
            assert tasks.claim(book, MINT, checked[book]) == handed[book]
            shown = json.loads(variables.values[Names(book).in_progress("AAPL")])
            assert shown["operation"] == operation.id

    @pytest.mark.usefixtures("enter")
    def test_claim__the_switch_of_one_book_is_at_drain__the_other_begins(
        self, ledger: Ledger, funds_ledger: Ledger, clock: Clock, variables: Variables
    ) -> None:
        checked = {book: tasks.check(book) for book in ("", "fund")}
        clock.pass_(seconds=1)
        variables.values[NAMES.switch] = "drain"

        assert tasks.claim("", MINT, checked[""]) == []
        assert len(tasks.claim("fund", MINT, checked["fund"])) == 1
        assert (len(ledger.operations()), len(funds_ledger.operations())) == (0, 1)

    @pytest.mark.usefixtures("enter")
    def test_claim__with_the_check_of_another_book__opens_nothing(
        self, ledger: Ledger, funds_ledger: Ledger, clock: Clock
    ) -> None:
        checked = tasks.check("")
        clock.pass_(seconds=1)

        assert tasks.claim("fund", MINT, checked) == []
        assert list(funds_ledger.operations()) == []


class TestAlerts:
    @pytest.fixture
    def told(self, ledger: Ledger, files: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        kept = {"message": "{{ title }}", "extra": "{{ key }}"}
        notifiers = json.dumps([{"notifier": f"{HERE}.Kept", "kwargs": kept}])
        (files / "books" / "fund.toml").touch()
        monkeypatch.setenv("BALLAST__FUND__ALERT_NOTIFIERS", notifiers)
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://flow.test")
        monkeypatch.setattr(alerts, "Variable", Variables())

        @contextmanager
        def opening(given: Settings) -> Iterator[Ledger]:
            assert given.book == "fund"
            yield ledger

        monkeypatch.setattr(alerts, "open_ledger", opening)
        Kept.told.clear()
        return Kept.told

    def test_run_does_not_end__of_a_book__says_and_is_joined_by_its_name(self, told: list[Any]) -> None:
        asyncio.run(alerts.run_does_not_end(book="fund"))

        assert told == [("Ballast fund: A run does not end", "fund:run_overdue:a run")]

    def test_without_ledger__is_remembered_for_the_book_alone(self, told: list[Any]) -> None:
        alerts.tell_without_ledger(load_usable(book="fund")[0], "gone")

        assert [title for title, _ in told] == ["Ballast fund: The ledger cannot be used"]
        assert alerts._remembered(FUND) is not None
        assert alerts._remembered(NAMES) is None

    def test_places__of_a_book__are_its_own_page(self, told: list[Any]) -> None:
        found = alerts.places(load_usable(book="fund")[0])

        assert found.page == "https://flow.test/ballast/books/fund/"
        assert found.runbook == "https://flow.test/ballast/books/fund/runbook"

    def test_steering__of_a_book__asks_for_its_dag_and_hold_list(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def get_dag(dag_id: str) -> Any:
            asked.append(dag_id)
            return SimpleNamespace(is_paused=True)

        def state(dag_id: str, run_id: str) -> str:
            asked.append(dag_id)
            return "running"

        ti = SimpleNamespace(get_dag=get_dag, get_dagrun_state=state)
        seen: Any = SimpleNamespace(late_runs={"one": datetime.now(UTC)})
        variables.values[FUND.hold] = "AAPL; TSLA"

        found = alerts._steering(FUND, seen, {"ti": ti})  # type: ignore[typeddict-item]  # as much as is asked

        assert asked == ["rebalancing_fund", "rebalancing_fund"]
        assert (found.paused, dict(found.running)) == (True, {"one": True})
        assert found.held_wholly


class TestCommands:
    def test_operations__of_a_book__are_those_of_its_ledger(
        self, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (files / "books" / "fund.toml").touch()
        path = files / "book.db"
        connection = json.dumps({"conn_type": "sqlite", "host": str(path)})
        monkeypatch.setenv("AIRFLOW_CONN_REBALANCING_LEDGER_FUND", connection)
        monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
        own = Ledger.open(f"sqlite:///{path}")
        operation = opened(own, ledgers.utc_now)["operation_id"]  # type: ignore[arg-type]  # any clock will do
        own.close()

        assert operations.main(["--book", "fund", "--json", "list"]) == 0

        [found] = json.loads(capsys.readouterr().out)
        assert found["operation"] == operation

    def test_operations__only_named_books_and_none_is_given__lists_them(
        self, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("fund", "other"):
            (files / "books" / f"{name}.toml").touch()
        monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")

        assert operations.main(["list"]) == 1

        assert "the books are fund, other" in capsys.readouterr().err


class TestConnectionForm:
    def test_profile__of_books_that_agree__is_theirs(self, files: Path) -> None:
        for name in ("fund", "other"):
            (files / "books" / f"{name}.toml").write_text('profile = "testnet"', encoding="utf-8")

        assert CircleHook("circle").profile is hooks._profile_of_all()
        assert CircleHook("circle").profile.name == "testnet"

    def test_profile__of_books_that_do_not_agree__is_not_guessed(self, files: Path) -> None:
        (files / "books" / "fund.toml").write_text('profile = "testnet"', encoding="utf-8")
        (files / "books" / "other.toml").write_text('profile = "mainnet"', encoding="utf-8")

        with pytest.raises(ConnectionIncomplete, match="different profiles"):
            _ = CircleHook("circle").profile
