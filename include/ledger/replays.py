"""Replays in the ledger: what each of them is, what its runs decided on, and what the report is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from include.ledger.database import reading, writing
from include.ledger.schema import CheckRow, OperationRow, ReplayRow, ReplayRunRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay.

    :param id: made from everything else here, so that what is the same has the same.
    :param name: what people call it.
    :param overrides: the JSON form of what was set otherwise.
    :param policy: the JSON form of the policy with the overrides.
    :param base_policy: the same without them.
    :param interval_seconds: between two checks.
    """

    id: str
    name: str | None
    overrides: Mapping[str, Any]
    policy: Mapping[str, Any]
    base_policy: Mapping[str, Any]
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """What one run of a replay did.

    :param moment: the run's logical date.
    :param source_id: the check whose balances were decided on again; None where it was skipped.
    :param check_id: the check that the replay recorded.
    :param skipped: the code of why nothing was decided.
    """

    replay_id: str
    moment: datetime
    run_id: str
    source_id: str | None = None
    check_id: str | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayHead:
    """A replay, and how far it has got.

    :param first: the logical date of its first run.
    :param skipped: by the code of the reason, how many runs decided nothing.
    """

    replay: Replay
    created_at: datetime
    first: datetime
    last: datetime
    done: int
    skipped: Mapping[str, int]


def record_run(engine: Engine, replay: Replay, run: ReplayRun, now: datetime) -> None:
    """Write down what a run of a replay did, in the place of what its last try did.

    Of several runs that write the replay itself down at once, one does.
    """
    with reading(engine) as session:
        known = session.get(ReplayRow, replay.id) is not None
    if not known:
        _introduce(engine, replay, now)
    with writing(engine) as session:
        session.merge(
            ReplayRunRow(
                replay_id=replay.id,
                moment=run.moment,
                run_id=run.run_id,
                source_id=run.source_id,
                check_id=run.check_id,
                skipped=run.skipped,
                recorded_at=now,
            )
        )


def _introduce(engine: Engine, replay: Replay, now: datetime) -> None:
    try:
        with writing(engine) as session:
            session.add(
                ReplayRow(
                    id=replay.id,
                    name=replay.name,
                    overrides=dict(replay.overrides),
                    policy=dict(replay.policy),
                    base_policy=dict(replay.base_policy),
                    interval_seconds=replay.interval_seconds,
                    created_at=now,
                )
            )
    except IntegrityError:
        return  # another run of it was first


def heads(session: Session, replay_id: str | None = None) -> list[ReplayHead]:
    """Return the replays that have runs, the newest first.

    :param replay_id: only this one.
    """
    counted = select(
        ReplayRunRow.replay_id,
        ReplayRunRow.skipped,
        func.count().label("runs"),
        func.min(ReplayRunRow.moment, type_=ReplayRunRow.moment.type).label("first"),
        func.max(ReplayRunRow.moment, type_=ReplayRunRow.moment.type).label("last"),
    ).group_by(ReplayRunRow.replay_id, ReplayRunRow.skipped)
    known = select(ReplayRow).order_by(ReplayRow.created_at.desc(), ReplayRow.id)
    if replay_id is not None:
        counted = counted.where(ReplayRunRow.replay_id == replay_id)
        known = known.where(ReplayRow.id == replay_id)
    groups: dict[str, list[Any]] = {}
    for group in session.execute(counted):
        groups.setdefault(group.replay_id, []).append(group)
    return [_head(row, groups[row.id]) for row in session.scalars(known) if row.id in groups]


def _head(row: ReplayRow, groups: list[Any]) -> ReplayHead:
    return ReplayHead(
        replay=Replay(row.id, row.name, row.overrides, row.policy, row.base_policy, row.interval_seconds),
        created_at=row.created_at,
        first=min(group.first for group in groups),
        last=max(group.last for group in groups),
        done=sum(group.runs for group in groups if group.skipped is None),
        skipped={group.skipped: group.runs for group in groups if group.skipped is not None},
    )


def version(session: Session, replay_id: str) -> tuple[Any, ...]:
    """Return what is another one as soon as a report of the replay may be."""
    runs = session.execute(
        select(func.count(), func.max(ReplayRunRow.recorded_at)).where(ReplayRunRow.replay_id == replay_id)
    ).one()
    operations = session.execute(
        select(func.count(), func.count(OperationRow.closed_at), func.max(OperationRow.closed_at))
    ).one()
    return (*runs, *operations)


def snapshots(session: Session, replay_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON form of each snapshot that runs of a replay decided on, once each, oldest first."""
    sources = select(ReplayRunRow.source_id).where(ReplayRunRow.replay_id == replay_id)
    rows = session.execute(
        select(CheckRow.snapshot).where(CheckRow.id.in_(sources)).order_by(CheckRow.taken_at, CheckRow.id)
    )
    return (snapshot for (snapshot,) in rows)
