"""Alerts in a real Airflow: its scheduler, triggerer and API server, and a provider's notifier over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from scripts.local_airflow import LocalAirflow
from tests.integration.test_notifiers import SLACK, Sink, http_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def chat() -> Iterator[Sink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, chat: Sink) -> Iterator[LocalAirflow]:
    connection = {"conn_type": "slackwebhook", "host": f"{chat.url}/services", "password": "T/B/x"}
    extra = {
        "AIRFLOW_CONN_SLACK_ALERTS": json.dumps(connection),
        "BALLAST_ALERT_NOTIFIERS": json.dumps([SLACK]),
        "BALLAST_ALERT_INTERVAL": "10s",
        "BALLAST_ALERT_QUIET": "0",
        "BALLAST_ALERT_RUN_DEADLINE": "1m",
        "BALLAST_METRICS_TOKEN": TOKEN,
    }
    with LocalAirflow(tmp_path_factory.mktemp("airflow") / "home", extra=extra) as started:
        yield started


def told(chat: Sink, about: str) -> list[str]:
    return [post["text"] for _, post in chat.posts if about in post["text"]]


def test_hold_list__is_no_list__is_told_once_and_so_is_its_end(airflow: LocalAirflow, chat: Sink) -> None:
    with airflow.client() as client:
        path = "/api/v2/variables/rebalancing_hold"
        client.patch(path, json={"key": "rebalancing_hold", "value": "?!"}).raise_for_status()
        airflow.wait_until(lambda: told(chat, "Every asset is held back"), "the alert", timeout=240)
        client.patch(path, json={"key": "rebalancing_hold", "value": "[]"}).raise_for_status()
        end = "Resolved: Every asset is held back"
        airflow.wait_until(lambda: told(chat, end), "its end", timeout=240)
    assert len(told(chat, "Every asset is held back")) == 2
    assert f"What to do: {airflow.url}/ballast/runbook#every-asset-is-held-back" in chat.posts[0][1]["text"]


def test_run__that_does_not_end__is_told_by_airflows_deadline(airflow: LocalAirflow, chat: Sink) -> None:
    """The DAG is paused, so the run stays queued, and its deadline passes."""
    with airflow.client() as client:
        asked = {"logical_date": None, "dag_run_id": "it_stays"}
        client.post("/api/v2/dags/rebalancing/dagRuns", json=asked).raise_for_status()
        airflow.wait_until(lambda: told(chat, "it_stays has not ended"), "the deadline", timeout=240)
        client.delete("/api/v2/dags/rebalancing/dagRuns/it_stays").raise_for_status()
        airflow.wait_until(lambda: told(chat, "Resolved: A run does not end"), "its end", timeout=240)
    assert len(told(chat, "it_stays has not ended")) == 2


def test_metrics__with_the_token__are_read_over_http(airflow: LocalAirflow) -> None:
    url = f"{airflow.url}/ballast/metrics"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(url, headers=headers, timeout=60)
    assert answer.status_code == 200
    assert 'ballast_alerts{book="default",kind="held_wholly",severity="warning"} 0.0' in answer.text
