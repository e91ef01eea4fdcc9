from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, AirflowSkipException, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from ballast import tasks
from include import snapshot
from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.operation import Leg, OperationKind
from include.ledger import ledger as ledgers
from include.ledger.records import CheckMode
from include.settings import Settings, load_settings
from include.venues.errors import Unavailable
from tests.support.plans import recorded_check
from tests.support.plans import snapshot as balances
from tests.unit.plugins.fakes import NAMES, RUN, opened, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Variables

MINT = OperationKind.MINT.value
SHARES = (Decimal(19), Decimal(81))
ENABLED = {"rebalancing_enabled": "true", "redemption_wallet": "0x" + "33" * 20}


class Runs:
    """The state of Airflow's runs, as a task asks for it."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == "rebalancing"
        if run_id in self.states:
            return self.states[run_id]
        detail = {"status_code": 404, "message": "not found"}
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


class Silent:
    """A chain that answers nothing, so that nothing is known of what a move costs."""

    def fees(self) -> Any:
        raise Unavailable("silent")

    def multicall(self, _: Any, *, agreed: bool = False) -> Any:
        raise Unavailable("silent")


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def enter(
    ledger: Ledger, clock: Clock, variables: Variables, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Put a task into a run, with settings of its own."""

    @contextmanager
    def open_ledger(_: Settings) -> Iterator[Ledger]:
        yield ledger

    @contextmanager
    def open_venues(given: Settings) -> Iterator[Any]:
        yield SimpleNamespace(settings=given, now=clock, base=Silent())

    def enter(
        own: Settings | None = None,
        run_id: str = RUN,
        run_type: str = "scheduled",
        logical_date: Any = None,
        **params: Any,
    ) -> None:
        runs_of_dag = SimpleNamespace(dag_id="rebalancing", get_dagrun_state=runs.get_dagrun_state)
        context = {
            "run_id": run_id,
            "dag_run": SimpleNamespace(run_type=run_type, triggering_user_name="ada", conf=None),
            "params": {"dry_run": False, "assets": [], **params},
            "logical_date": logical_date or clock(),
            "ti": runs_of_dag,
        }
        monkeypatch.setattr(tasks, "get_current_context", lambda: context)
        monkeypatch.setattr(tasks, "load_settings", lambda *, book: own or settings(**ENABLED))

    monkeypatch.setattr(tasks, "open_ledger", open_ledger)
    monkeypatch.setattr(tasks, "open_venues", open_venues)
    monkeypatch.setattr(ledgers, "utc_now", clock)
    monkeypatch.setattr(
        snapshot, "take", lambda venues, _: balances(clock(), AAPL=SHARES, USDC=(Decimal(50), Decimal(50)))
    )
    return enter


def planned(ledger: Ledger, clock: Clock) -> dict[str, Any]:
    """Record a check that plans one mint, and return what the task `check` returned then."""
    operation = PlannedOperation(OperationKind.MINT, "AAPL", Decimal(31))
    decision = Decision("AAPL", Reason.PLANNED, "too many shares", operation=operation)
    check_id = recorded_check(ledger, clock(), decision, AAPL=SHARES)
    clock.pass_(seconds=1)
    return {"check": check_id, "mode": "live", "decisions": {}, "kinds": [MINT]}


def nothing_planned(ledger: Ledger) -> dict[str, Any]:
    """Return what the task `check` returns when all it found of a kind is open already."""
    return {"check": ledger.operations()[0].check_id, "mode": "observe", "kinds": [MINT]}


def test_check__out_of_band__says_what_is_planned(enter: Callable[..., None], ledger: Ledger) -> None:
    enter()

    found = tasks.check("")

    assert found["mode"] == "live"
    assert found["decisions"] == {"AAPL": "planned", "USDC": "balanced"}
    assert found["kinds"] == [MINT]
    assert [decision.reason.value for decision in ledger.decisions(found["check"])] == ["planned", "balanced"]
    assert ledger.operations() == []


def test_check__disabled__observes(enter: Callable[..., None]) -> None:
    enter(settings())

    found = tasks.check("")

    assert (found["mode"], found["decisions"]["AAPL"]) == ("observe", "rebalancing_disabled")
    assert found["kinds"] == []


def test_check__dry_run__plans_nothing(enter: Callable[..., None]) -> None:
    enter(dry_run=True)

    found = tasks.check("")

    assert (found["mode"], found["decisions"]["AAPL"], found["kinds"]) == ("dry_run", "dry_run", [])


def test_check__other_assets_are_chosen__leaves_this_one_alone(enter: Callable[..., None]) -> None:
    enter(assets=["USDC"])

    assert tasks.check("")["decisions"]["AAPL"] == "not_selected"


