"""One look for all who wait, and an eye on the balances, over real HTTP to the local world."""

from __future__ import annotations

import time
from contextlib import nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.check import Switch
from include.domain.amounts import USDC
from include.domain.limits import Hold
from include.domain.operation import OperationKind
from include.ledger.ledger import new_id
from include.legs.conditions import NonceSpent, TokenizationDecided, TransactionTrusted
from include.sandbox.scenario import Shift, Side
from include.watch.balances import Balances
from include.watch.sources import source_of
from tests.support.desk import open_venues, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.book import Venues
    from include.legs.conditions import Condition
    from include.sandbox.world import World
    from tests.support.desk import Desk

CONFIRMATIONS = 3


def sources(venues: Venues, conditions: Iterable[Condition]) -> dict[Any, Any]:
    return {key: make() for key, make in (source_of(one, lambda: venues) for one in conditions)}


def test_on_chain__many_wait__each_is_told_when_it_holds_by_itself_and_not_before(world: World) -> None:
    maker, rpc = world.maker.address, world.base.rpc
    first = int(rpc.request("eth_getTransactionCount", maker, "latest"), 16)
    old = rpc.send(maker, maker)["transactionHash"]
    waiting: list[Condition] = [NonceSpent("base", maker, nonce) for nonce in range(first, first + 10)]
    waiting += [TransactionTrusted("base", old), TransactionTrusted("base", "0x" + "ab" * 32)]
    asked: list[str] = []
    settings = settings_of(world, base_confirmations=str(CONFIRMATIONS))
    with open_venues(world, settings, lambda name, _: asked.append(name)) as venues:
        source = sources(venues, waiting)["base"]
        told: list[set[Condition]] = []
        for _ in range(5):
            asked.clear()
            told.append(source.look(waiting))
            assert len(asked) <= 5
            assert told[-1] == {one for one in waiting if one.holds(venues)}
            # Mined before the next look, as what is mined after it would hold a moment later.
            mined = rpc.send(maker, maker)
            waiting.append(TransactionTrusted("base", mined["transactionHash"]))

    assert [len(found) for found in told] == [0, 0, 2, 4, 6]


def test_listed__many_mints_wait__one_request_tells_all(desk: Desk) -> None:
    world, alpaca = desk.world, desk.book.venues.alpaca
    world.broker.core.latencies.mint_journal = 0.0
    requests = [
        alpaca.mint(
            symbol="AAPL",
            quantity=Decimal("0.5"),
            issuer="st0x",
            network="base",
            wallet=world.maker.address,
            client_request_id=new_id(),
            idempotency_key=new_id(),
        )
        for _ in range(5)
    ]
    waiting = [TokenizationDecided(request.id) for request in requests]
    asked: list[str] = []
    with open_venues(world, desk.book.settings, lambda name, _: asked.append(name)) as venues:
        source = sources(venues, waiting)["tokenizations"]
        end = time.monotonic() + 30
        while source.look(waiting) != set(waiting):
            assert time.monotonic() < end
            time.sleep(0.05)

    assert {name.rpartition("/")[2] for name in asked} == {"requests"}


def test_balances__trading_breaks_a_band__is_told_once_and_what_is_claimed_is_not(vault_desk: Desk) -> None:
    desk, world = vault_desk, vault_desk.world
    balances = Balances(
        lambda: desk.book.venues,
        lambda: nullcontext(desk.ledger),
        lambda: (Switch.RUN, Hold()),
        rest=0,
    )
    assert balances.look(["somebody"])
    planned = {one.asset for one in desk.check().decisions if one.operation}
    assert set(balances.found) == planned
    assert {"AAPL", "NVDA", USDC} <= planned
    assert not balances.look(["somebody"])

    assert "AMZN" not in planned
    world.shift(Shift("AMZN", Decimal("25.5"), Side.OFFCHAIN, vault=1))
    assert balances.look(["somebody"])
    assert balances.found == ("AMZN",)

    again = Balances(balances._venues, balances._ledger, balances._steering, rest=0)
    [assignment] = desk.claim(desk.check(), OperationKind.USDC_ALPACA_TO_BASE)
    assert assignment.asset == USDC
    assert again.look(["somebody"])
    assert set(again.found) == {*planned, "AMZN"} - {USDC}
