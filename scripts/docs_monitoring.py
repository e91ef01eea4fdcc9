"""What the pages about alerts and metrics say around their tables."""

from __future__ import annotations

from typing import Final

ALERTS: Final = """\
# Alerts

The DAG `rebalancing_alerts` looks every minute (`alert_interval`) at the ledger, at what Airflow says of
the DAG `rebalancing`, and every five minutes (`alert_chain_interval`) at the wallet's gas and nonce on
both chains. It does not depend on `rebalancing`, and works while that is paused, fails, or cannot be read
for a wrong setting. Each [book](books.md) with a name has its own, `rebalancing_<book>_alerts`, with its own
settings; its messages say which book, and so does their `key`.

Whoever `alert_notifiers` names is told once when something appears, and once when it is over. A message
says what, since when, what to do (a link to just that section of the runbook) and where to look. Without
notifiers it is in the log of the DAG's task, on the page, and among the [metrics](metrics.md).

## Who is told

Each notifier is a class of Airflow's, or of a provider that is installed, with the arguments it is made
from. Texts in them are templates with these words: `title`, `text` (plain, several lines), `html` (the
same, escaped), `link` (the page), `runbook` (the section), `severity` (`critical` or `warning`), `status`
(`firing` or `resolved`), `kind` and `key` (the same for the same condition, for services that join
messages by it).

```toml
[[alert_notifiers]]
notifier = "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"
kwargs = {slack_webhook_conn_id = "slack_alerts", text = "{{ text }}"}

[[alert_notifiers]]
notifier = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
name = "night-shift"

[alert_notifiers.kwargs]
smtp_conn_id = "mail"
to = ["night@example.com"]
subject = "[{{ severity }}] {{ title }}"
html_content = "{{ html }}"
```

In the environment it is JSON: `BALLAST_ALERT_NOTIFIERS=[{"notifier": "...", "kwargs": {...}}]`. Keys and
tokens belong into the Connection that a notifier names. Two of one class need a `name` each. Links lead
to Airflow's own `base_url`, unless `page_url` and `runbook_url` say where else.

What each notifier has taken is in the ledger, so a restart tells nothing twice. One that fails, or does
not answer within a minute, stops no other, turns the task red and is told again at the next look; one
that dies while it tells may tell a thing twice. More than five things at once are told together.

## When it ends

A condition has to be gone for `alert_quiet` before its alert ends, so that one that comes and goes is one
alert. Each further alert of the same condition within a day doubles that, up to an hour. What cannot be
judged, as a chain that does not answer, has not ended. With `alert_repeat`, what still holds is told
again after so long.

## What is told
"""
ALERTS_END: Final = """\
While the ledger cannot be used, nothing else can be judged; that alone is told, again each hour, and
remembered in the Variable `rebalancing_alert_ledger` (`rebalancing_<book>_alert_ledger`).

`run_overdue` comes from Airflow, which calls it in the triggerer when a run of `rebalancing` has not
ended `alert_run_deadline` after it was queued. A run lasts as long as its operations, so leave room.

If Airflow itself is down, nobody is told by it. For that there are rules for Prometheus in
`docs/monitoring/alert-rules.yaml`.
"""
METRICS: Final = """\
# Metrics

`GET /ballast/metrics` at Airflow's API server, in the text format of Prometheus. It needs Airflow's login
(with the right to read the DAG `rebalancing`), or the setting `metrics_token` as bearer token; the token
opens nothing else. It is worked out from the ledger when it is asked for, and kept for five seconds.

```yaml
scrape_configs:
  - job_name: ballast
    metrics_path: /ballast/metrics
    scrape_interval: 30s
    authorization: {credentials_file: /etc/prometheus/ballast-token}
    static_configs: [{targets: ["airflow.example.com"]}]
```

Each [book](books.md) with a name is asked at its own path, `/ballast/books/<name>/metrics`, with the token of
its own settings. The label `book` of every metric says which it is; of the book without a name it is
`default`.

`docs/monitoring` has rules (`alert-rules.yaml`) and a dashboard for Grafana (`grafana-dashboard.json`).

Amounts are drawn here, and nothing is decided by them: they are floats. Counters come from the ledger and
so survive restarts. What is not known is absent, and not zero.
"""
SENT: Final = """\
## What tasks send

Where Airflow is told to send metrics (`[metrics] statsd_on` or `otel_on`), tasks add these to Airflow's
own, under its prefix. Times are in milliseconds. While that is off, nothing is loaded or sent.
"""
