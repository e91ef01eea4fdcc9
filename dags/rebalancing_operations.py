"""
### What a person can do with the operations that are open.

Trigger it; the form asks what to do. A reason is needed for everything but `list`, and is recorded with your
name. What is refused fails the task, with the reason in its log, and changes nothing.

- **list** shows every open operation: what it waits for, since when, and what can be done about it.
- **resume** makes an operation look again, after you have removed what it was waiting for.
- **cancel** closes one that has moved nothing.
- **adopt** gives the reference of something whose answer was lost: the id at Alpaca or a transaction's hash.
- **reconcile** states what happened: a request did not (`not_done`), or the operation is over (`closed`, with
  the amount that was delivered, 0 for nothing).

Each is checked at the venues first. Nothing here signs or sends anything; the DAG `{names.dag}` goes on with
what is still open.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from ballast import factory, interventions


def text(description: str) -> Param:
    """Return a field of the form that may be left empty."""
    return Param(None, type=["null", "string"], description=description)


for names in factory.wanted(lambda one: one.operations_dag):
    with DAG(
        dag_id=names.operations_dag,
        description="Shows the open operations, and does with them what a person decides",
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        params={
            "verb": Param(
                interventions.LIST, type="string", enum=[*interventions.VERBS], description="What to do."
            ),
            "operation": text("The operation's id, as list shows it."),
            "reason": text("Why. Needed for everything but list."),
            "reference": text("To adopt: the id at Alpaca, or the transaction's hash."),
            "outcome": Param(
                None,
                type=["null", "string"],
                enum=[None, *interventions.OUTCOMES],
                description="To reconcile: `not_done` (a request never happened), or `closed` (it is over).",
            ),
            "delivered": text(
                "To reconcile as closed: what arrived, in whole shares or USDC; 0 for nothing."
            ),
            "effect": text("To adopt or reconcile, where several effects are open: the name or id of one."),
        },
        tags=factory.tags(names),
        doc_md=(__doc__ or "").format(names=names),
    ):
        # Not tried again: what was refused is refused, and a person sees it at once.
        task(task_id="intervene", retries=0)(interventions.intervene)(names.book)
