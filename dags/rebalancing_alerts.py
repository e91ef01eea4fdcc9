"""
### Tells people what they have to know without looking.

Every minute its one task looks at the ledger, at the wallet's gas and nonces, and at what Airflow says of the
DAG `{names.dag}`: operations that ask for a person or are late, checks that have stopped, gas that runs low,
a key that somebody else uses, limits that are reached. Whoever the setting `alert_notifiers` names is told
once when something appears and once when it is over. Without notifiers it is only in the log of the task.

It does not depend on the DAG `{names.dag}`, and works while that is paused, fails or cannot be read. The task
fails when somebody could not be told, and tells them the next time. Nothing is moved or changed here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from ballast import alerts, factory

for names in factory.wanted(lambda one: one.alerts_dag):
    with DAG(
        dag_id=names.alerts_dag,
        description="Tells people what they have to know without looking",
        schedule=alerts.interval(names.book),
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
        # Two at once would do no harm: what is told is claimed in the ledger.
        max_active_runs=1,
        default_args={"retries": 0},
        tags=factory.tags(names),
        doc_md=(__doc__ or "").format(names=names),
    ):
        task(task_id="watch", execution_timeout=timedelta(minutes=4))(alerts.watch)(names.book)
