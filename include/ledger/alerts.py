"""What people are told, once: which conditions hold, which notifier was told of them, and what was read.

An alert is one time that a condition held. It ends when the condition has not been seen for a while, so that
one that comes and goes is one alert. What a notifier is told is claimed first and recorded after it took it:
two processes tell it once, and one that dies in between tells it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, update

from include.ledger.database import reading, writing
from include.ledger.ledger import new_id, utc_now
from include.ledger.schema import AlertRow, ReadingRow, TellingRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

ALERT_LOCK: Final = 0x616C657274  # an arbitrary number for PostgreSQL's advisory lock
CLAIM: Final = timedelta(minutes=2)
"""How long a notifier may take before somebody else tells it again."""
LONGEST_QUIET: Final = timedelta(hours=1)
EPISODES_COUNT_FOR: Final = timedelta(days=1)
"""How long an alert that ended counts as one of several of the same condition."""

_OPEN: Final = AlertRow.resolved_at.is_(None)


class Stage(StrEnum):
    """What a notifier is told about an alert."""

    HOLDS = "holds"
    STILL_HOLDS = "still_holds"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that people should know of, as it is now.

    :param key: the same for the same thing, for as long as it holds.
    :param text: one line.
    :param since: since when it holds.
    """

    key: str
    kind: str
    text: str
    since: datetime
    asset: str | None = None
    operation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One time that a condition held; the latest words for it."""

    id: str
    key: str
    kind: str
    asset: str | None
    operation_id: str | None
    text: str
    since: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None

    @classmethod
    def of(cls, row: AlertRow) -> Alert:
        """Copy a row."""
        return cls(*(getattr(row, field.name) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class Telling:
    """What one notifier is to be told now, and nobody else tells it meanwhile."""

    alert: Alert
    notifier: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Reading:
    """A number of the world, and when it was read."""

    value: int
    at: datetime


class AlertBook:
    """The alerts of one ledger.

    :param engine: the ledger's.
    :param now: the clock.
    :param new_id: where identifiers come from.
    """

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime] = utc_now, new_id: Callable[[], str] = new_id
    ) -> None:
        self._engine = engine
        self._now = now
        self._new_id = new_id

    def observe(self, conditions: Iterable[Condition], judged: Collection[str], *, quiet: timedelta) -> None:
        """Record what holds now, and what has ended.

        :param judged: the kinds that were looked for. One of another kind may still hold, so it does not end.
        :param quiet: so long a condition is not seen before its alert ends. Each alert of the same condition
            that ended within a day doubles it, up to an hour.
        """
        now = self._now()
        with self._writing() as session:
            present = {row.key: row for row in session.scalars(select(AlertRow).where(_OPEN))}
            seen = {one.key: one for one in conditions}
            for key, one in seen.items():
                row = present.get(key)
                if row is None:
                    session.add(_row(self._new_id(), one, now))
                else:
                    row.text, row.last_seen_at = one.text, now
            gone = [row for row in present.values() if row.key not in seen and row.kind in judged]
            before = _ended_lately(session, [row.key for row in gone], now - EPISODES_COUNT_FOR)
            for row in gone:
                # Doubled at most ten times: that is more than the longest quiet whatever it starts from.
                doubled = quiet * 2 ** min(before.get(row.key, 0), 10)
                if now - row.last_seen_at >= max(quiet, min(doubled, LONGEST_QUIET)):
                    row.resolved_at = now

    def take(self, notifiers: Collection[str], *, repeat: timedelta | None) -> list[Telling]:
        """Claim what these notifiers have to be told now, oldest alert first.

        Nobody is told of the end of what they were not told of.

        :param repeat: what holds is told again after so long; None for never.
        """
        now, found = self._now(), []
        with self._writing() as session:
            query = select(AlertRow).where(or_(_OPEN, AlertRow.resolved_at >= now - EPISODES_COUNT_FOR))
            alerts = list(session.scalars(query.order_by(AlertRow.first_seen_at, AlertRow.id)))
            known = {
                (row.alert_id, row.notifier): row
                for row in session.scalars(
                    select(TellingRow).where(TellingRow.alert_id.in_([row.id for row in alerts]))
                )
            }
            for alert in alerts:
                for notifier in notifiers:
                    telling = known.get((alert.id, notifier))
                    stage = _stage(alert, telling, now, repeat)
                    if stage is None:
                        continue
                    if telling is None:
                        telling = TellingRow(alert_id=alert.id, notifier=notifier, failures=0)
                        session.add(telling)
                    telling.claimed_until = now + CLAIM
                    found.append(Telling(Alert.of(alert), notifier, stage))
        return found

    def told(self, telling: Telling) -> None:
        """Record that a notifier took it."""
        column = "resolved_told_at" if telling.stage is Stage.RESOLVED else "told_at"
        self._update(telling, **{column: self._now()}, claimed_until=None, failures=0, error=None)

    def failed(self, telling: Telling, why: str) -> None:
        """Record that a notifier did not take it. It is to be told again."""
        self._update(telling, claimed_until=None, failures=TellingRow.failures + 1, error=why)

    def standing(self) -> list[Alert]:
        """Return the alerts that have not ended, oldest first."""
        with reading(self._engine) as session:
            return standing(session)

    def readings(self) -> dict[str, Reading]:
        """Return what was read last, by name."""
        with reading(self._engine) as session:
            return readings(session)

    def keep_readings(self, values: Mapping[str, int]) -> None:
        """Record what was read just now, in the place of what was read before."""
        now = self._now()
        with self._writing() as session:
            for name, value in values.items():
                session.merge(ReadingRow(name=name, value=value, read_at=now))

    def _update(self, telling: Telling, **values: Any) -> None:
        with self._writing() as session:
            session.execute(
                update(TellingRow)
                .where(TellingRow.alert_id == telling.alert.id, TellingRow.notifier == telling.notifier)
                .values(**values)
            )

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with writing(self._engine) as session:
            if self._engine.dialect.name == "postgresql":
                # Who observes and who takes wait for each other. SQLite has one writer at a time anyway.
                session.execute(select(func.pg_advisory_xact_lock(ALERT_LOCK)))
            yield session


def standing(session: Session) -> list[Alert]:
    """Return the alerts that have not ended, oldest first."""
    rows = session.scalars(select(AlertRow).where(_OPEN).order_by(AlertRow.first_seen_at, AlertRow.id))
    return [Alert.of(row) for row in rows]


def readings(session: Session) -> dict[str, Reading]:
    """Return what was read last, by name."""
    return {row.name: Reading(row.value, row.read_at) for row in session.scalars(select(ReadingRow))}


def _row(alert_id: str, one: Condition, now: datetime) -> AlertRow:
    return AlertRow(
        id=alert_id,
        key=one.key,
        kind=one.kind,
        asset=one.asset,
        operation_id=one.operation_id,
        text=one.text,
        since=one.since,
        first_seen_at=now,
        last_seen_at=now,
    )


def _ended_lately(session: Session, keys: Collection[str], since: datetime) -> dict[str, int]:
    rows = session.execute(
        select(AlertRow.key, func.count())
        .where(AlertRow.key.in_(keys), AlertRow.resolved_at >= since)
        .group_by(AlertRow.key)
    )
    return {key: count for key, count in rows}


def _stage(
    alert: AlertRow, telling: TellingRow | None, now: datetime, repeat: timedelta | None
) -> Stage | None:
    """Return what a notifier has to be told of an alert now, unless somebody is telling it."""
    told_at = None if telling is None else telling.told_at
    if telling is not None and telling.claimed_until is not None and telling.claimed_until > now:
        return None
    if alert.resolved_at is not None:
        due = telling is not None and told_at is not None and telling.resolved_told_at is None
        return Stage.RESOLVED if due else None
    if told_at is None:
        return Stage.HOLDS
    return Stage.STILL_HOLDS if repeat is not None and now - told_at >= repeat else None
