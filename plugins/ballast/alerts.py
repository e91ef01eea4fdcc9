"""What the task of the alerts DAG does, and what a run that does not end calls: look, and tell it once."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Variable, get_current_context
from airflow.sdk.definitions.callback import AsyncCallback  # airflow.sdk offers it too, and its stubs do not
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError

from ballast import sent
from ballast.hooks import ConnectionIncomplete, open_ledger
from ballast.switch import read_hold
from ballast.tasks import is_running
from ballast.triggers import book_argument
from include.settings.loading import load_usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from include.alerts.detect import Found
    from include.alerts.message import Places
    from include.alerts.state import Books, Steering
    from include.ledger.alerts import AlertBook, Condition
    from include.ledger.ledger import Ledger
    from include.settings import Names, Settings

log = logging.getLogger(__name__)

AGAIN_WITHOUT_LEDGER: Final = timedelta(hours=1)


def interval(book: str) -> timedelta:
    """Return how often alerts are looked for. The DAG is there although settings are wrong, to say so."""
    return load_usable(book=book)[0].alert_interval


def deadline(settings: Settings) -> DeadlineAlert | None:
    """Return what tells of a run that does not end; None where nobody wants to know."""
    if settings.alert_run_deadline is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=settings.alert_run_deadline,
        callback=AsyncCallback(run_does_not_end, book_argument(settings.book)),
        name="the run ends",
    )


def watch(book: str) -> dict[str, Any]:
    """Look once, and tell what has to be told of a book.

    :param book: its name; empty for the one without a name.
    :raises AirflowFailException: when a notifier did not take it, or the ledger cannot be used.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from include.ledger.database import LedgerOutdated

    settings, wrong = load_usable(book=book)
    try:
        with open_ledger(settings) as ledger:
            standing, failures = _watch(ledger, settings, wrong, get_current_context())
    except (ConnectionIncomplete, LedgerOutdated, SQLAlchemyError) as error:
        # A database's own words may name hosts and users.
        why = type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)
        tell_without_ledger(settings, why)
        raise AirflowFailException(f"the ledger cannot be used: {why}") from None
    failures += told_without_ledger_is_over(settings)
    for text in standing:
        log.warning("%s", text)
    if failures:
        raise AirflowFailException("; ".join(failures))
    return {"standing": len(standing)}


def _watch(
    ledger: Ledger, settings: Settings, wrong: Sequence[str], context: Context
) -> tuple[list[str], list[str]]:
    """Return what holds, and who could not be told."""
    from include.alerts.books import read_books, rules
    from include.alerts.detect import detect
    from include.ledger.alerts import AlertBook
    from include.ledger.ledger import utc_now

    book = AlertBook(ledger.engine)
    if not wrong:
        _read_chains(book, settings)
    now = utc_now()
    books = read_books(ledger, settings, now)
    found = detect(books, _steering(settings.names, books, context), rules(settings), now)
    conditions, judged = _with_settings(found, wrong, now)
    book.observe(conditions, judged, quiet=settings.alert_quiet)
    failures = tell(book, settings)
    return [f"{one.kind}: {one.text}" for one in book.standing()], failures


def _with_settings(
    found: Found, wrong: Sequence[str], now: datetime
) -> tuple[list[Condition], frozenset[str]]:
    """Return what holds and what was judged. Under wrong settings only what no setting decides is."""
    from include.alerts.kinds import WITHOUT_SETTINGS, Kind
    from include.ledger.alerts import Condition

    if not wrong:
        return list(found.conditions), found.judged
    kept = [one for one in found.conditions if one.kind in WITHOUT_SETTINGS]
    text = "; ".join(wrong)
    kept.append(Condition(Kind.SETTINGS_WRONG, Kind.SETTINGS_WRONG, text, now))
    return kept, found.judged & WITHOUT_SETTINGS


def _read_chains(book: AlertBook, settings: Settings) -> None:
    """Read gas and nonces where it is time to; otherwise nothing heavy is loaded."""
    from include.alerts import readings
    from include.ledger.ledger import utc_now

    due = readings.due(book, settings, utc_now())
    if due and settings.wallet is not None:
        from include.chains import open_chain

        readings.read(book, settings.wallet, due, lambda network: open_chain(settings, network))


def _steering(names: Names, books: Books, context: Context) -> Steering:
    """Return what Airflow says about the DAG, the hold list, and runs that were told as late."""
    from include.alerts.state import Steering

    return Steering(
        paused=_is_paused(names, context),
        held_wholly=read_hold(names).everything or "",
        running={run_id: _is_running(names, context, run_id) for run_id in books.late_runs},
    )


def _is_paused(names: Names, context: Context) -> bool | None:
    try:
        return bool(context["ti"].get_dag(names.dag).is_paused)
    except AirflowRuntimeError as error:
        log.warning("Airflow does not say whether %s is paused: %s", names.dag, error)
        return None


def _is_running(names: Names, context: Context, run_id: str) -> bool:
    """Tell whether a run may still be under way, as one may of which Airflow does not say."""
    try:
        return is_running(context, run_id, names.dag)
    except AirflowRuntimeError:
        return True


