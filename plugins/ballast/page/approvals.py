"""The answers to whether an operation may begin: given to Airflow, whose task writes them into the ledger."""

# Annotations are not put off here: FastAPI reads them when a route is made.

from typing import Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import Field

from ballast.approval import APPROVE, OPERATION, REASON, REJECT
from ballast.page.access import ACT, FROM_PAGE, names_of
from ballast.page.acts import REFUSED, Body, Reason
from ballast.page.answers import From
from ballast.page.own_airflow import answer_of, own_airflow
from include.exits.refusal import Refusal
from include.overview import models

router = APIRouter(dependencies=[ACT, FROM_PAGE], responses=REFUSED)
OPTIONS: Final = {"approve": APPROVE, "reject": REJECT}


class Approval(Body):
    """Say whether an operation may begin."""

    reason: Reason


class Answered(Body):
    """The answer that Airflow has taken. Its task writes it into the ledger in a moment."""

    operation_id: str
    answer: Literal["approve", "reject"]
    by: str = Field(description="Who Airflow says it was.")


@router.post("/operations/{operation_id}/approve")
async def approve(operation_id: str, body: Approval, request: Request, source: From) -> Answered:
    """Let an operation begin that waits for a person's approval."""
    return await _answer("approve", operation_id, body.reason, request, source)


@router.post("/operations/{operation_id}/reject")
async def reject(operation_id: str, body: Approval, request: Request, source: From) -> Answered:
    """Have an operation cancelled that waits for a person's approval."""
    return await _answer("reject", operation_id, body.reason, request, source)


async def _answer(
    answer: Literal["approve", "reject"], operation_id: str, reason: str, request: Request, source: From
) -> Answered:
    operation = source.reader().operation(source.settings(), operation_id)
    if answer not in operation.verbs:
        raise Refusal(f"there is nothing to answer: {_decided(operation)}")
    runs = f"/api/v2/dags/{names_of(request).dag}/dagRuns/{quote(operation.run_id, safe='')}"
    async with own_airflow(request) as airflow:
        waiting = {"response_received": "false", "limit": "100"}
        open_ones = await airflow.get(f"{runs}/hitlDetails", params=waiting)
        found = answer_of(open_ones, "Airflow did not say what it asks")
        task = _asking(found["hitl_details"], operation_id)
        path = f"{runs}/taskInstances/{quote(task['task_id'], safe='')}/{task['map_index']}/hitlDetails"
        said = {
            "chosen_options": [OPTIONS[answer]],
            "params_input": {REASON: reason, OPERATION: operation_id},
        }
        taken = answer_of(await airflow.patch(path, json=said), "Airflow did not take the answer")
    return Answered(operation_id=operation_id, answer=answer, by=taken["responded_by"]["name"])


def _decided(operation: models.Operation) -> str:
    """Say why nobody has to approve an operation."""
    if operation.closed_at is not None:
        return f"the operation is {operation.status} already: {operation.outcome}"
    by = next((one.actor for one in operation.interventions if one.verb == "approve"), None)
    return f"{by} has approved it" if by else "it needs no approval, or the time for it is over"


def _asking(details: list[dict[str, Any]], operation_id: str) -> dict[str, Any]:
    """Return the task that asks about an operation.

    :raises Refusal: where none does.
    """
    for detail in details:
        if detail["params"].get(OPERATION, {}).get("value") == operation_id:
            task: dict[str, Any] = detail["task_instance"]
            return task
    raise Refusal("Airflow does not ask about it at the moment: wait until its task has put the question")
