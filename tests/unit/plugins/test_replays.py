"""A backfill moves nothing, whatever it sets otherwise; and a run that may move sets nothing otherwise."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from sqlalchemy import select

from ballast import progress, replays, switch, tasks
from include.domain.operation import Leg, OperationKind
from include.ledger import ledger as ledgers
from include.ledger.schema import Base
from include.replay.overrides import Overrides
from tests.support.plans import recorded_check
from tests.unit.plugins.fakes import RUN, opened, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock

SHARES = (Decimal(19), Decimal(81))
OTHER_TABLES = {"checks", "decisions", "replays", "replay_runs", "alembic_version"}
CONFS: list[dict[str, Any]] = [
    {},
    {"deviation": 0.01, "target": 0.9},
    {"dry_run": False, "replay_name": "a name"},
    {"dry_run": True, "deviation": "0.05", "assets": []},
    {"per_asset": {"AAPL": {"target": 0, "deviation": 0, "minimum": 0}}, "max_open_operations": 9},
    {"equity_maximum": 1, "usdc_maximum": 100, "settle_cooldown": 0, "refusal_cooldown": "0s"},
]
ENABLED = {"rebalancing_enabled": "true", "redemption_wallet": "0x" + "33" * 20}


class Touched(AssertionError):
    """Something was asked that a replay must not ask."""


class Untouchable:
    """Stands for venues, Variables and Airflow's runs: whoever asks it anything fails the test."""

    def __getattr__(self, name: str) -> Any:
        raise Touched(name)

    def __call__(self, *args: Any, **more: Any) -> Any:
        raise Touched(args)


@pytest.fixture
def enter(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a task into a run of a backfill, where nothing outside of the ledger may be touched."""

    class Opened:
        def __init__(self, _: Settings) -> None:
            pass

        def __enter__(self) -> Ledger:
            return ledger

        def __exit__(self, *_: object) -> None:
            pass

    def enter(conf: Any = None, *, run_type: str = "backfill", own: Settings | None = None) -> None:
        declared: dict[str, Any] = {"dry_run": False, "assets": [], **dict.fromkeys(replays.FIELDS)}
        context = {
            "run_id": RUN,
            "dag_run": SimpleNamespace(run_type=run_type, conf=conf),
            "dag": SimpleNamespace(params=declared),
            "params": {**declared, **(conf or {})},
            "logical_date": clock(),
            "ti": Untouchable(),
        }
        monkeypatch.setattr(tasks, "get_current_context", lambda: context)
        monkeypatch.setattr(tasks, "load_settings", lambda *, book: own or settings(**ENABLED))

    monkeypatch.setattr(tasks, "open_ledger", Opened)
    monkeypatch.setattr(tasks, "open_venues", Untouchable())
    for module in (progress, switch):
        monkeypatch.setattr(module, "Variable", Untouchable())
    monkeypatch.setattr(ledgers, "utc_now", clock)
    return enter


def rows(ledger: Ledger) -> dict[str, list[Any]]:
    """Return every row that says what was moved or is to be, or who may move it."""
    with ledger.engine.connect() as connection:
        return {
            table.name: list(connection.execute(select(table)))
            for table in Base.metadata.sorted_tables
            if table.name not in OTHER_TABLES
        }


@pytest.fixture
def past(ledger: Ledger, clock: Clock) -> None:
    """A past with a closed operation, an open one half-way, and one that is out of its band now."""
    first = opened(ledger, clock)
    clock.pass_(minutes=1)
    with ledger.lease(first["operation_id"], "somebody", timedelta(minutes=1)) as lease:
        lease.finish(Leg.MINT, amount_out=31_000_000_000)
    clock.pass_(minutes=1)
    second = opened(ledger, clock, OperationKind.USDC_BASE_TO_ALPACA)
    with ledger.lease(second["operation_id"], "somebody", timedelta(minutes=1)) as lease:
        effect = lease.intend(Leg.BRIDGE, "burn", {"network": "base"}, irreversible=True)
        lease.sent(effect)
    clock.pass_(minutes=1)
    recorded_check(ledger, clock(), AAPL=SHARES, USDC=SHARES)


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("conf", CONFS)
@pytest.mark.parametrize("enabled", [True, False])
def test_backfill__whatever_it_sets__moves_nothing_and_touches_nothing(
    enter: Callable[..., None], ledger: Ledger, clock: Clock, conf: dict[str, Any], enabled: bool
) -> None:
    before = rows(ledger)
    enter(conf, own=settings(**ENABLED) if enabled else settings())

    checked = tasks.check("")
    claimed = [
        tasks.claim("", kind.value, {**checked, "kinds": list(OperationKind)}) for kind in OperationKind
    ]

    assert checked["mode"] == "replay"
    assert claimed == [[], [], [], []]
    assert rows(ledger) == before
    assert all(one.operation is None for one in ledger.decisions(checked["check"]))


@pytest.mark.usefixtures("past")
def test_backfill__conf_in_the_form__decides_by_it(enter: Callable[..., None]) -> None:
    enter({"deviation": 0.4})
    assert tasks.check("")["decisions"]["AAPL"] == "balanced"
    enter({"deviation": "0.1"})
    assert tasks.check("")["decisions"]["AAPL"] == "dry_run"


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"deviaton": 1}, "deviaton: is not a setting of a replay; is deviation meant?"),
        ({"deviation": -1}, "deviation: "),
        ({"assets": ["AAPL"]}, "assets: is of no use in a backfill"),
        ({"stop_deviation": 0.9}, "stop_deviation: must be less"),
        ({"target": 2, "assets": ["AAPL"]}, "assets: .*target: "),
    ],
)
@pytest.mark.usefixtures("past")
def test_backfill__wrong_conf__fails_for_good_and_names_the_field(
    enter: Callable[..., None], ledger: Ledger, conf: dict[str, Any], words: str
) -> None:
    before = rows(ledger)
    enter(conf)
    with pytest.raises(AirflowFailException, match=words):
        tasks.check("")
    assert rows(ledger) == before


@pytest.mark.usefixtures("past")
def test_backfill__outside_the_tolerance__is_skipped_and_says_why(
    enter: Callable[..., None], clock: Clock
) -> None:
    clock.pass_(minutes=3)
    enter({"replay_tolerance": "2m"})
    with pytest.raises(AirflowSkipException, match="may be 0:02:00 old, so there is nothing to replay"):
        tasks.check("")
    enter({"replay_tolerance": "4m"})
    assert tasks.check("")["mode"] == "replay"


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_run_that_may_move__sets_what_only_a_replay_may__fails_before_anything_is_read(
    enter: Callable[..., None], run_type: str
) -> None:
    enter({"deviation": 0.1, "replay_name": "a name"}, run_type=run_type)
    with pytest.raises(AirflowFailException, match="replay_name, deviation: may be set in a backfill only"):
        tasks.check("")


def test_fields__of_the_form__are_those_of_the_model() -> None:
    assert set(replays.FIELDS) == set(Overrides.model_fields)
    assert {name: param.value for name, param in replays.params().items()} == dict.fromkeys(replays.FIELDS)
