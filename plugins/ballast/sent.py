"""What tasks tell Airflow's own metrics (StatsD or OpenTelemetry), where Airflow is told to send them.

Nothing depends on them: where they are off, nothing is loaded, and where they fail, nothing else does.
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Final

from airflow.configuration import conf

if TYPE_CHECKING:
    from datetime import timedelta

    from include.check import Checked
    from include.domain.operation import Leg
    from include.ledger.ledger import Ledger
    from include.settings.names import Names

log = logging.getLogger(__name__)

_SWITCHES: Final = ("statsd_on", "statsd_datadog_enabled", "otel_on")


def check(names: Names, checked: Checked, took: timedelta) -> None:
    """Tell of a check and what it decided."""
    if not is_on():
        return
    mode = checked.mode.value
    timing("ballast.check.duration", took, book=names.label, mode=mode)
    reasons = [decision.reason.value for decision in checked.decisions]
    for reason in sorted(set(reasons)):
        count("ballast.decision", reasons.count(reason), book=names.label, reason=reason, mode=mode)


def assigned(names: Names, kind: str, number: int) -> None:
    """Tell of the operations that a claim has handed out."""
    if number:
        count("ballast.operation.assigned", number, book=names.label, kind=kind)


def leg_done(names: Names, ledger: Ledger, operation_id: str, leg: Leg) -> None:
    """Tell of a leg whose end a task has seen, and of the end of its operation."""
    if not is_on():
        return
    operation = ledger.operation(operation_id)
    state = next((one for one in ledger.legs(operation_id) if one.name is leg), None)
    if state is not None and state.started_at is not None and state.done_at is not None:
        took = state.done_at - state.started_at
        tags = {"book": names.label, "kind": operation.kind.value, "leg": leg.value}
        timing("ballast.leg.duration", took, **tags)
    if not operation.status.is_open:
        closed(names, operation.kind.value, operation.status.value)


def closed(names: Names, kind: str, status: str) -> None:
    """Tell of an operation whose end a task has seen."""
    count("ballast.operation.closed", 1, book=names.label, kind=kind, status=status)


def deferred(names: Names, kind: str, leg: str) -> None:
    """Tell that a leg waits without a worker."""
    count("ballast.leg.wait", 1, book=names.label, kind=kind, leg=leg)


def told(names: Names, notifier: str, number: int, *, taken: bool) -> None:
    """Tell of messages that a notifier took or did not."""
    outcome = "taken" if taken else "failed"
    count("ballast.alert.told", number, book=names.label, notifier=notifier, outcome=outcome)


def count(name: str, number: int, **tags: str) -> None:
    """Add to a counter."""
    if not is_on():
        return
    try:
        from airflow.sdk.observability import stats

        stats.incr(name, number, tags=tags)
    except Exception as error:
        log.warning("%s could not be sent: %s", name, type(error).__name__)


def timing(name: str, took: timedelta, **tags: str) -> None:
    """Tell how long something took."""
    if not is_on():
        return
    try:
        from airflow.sdk.observability import stats

        stats.timing(name, took, tags=tags)
    except Exception as error:
        log.warning("%s could not be sent: %s", name, type(error).__name__)


@cache
def is_on() -> bool:
    """Tell whether Airflow sends metrics anywhere."""
    return any(conf.getboolean("metrics", name, fallback=False) for name in _SWITCHES)
