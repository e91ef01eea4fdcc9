"""One look: snapshot, imbalances, plan. It records what it saw and decided, and changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from include import costs, gate, snapshot
from include.domain.limits import midnight
from include.domain.plan import NOTHING_HELD, plan, to_ask
from include.ledger.ledger import new_id
from include.ledger.records import CheckMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.book import Venues
    from include.domain.inventory import Snapshot
    from include.domain.limits import Hold
    from include.domain.plan import Asked, Decision
    from include.ledger.ledger import Ledger


class Switch(StrEnum):
    """What people allow the running system to do."""

    RUN = "run"
    DRAIN = "drain"  # finish and adopt what is open, start nothing
    HALT = "halt"  # nothing goes on, not even what is open

    @classmethod
    def read(cls, value: str | None) -> Switch:
        """Read the switch. One that is missing or misspelt starts nothing new.

        A typing error must neither start operations nor stop money that is on its way.
        """
        try:
            return cls((value or "").strip().lower())
        except ValueError:
            return cls.DRAIN


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a check belongs to.

    :param selected: the only assets it may move; None for all.
    :param dry_run: decide everything and move nothing.
    :param asked: the one operation that a person asks for; None to move what is out of its band.
    """

    id: str
    dry_run: bool = False
    selected: frozenset[str] | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check saw and decided."""

    id: str
    mode: CheckMode
    snapshot: Snapshot
    decisions: tuple[Decision, ...]


def check(
    venues: Venues,
    ledger: Ledger,
    run: Run,
    switch: Switch,
    *,
    hold: Hold = NOTHING_HELD,
    ask: gate.Ask = gate.ask,
    read: costs.Read = costs.read,
    new_id: Callable[[], str] = new_id,
) -> Checked:
    """Look at both venues, decide about every asset, and record both.

    :param hold: the assets that people hold back.
    :param ask: asks the gate about what would be moved.
    :param read: reads what it would cost.
    """
    # What is open is read before the balances: an operation that ends in between is still claimed here.
    open_operations, settled = ledger.open_operations(), ledger.settled()
    check_id = new_id()
    taken = snapshot.take(venues, check_id)
    mode = _mode(venues.settings.rebalancing_enabled, run)
    policy = venues.settings.policy(
        may_start=switch is Switch.RUN, selected=run.selected, dry_run=mode is CheckMode.DRY_RUN
    )
    now, asked = venues.now(), run.asked
    if asked is not None:
        asked = replace(asked, begun_as=ledger.begun_in(run.id))
    moved_today = ledger.moved_since(midnight(now))
    decide = partial(
        plan,
        taken,
        policy,
        open_operations,
        asked=asked,
        settled=settled,
        moved_today=moved_today,
        hold=hold,
        now=now,
    )
    decisions = decide()
    if shut := ask(venues.settings, to_ask(decisions)):
        decisions = decide(shut=shut)
    decisions = costs.gate(
        venues, ledger, taken, decisions, lambda over: decide(shut={**shut, **over}), read=read, now=now
    )
    ledger.record_check(check_id, run.id, mode, taken, decisions)
    return Checked(check_id, mode, taken, decisions)


def _mode(enabled: bool, run: Run) -> CheckMode:
    if run.dry_run:
        return CheckMode.DRY_RUN
    return CheckMode.LIVE if enabled else CheckMode.OBSERVE
