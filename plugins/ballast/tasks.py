"""What the tasks of the rebalancing DAG do, apart from pushing legs."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, AirflowSkipException

from ballast import by_hand, progress, replays, sent
from ballast.hooks import missing_for_observing, open_ledger, open_venues
from ballast.switch import read_hold, read_switch, trip
from include.domain.operation import OperationKind
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.check import Checked
    from include.ledger.ledger import Ledger
    from include.settings import Names, Settings

log = logging.getLogger(__name__)

NOT_FOUND = 404


def params(settings: Settings) -> dict[str, Param]:
    """Return the fields of the form that every run of a schedule leaves as they are."""
    return {
        "dry_run": Param(False, type="boolean", description="Decide everything and move nothing."),
        "assets": Param(
            [],
            type="array",
            items={"type": "string", "enum": [*settings.symbols]},
            examples=[*settings.symbols],
            description="The only assets that this run may move. Empty: all.",
        ),
    }


def check(book: str) -> dict[str, Any]:
    """Look at both venues of a book, decide about every asset, record both, and return a summary.

    In a run of a backfill, decide again on what was recorded at its time; nothing is read and nothing moves.

    :param book: its name; empty for the one without a name.
    """
    context, settings = get_current_context(), load_settings(book=book)
    began = time.monotonic()
    with open_ledger(settings) as ledger:
        look = _replay if _is_backfill(context) else _look
        checked = look(settings, ledger, context)
        kinds = {operation.kind.value for operation in ledger.open_operations()}
    sent.check(settings.names, checked, timedelta(seconds=time.monotonic() - began))
    for decision in checked.decisions:
        log.info("%s: %s - %s", decision.asset, decision.reason.value, decision.detail)
    _trip(settings.names, checked)
    by_hand.require_done(checked)
    kinds |= {decision.operation.kind.value for decision in checked.decisions if decision.operation}
    return {
        "check": checked.id,
        "mode": checked.mode.value,
        "decisions": {decision.asset: decision.reason.value for decision in checked.decisions},
        "kinds": sorted(kinds),
    }


def claim(book: str, kind: str, checked: Mapping[str, Any]) -> list[dict[str, str]]:
    """Open what the check planned of one kind, adopt what dead runs left open, and return both to push.

    Nothing heavy is loaded where there is nothing of this kind.

    :param book: whose operations; empty for the book without a name.
    :param kind: the value of an `OperationKind`.
    :param checked: what `check` returned.
    """
    if kind not in checked["kinds"]:
        return []
    from airflow.configuration import conf

    from include.claim import claim as claim_operations
    from include.ledger.ledger import utc_now
    from include.ledger.records import CheckMode

    mode = CheckMode(checked["mode"])
    if mode in (CheckMode.DRY_RUN, CheckMode.REPLAY):
        log.info("nothing is claimed: this is a %s", mode.value.replace("_", " "))
        return []
    context, settings = get_current_context(), load_settings(book=book)
    names = settings.names
    with open_ledger(settings) as ledger:
        assignments = claim_operations(
            ledger,
            settings,
            OperationKind(kind),
            check_id=checked["check"],
            run_id=str(context["run_id"]),
            switch=read_switch(names),
            hold=read_hold(names),
            is_running=lambda run_id: is_running(context, run_id),
            now=utc_now(),
        )
        progress.show(names, ledger, [assignment.asset for assignment in assignments])
    sent.assigned(names, kind, len(assignments))
    most = conf.getint("core", "max_map_length")
    if len(assignments) > most:
        # Airflow would fail the task. The rest is adopted by another run, once this one is over.
        log.warning("Airflow maps over %d at most: %d more have to wait", most, len(assignments) - most)
    return [assignment.to_dict() for assignment in assignments[:most]]


def is_running(context: Context, run_id: str, dag_id: str | None = None) -> bool:
    """Tell whether a run may still push its operations. One that was deleted may not.

    :param dag_id: whose run it is; by default that of the task's own DAG.
    :raises AirflowRuntimeError: when Airflow could not tell.
    """
    ti = context["ti"]
    try:
        state = ti.get_dagrun_state(dag_id or ti.dag_id, run_id)
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == NOT_FOUND:
            return False
        raise
    return state in ("queued", "running")


def skip(why: str) -> AirflowSkipException:
    """Return what skips the task. The page shows the log, and not what is raised."""
    log.warning("skipped: %s", why)
    return AirflowSkipException(why)


def _is_backfill(context: Context) -> bool:
    return context["dag_run"].run_type == "backfill"


def _look(settings: Settings, ledger: Ledger, context: Context) -> Checked:
    from include.check import Run
    from include.check import check as look

    replays.require_none(context)
    asked = by_hand.asked_of(context, settings)
    missing = missing_for_observing(settings)
    if missing:
        raise skip(f"there is nothing to look at before these settings are set: {', '.join(missing)}")
    params = context["params"]
    run = Run(
        id=str(context["run_id"]),
        dry_run=bool(params["dry_run"]),
        selected=frozenset(params["assets"]) or None,
        asked=asked,
    )
    hold = read_hold(settings.names)
    if unknown := hold.assets.difference(settings.symbols):
        log.warning("held, but not among the assets of the settings: %s", ", ".join(sorted(unknown)))
    with open_venues(settings) as venues:
        progress.restore(settings.names, ledger)
        return look(venues, ledger, run, read_switch(settings.names), hold=hold)


def _trip(names: Names, checked: Checked) -> None:
    """Turn the switch to drain if a day's limit is reached in a run that may move money, and say which.

    It is not reached because a person asks for more than is left of it.
    """
    from include.domain.decision import Reason
    from include.ledger.records import CheckMode

    reached = [
        one for one in checked.decisions if one.reason is Reason.OVER_DAILY_LIMIT and one.asked is None
    ]
    if not reached or checked.mode is not CheckMode.LIVE:
        return
    for decision in reached:
        log.error(
            "a daily maximum is reached, so %s is turned to drain. %s: %s",
            names.switch,
            decision.asset,
            decision.detail,
        )
    trip(names)


def _replay(settings: Settings, ledger: Ledger, context: Context) -> Checked:
    """Decide again on what was recorded. No venue is opened here, and no Variable is read."""
    from include.check import Run
    from include.ledger.ledger import utc_now
    from include.replay.overrides import OverridesRefused
    from include.replay.run import Skip, replay

    overrides = replays.overrides_of(context)
    run, moment = Run(id=str(context["run_id"])), context["logical_date"]
    try:
        found = replay(ledger, settings, run, moment, overrides, now=utc_now())
    except OverridesRefused as refused:
        raise AirflowFailException(str(refused)) from refused
    if isinstance(found, Skip):
        raise skip(f"{found.words}, so there is nothing to replay")
    return found
