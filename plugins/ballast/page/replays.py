"""Replays: what they came to, under `GET /api/replays`, and the act that starts one."""

# Annotations are not put off here: FastAPI reads them when a route is made.

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request, status
from pydantic import AwareDatetime, Field

from ballast.page.access import ACT, FROM_PAGE, LOOK, ItsNames
from ballast.page.acts import Body
from ballast.page.answers import From
from ballast.page.own_airflow import answer_of, is_paused, own_airflow
from include.ledger.ledger import Ledger, utc_now
from include.replay import models
from include.replay.overrides import Overrides, OverridesRefused
from include.replay.report import Reports

MOST_RUNS: Final = 5_000
AT_ONCE: Final = 8

looks = APIRouter(prefix="/replays", dependencies=[LOOK])
acts = APIRouter(dependencies=[ACT, FROM_PAGE])


class Kept:
    """The reports of the ledger of one book that is open."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reports: tuple[Ledger, Reports] | None = None

    def of(self, ledger: Ledger) -> Reports:
        """Return the reports of a ledger; those of another one are forgotten."""
        with self._lock:
            if self._reports is None or self._reports[0] is not ledger:
                self._reports = (ledger, Reports(ledger.engine))
            return self._reports[1]


def _reports(request: Request, source: From) -> Reports:
    kept: Kept = request.app.state.reports
    return kept.of(source.ledger())


AllReports = Annotated[Reports, Depends(_reports)]


@looks.get("")
def replays(reports: AllReports) -> models.Replays:
    """Return all replays, the newest first."""
    return reports.list()


@looks.get("/{replay_id}")
def replay(replay_id: str, reports: AllReports) -> models.Report:
    """Return what a replay would have done, beside what was done."""
    return reports.report(replay_id)


@looks.get("/{replay_id}/history")
def history(
    replay_id: str, reports: AllReports, asset: Annotated[str, Query(description="Its symbol.")]
) -> models.History:
    """Return the ratio of one asset over the time of a replay, as it was and as it would have been."""
    return reports.history(replay_id, asset)


class Begin(Body):
    """Decide the past again. Nothing is moved."""

    since: AwareDatetime
    until: AwareDatetime
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="What is set otherwise, as in the conf of a backfill."
    )


class Begun(Body):
    """The backfill that was created."""

    backfill_id: int
    name: str
    runs: int = Field(description="About how many runs it has.")
    paused: bool | None = Field(description="If the DAG is paused, its runs wait until it is not.")


def _clock() -> Callable[[], datetime]:
    return utc_now


@acts.post("/replay")
async def begin(
    body: Begin,
    source: From,
    names: ItsNames,
    request: Request,
    clock: Annotated[Callable[[], datetime], Depends(_clock)],
) -> Begun:
    """Create a backfill of the DAG, through Airflow's own API and with the user's own login."""
    since, until = body.since.astimezone(UTC), body.until.astimezone(UTC)
    settings, now = source.settings(), clock()
    until = min(until, now)
    if since >= until:
        raise _wrong("since: must be before until, and in the past")
    runs = int((until - since) / settings.rebalancing_check_interval) + 1
    if runs > MOST_RUNS:
        raise _wrong(f"since: that would be {runs} runs, and {MOST_RUNS} are the most: choose a shorter time")
    try:
        given = Overrides.read(body.overrides)
        given.over(settings)
    except OverridesRefused as refused:
        raise _wrong(str(refused)) from refused
    # A name keeps replays of other times apart that are decided by the same.
    name = given.replay_name or f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
    asked = {
        "dag_id": names.dag,
        # A date has one run in Airflow: a part of a second makes dates that no other run has.
        "from_date": (since + timedelta(microseconds=now.microsecond)).isoformat(),
        "to_date": until.isoformat(),
        "dag_run_conf": {**body.overrides, "replay_name": name},
        "max_active_runs": AT_ONCE,
    }
    async with own_airflow(request) as airflow:
        answer = await airflow.post("/api/v2/backfills", json=asked)
        found = answer_of(answer, "Airflow did not create a backfill")
        paused = await is_paused(airflow, names.dag)
    return Begun(backfill_id=found["id"], name=name, runs=runs, paused=paused)


def _wrong(words: str) -> HTTPException:
    return HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, words)
