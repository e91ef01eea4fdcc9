"""Lost answers, refusals, strangers: the money moves once, or the claim stays and a person is asked."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.check import Switch
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.ledger.records import EffectStatus
from include.legs.leg import Closed, Done, LegOutOfOrder, Wait
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.faults import Fault
from include.venues.cctp import contracts
from include.venues.evm.signer import LocalSigner
from include.venues.evm.types import Call, UnsignedTransaction
from tests.integration.legs.test_operations import open_one
from tests.support.desk import PATIENCE_SECONDS, await_condition

if TYPE_CHECKING:
    from include.ledger.records import Effect
    from tests.support.desk import Desk

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA


def arm(desk: Desk, target: str, kind: str, **values: int) -> None:
    desk.world.broker.core.faults.arm(Fault(target=target, kind=kind, **values))


def effect(desk: Desk, operation_id: str, name: str) -> Effect:
    found = [one for one in desk.ledger.effects(operation_id) if one.name == name]
    return found[-1]


def until_attention(desk: Desk, operation_id: str, leg: Leg) -> Wait:
    """Push until a person is asked."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = desk.push(operation_id, leg)
        assert isinstance(outcome, Wait), outcome
        if outcome.attention is not None:
            return outcome
        await_condition(desk.book.venues, outcome, end)


@pytest.mark.parametrize("fault", ["drop_answer", "status_after", "html_after"])
def test_mint__answer_lost__is_found_again_and_minted_once(desk: Desk, fault: str) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", fault)
    desk.settle(operation_id)
    requests = desk.book.venues.alpaca.tokenization_requests(type="mint")
    assert [request.client_request_id for request in requests] == [operation_id]
    assert desk.world.conservation() == []


