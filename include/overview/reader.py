"""Reads the answers of the page from the ledger, and keeps what cannot change any more."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from include.domain.amounts import plain
from include.domain.limits import midnight
from include.ledger import queries
from include.ledger.database import reading
from include.ledger.ledger import utc_now
from include.overview import history, models, operations
from include.overview.assets import Band, assets, band, bands, ratio
from include.overview.today import today

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from include.domain.cost import Cost
    from include.domain.limits import Hold
    from include.ledger.records import Operation
    from include.settings import Settings

KEPT_COSTS: Final = 20_000
KEPT_RATIOS: Final = 100_000
MOST_LISTED: Final = 200

T = TypeVar("T")


class Unknown(LookupError):
    """There is no such asset or operation, or no such place in the list."""


class _Kept(Generic[T]):
    """What was worked out and stays true, up to a number of things; the oldest is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, keys: Iterable[Hashable]) -> dict[Any, T]:
        """Return what is kept of these."""
        with self._lock:
            return {key: self._found[key] for key in keys if key in self._found}

    def keep(self, found: Mapping[Any, T]) -> None:
        """Keep these."""
        with self._lock:
            self._found.update(found)
            while len(self._found) > self._most:
                self._found.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks.

    :param may_act: whether they may do more than look.
    :param may_steer: whether they may turn the switch and hold assets back too.
    """

    name: str
    may_act: bool
    may_steer: bool = False


@dataclass(frozen=True, slots=True)
class Steering:
    """What people have told the running system, outside of the ledger.

    :param paused: whether the DAG is paused; None where it is not known.
    """

    switch: Literal["run", "drain", "halt"]
    hold: Hold
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The assets as one check left them, under one set of settings."""

    check_id: str | None
    settings: Settings | None
    bands: Mapping[str, Band] = field(default_factory=dict)
    assets: Mapping[str, models.Asset] = field(default_factory=dict)


