"""A pipeline that looks, plans and moves without a mistake, so that there is a past to replay."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.imbalance import Threshold
from include.domain.inventory import Balance, Inventory, Snapshot, Venue
from include.domain.limits import DailyLimits
from include.domain.operation import OperationKind, OperationStatus
from include.domain.plan import plan
from include.domain.policy import AssetPolicy, Policy
from include.replay.holdings import Holding, Look, Side
from include.replay.past import Past, moved_on_day, open_at, settled_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=1)
CLAIMING = timedelta(seconds=1)
"""From a look to the claim that rests on it."""
TAKES = {kind: timedelta(minutes=number + 1, seconds=30) for number, kind in enumerate(OperationKind)}
"""By kind, from look to arrival; never at a look."""


def policy(
    deviation: str = "0.2",
    *,
    assets: Sequence[str] = ("AAPL", "USDC"),
    target: str = "0.5",
    stop: str = "0",
    minimum: str = "0",
    maximum: str | None = None,
    max_open: int | None = None,
    daily: str | None = None,
    settle_cooldown: timedelta = timedelta(0),
) -> Policy:
    """Return a policy that wants the same of every asset."""
    one = AssetPolicy(
        Threshold(Decimal(target), Decimal(deviation), Decimal(stop)),
        minimum=Decimal(minimum),
        maximum=None if maximum is None else Decimal(maximum),
    )
    return Policy(
        assets=dict.fromkeys(assets, one),
        enabled=True,
        may_start=True,
        max_snapshot_age=timedelta(minutes=1),
        max_open_operations=max_open,
        daily=DailyLimits(equity=None if daily is None else Decimal(daily)),
        settle_cooldown=settle_cooldown,
    )


@dataclass
class Book:
    """Balances that trading and the pipeline change.

    :ivar onchain: by asset.
    :ivar offchain: by asset.
    """

    onchain: dict[str, Decimal]
    offchain: dict[str, Decimal]
    looks: list[Look] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    opened_by: dict[str, int] = field(default_factory=dict)

    def trade(self, asset: str, onto_chain: Decimal) -> None:
        """Shift from one side to the other, as far as there is enough."""
        most = self.offchain[asset] if onto_chain > 0 else self.onchain[asset]
        amount = min(abs(onto_chain), most) * (1 if onto_chain > 0 else -1)
        self.onchain[asset] += amount
        self.offchain[asset] -= amount

    def look(self, now: datetime) -> Look:
        """See the balances; what is under way is on neither side."""
        found = Look(
            now,
            100,
            200,
            {asset: Holding(Side(self.onchain[asset]), Side(self.offchain[asset])) for asset in self.onchain},
        )
        self.looks.append(found)
        return found

    def arrive(self, now: datetime) -> None:
        """Let arrive what is due by now."""
        for number, one in enumerate(self.past):
            if one.status is OperationStatus.OPEN and one.closed_at is not None and one.closed_at < now:
                self.past[number] = replace(one, status=OperationStatus.SETTLED)
                side = self.onchain if one.kind.destination is Venue.ONCHAIN else self.offchain
                side[one.asset] += one.amount

    def move(self, look: Look, wanted: Policy) -> None:
        """Open what a policy plans on a look."""
        taken = Snapshot(
            "s",
            look.at,
            100,
            200,
            {
                asset: Inventory(asset, Balance(*one.onchain), Balance(*one.offchain))
                for asset, one in look.holdings.items()
            },
        )
        decisions = plan(
            taken,
            wanted,
            open_at(self.past, look.at),
            settled=settled_at(self.past, look.at),
            moved_today=moved_on_day(self.past, look.at),
            now=look.at,
        )
        for decision in decisions:
            if (planned := decision.operation) is None:
                continue
            side = self.offchain if planned.kind.source is Venue.OFFCHAIN else self.onchain
            side[planned.asset] -= planned.amount
            opened = look.at + CLAIMING
            self.opened_by[f"{len(self.past):04d}"] = len(self.looks) - 1
            self.past.append(
                Past(
                    f"{len(self.past):04d}",
                    planned.kind,
                    planned.asset,
                    planned.amount,
                    planned.amount,
                    opened,
                    look.at + TAKES[planned.kind],
                    OperationStatus.OPEN,
                )
            )


def run(flows: Sequence[Mapping[str, Decimal]], wanted: Policy, *, moving: bool = True) -> Book:
    """Let a pipeline run over trading, one look after each step of it.

    :param flows: by asset, what trading puts onto the chain before each look.
    :param moving: False to look only.
    """
    book = Book(dict.fromkeys(wanted.assets, Decimal(500)), dict.fromkeys(wanted.assets, Decimal(500)))
    for number, flow in enumerate(flows):
        now = START + number * INTERVAL
        book.arrive(now)
        for asset, amount in flow.items():
            book.trade(asset, amount)
        look = book.look(now)
        if moving:
            book.move(look, wanted)
    return book
