"""One operation that a person asks for: the fields of the DAG's form, and what becomes of the run."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from include.domain.operation import OperationKind

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.check import Checked
    from include.domain.decision import Asked
    from include.settings import Settings

log = logging.getLogger(__name__)

NOBODY: Final = "airflow"
"""Who it was where Airflow does not say, as for a run that no person triggered."""


def params(settings: Settings) -> dict[str, Param]:
    """Return the fields of the form that ask for one operation, all empty."""
    kinds = [None, *(kind.value for kind in OperationKind)]
    return {
        "kind": _choice(kinds, "To move one asset by hand: how. Nothing else is moved by this run then."),
        "asset": _choice([None, *settings.symbols], "By hand: what."),
        "amount": _text("By hand: exactly how much, in shares or USDC. It is never cut, but refused."),
        "reason": _text("By hand: why. It is recorded with your name."),
    }


def asked_of(context: Context, settings: Settings) -> Asked | None:
    """Return what a run is asked to move; None for what is out of its band.

    :raises AirflowFailException: naming the field of the form that is missing or wrong.
    """
    from include.domain.asked import WrongField, read_asked

    by = context["dag_run"].triggering_user_name or NOBODY
    try:
        return read_asked(context["params"], by=by, symbols=settings.symbols)
    except WrongField as wrong:
        log.error("%s", wrong)  # the page shows the log, and not what is raised
        raise AirflowFailException(str(wrong)) from None


def require_done(checked: Checked) -> None:
    """Fail a run that was asked for one operation and does not move it, once all is recorded.

    One that has begun it already, as its tasks are run again, and one that only tries, have done their part.

    :raises AirflowFailException: saying why not.
    """
    from include.ledger.records import CheckMode

    for decision in checked.decisions:
        if decision.asked is None or decision.operation is not None:
            continue
        if decision.asked.begun_as is None and checked.mode is not CheckMode.DRY_RUN:
            log.error("what was asked for is not moved: %s: %s", decision.reason.value, decision.detail)
            raise AirflowFailException(f"{decision.reason.value}: {decision.detail}")


def _choice(values: list[str | None], description: str) -> Param:
    return Param(None, type=["null", "string"], enum=values, description=description)


def _text(description: str) -> Param:
    return Param(None, type=["null", "string"], description=description)