class Reader:
    """Answers for one ledger. Safe to use from several threads.

    Each answer is one short read, of one moment; how many statements it takes does not depend on how much
    there is.

    :param engine: the ledger's.
    :param now: the clock.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now
        self._seen = _Seen(None, None)
        self._costs: _Kept[Cost] = _Kept(KEPT_COSTS)
        self._ratios: _Kept[str | None] = _Kept(KEPT_RATIOS)

    def overview(self, settings: Settings, steering: Steering, viewer: Viewer) -> models.Overview:
        """Return everything at a glance."""
        now = self._now()
        day = midnight(now)
        with reading(self._engine) as session:
            head = queries.newest_check(session)
            seen = self._look(session, settings, head)
            lately = queries.operations_since(session, day)
            opened = [
                operations.opened(case, settings.chains, now)
                for case in queries.cases(session, (one for one in lately if one.status.is_open))
            ]
            costs = self._closed_costs(session, [one for one in lately if _closed_since(one, day)])
        claimed = {operation.asset: operation.id for operation, _ in opened}
        return models.Overview(
            as_of=now,
            book=settings.book,
            dag=settings.names.dag,
            user=viewer.name,
            may_act=viewer.may_act,
            may_steer=viewer.may_steer,
            switch=steering.switch,
            enabled=settings.rebalancing_enabled,
            paused=steering.paused,
            hold=sorted(steering.hold.assets),
            hold_all=steering.hold.everything,
            check=None if head is None else _check(head, now),
            check_interval_seconds=int(settings.rebalancing_check_interval.total_seconds()),
            attention=operations.by_urgency(attention for _, found in opened for attention in found),
            assets=_overlaid(seen.assets, claimed, steering.hold),
            operations=[operation for operation, _ in opened],
            today=today(lately, list(costs.values()), day, settings, seen.bands),
            limits=_limits(settings),
        )

    def history(self, settings: Settings, asset: str, span: timedelta) -> models.History:
        """Return the ratio of an asset over the last time.

        :raises Unknown: when the asset is not watched.
        """
        if asset not in settings.symbols:
            raise Unknown(f"{asset} is not among the assets of the settings")
        span = min(span, history.LONGEST)
        since = self._now() - span
        with reading(self._engine) as session:
            found = history.points(
                queries.check_times(session, since),
                span,
                settings.rebalancing_check_interval,
                lambda check_ids: self._ratios_of(session, asset, check_ids),
            )
            moved = queries.operations_since(session, since, asset)
        own = band(settings.asset(asset))
        return models.History(
            asset=asset,
            target=own.target,
            lower=own.lower,
            upper=own.upper,
            points=found,
            operations=[
                models.PastOperation(
                    id=one.id,
                    kind=one.kind,
                    opened_at=one.opened_at,
                    closed_at=one.closed_at,
                    amount=plain(one.quantity),
                    status=one.status.value,
                )
                for one in moved
            ],
        )

    def operations(
        self, *, limit: int = 50, before: str | None = None, asset: str | None = None
    ) -> models.Operations:
        """Return a page of the list of all operations, newest first.

        :param before: what the page before gave as `next`.
        :raises Unknown: when that was not given by any.
        """
        limit = min(max(limit, 1), MOST_LISTED)
        place = None if before is None else _place(before)
        with reading(self._engine) as session:
            # One more, to know whether there is a next page.
            found = queries.newest_operations(session, limit + 1, before=place, asset=asset)
            page = found[:limit]
            costs = self._closed_costs(session, [one for one in page if not one.status.is_open])
        return models.Operations(
            operations=[operations.listed(one, costs.get(one.id)) for one in page],
            next=f"{page[-1].opened_at.isoformat()},{page[-1].id}" if len(found) > limit else None,
        )

    def operation(self, settings: Settings, operation_id: str) -> models.Operation:
        """Return everything about one operation.

        :raises Unknown: when there is none with this id.
        """
        with reading(self._engine) as session:
            found = queries.cases(session, queries.select_operations(session, queries.named(operation_id)))
        if not found:
            raise Unknown(f"the ledger has no operation {operation_id}")
        return operations.detailed(found[0], settings.chains, self._now())

    def _look(self, session: Session, settings: Settings, head: queries.CheckHead | None) -> _Seen:
        """Return the assets as the newest check left them; read once for each check."""
        check_id, seen = None if head is None else head.id, self._seen
        if seen.settings is settings and seen.check_id == check_id:
            return seen
        own = seen.bands if seen.settings is settings else bands(settings)
        if check_id is None:
            shown = assets(own, None, {})
        else:
            inventories = queries.inventories(session, check_id)
            shown = assets(own, inventories, queries.decisions(session, check_id))
        self._seen = _Seen(check_id, settings, own, shown)
        return self._seen

    def _closed_costs(self, session: Session, closed: Sequence[Operation]) -> dict[str, Cost]:
        """Return what closed operations have cost; nothing is written to one that is closed."""
        found = self._costs.get(one.id for one in closed)
        new = queries.cases(session, (one for one in closed if one.id not in found))
        worked_out = {case.operation.id: operations.cost(case) for case in new}
        self._costs.keep(worked_out)
        return found | worked_out

    def _ratios_of(self, session: Session, asset: str, check_ids: Sequence[str]) -> dict[str, str | None]:
        """Return the ratio of an asset that each check saw."""
        kept = self._ratios.get((asset, check_id) for check_id in check_ids)
        found = {check_id: value for (_, check_id), value in kept.items()}
        new = [check_id for check_id in check_ids if check_id not in found]
        if new:
            inventories = queries.inventories_of(session, asset, new)
            seen = {check_id: ratio(asset, inventory) for check_id, inventory in inventories.items()}
            self._ratios.keep({(asset, check_id): value for check_id, value in seen.items()})
            found |= seen
        return found


def _overlaid(seen: Mapping[str, models.Asset], claimed: Mapping[str, str], hold: Hold) -> list[models.Asset]:
    """Return the assets with what can change between two checks."""
    return [
        one.model_copy(update={"operation_id": claimed.get(asset), "held": hold.why(asset) is not None})
        if asset in claimed or hold.why(asset) is not None
        else one
        for asset, one in seen.items()
    ]


def _check(head: queries.CheckHead, now: datetime) -> models.Check:
    age = int((now - head.taken_at).total_seconds())
    return models.Check(
        id=head.id, at=head.taken_at, age_seconds=age, run_id=head.run_id, mode=head.mode.value
    )


def _closed_since(operation: Operation, moment: datetime) -> bool:
    return operation.closed_at is not None and operation.closed_at >= moment


def _limits(settings: Settings) -> models.Limits | None:
    caps = settings.equity_cap, settings.usdc_cap
    if caps == (None, None):
        return None
    equity, usdc = (None if cap is None else plain(cap) for cap in caps)
    return models.Limits(equity_cap=equity, usdc_cap=usdc)


def _place(before: str) -> tuple[datetime, str]:
    moment, _, known = before.partition(",")
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise Unknown("before is what the page before gave as next") from None
    if found.tzinfo is None:
        raise Unknown("before has no time zone")
    return found, known