def test_mint__never_reached_alpaca__is_asked_again(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", "reset")
    desk.settle(operation_id)
    assert len(desk.book.venues.alpaca.tokenization_requests(type="mint")) == 1


def test_mint__not_enough_shares__cancels_and_frees_the_asset(desk: Desk) -> None:
    assignment = open_one(desk, MINT)
    held = desk.world.holdings()[assignment.asset]["shares"]
    desk.world.broker.sell(assignment.asset, held, "sold in between")
    outcome = desk.finish(assignment.operation_id, Leg.MINT)
    assert isinstance(outcome, Closed)
    assert outcome.status is OperationStatus.CANCELLED
    assert effect(desk, assignment.operation_id, "mint_request").status is EffectStatus.NOT_DONE
    assert assignment.asset not in {claimed.asset for claimed in desk.ledger.open_operations()}


@pytest.mark.parametrize("fate", ["reject", "reject_returned"])
def test_mint__rejected_and_the_shares_are_back__cancels(desk: Desk, fate: str) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", fate)
    outcome = desk.finish(operation_id, Leg.MINT)
    assert isinstance(outcome, Closed)
    assert "shares are back" in outcome.outcome
    assert desk.world.conservation() == []


def test_mint__rejected_and_the_shares_are_gone__keeps_the_claim_and_asks(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", "reject_kept")
    wait = until_attention(desk, operation_id, Leg.MINT)
    assert "rejected" in str(wait.attention)
    assert desk.ledger.operation(operation_id).status.is_open
    assert desk.ledger.legs(operation_id)[0].attention == wait.attention


@pytest.mark.parametrize("fault", ["drop_answer", "status_after", "html_after"])
def test_withdrawal__answer_lost__adopts_the_one_that_fits(desk: Desk, fault: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdraw", fault)
    desk.settle(operation_id)
    outgoing = [row for row in desk.book.venues.alpaca.transfers() if row.is_outgoing]
    assert [row.id for row in outgoing] == [effect(desk, operation_id, "withdrawal_request").reference]
    assert desk.world.conservation() == []


def test_withdrawal__nobody_knows_whether_it_was_taken__is_never_sent_again(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdraw", "status", status=500)
    wait = until_attention(desk, operation_id, Leg.WITHDRAW)
    assert "answer was lost" in str(wait.attention)
    for _ in range(3):
        assert isinstance(desk.push(operation_id, Leg.WITHDRAW), Wait)
    assert effect(desk, operation_id, "withdrawal_request").status is EffectStatus.UNKNOWN
    assert [row for row in desk.book.venues.alpaca.transfers() if row.is_outgoing] == []
    assert [claimed.asset for claimed in desk.ledger.open_operations()] == ["USDC"]


def test_withdrawal__failed_without_sending__cancels(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdrawal", "fail")
    outcome = desk.finish(operation_id, Leg.WITHDRAW)
    assert isinstance(outcome, Closed)
    assert desk.ledger.open_operations() == []


def test_withdrawal__failed_with_a_transaction__keeps_the_claim_and_asks(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdrawal", "fail_but_sent")
    wait = until_attention(desk, operation_id, Leg.WITHDRAW)
    assert "FAILED" in str(wait.attention)
    assert desk.ledger.operation(operation_id).status.is_open


def test_withdrawal__complete_before_it_is_sent__waits_for_the_chain(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdrawal", "complete_before_hash")
    desk.settle(operation_id)
    assert desk.world.conservation() == []


def test_withdrawal__address_not_whitelisted__is_not_begun(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.world.broker.core.state.whitelist.clear()
    outcome = desk.push(operation_id, Leg.WITHDRAW)
    assert isinstance(outcome, Closed)
    assert "whitelist" in outcome.outcome
    assert desk.ledger.effects(operation_id) == []


def test_withdrawal__too_many_requests__was_not_sent_and_may_be_later(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdraw", "status", status=429, retry_after=1)
    first = desk.push(operation_id, Leg.WITHDRAW)
    assert isinstance(first, Wait)
    assert first.attention is None
    assert effect(desk, operation_id, "withdrawal_request").status is EffectStatus.NOT_DONE
    assert [claimed.asset for claimed in desk.ledger.open_operations()] == ["USDC"]


def test_redemption__rejected_after_the_tokens_left__keeps_the_claim_and_asks(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    arm(desk, "redemption", "reject")
    wait = until_attention(desk, operation_id, Leg.REDEEM)
    assert "rejected" in str(wait.attention)
    assert desk.ledger.operation(operation_id).status.is_open


def test_bridge__message_delivered_by_a_stranger__is_settled(desk: Desk) -> None:
    service = desk.world.attestation
    assert service is not None
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.finish(operation_id, Leg.WITHDRAW)
    service.change(service.settings.model_copy(update={"paused": True}))
    waiting = desk.push(operation_id, Leg.BRIDGE)
    while not (isinstance(waiting, Wait) and "Circle" in waiting.reason):
        assert isinstance(waiting, Wait)
        waiting = desk.push(operation_id, Leg.BRIDGE)
    service.change(service.settings.model_copy(update={"paused": False}))
    await_condition(desk.book.venues, waiting, time.monotonic() + PATIENCE_SECONDS)
    burn = effect(desk, operation_id, "burn")
    [attested] = desk.book.venues.attestations.messages(0, burn.reference or "")
    deliver(desk, attested.message or b"", attested.attestation or b"")
    outcome = desk.finish(operation_id, Leg.BRIDGE)
    assert isinstance(outcome, Done)
    assert [one.name for one in desk.ledger.effects(operation_id)][-1] == "burn"
    assert desk.world.conservation() == []


def deliver(desk: Desk, message: bytes, attestation: bytes) -> None:
    chain = desk.book.venues.base
    stranger = LocalSigner(bytes(account(Role.STRANGER).key))
    call: Call = contracts.receive_message(
        desk.book.settings.chains.base.message_transmitter, message, attestation
    )
    signed = stranger.sign(
        UnsignedTransaction(chain.chain_id, chain.nonce(stranger.address), call, 400_000, chain.fees())
    )
    chain.broadcast(signed.raw)


def test_leg__before_the_one_it_depends_on__is_refused(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    with pytest.raises(LegOutOfOrder, match="withdraw"):
        desk.push(operation_id, Leg.BRIDGE)


def test_claim__a_dead_runs_operation__is_adopted_and_goes_on_where_it_was(desk: Desk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.finish(operation_id, Leg.WITHDRAW)
    successor = desk.with_run("run-2")
    assert successor.claim(successor.check(), TO_BASE, is_running=lambda _run: True) == []
    adopted = successor.claim(successor.check(), TO_BASE, is_running=lambda _run: False)
    assert [one.operation_id for one in adopted] == [operation_id]
    successor.settle(operation_id)
    assert len([row for row in desk.book.venues.alpaca.transfers() if row.is_outgoing]) == 1
    assert desk.world.conservation() == []


def test_claim__second_try_of_the_same_run__hands_out_the_same(desk: Desk) -> None:
    checked = desk.check()
    first = desk.claim(checked, MINT)
    assert len(first) == 2
    assert desk.claim(checked, MINT) == first


@pytest.mark.parametrize("switch", [Switch.DRAIN, Switch.HALT])
def test_claim__switch_not_at_run__opens_nothing(desk: Desk, switch: Switch) -> None:
    assert desk.claim(desk.check(), MINT, switch) == []


def test_claim__drain__adopts_and_halt_does_not(desk: Desk) -> None:
    open_one(desk, MINT)
    successor = desk.with_run("run-2")
    checked = successor.check()
    assert successor.claim(checked, MINT, Switch.HALT, is_running=lambda _run: False) == []
    assert len(successor.claim(checked, MINT, Switch.DRAIN, is_running=lambda _run: False)) == 2


def test_check__dry_run__shows_and_moves_nothing(desk: Desk) -> None:
    checked = desk.check(dry_run=True)
    proposed = {one.asset: one.proposed.amount for one in checked.decisions if one.proposed}
    assert proposed["MSFT"] == Decimal(31)
    assert desk.claim(checked, MINT) == []
    assert desk.ledger.operations() == []
