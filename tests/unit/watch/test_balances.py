"""An asset that leaves its band is told of once, and only if a check would move it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.check import Switch
from include.domain.inventory import Balance, Inventory, Snapshot, Unread
from include.domain.limits import Hold
from include.domain.operation import OpenOperation, OperationKind, Settled
from include.venues.errors import Unavailable
from include.watch import balances as watch_balances
from include.watch.balances import Balances
from tests.support.clock import Clock
from tests.unit.test_claim import AAPL, NVDA, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

REST = 5.0
TOKENS = {"AAPL": AAPL, "NVDA": NVDA}


@dataclass
class World:
    """Balances of two equities, 100 of each in all, and everything else that a check looks at."""

    clock: Clock = field(default_factory=Clock)
    onchain: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(50), "NVDA": Decimal(50)})
    offchain: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(50), "NVDA": Decimal(50)})
    block: int = 1
    switch: Switch = Switch.RUN
    hold: Hold = field(default_factory=Hold)
    open: list[OpenOperation] = field(default_factory=list)
    settled: dict[str, Settled] = field(default_factory=dict)
    unread: str = ""
    in_flight: Decimal = Decimal(0)
    asked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def trade(self, asset: str, onchain: int) -> None:
        """Let trading leave so much of an asset onchain, in a new block."""
        self.onchain[asset], self.offchain[asset] = Decimal(onchain), Decimal(100 - onchain)
        self.block += 1

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.pass_(seconds=seconds)

    # What the watch is given

    def balances(self, **changes: str) -> Balances:
        given = settings(rebalancing_enabled="true", **changes)
        venues: Any = SimpleNamespace(settings=given, base=self, alpaca=self, now=self.clock)
        return Balances(
            lambda: venues,
            self.ledger,
            lambda: (self.switch, self.hold),
            rest=REST,
            clock=lambda: self.seconds,
        )

    def head(self) -> Any:
        self.asked.append("head")
        return SimpleNamespace(number=self.block)

    def positions(self) -> list[Any]:
        self.asked.append("positions")
        return [
            SimpleNamespace(symbol=asset, is_usdc=False, quantity=quantity)
            for asset, quantity in self.offchain.items()
        ]

    @contextmanager
    def ledger(self) -> Iterator[Any]:
        yield SimpleNamespace(
            open_operations=lambda: self.open,
            settled=lambda: self.settled,
            moved_since=lambda _: {},
        )

    def glance(self, _: Any) -> dict[str, Decimal]:
        self.asked.append("balances")
        return dict(self.onchain)

    def take(self, venues: Any, snapshot_id: str) -> Snapshot:
        self.asked.append("snapshot")
        inventories = {
            asset: Inventory(
                asset,
                Unread(self.unread) if self.unread else Balance(self.onchain[asset]),
                Balance(self.offchain[asset], in_flight=self.in_flight),
            )
            for asset in self.onchain
        }
        return Snapshot(snapshot_id, venues.now(), self.block, 1, inventories)

    def look(self, watch: Balances) -> tuple[str, ...]:
        """Look once, a second later, and return what is told."""
        self.pass_(1)
        return watch.found if watch.look(["somebody"]) else ()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(watch_balances, "_onchain", made.glance)
    monkeypatch.setattr(snapshot, "take", made.take)
    return made


def test_look__all_in_their_bands__costs_no_snapshot(world: World) -> None:
    watch = world.balances()

    assert [world.look(watch) for _ in range(10)] == [()] * 10
    assert "snapshot" not in world.asked
    assert world.asked.count("balances") == 1
    assert world.asked.count("positions") == 5


def test_look__new_block__balances_are_read_in_one_request(world: World) -> None:
    watch = world.balances()
    for _ in range(3):
        world.trade("AAPL", 45)
        world.look(watch)

    assert world.asked.count("balances") == 3


def test_look__an_asset_leaves_its_band__is_told_once(world: World) -> None:
    watch = world.balances()
    world.look(watch)
    world.trade("AAPL", 15)

    assert world.look(watch) == ("AAPL",)
    assert [world.look(watch) for _ in range(20)] == [()] * 20
    assert world.asked.count("snapshot") == 1


def test_look__balances_change_but_it_stays_out__is_not_told_again(world: World) -> None:
    watch = world.balances()
    told = []
    for onchain in range(19, 0, -1):
        world.trade("AAPL", onchain)
        told.append(world.look(watch))
        world.pass_(REST)

    assert told == [("AAPL",)] + [()] * 18


def test_look__back_in_its_band_and_out_again__is_told_again(world: World) -> None:
    watch = world.balances()
    world.trade("AAPL", 15)
    assert world.look(watch) == ("AAPL",)
    world.trade("AAPL", 50)
    world.look(watch)
    world.pass_(REST)
    world.trade("AAPL", 15)

    assert world.look(watch) == ("AAPL",)


def test_look__from_one_edge_beyond_the_other__is_told_again(world: World) -> None:
    watch = world.balances()
    world.trade("AAPL", 15)
    assert world.look(watch) == ("AAPL",)
    world.pass_(REST)
    world.trade("AAPL", 85)

    assert world.look(watch) == ("AAPL",)


def test_look__a_thousand_changes_in_a_second__one_snapshot_and_one_event(world: World) -> None:
    watch = world.balances()
    world.look(watch)
    told = []
    for change in range(1000):
        world.trade("AAPL", 15 if change % 2 else 50)
        world.trade("NVDA", 85 if change % 2 else 50)
        world.pass_(0.001)
        if watch.look(["somebody"]):
            told.append(watch.found)

    assert told == [("AAPL", "NVDA")]
    assert world.asked.count("snapshot") == 1


def test_look__another_leaves_soon_after__is_told_after_the_rest(world: World) -> None:
    watch = world.balances()
    world.trade("AAPL", 15)
    assert world.look(watch) == ("AAPL",)
    world.trade("NVDA", 15)

    assert [world.look(watch) for _ in range(5)] == [(), (), (), (), ("NVDA",)]


def test_look__only_alpaca_changes__is_seen_at_the_next_look_there(world: World) -> None:
    watch = world.balances()
    world.look(watch)
    world.offchain["AAPL"] = Decimal(450)

    assert [world.look(watch) for _ in range(2)] == [(), ("AAPL",)]


def held(asset: str) -> Hold:
    return Hold.read(asset)


@pytest.mark.parametrize("why", ["drain", "halt", "held", "claimed", "cooling down", "in flight", "disabled"])
def test_look__a_check_would_not_move_it__is_not_told(world: World, why: str) -> None:
    changes = {}
    match why:
        case "drain" | "halt":
            world.switch = Switch(why)
        case "held":
            world.hold = held("AAPL")
        case "claimed":
            world.open = [OpenOperation("1", OperationKind.MINT, "AAPL")]
        case "cooling down":
            world.settled = {"AAPL": Settled("AAPL", world.clock() - timedelta(seconds=1), None, None, 0)}
            changes["settle_cooldown"] = "1h"
        case "in flight":
            world.in_flight = Decimal(1)
        case "disabled":
            changes["assets"] = '{"AAPL": {"enabled": false}}'
    watch = world.balances(**changes)
    world.trade("AAPL", 15)

    assert [world.look(watch) for _ in range(20)] == [()] * 20
    assert world.asked.count("snapshot") <= 1


def test_look__snapshot_has_it_unread__is_judged_again_after_the_rest(world: World) -> None:
    watch = world.balances()
    world.trade("AAPL", 15)
    world.unread = "Alpaca does not answer"
    assert world.look(watch) == ()
    world.unread = ""

    assert [world.look(watch) for _ in range(5)] == [(), (), (), (), ("AAPL",)]


def test_look__venue_cannot_be_asked__raises_and_looks_again(world: World) -> None:
    watch = world.balances()
    world.trade("AAPL", 15)
    head, world.head = world.head, lambda: (_ for _ in ()).throw(Unavailable("no answer"))  # type: ignore[method-assign]  # a node that is away
    with pytest.raises(Unavailable):
        world.look(watch)
    world.head = head  # type: ignore[method-assign]  # as above

    assert world.look(watch) == ("AAPL",)


def test_look__node_lags__older_balances_are_not_read(world: World) -> None:
    watch = world.balances()
    world.block = 5
    world.look(watch)
    world.block = 4
    world.look(watch)

    assert world.asked.count("balances") == 1


def test_look__restarted__tells_again_what_a_check_would_still_move(world: World) -> None:
    world.trade("AAPL", 15)
    assert world.look(world.balances()) == ("AAPL",)

    assert world.look(world.balances()) == ("AAPL",)
    world.open = [OpenOperation("1", OperationKind.MINT, "AAPL")]
    assert world.look(world.balances()) == ()
