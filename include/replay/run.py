"""One run of a replay: what would be decided on the balances that were recorded at its time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from include.check import Checked, Run
from include.domain.plan import plan
from include.ledger import replays
from include.ledger.ledger import new_id
from include.ledger.records import CheckMode
from include.replay import terms
from include.replay.overrides import Overrides
from include.replay.past import Past, moved_on_day, open_at, settled_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.ledger.ledger import Ledger
    from include.settings import Settings


class Skipped(StrEnum):
    """Why a run of a replay decides nothing."""

    NOTHING_RECORDED = "nothing_recorded"
    OUTSIDE_TOLERANCE = "outside_tolerance"


@dataclass(frozen=True, slots=True)
class Skip:
    """A run that decides nothing.

    :param words: why, for a person.
    """

    reason: Skipped
    words: str


def replay(
    ledger: Ledger,
    settings: Settings,
    run: Run,
    moment: datetime,
    overrides: Overrides | None = None,
    *,
    now: datetime,
    new_id: Callable[[], str] = new_id,
) -> Checked | Skip:
    """Decide again, with today's settings and the overrides, on the newest balances recorded up to a moment.

    What was open, settled or moved then counts as it did then. Neither hold list, gate nor cost is asked:
    they speak of today. Nothing is planned: what would have been moved is proposed. What was done is recorded
    with the replay that it belongs to, and so is that there was nothing to decide on; another try takes the
    place of the first.

    :param moment: the run's logical date.
    :param now: when it is recorded.
    :raises OverridesRefused: when the overrides do not fit the settings.
    """
    overrides = Overrides() if overrides is None else overrides
    changed = overrides.over(settings)
    belongs_to = _replay_of(settings, changed, overrides)
    done = replays.ReplayRun(belongs_to.id, moment, run.id)
    recorded = ledger.snapshot_before(moment)
    tolerance = overrides.tolerance(settings)
    if recorded is None:
        skip = Skip(Skipped.NOTHING_RECORDED, f"no balances were recorded up to {moment}")
    elif moment - recorded.taken_at > tolerance:
        skip = Skip(
            Skipped.OUTSIDE_TOLERANCE,
            f"the newest balances up to {moment} are of {recorded.taken_at}, and may be {tolerance} old",
        )
    else:
        check_id = new_id()
        taken = replace(recorded, id=check_id)
        past = [Past.of(operation) for operation in ledger.operations()]
        decisions = plan(
            taken,
            changed.policy(may_start=True, selected=run.selected, dry_run=True),
            open_at(past, taken.taken_at),
            settled=settled_at(past, taken.taken_at),
            moved_today=moved_on_day(past, taken.taken_at),
            now=taken.taken_at,
        )
        ledger.record_check(check_id, run.id, CheckMode.REPLAY, taken, decisions)
        done = replace(done, source_id=recorded.id, check_id=check_id)
        replays.record_run(ledger.engine, belongs_to, done, now)
        return Checked(check_id, CheckMode.REPLAY, taken, decisions)
    replays.record_run(ledger.engine, belongs_to, replace(done, skipped=skip.reason.value), now)
    return skip


def _replay_of(settings: Settings, changed: Settings, overrides: Overrides) -> replays.Replay:
    """Name the replay that a run belongs to by all that it is decided by.

    A run does not know its backfill, and needs not: what is decided by the same is the same replay.
    """
    kept = terms.to_dict(changed.policy(may_start=True))
    base = terms.to_dict(settings.policy(may_start=True))
    given = overrides.to_dict()
    interval = int(settings.rebalancing_check_interval.total_seconds())
    whole = json.dumps([overrides.replay_name, given, kept, base, interval], sort_keys=True)
    return replays.Replay(
        id=hashlib.sha256(whole.encode()).hexdigest()[:32],
        name=overrides.replay_name,
        overrides=given,
        policy=kept,
        base_policy=base,
        interval_seconds=interval,
    )
