"""The Variables that people steer the running system with: the switch and the hold list."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from include.check import Switch
    from include.domain.limits import Hold
    from include.settings.names import Names

log = logging.getLogger(__name__)


class _Unreadable(Exception):
    """A Variable is there, or may be, and cannot be read."""


def read_switch(names: Names) -> Switch:
    """Read the switch of a book: run, drain or halt.

    Missing or misspelt means drain. Airflow says "missing" also when it could not be asked for a moment; a
    switch that is there and cannot be read means halt, because that is what it may say.
    """
    from include.check import Switch

    try:
        return Switch.read(_value(names.switch))
    except _Unreadable:
        log.error("the Airflow Variable %s could not be read: nothing goes on until it can", names.switch)
        return Switch.HALT


def read_hold(names: Names) -> Hold:
    """Read the hold list of a book: the assets that no operation is begun for.

    Missing or empty holds nothing. What is not a list of symbols, or cannot be read, holds everything.
    """
    from include.domain.limits import Hold

    try:
        hold = Hold.read(_value(names.hold))
    except _Unreadable:
        why = f"the Airflow Variable {names.hold} could not be read, so everything is held"
        hold = Hold(everything=why)
    if hold.everything is not None:
        log.error("no operation is begun: %s", hold.everything)
    return hold


def trip(names: Names) -> None:
    """Turn a book's switch from run to drain, because a limit is reached. Any other position is left."""
    from include.check import Switch

    if read_switch(names) is not Switch.RUN:
        return
    try:
        Variable.set(names.switch, Switch.DRAIN.value)
    except AirflowRuntimeError as error:
        log.error("the Airflow Variable %s could not be set to drain: %s", names.switch, error)
        return
    if read_switch(names) is Switch.RUN:
        text = "%s still says run: it is set elsewhere, as in AIRFLOW_VAR_%s"
        log.error(text, names.switch, names.switch.upper())


def _value(name: str) -> str | None:
    """Read a Variable, and tell one that is missing from one that could not be asked for.

    :raises _Unreadable: when it is there, or Airflow cannot tell, and has no value.
    """
    value: str | None = Variable.get(name, default=None)
    if value is not None:
        return value
    try:
        there = name in list(Variable.keys(prefix=name))
    except AirflowRuntimeError:
        there = True
    if there:
        raise _Unreadable(name)
    return None
