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
- **To stop it**, set the Variable `rebalancing_switch`: `drain` finishes what is under way and starts nothing
  new, `halt` stops everything where it is, `run` goes on. Do not pause the DAG for that: what is under way is
  then stuck until you unpause it, and nothing says so.
- **What is under way** is in the Variables `rebalancing_in_progress_<asset>`. They only show it.
- **After a failed or killed run** there is nothing to clean up: the next run takes its operations over.
- **A backfill** decides again on the balances recorded at its time, with other thresholds if you set some,
  and moves nothing. The page of Ballast then shows what would have become of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param, chain, task, task_group

from ballast import alerts, by_hand, replays, tasks, watcher
from ballast.operators import OPERATORS
from include.domain.operation import OperationKind
from include.legs.route import legs_needed, may_need_approval
from include.settings import load_settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, XComArg

CHECKS, OPERATIONS = "rebalancing_check", "rebalancing_operations"  # pools
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": 2}

settings = load_settings()  # a wrong setting is an import error that names it


def push(kind: OperationKind, operations: XComArg) -> None:
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
                operation=operation,
                last=leg is needed[-1],
                pool=OPERATIONS,
                map_index_template=label,
            )
            for leg in needed
        ]
        if may_need_approval(kind, settings):
            from ballast.approval import ApproveOperator  # noqa: PLC0415 - only where somebody is asked

            ask = ApproveOperator(task_id="approve", operation=operation, map_index_template=label)
            asked_and_pushed.insert(0, ask)
        chain(*asked_and_pushed)

    legs.expand(operation=operations)


with DAG(
    dag_id="rebalancing",
    description="Brings every asset that has left its band back to its target",
    schedule=watcher.schedule(settings),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    # A run lasts as long as its operations, and an asset has one at most: a check always finds a place.
    max_active_runs=max(16, len(settings.symbols) + 2),
    default_args=RETRIES,
    deadline=alerts.deadline(settings),
    params={
        "dry_run": Param(False, type="boolean", description="Decide everything and move nothing."),
        "assets": Param(
            [],
            type="array",
            items={"type": "string", "enum": [*settings.symbols]},
            examples=[*settings.symbols],
            description="The only assets that this run may move. Empty: all.",
        ),
        **by_hand.params(settings),
        **replays.params(),
    },
    tags=["ballast"],
    doc_md=__doc__,
):
    checked = task(task_id="check", pool=CHECKS, execution_timeout=timedelta(minutes=5))(tasks.check)()
    for kind in OperationKind:
        claim = task(task_id=f"claim_{kind.value}")(tasks.claim)
        push(kind, claim(kind.value, checked))  # type: ignore[arg-type]  # it stands for what check returns
