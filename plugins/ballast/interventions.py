"""What the task of the operations DAG does: one act of a person on one open operation."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from ballast import progress
from ballast.hooks import open_ledger, open_venues
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.exits.request import Request
    from include.exits.situation import Situation
    from include.ledger.ledger import Ledger
    from include.settings import Settings

log = logging.getLogger(__name__)

LIST: Final = "list"
VERBS: Final = (LIST, "resume", "cancel", "reconcile", "adopt")
OUTCOMES: Final = ("not_done", "closed")
NOBODY: Final = "airflow"
"""Who it was where Airflow does not say, as for a run that no person triggered."""


def intervene(book: str) -> list[dict[str, Any]]:
    """Do what the form of this run asks for, and return where each operation concerned stands.

    :param book: whose operations; empty for the book without a name.
    :raises AirflowFailException: with the reason, when it is refused.
    """
    from include.exits.refusal import Refusal
    from include.exits.request import Request
    from include.ledger.records import Verb

    context = get_current_context()
    form, settings = context["params"], load_settings(book=book)
    with open_ledger(settings) as ledger:
        if form["verb"] == LIST:
            found = listed(ledger)
        else:
            actor = context["dag_run"].triggering_user_name or NOBODY
            try:
                found = [perform(settings, ledger, actor, Request(Verb(form["verb"]), **_given(form)))]
            except Refusal as refusal:
                log.error("refused: %s", refusal)  # the page shows the log, and not what is raised
                raise AirflowFailException(f"refused: {refusal}") from None
            progress.show(settings.names, ledger, [situation.operation.asset for situation in found])
    for situation in found:
        log.info("%s", "\n".join(situation.lines()))
    if not found:
        log.info("no operation is open")
    return [situation.to_dict() for situation in found]


def listed(ledger: Ledger) -> list[Situation]:
    """Return where every open operation stands. No venue is asked."""
    from include.exits.situation import describe_open
    from include.ledger.ledger import utc_now

    return describe_open(ledger, utc_now())


def perform(settings: Settings, ledger: Ledger, actor: str, request: Request) -> Situation:
    """Do what a person asks for. The wallet's key is not needed and not read.

    :raises Refusal: when it is not done.
    """
    from include.exits.verbs import Exits

    with open_venues(settings) as venues:
        situation = request.perform(Exits(venues, ledger, actor))
    log.warning("%s did %s on operation %s: %s", actor, request.verb, request.operation_id, request.reason)
    return situation


def _given(form: Mapping[str, Any]) -> dict[str, str]:
    """Return what was filled in, as a request takes it."""
    names = ("effect", "reference", "outcome", "delivered", "reason")
    return {"operation_id": form["operation"] or "", **{name: form[name] or "" for name in names}}
