"""Makes the report of a replay from the ledger, and keeps it until something it rests on changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from include.domain.operation import OperationKind, OperationStatus
from include.ledger import queries, replays
from include.ledger.costs import real_cost
from include.ledger.database import reading
from include.replay import answers, terms
from include.replay.counterfactual import Counterfactual, counterfactual
from include.replay.fees import Rate, rates
from include.replay.holdings import look_of
from include.replay.measures import Compared, compared
from include.replay.past import Past

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from include.domain.cost import Cost
    from include.domain.policy import Policy
    from include.replay import models

KEPT: Final = 8
HISTORY: Final = timedelta(days=30)
"""How far before the end of a replay real operations still say what operations are like."""
MOST_SAMPLES: Final = 200
SILENCE: Final = 3
"""After so many intervals a look no longer stands for what lies where."""
TAKES: Final[Mapping[OperationKind, timedelta]] = {
    OperationKind.MINT: timedelta(minutes=5),
    OperationKind.REDEMPTION: timedelta(minutes=15),
    OperationKind.USDC_ALPACA_TO_BASE: timedelta(minutes=20),
    OperationKind.USDC_BASE_TO_ALPACA: timedelta(minutes=20),
}
"""How long an operation is taken to last where none of its kind has settled yet."""


class UnknownReplay(LookupError):
    """There is no such replay, or no such asset in it."""


@dataclass(frozen=True, slots=True)
class Worked:
    """All that was worked out about a replay.

    :param takes: by kind, how long an operation lasts, and how many real ones say so.
    """

    policy: Policy
    base: Policy
    found: Counterfactual
    compared: Mapping[str, Compared]
    takes: Mapping[OperationKind, tuple[timedelta, int]]
    rates: Mapping[OperationKind, Rate]
    longest: timedelta


class Reports:
    """Answers about the replays of one ledger. Safe to use from several threads.

    :param engine: the ledger's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: OrderedDict[str, tuple[tuple[Any, ...], Worked]] = OrderedDict()
        self._lock = Lock()

    def list(self) -> models.Replays:
        """Return all replays, the newest first."""
        with reading(self._engine) as session:
            return answers.replays(replays.heads(session))

    def report(self, replay_id: str) -> models.Report:
        """Compare what a replay would have done with what was done.

        :raises UnknownReplay: when there is none with this id.
        """
        return answers.report(*self._worked(replay_id))

    def history(self, replay_id: str, asset: str) -> models.History:
        """Return the ratio of an asset, as it was and as it would have been.

        :raises UnknownReplay: when there is no such replay, or the asset is not in it.
        """
        _, worked = self._worked(replay_id)
        if asset not in worked.found.tracks:
            raise UnknownReplay(f"{asset} is not in the replay {replay_id}")
        return answers.history(asset, worked)

    def _worked(self, replay_id: str) -> tuple[replays.ReplayHead, Worked]:
        # One at a time: two that ask for the same do the work once.
        with self._lock, reading(self._engine) as session:
            heads = replays.heads(session, replay_id)
            if not heads:
                raise UnknownReplay(f"the ledger has no replay {replay_id}")
            version = replays.version(session, replay_id)
            kept = self._kept.get(replay_id)
            if kept is None or kept[0] != version:
                kept = (version, work_out(session, heads[0].replay))
                self._kept[replay_id] = kept
            self._kept.move_to_end(replay_id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return heads[0], kept[1]


def work_out(session: Session, replay: replays.Replay) -> Worked:
    """Work out all about a replay, from what the ledger has recorded."""
    policy, base = terms.from_dict(replay.policy), terms.from_dict(replay.base_policy)
    looks = [look_of(snapshot, policy.assets) for snapshot in replays.snapshots(session, replay.id)]
    longest = timedelta(seconds=SILENCE * replay.interval_seconds)
    cases = _cases(session, looks[0].at, looks[-1].at) if looks else []
    past = {case.operation.id: Past.of(case.operation, case.legs) for case in cases}
    costs: dict[str, Cost] = {
        case.operation.id: real_cost(case.operation, case.legs, case.effects) for case in cases
    }
    settled = [one for one in past.values() if one.status is OperationStatus.SETTLED]
    takes = {kind: _takes(kind, settled) for kind in OperationKind}
    priced = rates((one.kind, one.moved, costs[one.id]) for one in settled)
    found = counterfactual(
        looks, list(past.values()), policy, {kind: length for kind, (length, _) in takes.items()}
    )
    return Worked(
        policy,
        base,
        found,
        compared(found, policy=policy, base=base, costs=costs, rates=priced, longest=longest),
        takes,
        priced,
        longest,
    )


def _cases(session: Session, since: datetime, until: datetime) -> list[queries.Case]:
    """Return the operations of the time of a replay, and of the time before that says what they are like."""
    found = queries.operations_since(session, since - HISTORY)
    within = [one for one in found if one.opened_at <= until]
    return queries.cases(session, within)


def _takes(kind: OperationKind, settled: Sequence[Past]) -> tuple[timedelta, int]:
    """Return how long operations of a kind take: the median of the last ones, or a default."""
    lasted = [
        (one.closed_at - one.opened_at).total_seconds()
        for one in settled
        if one.kind is kind and one.closed_at is not None
    ][-MOST_SAMPLES:]
    if not lasted:
        return TAKES[kind], 0
    return timedelta(seconds=median(lasted)), len(lasted)
