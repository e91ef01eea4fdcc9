"""The worker on chains in memory: every step is taken once, whatever fails in between."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.sandbox.alpaca import tokenization, wallets
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.state import USDC, Outgoing, Stage, State, TokenizationRequest, Transfer
from include.sandbox.alpaca.worker import Worker
from tests.unit.sandbox.alpaca.conftest import (
    AAPL,
    DEPOSIT,
    REDEMPTION,
    USDC_CONTRACT,
    WALLET,
    Clock,
    FakeChain,
    books_sum_to_zero,
)

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core

MINT = {
    "underlying_symbol": "AAPL",
    "qty": "10",
    "issuer": "st0x",
    "network": "base",
    "wallet_address": WALLET,
}
WITHDRAWAL = {"amount": "100", "asset": "USDC", "address": WALLET}
STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"


def mint(core: Core) -> TokenizationRequest:
    answer, _ = tokenization.accept_mint(core, MINT, None)
    return core.state.requests[answer["tokenization_request_id"]]


def withdraw(core: Core) -> Transfer:
    return core.state.transfers[wallets.withdraw(core, WITHDRAWAL)["id"]]


def run(worker: Worker, clock: Clock, seconds: int = 10) -> None:
    for _ in range(seconds):
        clock.tick(1)
        worker.tick()


def test_mint__step_by_step__the_shares_leave_before_the_tokens_exist(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    request = mint(core)
    worker.tick()
    assert request.stage is Stage.ACCEPTED  # not due yet

    clock.tick(1)
    worker.tick()
    assert core.state.position("AAPL") == 50
    assert base.sent == []

    clock.tick(1)
    worker.tick()
    worker.tick()
    assert request.status == "completed"
    assert base.signed == [(AAPL, base.signed[0][1])]
    assert int(base.signed[0][1][-64:], 16) == 10 * 10**18
    assert request.tx_hash == base.sent[0]


def test_mint__node_away_when_it_is_sent__is_sent_with_the_same_bytes_later(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    request = mint(core)
    clock.tick(1)
    worker.tick()
    base.down = True
    run(worker, clock)
    assert request.stage is Stage.SENDING

    base.down = False
    run(worker, clock)

    assert len(base.signed) == 1
    assert len(base.sent) == 1
    assert request.status == "completed"


def test_mint__process_killed_after_signing__the_next_one_sends_the_same_transaction(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.automine = False
    mint(core)
    run(worker, clock, 3)
    (first,) = [r.outgoing for r in core.state.requests.values()]
    core.state = State.model_validate_json(core.state.model_dump_json())
    base.automine = True

    run(Worker(core, worker.ethereum, base, worker.issuer, worker.payer), clock)

    (request,) = core.state.requests.values()
    assert request.outgoing == first
    assert len(base.signed) == 1
    assert set(base.sent) == {request.tx_hash}


def test_mint__nonce_taken_by_another_transaction__is_signed_anew(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.automine = False
    request = mint(core)
    run(worker, clock, 2)
    assert request.outgoing is not None
    base.mine(Outgoing(raw="", hash="0xother", nonce=request.outgoing.nonce, signer=""))
    base.automine = True

    run(worker, clock)

    assert len(base.signed) == 2
    assert request.status == "completed"


def test_mint__reverted__is_tried_again_and_completes_once(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.reverting = 1
    request = mint(core)

    run(worker, clock)

    assert request.status == "completed"
    assert len(base.signed) == 2
    assert core.state.position("AAPL") == 50


def test_mints__two_at_once__get_different_nonces(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.automine = False
    requests = [mint(core), mint(core)]

    run(worker, clock)

    assert [r.outgoing.nonce for r in requests if r.outgoing] == [0, 1]


@pytest.mark.parametrize(
    ("fate", "status", "shares"),
    [
        ("reject", "rejected", 60),
        ("reject_returned", "rejected", 60),
        ("reject_kept", "rejected", 50),
        ("stuck", "pending", 50),
        ("stuck_accepted", "pending", 60),
    ],
)
def test_mint__with_a_fate__ends_there_and_mints_nothing(
    core: Core, worker: Worker, clock: Clock, base: FakeChain, fate: str, status: str, shares: int
) -> None:
    core.faults.arm(Fault(target="mint", kind=fate))
    request = mint(core)

    run(worker, clock)

    assert request.status == status
    assert core.state.position("AAPL") == shares
    assert base.sent == []
    assert books_sum_to_zero(core)


@pytest.mark.parametrize("fate", ["stuck", "stuck_accepted"])
def test_mint__released__goes_on(core: Core, worker: Worker, clock: Clock, fate: str) -> None:
    core.faults.arm(Fault(target="mint", kind=fate))
    request = mint(core)
    run(worker, clock)

    assert core.release(request.id)
    run(worker, clock)

    assert request.status == "completed"


def test_redemption__transfer_seen__is_listed_then_credited(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    sent = base.receive(AAPL, REDEMPTION, 3 * 10**18 + 5)
    worker.tick()
    assert core.state.requests == {}

    clock.tick(1)
    worker.tick()
    (request,) = core.state.requests.values()
    assert (request.status, request.tx_hash) == ("pending", sent.transaction_hash)
    assert core.state.position("AAPL") == 60

    run(worker, clock)
    assert request.status == "completed"
    assert core.state.position("AAPL") == 63


def test_redemption__several_in_one_transaction__are_told_apart(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.receive(AAPL, REDEMPTION, 10**18)
    base.receive(AAPL, REDEMPTION, 10**18, index=1)

    run(worker, clock)

    assert core.state.position("AAPL") == 62


def test_redemption__from_a_wallet_that_is_not_linked__is_not_credited(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    base.receive(AAPL, REDEMPTION, 10**18, sender=STRANGER)

    run(worker, clock)

    assert core.state.requests == {}
    assert core.state.position("AAPL") == 60


@pytest.mark.parametrize("rescan", [False, True])
def test_redemption__worker_started_again__credits_nothing_twice(
    core: Core, worker: Worker, clock: Clock, base: FakeChain, rescan: bool
) -> None:
    base.receive(AAPL, REDEMPTION, 10**18)
    run(worker, clock)
    core.state = State.model_validate_json(core.state.model_dump_json())
    if rescan:
        core.state.scanned = {}

    run(Worker(core, worker.ethereum, base, worker.issuer, worker.payer), clock)

    assert len(core.state.requests) == 1
    assert core.state.position("AAPL") == 61


def test_redemption__overlooked__comes_when_it_is_released(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    core.faults.arm(Fault(target="redemption", kind="never_seen"))
    sent = base.receive(AAPL, REDEMPTION, 10**18)
    run(worker, clock)
    assert core.state.requests == {}

    assert core.release(sent.transaction_hash)
    run(worker, clock)

    assert core.state.position("AAPL") == 61


def test_redemption__rejected__is_listed_and_gives_no_shares(
    core: Core, worker: Worker, clock: Clock, base: FakeChain
) -> None:
    core.faults.arm(Fault(target="redemption", kind="reject"))
    base.receive(AAPL, REDEMPTION, 10**18)

    run(worker, clock)

    assert [request.status for request in core.state.requests.values()] == ["rejected"]
    assert core.state.position("AAPL") == 60


def test_withdrawal__step_by_step__is_complete_once_it_is_mined(
    core: Core, worker: Worker, clock: Clock, ethereum: FakeChain
) -> None:
    ethereum.automine = False
    transfer = withdraw(core)
    run(worker, clock)
    assert (transfer.status, transfer.tx_hash) == ("PROCESSING", None)
    assert core.state.position(USDC) == Decimal("9000.123456789")

    assert transfer.outgoing is not None
    ethereum.mine(transfer.outgoing)
    run(worker, clock)

    assert (transfer.status, transfer.tx_hash) == ("COMPLETE", transfer.outgoing.hash)
    assert core.state.position(USDC) == Decimal("8900.123456789")
    assert len(ethereum.signed) == 1
    assert int(ethereum.signed[0][1][-64:], 16) == 99_750_000


def test_withdrawal__complete_before_its_hash__has_no_hash_at_first(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.faults.arm(Fault(target="withdrawal", kind="complete_before_hash"))
    transfer = withdraw(core)
    run(worker, clock, 1)
    assert (transfer.status, transfer.tx_hash) == ("COMPLETE", None)

    run(worker, clock)

    assert transfer.tx_hash is not None
    assert transfer.stage is Stage.DONE
    assert core.state.position(USDC) == Decimal("8900.123456789")


def test_withdrawal__complete_before_it_is_mined__has_a_hash_that_the_chain_does_not_know(
    core: Core, worker: Worker, clock: Clock, ethereum: FakeChain
) -> None:
    core.faults.arm(Fault(target="withdrawal", kind="complete_before_mined"))
    transfer = withdraw(core)
    run(worker, clock, 1)
    shown = transfer.tx_hash
    assert transfer.status == "COMPLETE"
    assert shown is not None
    assert ethereum.outcome(shown) is None

    run(worker, clock)

    assert ethereum.sent == [shown]
    assert (transfer.tx_hash, transfer.stage) == (shown, Stage.DONE)


@pytest.mark.parametrize(
    ("fate", "has_hash", "balance"),
    [
        ("fail", False, "9000.123456789"),
        ("fail_with_hash", True, "9000.123456789"),
        ("fail_but_sent", True, "8900.123456789"),
    ],
)
def test_withdrawal__failed__has_the_hash_and_the_balance_of_its_fate(
    core: Core, worker: Worker, clock: Clock, ethereum: FakeChain, fate: str, has_hash: bool, balance: str
) -> None:
    core.faults.arm(Fault(target="withdrawal", kind=fate))
    ethereum.reverting = 1 if fate == "fail_with_hash" else 0
    transfer = withdraw(core)

    run(worker, clock)

    assert transfer.status == "FAILED"
    assert (transfer.tx_hash is not None) == has_hash
    assert core.state.available(USDC) == Decimal(balance)
    assert books_sum_to_zero(core)


def test_deposit__confirmed__is_listed_then_credited_once(
    core: Core, worker: Worker, clock: Clock, ethereum: FakeChain
) -> None:
    core.rules.deposit_confirmations = 3
    ethereum.receive(USDC_CONTRACT, DEPOSIT, 50_000_001, sender=STRANGER)
    run(worker, clock)
    assert core.state.transfers == {}

    ethereum.blocks += 2
    worker.tick()
    (transfer,) = core.state.transfers.values()
    assert transfer.status == "PROCESSING"

    run(worker, clock)
    assert transfer.status == "COMPLETE"
    assert core.state.position(USDC) == Decimal("9050.123457789")


def test_one_chain_away__work_on_the_other_goes_on(
    core: Core, worker: Worker, clock: Clock, ethereum: FakeChain
) -> None:
    ethereum.down = True
    request = mint(core)

    run(worker, clock)

    assert request.status == "completed"
