"""
### Checks, read only, everything that the first real operation needs.

Trigger it before going live, after a change of settings, keys or nodes, and when something fails. The log of
its one task has a line for each thing it looked at: credentials, chains, contracts, tokens, whitelist, gas,
clocks, the ledger and what waits in it; with what was found and what to do. The task fails when an operation
would.

Nothing is changed, and nothing is sent. The pools cannot be seen from here: `make doctor` looks at them too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from ballast import doctor, factory

for names in factory.wanted(lambda one: one.doctor_dag):
    with DAG(
        dag_id=names.doctor_dag,
        description="Checks, read only, everything that the first real operation needs",
        schedule=None,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        # It runs only when somebody asks, and then at once.
        is_paused_upon_creation=False,
        max_active_runs=1,
        default_args={"retries": 0},
        tags=factory.tags(names),
        doc_md=(__doc__ or "").format(names=names),
    ):
        task(task_id="doctor", execution_timeout=timedelta(minutes=5))(doctor.doctor)(names.book)
