"""Replays on the page: what is read, and the act that starts one through Airflow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ballast.page import replays
from include.check import Run
from include.replay.overrides import Overrides
from include.replay.run import replay
from tests.support.books import BALANCED
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from fastapi import FastAPI

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser, Given


@pytest.fixture
def replay_id(ledger: Ledger, clock: Clock, source: Given) -> str:
    """Return the id of a replay of one look and one run that was skipped."""
    recorded_check(ledger, clock(), AAPL=BALANCED, USDC=BALANCED)
    overrides = Overrides.read({"deviation": "0.1", "replay_name": "narrow"})
    for moment in (clock(), clock() - timedelta(minutes=1)):
        replay(ledger, source.settings(), Run("backfill__1"), moment, overrides, now=clock())
    return replays.Kept().of(ledger).list().replays[0].id


def test_replays__are_listed_with_what_was_set_and_what_was_skipped(vera: Browser, replay_id: str) -> None:
    (found,) = vera.get("api/replays").json()["replays"]
    assert (found["id"], found["name"], found["overrides"]) == (replay_id, "narrow", {"deviation": "0.1"})
    assert (found["done"], found["skipped"]) == (1, {"nothing_recorded": 1})


def test_replay__its_report_and_history__are_there(vera: Browser, replay_id: str) -> None:
    report = vera.get(f"api/replays/{replay_id}").json()
    assert [one["of"] for one in report["assets"]] == ["AAPL", "USDC"]
    assert report["looks"] == 1
    history = vera.get(f"api/replays/{replay_id}/history?asset=AAPL").json()
    assert [ratio for _, ratio, _ in history["points"]] == ["0.5"]


def test_replay__unknown_or_of_an_unknown_asset__is_not_found(vera: Browser, replay_id: str) -> None:
    assert vera.get("api/replays/nothing").status_code == 404
    answer = vera.get(f"api/replays/{replay_id}/history?asset=TSLA")
    assert (answer.status_code, "TSLA" in answer.json()["detail"]) == (404, True)


def test_kept__another_ledger__forgets_the_first(ledger: Ledger) -> None:
    kept, other = replays.Kept(), ledger.__class__(ledger.engine)
    assert kept.of(ledger) is kept.of(ledger)
    assert kept.of(other) is not kept.of(ledger)


def begin(clock: Clock, **more: Any) -> dict[str, Any]:
    day = {"since": clock() - timedelta(hours=1), "until": clock(), **more.pop("span", {})}
    return {**{name: at.isoformat() for name, at in day.items()}, **more}


def test_begin__creates_a_backfill_with_dates_of_its_own(
    ulla: Browser, airflow: FastAPI, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow itself is asked; it has not read the DAG here, and says so."""
    asked: list[Any] = []
    client = httpx.AsyncClient

    class Listening(client):  # type: ignore[misc, valid-type]  # as it is before it is replaced
        async def post(self, url: str, **more: Any) -> Any:
            asked.append((url, more["json"]))
            return await super().post(url, **more)

    monkeypatch.setattr(httpx, "AsyncClient", Listening)
    clock.moment += timedelta(microseconds=1234)
    now = clock()
    monkeypatch.setattr(replays, "utc_now", lambda: now)

    answer = ulla.post("api/replay", begin(clock, overrides={"deviation": 0.1}))

    assert (answer.status_code, "rebalancing" in answer.json()["detail"]) == (404, True)
    ((url, body),) = asked
    assert url == "/api/v2/backfills"
    since = clock() - timedelta(hours=1)
    assert body["from_date"] == (since + timedelta(microseconds=1234)).isoformat()
    name = f"{since:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M}"
    assert body["dag_run_conf"] == {"deviation": 0.1, "replay_name": name}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"overrides": {"deviaton": 1}}, "is deviation meant"),
        ({"overrides": {"stop_deviation": 0.9}}, "stop_deviation: "),
        ({"span": {"since": timedelta(hours=2)}}, "since: must be before until"),
        ({"span": {"since": timedelta(days=-30)}}, "the most: choose a shorter time"),
    ],
)
def test_begin__makes_no_sense__is_refused_and_nothing_is_created(
    ulla: Browser, clock: Clock, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], words: str
) -> None:
    now = clock()
    monkeypatch.setattr(replays, "utc_now", lambda: now)
    monkeypatch.setattr(httpx, "AsyncClient", None)  # nobody is asked
    given = {**more, "span": {name: now + apart for name, apart in more.get("span", {}).items()}}
    answer = ulla.post("api/replay", begin(clock, **given))
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.json()
