"""The switch that people steer the running system with."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from include.check import Switch

log = logging.getLogger(__name__)

SWITCH: Final = "rebalancing_switch"


def read_switch() -> Switch:
    """Read the Airflow Variable `rebalancing_switch`: run, drain or halt.

    Missing or misspelt means drain. Airflow says "missing" also when it could not be asked for a moment; a
    switch that is there and cannot be read means halt, because that is what it may say.
    """
    from include.check import Switch

    value = Variable.get(SWITCH, default=None)
    if value is not None:
        return Switch.read(value)
    try:
        unreadable = SWITCH in list(Variable.keys(prefix=SWITCH))
    except AirflowRuntimeError:
        unreadable = True
    if not unreadable:
        return Switch.read(None)
    log.error("the Airflow Variable %s could not be read: nothing goes on until it can", SWITCH)
    return Switch.HALT
