"""The work that is done while things are killed: trading brings assets out of balance, again and again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.operation import OperationStatus
from include.sandbox.scenario import Holding, Scenario, Shift, Side
from tests.faults.stage import HELD, MOVED, OUTSIDE
from tests.support.lying import effects_outside

if TYPE_CHECKING:
    from include.ledger.records import Operation
    from scripts.distributed import DistributedBallast


@dataclass(frozen=True)
class Size:
    """How much is done, and how often it is disturbed.

    :param assets: USDC is one of them.
    :param rounds: operations of each asset.
    :param kills: how many processes of each kind are killed.
    :param interval: at which the DAG looks. Each look costs five tasks, so not too often where much is moved.
    :param patience: seconds in which all has to be over.
    """

    assets: int
    rounds: int
    kills: dict[str, int]
    interval: str
    patience: int

    @property
    def operations(self) -> int:
        return self.assets * self.rounds


SIZES = {
    "small": Size(6, 2, {"worker": 1, "scheduler": 1, "triggerer": 1}, "10s", 600),
    "large": Size(50, 4, {"worker": 12, "scheduler": 6, "triggerer": 6}, "30s", 7200),
}


def scenario(assets: int) -> Scenario:
    """Return so many assets, every other one with too much on Base, and the rest with too much at Alpaca."""
    stocks = {
        f"S{number:04d}": _unbalanced(Decimal(100), too_much_onchain=number % 2 == 0)
        for number in range(assets - 1)
    }
    return Scenario(stocks=stocks, usdc=_unbalanced(Decimal(10_000), too_much_onchain=False))


def _unbalanced(total: Decimal, *, too_much_onchain: bool) -> Holding:
    less, more = total * (Decimal("0.5") - MOVED), total * (Decimal("0.5") + MOVED)
    return Holding(less, more) if too_much_onchain else Holding(more, less)


@dataclass
class Work:
    """Trades each asset as soon as its last operation has settled, until it has had its rounds.

    :ivar traded: how often each asset was brought out of balance; at the start it is.
    """

    ballast: DistributedBallast
    rounds: int
    traded: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        self.traded = Counter(self.ballast.world.holdings().keys())
        self._before = effects_outside(self.ballast.world)

    @property
    def is_done(self) -> bool:
        """Tell whether every asset has had its rounds, and nothing is open."""
        return self.is_done_with(self.rounds)

    def is_done_with(self, rounds: int) -> bool:
        """Tell whether so many operations of every asset have settled, and nothing is open."""
        settled = self.settled()
        return all(settled[asset] >= rounds for asset in self.traded) and not self._open()

    @property
    def turns(self) -> int:
        """How often every asset was brought out of balance."""
        return min(self.traded.values())

    def settled(self) -> Counter[str]:
        """Count the operations that have settled, by asset."""
        return Counter(one.asset for one in self.operations() if one.status is OperationStatus.SETTLED)

    def operations(self) -> list[Operation]:
        """Return every operation there is."""
        return list(self.ballast.ledger.operations())

    def _open(self) -> list[str]:
        return [one.asset for one in self.ballast.ledger.open_operations()]

    def trade(self) -> str | None:
        """Bring one asset out of balance whose turn it is, and return it; None when it is none's."""
        settled, is_open = self.settled(), self._open()
        for asset, times in self.traded.items():
            if times < self.rounds and settled[asset] >= times and asset not in is_open:
                self.unbalance(asset)
                return asset
        return None

    def unbalance(self, asset: str) -> None:
        """Trade so much that the asset leaves its band, by turns to one side and the other."""
        places = self.ballast.world.holdings()[asset]
        total = sum((places[place] for place in HELD if place in places), Decimal(0))
        amount = (total * MOVED).quantize(Decimal("0.000001"))
        turn = list(self.traded).index(asset) + self.traded[asset]
        self.ballast.world.shift(Shift(asset, amount, list(Side)[turn % 2]))
        self.traded[asset] += 1

    def verdict(self) -> list[str]:
        """Say what is wrong: nothing, when each operation did its effects once and all money has arrived."""
        world, operations = self.ballast.world, self.operations()
        settled = [one for one in operations if one.status is OperationStatus.SETTLED]
        expected = Counter(what.format(one.asset) for one in settled for what in OUTSIDE[one.kind])
        found = effects_outside(world) - self._before
        wrong = [f"doubled: {what}, {times} times too many" for what, times in (found - expected).items()]
        wrong += [f"lost: {what}, {times} times too few" for what, times in (expected - found).items()]
        wrong += [f"not conserved: {violation}" for violation in world.conservation()]
        wrong += [f"under way: {places} of {asset}" for asset, places in world.under_way().items()]
        return wrong + [f"open: {one.kind} of {one.asset}" for one in self.ballast.ledger.open_operations()]