@pytest.mark.parametrize("value", ["drain", "halt"])
def test_check__switch_is_not_at_run__plans_nothing(
    enter: Callable[..., None], variables: Variables, value: str
) -> None:
    variables.values[NAMES.switch] = value
    enter()

    assert tasks.check("")["decisions"]["AAPL"] == "switch_not_at_run"


@pytest.mark.parametrize(("value", "reason"), [("aapl", "held"), ("AAPL;", "held"), ("USDC", "planned")])
def test_check__hold_list__is_read(
    enter: Callable[..., None], variables: Variables, value: str, reason: str
) -> None:
    variables.values[NAMES.hold] = value
    enter()

    assert tasks.check("")["decisions"]["AAPL"] == reason


def test_check__hold_list_names_an_asset_that_is_not_there__says_so(
    enter: Callable[..., None], variables: Variables, told: list[str]
) -> None:
    variables.values[NAMES.hold] = "APPL, AAPL"
    enter()

    tasks.check("")

    assert told == ["held, but not among the assets of the settings: APPL"]


BY_HAND = {"kind": "mint", "asset": "AAPL", "amount": "5", "reason": "month end"}


def test_check__asked_for_by_hand__plans_just_that_and_records_who_asked(
    enter: Callable[..., None], ledger: Ledger
) -> None:
    enter(**BY_HAND)

    found = tasks.check("")

    assert (found["decisions"]["AAPL"], found["kinds"]) == ("planned", [MINT])
    [decision] = [one for one in ledger.decisions(found["check"]) if one.asset == "AAPL"]
    assert decision.operation == PlannedOperation(OperationKind.MINT, "AAPL", Decimal(5))
    assert decision.asked is not None
    assert (decision.asked.by, decision.asked.reason) == ("ada", "month end")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": None}, "kind: is needed"),
        ({"asset": "USDC"}, "kind: mint cannot move USDC"),
        ({"amount": "0"}, "amount: is above 0"),
        ({"reason": None}, "reason: is needed"),
        ({"assets": ["AAPL"]}, "assets: is left empty"),
    ],
)
def test_check__asked_for_wrongly__fails_before_anything_is_read(
    enter: Callable[..., None],
    ledger: Ledger,
    changes: dict[str, Any],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(**{**BY_HAND, **changes})
    monkeypatch.setattr(tasks, "open_venues", lambda _: pytest.fail("a venue was opened"))

    with pytest.raises(AirflowFailException, match=complaint):
        tasks.check("")

    assert ledger.snapshot_before(datetime.max.replace(tzinfo=UTC)) is None


def test_check__asked_for_too_much__is_recorded_and_fails_with_the_most_that_would_do(
    enter: Callable[..., None], ledger: Ledger, variables: Variables
) -> None:
    enter(settings(**ENABLED, equity_daily_maximum="4"), **BY_HAND)

    with pytest.raises(AirflowFailException, match=r"over_daily_limit: .* The most that would do is 4\."):
        tasks.check("")

    assert variables.values[NAMES.switch] == "run"  # the day's limit is not reached by a wish
    assert ledger.snapshot_before(datetime.max.replace(tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("own", "params", "reason"),
    [(settings(**ENABLED), {"dry_run": True}, "dry_run"), (settings(), {"dry_run": True}, "dry_run")],
)
def test_check__asked_for_as_a_dry_run__says_what_it_would_do(
    enter: Callable[..., None], own: Settings, params: dict[str, Any], reason: str
) -> None:
    enter(own, **{**BY_HAND, **params})

    found = tasks.check("")

    assert (found["kinds"], found["mode"]) == ([], "dry_run")
    assert found["decisions"]["AAPL"] in (reason, "rebalancing_disabled")


def test_check__asked_for_where_nothing_may_move__fails(enter: Callable[..., None], ledger: Ledger) -> None:
    enter(settings(), **BY_HAND)

    with pytest.raises(AirflowFailException, match="rebalancing_disabled"):
        tasks.check("")

    assert ledger.operations() == []


def test_run_by_hand__run_again_from_the_start__moves_it_once(
    enter: Callable[..., None], ledger: Ledger, clock: Clock
) -> None:
    enter(**BY_HAND)
    first = tasks.claim("", MINT, tasks.check(""))
    clock.pass_(seconds=1)
    assert tasks.claim("", MINT, tasks.check("")) == first  # it is still open, and handed out again
    with ledger.lease(first[0]["operation_id"], "a leg", timedelta(minutes=1)) as lease:
        lease.finish(Leg.MINT, amount_out=5 * 10**9)
    clock.pass_(seconds=1)

    again = tasks.check("")

    assert again["decisions"]["AAPL"] == "asked_before"
    assert tasks.claim("", MINT, again) == []
    assert len(ledger.operations()) == 1


SPENT = {**ENABLED, "equity_daily_maximum": "31"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged as a warning or an error."""
    found: list[str] = []

    def tell(text: str, *parts: object) -> None:
        found.append(text % parts)

    log = SimpleNamespace(info=lambda *_: None, warning=tell, error=tell)
    monkeypatch.setattr(tasks, "log", log)
    return found


@pytest.fixture
def a_full_day(ledger: Ledger, clock: Clock) -> None:
    """31 shares of another stock are on their way."""
    check_id = recorded_check(ledger, clock(), AAPL=SHARES)
    kind = OperationKind.MINT
    ledger.claim(
        kind=kind,
        asset="TSLA",
        amount=31 * 10**9,
        decimals=kind.decimals,
        check_id=check_id,
        run_id="another",
        taken_at=clock(),
    )
    clock.pass_(seconds=1)


@pytest.mark.usefixtures("a_full_day")
def test_check__daily_maximum_reached__turns_the_switch_to_drain_and_says_which(
    enter: Callable[..., None], variables: Variables, told: list[str]
) -> None:
    enter(settings(**SPENT))

    assert tasks.check("")["decisions"]["AAPL"] == "over_daily_limit"

    assert variables.values[NAMES.switch] == "drain"
    (line,) = told
    assert line.startswith("a daily maximum is reached, so rebalancing_switch is turned to drain. AAPL: ")
    assert line.endswith("the daily maximum of all equities is 31, 31 is moved today, 0 is left.")
    assert tasks.check("")["decisions"]["AAPL"] == "switch_not_at_run"


@pytest.mark.usefixtures("a_full_day")
def test_check__just_below_the_daily_maximum__leaves_the_switch_at_run(
    enter: Callable[..., None], variables: Variables, told: list[str]
) -> None:
    enter(settings(**{**ENABLED, "equity_daily_maximum": "31.01"}))

    assert tasks.check("")["decisions"]["AAPL"] == "planned"

    assert variables.values[NAMES.switch] == "run"
    assert told == []


@pytest.mark.usefixtures("a_full_day")
@pytest.mark.parametrize("why", ["dry run", "backfill", "disabled", "halt"])
def test_check__daily_maximum_reached_where_nothing_may_move__leaves_the_switch_alone(
    enter: Callable[..., None], variables: Variables, ledger: Ledger, clock: Clock, why: str
) -> None:
    recorded_check(ledger, clock(), AAPL=SHARES, USDC=SHARES)
    variables.values[NAMES.switch] = before = "halt" if why == "halt" else "run"
    own = settings(**{**SPENT, "rebalancing_enabled": str(why != "disabled")})
    enter(own, run_type="backfill" if why == "backfill" else "scheduled", dry_run=why == "dry run")

    tasks.check("")

    assert variables.values[NAMES.switch] == before


def test_check__operation_is_open__tells_its_kind_to_the_claims(
    enter: Callable[..., None], ledger: Ledger, clock: Clock
) -> None:
    opened(ledger, clock, OperationKind.USDC_BASE_TO_ALPACA)
    enter()

    assert tasks.check("")["kinds"] == [MINT, "usdc_base_to_alpaca"]


def test_check__variables_were_edited__puts_them_right(
    enter: Callable[..., None], variables: Variables
) -> None:
    variables.values[NAMES.in_progress("TSLA")] = "by hand"
    enter()

    tasks.check("")

    assert NAMES.in_progress("TSLA") not in variables.values


def test_check__nothing_is_set_up__is_skipped_and_names_what_is_missing(enter: Callable[..., None]) -> None:
    enter(load_settings(environ={}))

    with pytest.raises(AirflowSkipException, match="wallet, ethereum_rpc_url, base_rpc_url"):
        tasks.check("")


def test_check__backfill__replays_what_was_recorded(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_check(ledger, clock(), AAPL=SHARES, USDC=SHARES)
    monkeypatch.setattr(snapshot, "take", None)  # nothing may be read
    enter(run_type="backfill", logical_date=clock() + timedelta(minutes=2))

    found = tasks.check("")

    assert (found["mode"], found["decisions"]["AAPL"], found["kinds"]) == ("replay", "dry_run", [])


def test_check__backfill_of_a_time_before_the_first__is_skipped_and_says_so(
    enter: Callable[..., None], ledger: Ledger, clock: Clock
) -> None:
    recorded_check(ledger, clock(), AAPL=SHARES)
    enter(run_type="backfill", logical_date=clock() - timedelta(minutes=5))

    with pytest.raises(AirflowSkipException, match="nothing to replay"):
        tasks.check("")


def test_claim__planned__opens_shows_and_hands_out(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, variables: Variables
) -> None:
    enter()

    handed = tasks.claim("", MINT, planned(ledger, clock))

    (operation,) = ledger.operations()
    assert handed == [{"operation_id": operation.id, "asset": "AAPL", "label": "31 AAPL shares"}]
    assert operation.run_id == RUN
    assert NAMES.in_progress("AAPL") in variables.values


def test_claim__tried_again__hands_out_the_same(
    enter: Callable[..., None], ledger: Ledger, clock: Clock
) -> None:
    enter()
    checked = planned(ledger, clock)

    assert tasks.claim("", MINT, checked) == tasks.claim("", MINT, checked)
    assert len(ledger.operations()) == 1


def test_claim__another_kind__opens_nothing(enter: Callable[..., None], ledger: Ledger, clock: Clock) -> None:
    enter()
    checked = {**planned(ledger, clock), "kinds": [MINT, "redemption"]}

    assert tasks.claim("", "redemption", checked) == []
    assert ledger.operations() == []


def test_claim__nothing_of_the_kind__does_not_even_open_the_ledger(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter()
    monkeypatch.setattr(tasks, "open_ledger", None)

    assert tasks.claim("", "redemption", planned(ledger, clock)) == []


@pytest.mark.parametrize("mode", [CheckMode.DRY_RUN, CheckMode.REPLAY])
def test_claim__in_a_run_that_moves_nothing__opens_and_adopts_nothing(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, mode: CheckMode
) -> None:
    opened(ledger, clock)  # of a run that is no more
    enter(run_id="another")

    assert tasks.claim("", MINT, {**planned(ledger, clock), "mode": mode.value}) == []
    assert [operation.run_id for operation in ledger.operations()] == [RUN]


@pytest.mark.parametrize("value", ["drain", "halt"])
def test_claim__switched_since_the_check__opens_nothing(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, variables: Variables, value: str
) -> None:
    enter()
    checked = planned(ledger, clock)
    variables.values[NAMES.switch] = value

    assert tasks.claim("", MINT, checked) == []
    assert ledger.operations() == []


def test_claim__held_since_the_check__opens_nothing(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, variables: Variables
) -> None:
    enter()
    checked = planned(ledger, clock)
    variables.values[NAMES.hold] = "AAPL"

    assert tasks.claim("", MINT, checked) == []
    assert ledger.operations() == []


@pytest.mark.parametrize(
    ("state", "adopted"),
    [("running", False), ("queued", False), ("failed", True), ("success", True), (None, True)],
)
def test_claim__operation_of_another_run__is_adopted_once_that_is_over(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, runs: Runs, state: str | None, adopted: bool
) -> None:
    operation = opened(ledger, clock)
    if state is not None:
        runs.states[RUN] = state
    enter(run_id="another")

    handed = tasks.claim("", MINT, nothing_planned(ledger))

    assert [entry["operation_id"] for entry in handed] == ([operation["operation_id"]] if adopted else [])
    assert ledger.operations()[0].run_id == ("another" if adopted else RUN)


def test_claim__airflow_cannot_tell_about_a_run__adopts_nothing_and_fails(
    enter: Callable[..., None],
    ledger: Ledger,
    clock: Clock,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: str) -> str:
        detail = {"status_code": 500}
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))

    opened(ledger, clock)
    monkeypatch.setattr(runs, "get_dagrun_state", refuse)
    enter(run_id="another")

    with pytest.raises(AirflowRuntimeError):
        tasks.claim("", MINT, nothing_planned(ledger))

    assert ledger.operations()[0].run_id == RUN


def test_claim__more_than_airflow_maps_over__hands_out_as_many_as_it_does(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others stay open and this run's; the next run adopts them when it is over."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "1")
    opened(ledger, clock)
    kind = OperationKind.MINT
    ledger.claim(
        kind=kind,
        asset="TSLA",
        amount=1,
        decimals=kind.decimals,
        check_id=ledger.operations()[0].check_id,
        run_id=RUN,
        taken_at=clock() + timedelta(seconds=1),
    )
    enter()

    handed = tasks.claim("", MINT, nothing_planned(ledger))

    assert len(handed) == 1
    assert len(ledger.operations(only_open=True)) == 2


def test_claim__settled_operation__is_not_handed_out_again(
    enter: Callable[..., None], ledger: Ledger, clock: Clock
) -> None:
    enter()
    checked = planned(ledger, clock)
    (handed,) = tasks.claim("", MINT, checked)
    with ledger.lease(handed["operation_id"], "somebody", timedelta(minutes=1)) as lease:
        lease.finish(Leg.MINT, amount_out=1)

    assert tasks.claim("", MINT, checked) == []
