from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from ballast.switch import SWITCH, read_switch
from include.check import Switch

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
    variables.values[SWITCH] = value

    assert read_switch() is meaning


def test_read_switch__missing__is_drain(variables: Variables) -> None:
    del variables.values[SWITCH]

    assert read_switch() is Switch.DRAIN


def test_read_switch__there_but_unreadable__is_halt(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow gives the default also when it could not be asked."""
    monkeypatch.setattr(variables, "get", lambda key, default=None: default)

    assert read_switch() is Switch.HALT


def test_read_switch__airflow_cannot_be_asked__is_halt(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(prefix: str | None = None) -> Any:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    monkeypatch.setattr(variables, "get", lambda key, default=None: default)
    monkeypatch.setattr(variables, "keys", refuse)

    assert read_switch() is Switch.HALT