def places(settings: Settings) -> Places:
    """Return which book messages are about, and where they link to."""
    from airflow.configuration import conf

    from ballast.page.mount import BOOKS, PREFIX
    from include.alerts.message import Places

    airflow = (conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")
    own = f"{BOOKS}{settings.book}" if settings.book else ""
    page = (settings.page_url or f"{airflow}{PREFIX}{own}").rstrip("/")
    runbook = settings.runbook_url or f"{page}/runbook"
    return Places(page=f"{page}/", runbook=runbook, book=settings.book)


def tell(book: AlertBook, settings: Settings) -> list[str]:
    """Tell each notifier what it has to be told, and return who could not be told."""
    from ballast.notifiers import deliver
    from include.alerts.message import messages

    called = {one.called: one for one in settings.alert_notifiers}
    tellings = book.take(list(called), repeat=settings.alert_repeat)
    where = places(settings)
    todo = {
        name: messages([one for one in tellings if one.notifier == name], where)
        for name in called
        if any(one.notifier == name for one in tellings)
    }
    outcomes = deliver((called[name], [message for message, _ in parts]) for name, parts in todo.items())
    failures = []
    for name, parts in todo.items():
        for (message, about), why in zip(parts, outcomes[name], strict=True):
            for telling in about:
                if why is None:
                    book.told(telling)
                else:
                    book.failed(telling, why)
            sent.told(settings.names, name, 1, taken=why is None)
            if why is None:
                log.info("%s was told: %s", name, message.title)
            else:
                failures.append(f"{name} could not be told {message.title!r}: {why}")
    for text in failures:
        log.error("%s", text)
    return failures


async def run_does_not_end(context: Mapping[str, Any] | None = None, book: str = "") -> str:
    """Tell that a run of the DAG has not ended in its time. Airflow awaits this in the triggerer.

    :param book: whose run; a deadline that says nothing is of the book without a name.
    """
    run = (context or {}).get("dag_run") or {}
    run_id = str(run.get("dag_run_id") or run.get("run_id") or "a run")
    began = run.get("queued_at") or run.get("run_after")
    since = datetime.fromisoformat(began.replace("Z", "+00:00")) if began else datetime.now(UTC)
    # The ledger and the notifiers block, and the triggerer must not.
    return await asyncio.to_thread(_tell_late_run, book, run_id, since)


def _tell_late_run(of: str, run_id: str, since: datetime) -> str:
    from include.alerts.detect import run_overdue
    from include.ledger.alerts import AlertBook

    settings, _ = load_usable(book=of)
    with open_ledger(settings) as ledger:
        book = AlertBook(ledger.engine)
        book.observe([run_overdue(run_id, since)], (), quiet=settings.alert_quiet)
        failures = tell(book, settings)
    return "; ".join(failures) or f"{run_id} is told"


def tell_without_ledger(settings: Settings, why: str) -> None:
    """Tell that the ledger cannot be used, which it cannot remember itself: now, and then each hour."""
    from include.alerts.kinds import Kind
    from include.ledger.alerts import Stage

    log.error("%s: %s", Kind.LEDGER_UNUSABLE.headline, why)
    now = datetime.now(UTC)
    since, last = _remembered(settings.names) or (now, None)
    again = settings.alert_repeat or AGAIN_WITHOUT_LEDGER
    if last is not None and now - last < again:
        return
    stage = Stage.HOLDS if last is None else Stage.STILL_HOLDS
    if not _tell_of_ledger(settings, stage, why, since, None):
        _remember(settings.names, f"{since.isoformat()} {now.isoformat()}")


def told_without_ledger_is_over(settings: Settings) -> list[str]:
    """Tell that the ledger can be used again, where it was told that it could not."""
    from include.ledger.alerts import Stage

    remembered = _remembered(settings.names)
    if remembered is None:
        return []
    text = "it can be read again"
    failures = _tell_of_ledger(settings, Stage.RESOLVED, text, remembered[0], datetime.now(UTC))
    if not failures:
        _remember(settings.names, None)
    return failures


def _tell_of_ledger(
    settings: Settings, stage: Any, text: str, since: datetime, ended: datetime | None
) -> list[str]:
    from ballast.notifiers import deliver
    from include.alerts.kinds import Kind
    from include.alerts.message import message
    from include.ledger.alerts import Alert, Telling

    kind, now = Kind.LEDGER_UNUSABLE, datetime.now(UTC)
    alert = Alert("", kind.value, kind.value, None, None, text, since, since, now, ended)
    told = message(Telling(alert, "", stage), places(settings))
    outcomes = deliver((one, [told]) for one in settings.alert_notifiers)
    return [
        f"{name} could not be told {told.title!r}: {why}"
        for name, found in outcomes.items()
        for why in found
        if why is not None
    ]


def _remembered(names: Names) -> tuple[datetime, datetime] | None:
    """Return since when the ledger cannot be used and when that was told last."""
    value = Variable.get(names.alert_ledger, default=None)
    try:
        since, last = (datetime.fromisoformat(part) for part in (value or "").split())
    except ValueError:
        return None
    return since, last


def _remember(names: Names, value: str | None) -> None:
    if value is None:
        Variable.delete(names.alert_ledger)
    else:
        about = "Since when the ledger cannot be used, and last told."
        Variable.set(names.alert_ledger, value, description=about)
