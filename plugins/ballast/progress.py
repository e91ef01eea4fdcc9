"""The work in progress as Airflow Variables: one for each claimed asset of a book.

They are a view of the ledger for people. Nothing reads them to decide anything; what somebody changes in them
is put right by the next check.
"""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from include.settings.names import Names

log = logging.getLogger(__name__)

DESCRIPTION: Final = "What Ballast moves right now. Only shown: a change here changes nothing and is undone."


def show(names: Names, ledger: Ledger, assets: Iterable[str]) -> None:
    """Make the Variables of these assets say what the book's ledger says. Money does not wait for this."""
    opened = {operation.asset: operation for operation in ledger.operations(only_open=True)}
    try:
        for asset in assets:
            operation = opened.get(asset)
            _write(names.in_progress(asset), None if operation is None else _text(ledger, operation))
    except AirflowRuntimeError as error:
        log.warning("the work in progress is not shown: %s", error)


def restore(names: Names, ledger: Ledger) -> None:
    """Make all Variables of a book say what its ledger says, and log each one that did not."""
    wanted = {
        names.in_progress(operation.asset): _text(ledger, operation)
        for operation in ledger.operations(only_open=True)
    }
    for key in sorted({*wanted, *Variable.keys(prefix=names.in_progress_prefix)}):
        if _write(key, wanted.get(key)):
            log.warning("the Airflow Variable %s is made to say again what the ledger says", key)


def _write(key: str, text: str | None) -> bool:
    """Write or delete a Variable where it differs, and tell whether it did."""
    present = Variable.get(key, default=None)
    if present == text:
        return False
    if text is None:
        Variable.delete(key)
    else:
        Variable.set(key, text, description=DESCRIPTION)
    return True


def _text(ledger: Ledger, operation: Operation) -> str:
    return json.dumps(describe(ledger, operation), indent=2)


def describe(ledger: Ledger, operation: Operation) -> dict[str, Any]:
    """Return what people are shown of an open operation. The amount is in whole shares or USDC."""
    from include.domain.amounts import plain

    leg = next((state for state in ledger.legs(operation.id) if not state.is_done), None)
    return {
        "operation": operation.id,
        "kind": operation.kind.value,
        "leg": None if leg is None else leg.name.value,
        "amount": plain(operation.quantity),
        "since": operation.opened_at.isoformat(timespec="seconds"),
        "run": operation.run_id,
        "waiting_for": None if leg is None else leg.waiting_for,
        "attention": None if leg is None else leg.attention,
    }
