"""What can be done: `POST` under `/api`. Each act needs a reason, and is recorded with the user's name."""

# Annotations are not put off here: FastAPI reads them when a route is made.

import logging
from typing import Annotated, Any, Final, Literal

from airflow.sdk.exceptions import AirflowException
from fastapi import APIRouter, HTTPException, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ballast.interventions import perform
from ballast.page import steering
from ballast.page.access import ACT, FROM_PAGE, ItsNames, User, edits, names_of
from ballast.page.answers import From, source_of
from ballast.page.own_airflow import answer_of, is_paused, own_airflow
from include.check import Switch
from include.domain.asked import WrongField, read_asked
from include.domain.operation import OperationKind
from include.exits.refusal import Refusal
from include.exits.request import Request as Act
from include.ledger.records import Verb
from include.overview import models

log = logging.getLogger(__name__)

REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "It was refused, and nothing was changed; `detail` says why."}
}
router = APIRouter(dependencies=[ACT, FROM_PAGE], responses=REFUSED)
CONFLICT: Final = 409
LONGEST: Final = 1000


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _needed(text: str) -> str:
    if not text:
        raise ValueError("a reason is needed")
    return text


Line = Annotated[str, Field(max_length=LONGEST), AfterValidator(_one_line)]
Reason = Annotated[Line, Field(description="Why. It is recorded."), AfterValidator(_needed)]


class Body(BaseModel):
    """What is asked, or what is answered to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Turn(Body):
    """Turn the switch."""

    to: Switch
    reason: Reason


class Turned(Body):
    """Where the switch is, and where it was."""

    switch: Switch
    was: Switch


class HoldBack(Body):
    """Hold an asset back from new operations, or let it go."""

    asset: str
    hold: bool
    reason: Reason


class Held(Body):
    """The assets that are held back."""

    hold: list[str]


class Look(Body):
    """Run a check now."""

    dry_run: bool = Field(False, description="Decide everything and move nothing.")
    reason: Line = ""


class Start(Body):
    """Move one asset by hand."""

    kind: OperationKind
    asset: Line
    amount: Line = Field(description="Decimal text, in shares or USDC. Exactly this is moved, or nothing.")
    reason: Reason
    dry_run: bool = Field(False, description="Decide everything and move nothing.")
    key: str = Field(
        pattern=r"^[0-9A-Za-z-]{8,64}$",
        description="Chosen by whoever asks. What is asked again under the same key is not started again.",
    )


class Started(Body):
    """The run that was started."""

    run_id: str
    state: str
    paused: bool | None = Field(description="If the DAG is paused, the run waits until it is not.")


class Intervene(Body):
    """What is needed beside the verb; the same as in the form of the book's DAG for operations."""

    reason: Reason
    effect: Line = ""
    reference: Line = ""
    outcome: Literal["", "not_done", "closed"] = ""
    delivered: Line = ""


@router.post("/switch", dependencies=[edits(lambda names: names.switch)])
def switch(body: Turn, names: ItsNames, user: User) -> Turned:
    """Turn the switch to run, drain or halt."""
    was = steering.turn(names, body.to, steering.Person(user.get_name(), body.reason))
    return Turned(switch=body.to, was=was)


@router.post("/hold", dependencies=[edits(lambda names: names.hold)])
def hold(body: HoldBack, source: From, names: ItsNames, user: User) -> Held:
    """Hold an asset back from new operations, or let it go."""
    if body.hold and body.asset not in source.settings().symbols:
        raise HTTPException(404, f"{body.asset} is not among the assets of the settings")
    person = steering.Person(user.get_name(), body.reason)
    return Held(hold=sorted(steering.hold(names, body.asset, person, held=body.hold).assets))


@router.post("/check")
async def check(body: Look, request: Request) -> Started:
    """Start a run of the DAG, through Airflow's own API and with the user's own login."""
    return await _started(request, {"dry_run": body.dry_run}, body.reason)


@router.post("/start")
async def start(body: Start, request: Request, source: From, user: User) -> Started:
    """Start a run that moves one asset as asked: what the form of the DAG does, once for each key."""
    form = body.model_dump(exclude={"key", "dry_run"})
    try:
        asked = read_asked(form, by=user.get_name(), symbols=source.settings().symbols)
    except WrongField as wrong:
        raise HTTPException(422, str(wrong)) from None
    if asked is None:
        raise HTTPException(422, "kind: is needed to ask for an operation")
    return await _started(request, {**form, "dry_run": body.dry_run}, body.reason, f"by_hand__{body.key}")


async def _started(request: Request, conf: dict[str, Any], note: str, run_id: str | None = None) -> Started:
    """Start a run of the DAG.

    :param run_id: its name; Airflow refuses one that there is already.
    """
    asked: dict[str, Any] = {"logical_date": None, "conf": conf, "note": note or None}
    if run_id is not None:
        asked["dag_run_id"] = run_id
    dag_id = names_of(request).dag
    async with own_airflow(request) as airflow:
        answer = await airflow.post(f"/api/v2/dags/{dag_id}/dagRuns", json=asked)
        if answer.status_code == CONFLICT and run_id is not None:
            raise Refusal(f"it was started before, as the run {run_id}: look there before you start another")
        found = answer_of(answer, "Airflow did not start a run")
        paused = await is_paused(airflow, dag_id)
    return Started(run_id=found["dag_run_id"], state=found["state"], paused=paused)


@router.post("/operations/{operation_id}/{verb}")
def intervene(
    operation_id: str, verb: Verb, body: Intervene, request: Request, user: User
) -> models.Operation:
    """Do with an open operation what a person decides, once it is checked against the world."""
    source, names = source_of(request), names_of(request)
    settings, ledger = source.settings(), source.ledger()
    source.reader().operation(settings, operation_id)  # before any venue is opened: is there such a one?
    person = steering.Person(user.get_name(), body.reason)
    act = Act(verb, operation_id, **body.model_dump())
    try:
        done = perform(settings, ledger, person.name, act)
    except (Refusal, AirflowException) as refusal:
        log.warning("%s was refused %s on operation %s: %s", person.name, verb, operation_id, refusal)
        if isinstance(refusal, Refusal):
            raise
        # A Connection lacks something, or leads to another chain.
        raise Refusal(f"nothing was changed, as it could not be checked: {refusal}") from refusal
    steering.record(names, f"ballast_{verb}", person, operation=operation_id, asset=done.operation.asset)
    steering.show(names, ledger, done.operation.asset)
    return source.reader().operation(settings, operation_id)
