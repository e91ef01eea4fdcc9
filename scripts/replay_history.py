"""Some days of a market maker's past, as the pipeline itself would have recorded them.

Trading is a random walk with a fixed seed. At every look the plan is made by the same code as in production,
its cost is estimated, and what it plans is claimed and settled through the ledger, with a clock of its own.
Neither a venue nor a chain is there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from include import costs
from include.book import Network
from include.check import Switch
from include.claim import claim
from include.costs import Prices
from include.domain.amounts import USDC, from_base_units, to_base_units
from include.domain.cost import Speed
from include.domain.inventory import Balance, Inventory, Snapshot, Venue
from include.domain.limits import midnight
from include.domain.operation import Leg, OperationKind
from include.domain.plan import plan
from include.ledger.ledger import Ledger, new_id
from include.ledger.records import CheckMode
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.ledger.records import Operation
    from include.settings import Settings

SEED: Final = 6
SYMBOLS: Final = ("AAPL", "MSFT", "NVDA")
LEASE: Final = timedelta(minutes=5)
CLAIMING: Final = timedelta(seconds=2)
BURNT: Final = "burn"
PRICES: Final = Prices(
    gas={Network.BASE: 12_000_000, Network.ETHEREUM: 1_500_000_000},
    eth_price=Decimal(3000),
    circle_bps={Speed.FAST: Decimal("1.3"), Speed.STANDARD: Decimal(0)},
    fast_allowance=Decimal(10_000_000),
    withdrawal_fee=Decimal("0.5"),
)
MINUTES: Final[Mapping[OperationKind, tuple[int, int]]] = {
    OperationKind.MINT: (4, 12),
    OperationKind.REDEMPTION: (15, 45),
    OperationKind.USDC_ALPACA_TO_BASE: (12, 25),
    OperationKind.USDC_BASE_TO_ALPACA: (12, 25),
}
"""By kind, how long an operation lasts: from and to."""


def environment(interval: timedelta) -> dict[str, str]:
    """Return the settings of the book, as environment variables. No venue can be reached with them."""
    tokens = ", ".join(f'"{symbol}": "0x{number:040x}"' for number, symbol in enumerate(SYMBOLS, start=0xA1))
    return {
        "BALLAST_REBALANCING_CHECK_INTERVAL": f"{int(interval.total_seconds())}s",
        "BALLAST_TOKEN_ADDRESSES": f"{{{tokens}}}",
        "BALLAST_REBALANCING_DEVIATION": "0.2",
        "BALLAST_ETH_PRICE_USD": "3000",
    }


def enabled(interval: timedelta) -> Settings:
    """Return the settings that were in force in that past: the same, with money allowed to move."""
    return load_settings(
        environment(interval)
        | {
            "BALLAST_REBALANCING_ENABLED": "true",
            "BALLAST_WALLET": f"0x{0xB1:040x}",
            "BALLAST_REDEMPTION_WALLET": f"0x{0xB2:040x}",
            "BALLAST_ETHEREUM_RPC_URL": "http://ethereum.invalid",
            "BALLAST_BASE_RPC_URL": "http://base.invalid",
        }
    )


@dataclass
class Past:
    """A book in the making.

    :param start: when the first look is taken.
    :param outage: the looks that were never taken, by number: from, and up to.
    :ivar looks: how many were recorded.
    """

    ledger_url: str
    start: datetime
    interval: timedelta
    outage: tuple[int, int] = (0, 0)
    seed: int = SEED
    looks: int = 0
    _under_way: list[tuple[datetime, Operation]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._now = self.start
        self._random = random.Random(self.seed)  # noqa: S311 - a walk that is the same each time
        self._settings = enabled(self.interval)
        self._ledger = Ledger.open(self.ledger_url, now=lambda: self._now)
        sizes = {symbol: Decimal(400) for symbol in SYMBOLS} | {USDC: Decimal(200_000)}
        self._balances = {
            asset: {Venue.ONCHAIN: size / 2, Venue.OFFCHAIN: size / 2} for asset, size in sizes.items()
        }

    def make(self, steps: int) -> None:
        """Let so many intervals pass, with a look at the start of each."""
        for step in range(steps):
            self._now = self.start + step * self.interval
            self._settle()
            self._trade()
            if not self.outage[0] <= step < self.outage[1]:
                self._look(f"scheduled__{self._now.isoformat()}")
        self._now = self.start + steps * self.interval
        self._settle()
        self._ledger.close()

    def _trade(self) -> None:
        for sides in self._balances.values():
            total = sides[Venue.ONCHAIN] + sides[Venue.OFFCHAIN]
            onto_chain = round(total * Decimal(self._random.randint(-110, 110)) / 1000, 2)
            giver, taker = (
                (Venue.OFFCHAIN, Venue.ONCHAIN) if onto_chain > 0 else (Venue.ONCHAIN, Venue.OFFCHAIN)
            )
            amount = min(abs(onto_chain), sides[giver])
            sides[giver] -= amount
            sides[taker] += amount

    def _look(self, run_id: str) -> None:
        """Look, decide, record and claim, as the tasks of a run do."""
        ledger, settings, now = self._ledger, self._settings, self._now
        taken = self._snapshot()
        decide = partial(
            plan,
            taken,
            settings.policy(may_start=True),
            ledger.open_operations(),
            settled=ledger.settled(),
            moved_today=ledger.moved_since(midnight(now)),
            now=now,
        )
        venues: Any = SimpleNamespace(settings=settings)
        decisions = costs.gate(
            venues,
            ledger,
            taken,
            decide(),
            lambda over: decide(shut=over),
            read=lambda *_: PRICES,
            now=now,
        )
        ledger.record_check(taken.id, run_id, CheckMode.LIVE, taken, decisions)
        self.looks += 1
        self._now += CLAIMING
        for kind in OperationKind:
            claim(
                ledger,
                settings,
                kind,
                check_id=taken.id,
                run_id=run_id,
                switch=Switch.RUN,
                is_running=lambda _: False,
                now=self._now,
            )
        known = {one.id for _, one in self._under_way}
        for operation in ledger.operations(only_open=True):
            if operation.id not in known:
                lasts = timedelta(minutes=self._random.randint(*MINUTES[operation.kind]))
                self._under_way.append((self._now + lasts, operation))
                self._balances[operation.asset][operation.kind.source] -= operation.quantity

    def _snapshot(self) -> Snapshot:
        block = int(self._now.timestamp()) // 2
        return Snapshot(
            id=new_id(),
            taken_at=self._now,
            base_block=block,
            ethereum_block=block // 6,
            inventories={
                asset: Inventory(asset, Balance(sides[Venue.ONCHAIN]), Balance(sides[Venue.OFFCHAIN]))
                for asset, sides in self._balances.items()
            },
        )

    def _settle(self) -> None:
        """Let arrive what was due before now, at the moment it was due."""
        now = self._now
        for due, operation in sorted(self._under_way, key=lambda pair: pair[0]):
            if due < now:
                self._now = due
                arrived = self._finish(operation)
                self._balances[operation.asset][operation.kind.destination] += arrived
        self._under_way = [one for one in self._under_way if one[0] >= now]
        self._now = now

    def _finish(self, operation: Operation) -> Decimal:
        """Finish the legs one after the other, with what they cost, and return what arrived."""
        amount, block = operation.quantity, int(self._now.timestamp()) // 2
        with self._ledger.lease(operation.id, "history", LEASE) as lease:
            for leg in self._ledger.legs(operation.id):
                if leg.name is Leg.WITHDRAW:
                    amount -= PRICES.withdrawal_fee
                if leg.name is Leg.BRIDGE:
                    amount = round(amount * (1 - PRICES.circle_bps[Speed.FAST] / 10_000), 6)
                effect = lease.intend(leg.name, BURNT, {"network": "base", "data": "0x"}, irreversible=True)
                effect = lease.sent(effect)
                lease.done(effect, f"0x{block:064x}", gas_paid=2_000_000_000_000)
                units = to_base_units(amount, operation.decimals)
                lease.finish(leg.name, amount_out=units, base_block=block)
        return from_base_units(units, operation.decimals)
