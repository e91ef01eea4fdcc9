from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import airflow.utils.session
import pytest
from airflow.models.pool import Pool
from airflow.sdk.exceptions import AirflowFailException
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from ballast import doctor
from ballast.hooks import EvmHook
from include import doctor as every
from include.book import Network
from include.doctor import ABOUT_AIRFLOW, Finding, Level
from include.settings import load_settings
from include.venues.errors import Unavailable
from tests.unit.plugins.fakes import NAMES, WALLET, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.doctor import Subject

KEY = "0x998bd528edf3a7a14e193310099515b511f2ad21b0f49bbe9b9211ed2e33ce7a"  # of WALLET, for play money
CONNECTIONS: dict[str, dict[str, Any]] = {
    "alpaca": {"login": "SENTINELKEY", "password": "sentinel-secret", "extra": {"account_id": "5f5a52a4"}},
    "circle": {},
    "evm_wallet": {"login": WALLET, "password": KEY},
    "rebalancing_ledger": {"conn_type": "sqlite", "host": "nowhere/ledger.db"},
}
OK = Finding("thing", Level.OK, "fine")
BAD = Finding("other", Level.FAILURE, "bad", "Mend it.")


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put settings and Connections where Airflow finds them, all of them unless changed."""

    def put(**changed: dict[str, Any] | None) -> None:
        monkeypatch.setattr(doctor, "load_settings", settings)
        for conn_id, values in (CONNECTIONS | changed).items():
            if values is not None:
                value = json.dumps({"conn_type": conn_id, **values})
                monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)

    return put


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """Collect what would be examined; no venue is asked."""
    subjects: list[Subject] = []

    def examine(subject: Subject) -> list[Finding]:
        subjects.append(subject)
        return []

    monkeypatch.setattr(every, "examine", examine)
    return subjects


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Return what is found where Airflow has these pools: slots, and whether deferred tasks are counted."""

    def found(**known: tuple[int, bool]) -> list[Finding]:
        engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
        Pool.__table__.create(engine)
        with Session(engine) as session, session.begin():
            for name, (slots, deferred) in known.items():
                session.add(Pool(pool=name, slots=slots, include_deferred=deferred))

        @contextmanager
        def create_session() -> Iterator[Session]:
            with Session(engine) as session:
                yield session

        monkeypatch.setattr(airflow.utils.session, "create_session", create_session)
        return doctor.pools(NAMES)

    return found


def of(findings: list[Finding], check: str) -> list[tuple[Level, str]]:
    return [(finding.level, finding.found) for finding in findings if finding.check == check]


def test_pools__as_they_should_be__are_ok(pools: Callable[..., list[Finding]]) -> None:
    found = pools(rebalancing_check=(1, False), rebalancing_operations=(32, True))

    assert of(found, "pool") == [
        (Level.OK, "rebalancing_check has 1 slot"),
        (Level.OK, "rebalancing_operations has 32 slots, deferred tasks counted"),
    ]


@pytest.mark.parametrize(
    ("known", "level", "text"),
    [
        ({"rebalancing_check": (1, False)}, Level.FAILURE, "rebalancing_operations is missing"),
        ({"rebalancing_operations": (8, True)}, Level.FAILURE, "rebalancing_check is missing"),
        (
            {"rebalancing_check": (1, False), "rebalancing_operations": (0, True)},
            Level.FAILURE,
            "rebalancing_operations has no slots",
        ),
        (
            {"rebalancing_check": (1, False), "rebalancing_operations": (8, False)},
            Level.WARNING,
            "does not count deferred tasks",
        ),
        ({"rebalancing_check": (3, False), "rebalancing_operations": (8, True)}, Level.WARNING, "3 slots"),
    ],
)
def test_pools__one_is_not__is_found(
    pools: Callable[..., list[Finding]], known: dict[str, tuple[int, bool]], level: Level, text: str
) -> None:
    (finding,) = [finding for finding in pools(**known) if finding.level is not Level.OK]

    assert finding.level is level
    assert text in finding.found
    assert finding.advice


def test_database__not_there__is_said_and_not_made() -> None:
    (finding,) = doctor.examine_with_database("")

    assert finding.level is Level.FAILURE
    assert "there is no Airflow here" in finding.found
    assert "AIRFLOW_HOME" in finding.advice


def test_database__without_tables__cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "airflow.db").touch()
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'airflow.db'}")

    def create_session() -> None:
        raise OperationalError("SELECT", {}, Exception("no such table"))

    monkeypatch.setattr(airflow.utils.session, "create_session", create_session)

    assert "cannot be read: OperationalError" in str(doctor.database_problem())


def test_settings__wrong__are_all_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(**_: str) -> Any:
        return load_settings(environ={"BALLAST_WALLET": "0x1", "BALLAST_REBALANCING_TARGET_RATIO": "2"})

    monkeypatch.setattr(doctor, "load_settings", wrong)

    found = doctor.examine("")

    assert {finding.check for finding in found} == {"settings"}
    assert {finding.level for finding in found} == {Level.FAILURE}
    assert len(found) == 2


def test_settings__observing__say_that_nothing_is_begun_and_what_is_missing(
    give: Callable[..., None], examined: list[Subject]
) -> None:
    give()

    found = of(doctor.examine(""), "settings")

    assert found == [
        (Level.FAILURE, "redemption_wallet is missing: rebalancing_enabled needs it"),
        (Level.WARNING, "profile mainnet; rebalancing_enabled is false, so nothing is begun"),
    ]


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("run", Level.OK),
        (" Run ", Level.OK),
        ("drain", Level.WARNING),
        ("halt", Level.WARNING),
        (None, Level.WARNING),
        ("rum", Level.FAILURE),
    ],
)
def test_switch__is_judged_by_what_it_means(
    monkeypatch: pytest.MonkeyPatch, value: str | None, level: Level
) -> None:
    # The real Variable, which asks the environment first, as there is no task.
    if value is not None:
        monkeypatch.setenv(f"AIRFLOW_VAR_{NAMES.switch.upper()}", value)

    assert doctor._switch(NAMES).level is level


