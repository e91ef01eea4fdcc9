"""Endpoints that are dead, slow, behind, of another chain, or lie: what is read, and what is sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.domain.inventory import Balance, Unread
from include.domain.operation import OperationKind
from include.sandbox.proxy import Rule
from include.venues.errors import OutcomeUnknown, Unavailable
from include.venues.evm import erc20
from include.venues.evm.chain import Chain, Reading
from tests.integration.legs.test_operations import open_one
from tests.integration.lying.test_http import assert_moved_once
from tests.support.lying import drive

if TYPE_CHECKING:
    from include.domain.inventory import Snapshot
    from include.sandbox.world import World
    from tests.integration.endpoints.conftest import Ways
    from tests.support.lying import LyingDesk

DEAD = Rule("*", "reset", times=None)
SLOW = Rule("*", "delay", seconds=20, times=None)


def take(desk: LyingDesk, base: Chain) -> Snapshot:
    return snapshot.take(replace(desk.book.venues, base=base), "id")


def unread(taken: Snapshot) -> set[str]:
    return {name for name, one in taken.inventories.items() if isinstance(one.onchain, Unread)}


def changed(answer: Any) -> Any:
    """Lie: change a digit in the first answer of a multicall."""
    result = answer["result"]
    entries = int(result[66:130], 16)
    at = 2 + 64 * (2 + entries) + 64 * 4 - 1  # offsets, then success, where, length and the number's end
    return {**answer, "result": result[:at] + ("1" if result[at] == "0" else "0") + result[at + 1 :]}


# Reads


@pytest.mark.parametrize("fault", [DEAD, Rule("*", "html", status=503, times=None)])
def test_primary_dead__everything_is_read_from_the_next_and_asked_there_first_from_then_on(
    desk: LyingDesk, ways: Ways, fault: Rule
) -> None:
    expected = take(desk, ways.chain(1)).inventories
    ways.proxies[0].arm(fault)

    assert take(desk, ways.chain()).inventories == expected
    asked = len(ways.proxies[0].seen)
    assert ways.chain().head().number == desk.world.base.head()  # another client, as the next task has
    assert len(ways.proxies[0].seen) == asked


def test_primary_slow__the_next_is_asked_besides(desk: LyingDesk, ways: Ways) -> None:
    expected = take(desk, ways.chain(1)).inventories
    ways.proxies[0].arm(SLOW)

    # Shorter than the slow one takes, which the test would otherwise fail by its time-out for.
    assert take(desk, ways.chain(hedge_after=0.05)).inventories == expected
    assert [one.name for one in ways.proxies[1].seen] == ["eth_call"]


def test_primary_of_another_chain__is_not_believed(
    desk: LyingDesk, world: World, ways: Ways, caplog: pytest.LogCaptureFixture
) -> None:
    expected = take(desk, ways.chain(1)).inventories
    chain = Chain(
        [world.ethereum_url, ways.urls[0]], chain_id=8453, name="Base", reading=Reading(checks_chain=True)
    )

    assert take(desk, chain).inventories == expected
    assert chain.head().number == world.base.head()
    assert "is chain 1, expected 8453" in caplog.text


def test_all_dead__the_venue_is_unread_and_not_empty(desk: LyingDesk, ways: Ways) -> None:
    for proxy in ways.proxies:
        proxy.arm(DEAD)

    taken = take(desk, ways.chain(3))

    assert unread(taken) == set(taken.inventories)
    assert taken.base_block is None


def test_parts_of_nodes_that_are_not_level__are_all_of_one_block(
    world: World, desk: LyingDesk, ways: Ways
) -> None:
    usdc, wallet = world.deployment.base.usdc, world.maker.address
    old = world.base.head()
    world.give("USDC", "base", Decimal(1))
    calls = [erc20.balance_of(usdc, wallet)] * 7
    ways.proxies[0].arm(Rule("eth_call", "lagging", block=old, every=2, times=None))

    found = ways.chain(1, most_at_once=2).multicall(calls)

    assert found.block_number == old
    assert len(set(found.results)) == 1
    assert len(ways.proxies[0].seen) > 4  # the parts of the newer block were asked again


# Agreement


def test_agreement__level_and_honest__one_request_to_each(desk: LyingDesk, ways: Ways) -> None:
    expected = take(desk, ways.chain(1)).inventories

    taken = take(desk, ways.chain(3, witnesses=3))

    assert taken.inventories == expected
    assert [len(proxy.seen) for proxy in ways.proxies] == [2, 1, 1]


@pytest.mark.parametrize("liar", [0, 1])
def test_agreement__one_of_two_lies__nothing_onchain_is_believed(
    desk: LyingDesk, ways: Ways, liar: int
) -> None:
    ways.proxies[liar].arm(Rule("eth_call", "edit", edit=changed, times=None))

    taken = take(desk, ways.chain(2, witnesses=2))

    assert unread(taken) == set(taken.inventories)


@pytest.mark.parametrize("odd", [0, 1, 2])
@pytest.mark.parametrize("fault", [DEAD, Rule("eth_call", "edit", edit=changed, times=None)])
def test_agreement__two_of_three__the_odd_one_changes_nothing(
    desk: LyingDesk, ways: Ways, odd: int, fault: Rule
) -> None:
    expected = take(desk, ways.chain(1)).inventories
    ways.proxies[odd].arm(fault)

    assert take(desk, ways.chain(3, witnesses=2)).inventories == expected


def test_agreement__one_is_a_block_behind__the_older_block_is_agreed_upon(
    desk: LyingDesk, world: World, ways: Ways
) -> None:
    old = world.base.head()
    world.base.rpc.request("evm_mine")
    ways.proxies[1].arm(Rule("eth_call", "lagging", block=old, times=None))

    taken = take(desk, ways.chain(2, witnesses=2))

    assert taken.base_block == old
    assert not unread(taken)


def test_agreement__one_is_far_behind__nothing_onchain_is_believed(
    desk: LyingDesk, world: World, ways: Ways
) -> None:
    old = world.base.head()
    world.base.rpc.request("evm_increaseTime", 3600)
    world.base.rpc.request("evm_mine")
    ways.proxies[1].arm(Rule("eth_call", "lagging", block=old, times=None))

    taken = take(desk, ways.chain(2, witnesses=2))

    assert unread(taken) == set(taken.inventories)


# Sending


@pytest.mark.parametrize("fault", ["reset", "swallow", "lost", "error_after"])
@pytest.mark.parametrize("spoilt", [0, 1])
def test_transactions__one_endpoint_keeps_them_or_denies_them__are_mined_once(
    desk: LyingDesk, ways: Ways, spoilt: int, fault: str
) -> None:
    operation_id = open_one(desk, OperationKind.REDEMPTION).operation_id
    ways.proxies[spoilt].arm(Rule("eth_sendRawTransaction", fault, times=None))

    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, OperationKind.REDEMPTION)
    for proxy in ways.proxies[:2]:
        assert "eth_sendRawTransaction" in {one.name for one in proxy.seen}


@pytest.mark.parametrize("kind", [OperationKind.REDEMPTION, OperationKind.USDC_BASE_TO_ALPACA])
def test_operation__primary_comes_and_goes_and_the_next_lags__money_moves_once(
    desk: LyingDesk, ways: Ways, kind: OperationKind
) -> None:
    operation_id = open_one(desk, kind).operation_id
    ways.proxies[0].arm(Rule("eth_*", "reset", every=2, times=20))
    ways.proxies[1].arm(Rule("eth_*", "lagging", block=desk.world.base.head(), times=30))

    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, kind)


def test_operation__primary_lags_for_ever_and_the_next_is_level__waits_and_sends_nothing_twice(
    desk: LyingDesk, ways: Ways
) -> None:
    operation_id = open_one(desk, OperationKind.REDEMPTION).operation_id
    ways.proxies[0].arm(Rule("eth_*", "lagging", block=desk.world.base.head(), times=40))

    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, OperationKind.REDEMPTION)


def test_balance__of_the_maker__is_there_at_all(desk: LyingDesk, ways: Ways) -> None:
    """Without this, equal snapshots could be equally empty."""
    onchain = take(desk, ways.chain(1)).inventories["USDC"].onchain
    assert isinstance(onchain, Balance)
    assert onchain.total > 0


def test_no_endpoint_answers__a_read_is_unavailable_and_of_a_transaction_it_is_not_known(ways: Ways) -> None:
    for place in range(len(ways.urls)):
        Chain(ways.urls[place], chain_id=8453, name="Base", reading=Reading(checks_chain=True)).head()
    for proxy in ways.proxies:
        proxy.arm(DEAD)

    with pytest.raises(Unavailable):
        ways.chain(3).head()
    with pytest.raises(OutcomeUnknown):
        ways.chain(3).broadcast(b"\x02")


def test_no_endpoint_has_said_which_chain_it_serves__nothing_is_sent(ways: Ways) -> None:
    for proxy in ways.proxies:
        proxy.arm(DEAD)

    with pytest.raises(Unavailable):
        ways.chain(3).broadcast(b"\x02")
    assert {one.name for proxy in ways.proxies for one in proxy.seen} == {"eth_chainId"}
