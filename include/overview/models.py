"""The answers of the page's API. Amounts and ratios are decimal text, times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from include.domain.operation import OperationKind  # noqa: TC001 - the same

LegStage: TypeAlias = Literal["done", "now", "waiting", "later", "closed"]
"""`now`: to be pushed; `waiting`: for something; `closed`: the operation ended without this leg."""


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment: TypeAlias = Annotated[datetime, PlainSerializer(_iso, return_type=str)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Link(_Model):
    """An address in a chain's explorer."""

    text: str
    url: str


class Balance(_Model):
    """What one venue holds of one asset, in whole shares or USDC."""

    available: str
    held: str
    in_flight: str


class UnreadVenue(_Model):
    """A venue that could not be read, which does not mean that it is empty."""

    unread: str = Field(description="Why not.")


class Check(_Model):
    """The newest check that looked at the venues."""

    id: str
    at: Moment
    age_seconds: int
    run_id: str
    mode: str = Field(description="live, observe or dry_run.")


class Asset(_Model):
    """One asset, as the newest check saw it."""

    asset: str
    kind: Literal["equity", "usdc"]
    onchain: Balance | UnreadVenue
    offchain: Balance | UnreadVenue
    ratio: str | None = Field(description="The onchain part of the total, rounded to 6 decimals.")
    target: str
    lower: str = Field(description="The lower edge of the band; it may be below 0.")
    upper: str = Field(description="The upper edge of the band; it may be above 1.")
    stop_lower: str = Field(description="Where a move onto the chain ends.")
    stop_upper: str = Field(description="Where a move off the chain ends.")
    reason: str | None = Field(description="The code of what the check decided.")
    detail: str | None = Field(description="The same in a sentence, with the numbers.")
    description: str | None = Field(description="What the code means.")
    direction: OperationKind | None = Field(description="What is planned, or would be if it were allowed.")
    amount: str | None = Field(description="How much of it.")
    operation_id: str | None = Field(description="Its open operation.")
    held: bool = Field(description="Whether people hold it back from new operations.")


class Leg(_Model):
    """One leg of an operation."""

    name: str
    state: LegStage
    amount_in: str | None
    amount_out: str | None
    waiting_for: str | None
    since: Moment | None
    due_at: Moment | None
    done_at: Moment | None
    attention: str | None = Field(description="What a person has to decide.")
    links: list[Link]


class OpenOperation(_Model):
    """An operation that is open."""

    id: str
    kind: OperationKind
    asset: str
    amount: str
    unit: Literal["shares", "USDC"]
    opened_at: Moment
    age_seconds: int
    run_id: str
    overdue: bool
    estimate: str | None = Field(description="What it is expected to cost, in dollars.")
    legs: list[Leg]


class Attention(_Model):
    """Something that a person has to decide."""

    operation_id: str
    asset: str
    kind: OperationKind
    leg: str
    since: Moment | None
    text: str
    verbs: list[str]
    runbook: str = Field(description="The section of the runbook that says what to do: its anchor.")


class Moved(_Model):
    """What the operations opened today move of one asset, cancelled ones left out."""

    asset: str
    amount: str
    limit: str | None = Field(description="The asset's own daily maximum.")


class Together(_Model):
    """A daily maximum of several assets, and what counts against it."""

    of: str
    amount: str
    limit: str


class Today(_Model):
    """The day so far, in UTC."""

    since: Moment
    settled: int
    cancelled: int
    cost_dollars: str | None = Field(description="What the operations closed today have cost.")
    cost_is_partial: bool = Field(description="Whether a part of it is not known.")
    moved: list[Moved]
    together: list[Together]


class Limits(_Model):
    """The most that one operation may move."""

    equity_cap: str | None
    usdc_cap: str | None


class Overview(_Model):
    """Everything at a glance."""

    as_of: Moment
    book: str = Field(description="The name of the book; empty for the one without a name.")
    dag: str = Field(description="The DAG that rebalances it.")
    user: str
    may_act: bool
    may_steer: bool = Field(description="Whether they may turn the switch and hold assets back.")
    switch: Literal["run", "drain", "halt"]
    enabled: bool
    paused: bool | None = Field(description="Whether the DAG is paused in Airflow; null where it is unknown.")
    hold: list[str]
    hold_all: str | None = Field(description="Why everything is held, where it is.")
    check: Check | None
    check_interval_seconds: int
    attention: list[Attention]
    assets: list[Asset]
    operations: list[OpenOperation]
    today: Today
    limits: Limits | None


class PastOperation(_Model):
    """An operation, marked in a history."""

    id: str
    kind: OperationKind
    opened_at: Moment
    closed_at: Moment | None
    amount: str
    status: str


class History(_Model):
    """The ratio of one asset over time."""

    asset: str
    target: str
    lower: str
    upper: str
    points: list[tuple[int, str | None]] = Field(
        description="Seconds since 1970 and the ratio, null where it is not known; 500 at most."
    )
    operations: list[PastOperation]


class ListedOperation(_Model):
    """An operation in the list of all."""

    id: str
    kind: OperationKind
    asset: str
    amount: str
    unit: Literal["shares", "USDC"]
    delivered: str | None
    status: str
    outcome: str | None
    opened_at: Moment
    closed_at: Moment | None
    run_id: str
    estimated_cost: str | None = Field(description="In dollars.")
    paid_cost: str | None = Field(description="In dollars, of a closed operation.")


class Operations(_Model):
    """A page of the list of operations, newest first."""

    operations: list[ListedOperation]
    next: str | None = Field(description="What to ask for as `before` to get the next page.")


class Effect(_Model):
    """One thing done to the outside world."""

    id: str
    name: str
    attempt: int
    status: str
    irreversible: bool
    reference: str | None
    detail: str | None
    link: Link | None
    intended_at: Moment
    sent_at: Moment | None


class DetailedLeg(Leg):
    """One leg with everything it did."""

    effects: list[Effect]


class Intervention(_Model):
    """What a person did with an operation."""

    verb: str
    reason: str
    actor: str
    at: Moment


class Operation(ListedOperation):
    """Everything about one operation."""

    check_id: str
    overdue: bool
    cost_words: str = Field(description="What it has cost so far, item by item.")
    legs: list[DetailedLeg]
    interventions: list[Intervention]
    verbs: dict[str, str] = Field(description="What a person can do, with a sentence for each.")
