from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from ballast import switch
from ballast.switch import read_hold, read_switch, trip
from include.check import Switch
from include.domain.limits import Hold
from tests.unit.plugins.fakes import NAMES

if TYPE_CHECKING:
    from tests.unit.plugins.fakes import Variables


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("run", Switch.RUN),
        (" Drain\n", Switch.DRAIN),
        ("HALT", Switch.HALT),
        ("runn", Switch.DRAIN),
        ("", Switch.DRAIN),
    ],
)
def test_read_switch__says__what_the_variable_says(variables: Variables, value: str, meaning: Switch) -> None:
    variables.values[NAMES.switch] = value

    assert read_switch(NAMES) is meaning


def test_read_switch__missing__is_drain(variables: Variables) -> None:
    del variables.values[NAMES.switch]

    assert read_switch(NAMES) is Switch.DRAIN


def test_read_switch__there_but_unreadable__is_halt(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow gives the default also when it could not be asked."""
    monkeypatch.setattr(variables, "get", lambda key, default=None: default)

    assert read_switch(NAMES) is Switch.HALT


def refuse(*_: Any, **__: Any) -> Any:
    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))


def test_read_switch__airflow_cannot_be_asked__is_halt(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "get", lambda key, default=None: default)
    monkeypatch.setattr(variables, "keys", refuse)

    assert read_switch(NAMES) is Switch.HALT


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged as an error."""
    found: list[str] = []
    log = SimpleNamespace(error=lambda text, *parts: found.append(text % parts))
    monkeypatch.setattr(switch, "log", log)
    return found


@pytest.mark.parametrize(
    ("value", "held"), [("AAPL, tsla", {"AAPL", "TSLA"}), ('["USDC"]', {"USDC"}), ("[]", set()), ("", set())]
)
def test_read_hold__a_list__holds_what_it_names(
    variables: Variables, told: list[str], value: str, held: set[str]
) -> None:
    variables.values[NAMES.hold] = value

    assert read_hold(NAMES) == Hold(frozenset(held))
    assert told == []


def test_read_hold__missing__holds_nothing(variables: Variables, told: list[str]) -> None:
    assert read_hold(NAMES) == Hold()
    assert told == []


def test_read_hold__not_a_list__holds_everything_and_says_so(variables: Variables, told: list[str]) -> None:
    variables.values[NAMES.hold] = "AAPL; TSLA"

    assert read_hold(NAMES).why("NVDA") is not None
    assert told == ["no operation is begun: the hold list is not a list of symbols, so it holds everything"]


@pytest.mark.parametrize("airflow_answers", [True, False])
def test_read_hold__there_but_unreadable__holds_everything_and_says_so(
    variables: Variables, told: list[str], monkeypatch: pytest.MonkeyPatch, airflow_answers: bool
) -> None:
    variables.values[NAMES.hold] = "AAPL"
    monkeypatch.setattr(variables, "get", lambda key, default=None: default)
    if not airflow_answers:
        monkeypatch.setattr(variables, "keys", refuse)

    assert read_hold(NAMES).why("NVDA") is not None
    assert "rebalancing_hold could not be read" in told[0]


def test_trip__at_run__turns_to_drain(variables: Variables, told: list[str]) -> None:
    trip(NAMES)

    assert variables.values[NAMES.switch] == "drain"
    assert told == []


@pytest.mark.parametrize("value", ["halt", "drain", "runn", None])
def test_trip__not_at_run__is_left_as_it_is(variables: Variables, value: str | None) -> None:
    """Above all, halt is not turned into drain: that would let open operations go on."""
    del variables.values[NAMES.switch]
    if value is not None:
        variables.values[NAMES.switch] = value

    trip(NAMES)

    assert variables.writes == []
    assert variables.values.get(NAMES.switch) == value


def test_trip__switch_cannot_be_written__says_so(
    variables: Variables, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "set", refuse)

    trip(NAMES)

    assert told[0].startswith("the Airflow Variable rebalancing_switch could not be set to drain")


def test_trip__switch_is_set_elsewhere__says_so(
    variables: Variables, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "get", lambda key, default=None: "run")

    trip(NAMES)

    assert told == [
        "rebalancing_switch still says run: it is set elsewhere, as in AIRFLOW_VAR_REBALANCING_SWITCH"
    ]
