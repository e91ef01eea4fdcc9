"""
### Keeps the market maker's inventory in balance.

Every run looks once at what is held as shares and dollars at Alpaca, and as tokens and USDC on Base. An asset
that has left its band is moved back to its target: shares are minted into tokens, tokens are redeemed into
shares, USDC crosses through Circle's CCTP; what is traded from Raindex vaults or in a wrapper leaves and
reaches them on the way. Runs overlap; what is on its way already is left alone.

- **To see what it would do**, trigger it with `dry_run`, for all assets or those you choose. Nothing moves.
- **To move one asset by hand**, trigger it with `kind`, `asset`, `amount` and `reason`. Every limit holds.
  Exactly that amount is moved, or the task `check` fails and says why, and what would do instead.
- **To approve an operation** above its `approval_above`, answer it in Required Actions, or on the page.
- **To stop it**, set the Variable `{names.switch}`: `drain` finishes what is under way and starts nothing
  new, `halt` stops everything where it is, `run` goes on. Do not pause the DAG for that: what is under way is
  then stuck until you unpause it, and nothing says so.
- **What is under way** is in the Variables `{names.in_progress_prefix}<asset>`. They only show it.
- **After a failed or killed run** there is nothing to clean up: the next run takes its operations over.
- **A backfill** decides again on the balances recorded at its time, with other thresholds if you set some,
  and moves nothing. The page of Ballast then shows what would have become of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, chain, task, task_group

from ballast import alerts, by_hand, factory, replays, tasks, watcher
from ballast.operators import OPERATORS
from include.domain.operation import OperationKind
from include.legs.route import legs_needed, may_need_approval

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, XComArg

    from include.settings import Settings

RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": 2}


def push(settings: Settings, kind: OperationKind, operations: XComArg) -> None:
    """Add a group of tasks for each operation of a kind: one for each leg that any asset needs.

    Where any of the assets may need a person's approval, a task comes first that asks for it.
    """

    @task_group(group_id=kind.value)
    def legs(operation: dict[str, str]) -> None:
        """Push one operation until its money has arrived."""
        label = "{{ task.operation['label'] }}"
        needed = legs_needed(kind, settings)
        asked_and_pushed: list[BaseOperator] = [
            OPERATORS[leg](
                task_id=leg.value,
                book=settings.book,
                operation=operation,
                last=leg is needed[-1],
                pool=settings.names.operations_pool,
                map_index_template=label,
            )
            for leg in needed
        ]
        if may_need_approval(kind, settings):
            from ballast.approval import ApproveOperator  # noqa: PLC0415 - only where somebody is asked

            ask = ApproveOperator(
                task_id="approve", book=settings.book, operation=operation, map_index_template=label
            )
            asked_and_pushed.insert(0, ask)
        chain(*asked_and_pushed)

    legs.expand(operation=operations)


def rebalancing(settings: Settings) -> None:
    """Make the DAG of a book."""
    names = settings.names
    with DAG(
        dag_id=names.dag,
        description="Brings every asset that has left its band back to its target",
        schedule=watcher.schedule(settings),
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=True,
        # A run lasts as long as its operations, and an asset has one at most: a check always finds a place.
        max_active_runs=max(16, len(settings.symbols) + 2),
        default_args=RETRIES,
        deadline=alerts.deadline(settings),
        params=factory.form(
            {**tasks.params(settings), **by_hand.params(settings), **replays.params()}, read_by="check"
        ),
        tags=factory.tags(names),
        doc_md=(__doc__ or "").format(names=names),
    ):
        looking = task(task_id="check", pool=names.check_pool, execution_timeout=timedelta(minutes=5))
        checked = looking(tasks.check)(book=names.book)
        for kind in OperationKind:
            claim = task(task_id=f"claim_{kind.value}")(tasks.claim)
            # It stands for what the check returns.
            push(settings, kind, claim(names.book, kind.value, checked))  # type: ignore[arg-type]  # as said


factory.make(rebalancing, __file__)  # for each book; where its settings are wrong, that is shown instead
