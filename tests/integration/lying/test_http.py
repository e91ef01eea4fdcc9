"""What can go wrong on the way of each request: what moves money moves it once, whatever was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs.leg import Wait
from include.sandbox.proxy import Rule
from tests.integration.legs.test_operations import open_one
from tests.support.lying import (
    APPROVE,
    BURNING,
    RECEIVING,
    TRANSFER,
    LyingDesk,
    assert_never_twice,
    drive,
    effects_outside,
)

if TYPE_CHECKING:
    from tests.integration.lying.conftest import OpenDesk

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA

TRANSACTIONS = {
    REDEMPTION: (("base", TRANSFER),),
    TO_BASE: (("ethereum", APPROVE), ("ethereum", BURNING), ("base", RECEIVING)),
    TO_ALPACA: (("base", BURNING), ("ethereum", RECEIVING), ("ethereum", TRANSFER)),
}
"""Chain and selector of every transaction of an operation that moves money, and of one approval."""

NEVER_HEARD: dict[str, dict[str, Any]] = {"reset": {}, "status": {"status": 500}, "html": {"status": 502}}
"""Faults after which the venue knows nothing, and the answer does not say that either."""
ASK_LATER: dict[str, dict[str, Any]] = {
    "without Retry-After": {"status": 429},
    "with Retry-After": {"status": 429, "headers": (("Retry-After", "1"),)},
}
QUICK_TIMEOUT, TOO_LATE = 1.0, 1.6


def moves(desk: LyingDesk, kind: OperationKind) -> list[str]:
    """Return what an operation of this kind must have done outside, each once."""
    asset = next(operation.asset for operation in desk.ledger.operations() if operation.kind is kind)
    return {
        MINT: [f"request of mint {asset}", f"mint of {asset}"],
        REDEMPTION: [f"tokens of {asset} sent", f"request of redeem {asset}"],
        TO_BASE: ["transfer OUTGOING", "payout", "burn on ethereum", "receive on base"],
        TO_ALPACA: ["burn on base", "receive on ethereum", "deposit", "transfer INCOMING"],
    }[kind]


def assert_moved_once(desk: LyingDesk, kind: OperationKind) -> None:
    assert assert_never_twice(desk.world) == dict.fromkeys(moves(desk, kind), 1)
    assert desk.world.under_way() == {}


# -- transactions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "half", "html_after", "error_after"])
@pytest.mark.parametrize("kind", TRANSACTIONS)
def test_transactions__answers_not_to_be_trusted__are_mined_once(
    desk: LyingDesk, kind: OperationKind, fault: str
) -> None:
    operation_id = open_one(desk, kind).operation_id
    for network, call in TRANSACTIONS[kind]:
        rule = Rule("eth_sendRawTransaction", fault, containing=call, status=502)
        getattr(desk.proxies, network).arm(rule)
    assert drive(desk, operation_id).is_settled
    assert desk.proxies.base.hits + desk.proxies.ethereum.hits == len(TRANSACTIONS[kind])
    assert_moved_once(desk, kind)


@pytest.mark.parametrize("kind", TRANSACTIONS)
def test_transactions__never_reached_the_node__are_offered_until_they_do(
    desk: LyingDesk, kind: OperationKind
) -> None:
    faults = {**NEVER_HEARD, "swallow": {}, "error": {}}
    operation_id = open_one(desk, kind).operation_id
    for network, call in TRANSACTIONS[kind]:
        for fault, how in faults.items():
            getattr(desk.proxies, network).arm(Rule("eth_sendRawTransaction", fault, containing=call, **how))
    assert drive(desk, operation_id).is_settled
    assert desk.proxies.base.hits + desk.proxies.ethereum.hits == len(TRANSACTIONS[kind]) * len(faults)
    assert_moved_once(desk, kind)


@pytest.mark.parametrize("fault", ["delay", "late"])
def test_transactions__answer_after_the_timeout__are_mined_once(open_desk: OpenDesk, fault: str) -> None:
    desk = open_desk(timeout=QUICK_TIMEOUT)
    operation_id = open_one(desk, REDEMPTION).operation_id
    rule = Rule("eth_sendRawTransaction", fault, containing=TRANSFER, seconds=TOO_LATE, times=2)
    desk.proxies.base.arm(rule)
    assert drive(desk, operation_id).is_settled
    desk.proxies.clear()
    assert_moved_once(desk, REDEMPTION)


@pytest.mark.parametrize("when", ASK_LATER)
def test_transactions__too_many_requests__are_sent_later(desk: LyingDesk, when: str) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    for network, call in TRANSACTIONS[TO_ALPACA]:
        rule = Rule("eth_sendRawTransaction", "status", containing=call, times=2, **ASK_LATER[when])
        getattr(desk.proxies, network).arm(rule)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_ALPACA)


# -- the mint, which has a key -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["half", "malformed", "html", "status"])
def test_mint__answer_not_to_be_trusted__is_asked_for_again_and_minted_once(
    desk: LyingDesk, fault: str
) -> None:
    operation_id = open_one(desk, MINT).operation_id
    desk.proxies.alpaca.arm(Rule("POST *tokenization/mint", fault, times=2, status=502))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, MINT)


@pytest.mark.parametrize("fault", ["delay", "late"])
def test_mint__answer_after_the_timeout__is_minted_once(open_desk: OpenDesk, fault: str) -> None:
    desk = open_desk(timeout=QUICK_TIMEOUT)
    operation_id = open_one(desk, MINT).operation_id
    desk.proxies.alpaca.arm(Rule("POST *tokenization/mint", fault, seconds=TOO_LATE))
    assert drive(desk, operation_id).is_settled
    desk.proxies.clear()
    assert_moved_once(desk, MINT)


@pytest.mark.parametrize("when", ASK_LATER)
def test_mint__too_many_requests__waits_as_told_and_is_minted_once(desk: LyingDesk, when: str) -> None:
    operation_id = open_one(desk, MINT).operation_id
    desk.proxies.alpaca.arm(Rule("POST *tokenization/mint", "status", **ASK_LATER[when]))
    first = desk.push(operation_id, Leg.MINT)
    asked = len(desk.proxies.alpaca.seen)
    assert isinstance(first, Wait)
    assert first.every.total_seconds() <= 1
    assert isinstance(desk.push(operation_id, Leg.MINT), Wait)
    assert len(desk.proxies.alpaca.seen) == asked, "it asked during the silence that was asked for"
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, MINT)


def test_mint__lost_and_not_listed_yet__the_key_makes_it_one(desk: LyingDesk) -> None:
    """The list lags behind: the second request finds nothing, is sent, and meets its own key."""
    operation_id = open_one(desk, MINT).operation_id
    desk.proxies.alpaca.arm(
        Rule("POST *tokenization/mint", "lost"),
        Rule("GET *by_client_request_id", "status", status=404, times=2),
    )
    assert drive(desk, operation_id).is_settled
    posts = [one for one in desk.proxies.alpaca.seen if one.name.startswith("POST")]
    assert len(posts) == 2
    assert len({one.body for one in posts}) == 1
    assert_moved_once(desk, MINT)


# -- the withdrawal, which has none ------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["half", "malformed"])
def test_withdrawal__answer_not_to_be_trusted__is_found_and_not_sent_again(
    desk: LyingDesk, fault: str
) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", fault))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("fault", NEVER_HEARD)
def test_withdrawal__nobody_can_tell__asks_and_is_never_sent_again(desk: LyingDesk, fault: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", fault, **NEVER_HEARD[fault]))
    story = drive(desk, operation_id)
    for _ in range(3):
        desk.push(operation_id, Leg.WITHDRAW)
    assert "answer was lost" in story.asks
    effects = {one.name: one.status for one in desk.ledger.effects(operation_id) if one.irreversible}
    assert effects == {"withdrawal_request": EffectStatus.UNKNOWN}
    assert len([one for one in desk.proxies.alpaca.seen if one.name.startswith("POST")]) == 1
    assert assert_never_twice(desk.world) == {}
    assert [one.asset for one in desk.ledger.open_operations()] == ["USDC"]


def test_withdrawal__arrives_long_after_the_timeout__is_adopted_when_it_appears(open_desk: OpenDesk) -> None:
    """The nastiest one: at first the list proves nothing, and then the money moves after all."""
    desk = open_desk(timeout=QUICK_TIMEOUT)
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", "delay", seconds=TOO_LATE))
    asked = drive(desk, operation_id)
    assert "answer was lost" in asked.asks
    assert effects_outside(desk.world) == {}
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("when", ASK_LATER)
def test_withdrawal__too_many_requests__was_not_taken_and_is_made_later(desk: LyingDesk, when: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", "status", **ASK_LATER[when]))
    assert drive(desk, operation_id).is_settled
    attempts = [one.status for one in desk.ledger.effects(operation_id) if one.name == "withdrawal_request"]
    assert attempts == [EffectStatus.NOT_DONE, EffectStatus.DONE]
    assert_moved_once(desk, TO_BASE)


# -- everything that only looks ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OperationKind)
def test_reads__many_answers_spoilt__only_delay(desk: LyingDesk, kind: OperationKind) -> None:
    spoilt = ("status", "html", "half", "malformed", "reset")
    operation_id = open_one(desk, kind).operation_id
    for proxy in desk.proxies.all:
        for place, fault in enumerate(spoilt):
            for match in ("GET *", "eth_[!s]*"):
                proxy.arm(Rule(match, fault, times=None, after=2 + 3 * place, every=60, status=503))
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert sum(proxy.hits for proxy in desk.proxies.all) > 1
    assert_moved_once(desk, kind)