@pytest.mark.parametrize(
    ("value", "level", "text"),
    [
        (None, Level.OK, "nothing is held"),
        ("[]", Level.OK, "nothing is held"),
        ("usdc", Level.WARNING, "USDC: nothing is begun for what is held"),
        ("USDC, APPL", Level.WARNING, "rebalancing_hold names APPL, which is in no setting"),
        ("not this!", Level.FAILURE, "the hold list is not a list of symbols"),
    ],
)
def test_hold_list__is_judged_by_what_it_means(
    monkeypatch: pytest.MonkeyPatch, value: str | None, level: Level, text: str
) -> None:
    if value is not None:
        monkeypatch.setenv(f"AIRFLOW_VAR_{NAMES.hold.upper()}", value)

    found = doctor._hold(settings())

    assert found.level is level
    assert found.found.startswith(text)
    assert bool(found.advice) is (level is not Level.OK)


def test_connection__what_signs_does_not_answer__says_so(
    give: Callable[..., None], examined: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: EvmHook) -> None:
        raise Unavailable(f"the signer is away, and repeats {KEY}")

    give()
    monkeypatch.setattr(EvmHook, "get_conn", away)

    found = of(doctor.examine(""), "Connection")

    assert (Level.FAILURE, "the signer is away, and repeats ***") in found
    assert examined[0].signer is None


def test_connections__complete__are_ok_and_opened(give: Callable[..., None], examined: list[Subject]) -> None:
    give()

    found = of(doctor.examine(""), "Connection")

    assert found == [(Level.OK, f"{conn_id} is complete") for conn_id in CONNECTIONS]
    (subject,) = examined
    assert subject.alpaca is not None
    assert subject.attestations is not None
    assert subject.signer == WALLET
    assert str(subject.ledger_url).endswith("nowhere/ledger.db")
    assert {network: chain.chain_id for network, chain in subject.chains.items()} == {
        Network.ETHEREUM: 1,
        Network.BASE: 8453,
    }
    assert set(subject.secrets) == {"SENTINELKEY", "sentinel-secret", KEY}


def test_connections__missing__are_named_and_the_others_are_opened(
    give: Callable[..., None], examined: list[Subject]
) -> None:
    give(alpaca=None, evm_wallet=None)

    found = doctor.examine("")

    failed = [text for level, text in of(found, "Connection") if level is Level.FAILURE]
    assert ["'alpaca' is missing" in failed[0], "'evm_wallet' is missing" in failed[1]] == [True, True]
    (subject,) = examined
    assert subject.alpaca is None
    assert subject.signer is None
    assert subject.attestations is not None


def test_connections__wrong__are_found_and_nothing_secret_is_shown(
    give: Callable[..., None], examined: list[Subject]
) -> None:
    give(
        evm_wallet={"login": WALLET, "password": KEY[:-2]},
        alpaca=CONNECTIONS["alpaca"] | {"extra": {"account_id": "5f5a52a4", "auth": "sentinel-secret"}},
        rebalancing_ledger={"conn_type": "mysql", "password": "sentinel-password", "host": "db"},
    )

    found = doctor.examine("")

    assert sum(level is Level.FAILURE for level, _ in of(found, "Connection")) == 3
    shown = json.dumps([finding.to_dict() for finding in found])
    for secret in ("SENTINELKEY", "sentinel-secret", "sentinel-password", KEY[2:-2]):
        assert secret not in shown


def test_settings__without_urls__leave_the_chains_out(
    give: Callable[..., None], examined: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    give()
    monkeypatch.setattr(doctor, "load_settings", lambda **_: settings(ethereum_rpc_url=""))

    found = doctor.examine("")

    assert (Level.FAILURE, "ethereum_rpc_url is missing: rebalancing_enabled needs it") in of(
        found, "settings"
    )
    assert list(examined[0].chains) == [Network.BASE]


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    values: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: values.update({key: value}))
    monkeypatch.setattr(doctor, "get_current_context", lambda: {"ti": ti})
    return values


def test_task__all_is_well__logs_each_line_and_pushes_what_was_found(
    monkeypatch: pytest.MonkeyPatch, pushed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: [OK])

    with caplog.at_level(logging.INFO):
        doctor.doctor("")

    assert caplog.messages[0] == "ok      thing: fine"
    assert any("make doctor" in message for message in caplog.messages)
    assert caplog.messages[-1] == "1 ok, 0 warnings, 0 failures"
    assert pushed == {"findings": [OK.to_dict()]}


def test_task__a_failure__fails_after_pushing_what_was_found(
    monkeypatch: pytest.MonkeyPatch, pushed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: [OK, BAD])

    with pytest.raises(AirflowFailException, match="1 failure"):
        doctor.doctor("")

    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "FAILURE other: bad",
        "        -> Mend it.",
    ]
    assert pushed["findings"] == [OK.to_dict(), BAD.to_dict()]


def test_checks_of_airflow__each_say_what_they_read_and_what_to_do() -> None:
    for about in ABOUT_AIRFLOW:
        assert about.reads.endswith(".")
        assert about.advice.endswith(".")
