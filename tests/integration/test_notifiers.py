"""Real notifiers of Airflow's providers, told over real connections on this machine."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import airflow_home  # noqa: F401 - says where Airflow's files are, before it is imported

from aiosmtpd.controller import Controller  # isort: skip

from ballast.notifiers import deliver
from include.alerts.kinds import Kind
from include.alerts.message import Places, message
from include.ledger.alerts import Alert, Stage, Telling
from include.settings import load_settings
from scripts.local_airflow import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.airflow]

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PLACES = Places("https://flow.test/ballast/", "https://flow.test/ballast/runbook")
ALERT = Alert(
    "id", "overdue:1", Kind.OVERDUE, "AAPL", "op-1", "waits for <tokens> & more", NOW, NOW, NOW, None
)
TOLD = message(Telling(ALERT, "x", Stage.HOLDS), PLACES)
RUNBOOK = "https://flow.test/ballast/runbook#overdue"


@dataclass
class Sink:
    """What arrived, as it was sent."""

    url: str = ""
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    mails: list[Any] = field(default_factory=list)
    status: int = 200

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def http_sink() -> Iterator[Sink]:
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sink.posts.append((self.path, json.loads(body)))
            answer = b"ok" if sink.status == 200 else b"no_service"
            self.send_response(sink.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    sink.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    with http_sink() as sink:
        token = "T00/B00/secret"
        connection = {"conn_type": "slackwebhook", "host": f"{sink.url}/services", "password": token}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", json.dumps(connection))
        yield sink


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    sink = Sink()
    port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    extra = {"disable_ssl": True, "disable_tls": True, "timeout": 5}
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MAIL_ALERTS", json.dumps(connection))
    try:
        yield sink
    finally:
        controller.stop(no_assert=True)


def notifiers(*given: dict[str, Any]) -> Any:
    return load_settings(environ={"BALLAST_ALERT_NOTIFIERS": json.dumps(given)}).alert_notifiers


SLACK = {
    "notifier": "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
    "kwargs": {"slack_webhook_conn_id": "slack_alerts", "text": "{{ text }}"},
}
MAIL = {
    "notifier": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "kwargs": {
        "smtp_conn_id": "mail_alerts",
        "from_email": "ballast@desk.test",
        "to": ["night@desk.test"],
        "subject": "[{{ severity }}] {{ title }}",
        "html_content": "{{ html }}",
    },
}


def test_slack_and_mail__are_told_what_since_when_and_what_to_do(slack: Sink, mail: Sink) -> None:
    outcomes = deliver((one, [TOLD]) for one in notifiers(SLACK, MAIL))
    assert outcomes == {"SlackWebhookNotifier": [None], "SmtpNotifier": [None]}
    ((path, post),) = slack.posts
    assert path == "/services/T00/B00/secret"
    assert post["text"] == TOLD.text
    for part in ("waits for <tokens> & more", "Since 2026-03-02 14:30 UTC.", RUNBOOK, PLACES.page):
        assert part in post["text"]
    (received,) = mail.mails
    assert received["subject"] == "[warning] Ballast: An operation is overdue (AAPL)"
    assert received["to"] == "night@desk.test"
    body = received.get_body(("html",)).get_content()
    assert "waits for &lt;tokens&gt; &amp; more" in body
    assert f'<a href="{RUNBOOK}">' in body


def test_slack__refuses__the_mail_is_sent_and_no_secret_is_told(slack: Sink, mail: Sink) -> None:
    slack.status = 403
    outcomes = deliver((one, [TOLD]) for one in notifiers(SLACK, MAIL))
    (why,) = outcomes["SlackWebhookNotifier"]
    assert why
    assert "secret" not in why
    assert outcomes["SmtpNotifier"] == [None]
    assert len(mail.mails) == 1


def test_mail__nobody_answers__is_not_taken(monkeypatch: pytest.MonkeyPatch, slack: Sink) -> None:
    connection = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": 1,
        "extra": {"disable_ssl": True, "retry_limit": 1},
    }
    monkeypatch.setenv("AIRFLOW_CONN_MAIL_ALERTS", json.dumps(connection))
    outcomes = deliver((one, [TOLD]) for one in notifiers(SLACK, MAIL))
    assert outcomes["SlackWebhookNotifier"] == [None]
    assert outcomes["SmtpNotifier"] != [None]
