"""Circle that is slow, forgetful, expensive or wrong, and strangers who deliver for us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs.leg import Wait
from include.sandbox.accounts import Role, account
from include.sandbox.chains import transact
from include.sandbox.jsonrpc import calldata
from include.sandbox.proxy import Rule
from include.venues.cctp.attestation import RequestLimiter
from tests.integration.legs.test_operations import open_one
from tests.integration.lying.test_chain import (
    DEEP,
    burnt,
    circle,
    drive_leg,
    effects_of,
    mine,
    mined_in,
    push_with_blocks,
)
from tests.integration.lying.test_http import assert_moved_once
from tests.support.lying import (
    RECEIVING,
    Later,
    LyingDesk,
    drive,
    effects_outside,
    push_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.lying.conftest import OpenDesk

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA


def attested(desk: LyingDesk, operation_id: str) -> tuple[bytes, bytes]:
    """Return the message of the operation's burn and its signatures."""
    hash_ = next(one.reference for one in desk.ledger.effects(operation_id) if one.name == "burn")
    while True:
        for message in desk.book.venues.attestations.messages(0, str(hash_)):
            if message.is_ready:
                return message.message or b"", message.attestation or b""


def deliver_as_stranger(desk: LyingDesk, operation_id: str, *, wait: bool = True) -> None:
    message, signatures = attested(desk, operation_id)
    world, stranger = desk.world, account(Role.STRANGER).address
    transaction = {
        "from": stranger,
        "to": world.deployment.base.message_transmitter,
        "data": calldata("receiveMessage(bytes,bytes)", [message, signatures]),
        "gas": hex(400_000),
        "maxFeePerGas": hex(10**11),
        "maxPriorityFeePerGas": hex(5 * 10**10),
    }
    hash_ = world.base.rpc.request("eth_sendTransaction", transaction)
    if wait:
        world.base.rpc.receipt(hash_)


# -- strangers ---------------------------------------------------------------------------------------------


def test_stranger__delivers_before_ours_is_mined__counts_as_delivered(desk: LyingDesk) -> None:
    operation_id = burnt(desk)
    desk.world.base.rpc.request("evm_setAutomine", False)
    circle(desk, paused=False)
    push_until(desk, operation_id, Leg.BRIDGE, "receive to be mined")
    deliver_as_stranger(desk, operation_id, wait=False)
    desk.world.base.rpc.request("evm_mine")
    desk.world.base.rpc.request("evm_setAutomine", True)
    assert drive(desk, operation_id).is_settled
    assert effects_of(desk, operation_id, "receive") == [EffectStatus.NOT_DONE]
    assert_moved_once(desk, TO_BASE)


def test_stranger__delivers_and_the_chain_forgets_it__is_delivered_by_us(open_desk: OpenDesk) -> None:
    desk = open_desk(**DEEP)
    circle(desk, paused=True)
    operation_id = open_one(desk, TO_BASE).operation_id
    push_with_blocks(desk, operation_id, until=lambda wait: "Circle to attest" in wait.reason)
    circle(desk, paused=False)
    deliver_as_stranger(desk, operation_id)
    push_until(desk, operation_id, Leg.BRIDGE, "to show who delivered")
    desk.world.base.rpc.request("anvil_reorg", 1, [])
    push_until(desk, operation_id, Leg.BRIDGE, "receive to be mined")
    mine(desk.world)
    assert drive(desk, operation_id).is_settled
    assert len(mined_in(desk, "base", RECEIVING)) == 1
    assert_moved_once(desk, TO_BASE)


# -- expiry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, "lost", "status", "reset"])
def test_attestation__expired__is_requested_anew_and_delivered_once(
    desk: LyingDesk, fault: str | None
) -> None:
    circle(desk, expiration_blocks={"6": 1})
    if fault is not None:
        desk.proxies.attestation.arm(Rule("POST /v2/reattest/*", fault, status=502))
    operation_id = open_one(desk, TO_BASE).operation_id
    assert drive(desk, operation_id).is_settled
    assert effects_of(desk, operation_id, "reattest") == [EffectStatus.DONE]
    assert_moved_once(desk, TO_BASE)


def test_attestation__the_old_one_is_served_for_a_while__is_waited_out(desk: LyingDesk) -> None:
    circle(desk, expiration_blocks={"6": 1}, standard_latency={"0": 2.0})
    operation_id = burnt(desk)
    circle(desk, paused=False)
    push_until(desk, operation_id, Leg.BRIDGE, "attest the burn again")
    [old] = [one for one in desk.proxies.attestation.seen if one.name.startswith("POST")]
    assert old.fault is None
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def test_attestation__expires_while_ours_waits_in_the_pool__is_delivered_with_a_fresh_one(
    desk: LyingDesk,
) -> None:
    circle(desk, expiration_blocks={"6": 50})
    operation_id = burnt(desk)
    circle(desk, paused=False)
    desk.proxies.base.arm(Rule("eth_sendRawTransaction", "swallow", containing=RECEIVING))
    push_until(desk, operation_id, Leg.BRIDGE, "receive to be mined")
    desk.world.base.rpc.request("anvil_mine", hex(60))
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert effects_of(desk, operation_id, "receive") == [EffectStatus.NOT_DONE, EffectStatus.DONE]
    assert effects_of(desk, operation_id, "reattest") == [EffectStatus.DONE]
    assert_moved_once(desk, TO_BASE)


# -- speed and price ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "why",
    [
        {"fast_fee_bps": {"0": "14"}},
        {"fast_allowance": "1"},
        {"fast_amount_max": "1"},
    ],
    ids=["fee above what was offered", "allowance used up", "amount too large"],
)
def test_fast_transfer__not_to_be_had__becomes_a_standard_one(desk: LyingDesk, why: dict[str, Any]) -> None:
    operation_id = burnt(desk)
    circle(desk, paused=False, **why)
    assert drive(desk, operation_id).is_settled
    assert desk.world.holdings()["USDC"]["cctp_fees"] == 0
    assert desk.ledger.operation(operation_id).delivered == desk.ledger.legs(operation_id)[1].amount_in
    assert_moved_once(desk, TO_BASE)


def test_fast_transfer__fee_within_the_headroom__is_taken_out_of_the_amount(desk: LyingDesk) -> None:
    operation_id = burnt(desk)
    circle(desk, paused=False, fast_fee_bps={"0": "1.1"})
    assert drive(desk, operation_id).is_settled
    fee = desk.world.holdings()["USDC"]["cctp_fees"]
    sent = desk.ledger.legs(operation_id)[1].amount_in
    assert fee > 0
    assert desk.ledger.operation(operation_id).delivered == (sent or 0) - int(fee * 10**6)
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("fault", ["html", "answer"])
def test_fees__cannot_be_read__nothing_is_burnt_until_they_can(desk: LyingDesk, fault: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    drive_leg(desk, operation_id, Leg.WITHDRAW)
    rows = [{"finalityThreshold": 1000, "minimumFee": "much"}]
    desk.proxies.attestation.arm(Rule("GET /v2/burn/*", fault, times=None, status=503, result=rows))
    for _ in range(6):
        outcome = desk.push(operation_id, Leg.BRIDGE)
        assert isinstance(outcome, Wait)
    assert "burn on ethereum" not in effects_outside(desk.world)
    desk.proxies.clear()
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


def test_burn_limit__below_the_amount__nothing_is_withdrawn(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    contracts = desk.world.deployment.ethereum
    transact(
        desk.world.ethereum_url,
        Role.DEPLOYER,
        contracts.token_minter,
        "setMaxBurnAmountPerMessage(address,uint256)",
        [contracts.usdc, 10**6],
    )
    story = drive(desk, operation_id)
    assert story.is_cancelled
    assert desk.ledger.effects(operation_id) == []
    assert effects_outside(desk.world) == {}


# -- what Circle says of our burn --------------------------------------------------------------------------


@dataclass(frozen=True)
class Forgery:
    """How an answer about our burn is changed, and what a person is asked about it (None: nothing)."""

    change: Callable[[dict[str, Any]], dict[str, Any]]
    asks: str | None


def message_with(start: int, value: bytes) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Overwrite bytes of the signed message."""

    def change(row: dict[str, Any]) -> dict[str, Any]:
        raw = bytearray.fromhex(row["message"][2:])
        if len(raw) > start:
            raw[start : start + len(value)] = value
        return {**row, "message": f"0x{raw.hex()}"}

    return change


BODY = 148
FORGERIES = {
    "another recipient": Forgery(message_with(BODY + 36, bytes(31) + b"\x07"), None),
    "another amount": Forgery(message_with(BODY + 68, (5).to_bytes(32, "big")), None),
    "another nonce than it says": Forgery(lambda row: {**row, "eventNonce": f"0x{7:064x}"}, "not our burn"),
    "a cut message": Forgery(lambda row: {**row, "message": row["message"][:200]}, None),
    "signatures of nobody": Forgery(lambda row: {**row, "attestation": "0x" + "11" * 65}, "refused"),
    "complete without signatures": Forgery(lambda row: {**row, "attestation": "PENDING"}, None),
    "an unreadable row": Forgery(lambda row: {"eventNonce": 5}, None),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_message__not_what_was_burnt__is_not_delivered_and_the_true_one_is(
    desk: LyingDesk, forgery: str
) -> None:
    operation_id = burnt(desk)
    lie = FORGERIES[forgery]
    circle(desk, paused=False)
    attested(desk, operation_id)

    def forge(answer: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [lie.change(row) for row in answer.get("messages", [])]}

    desk.proxies.attestation.arm(Rule("GET /v2/messages/*", "edit", times=None, edit=forge))
    outcome = desk.push(operation_id, Leg.BRIDGE)
    assert isinstance(outcome, Wait)
    assert (lie.asks or "") in (outcome.attention or "")
    assert "receive on base" not in effects_outside(desk.world)
    desk.proxies.clear()
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


def test_messages__a_broken_row_beside_ours__is_passed_over(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id

    def add(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "messages": [{"eventNonce": None}, *answer.get("messages", [])]}

    desk.proxies.attestation.arm(Rule("GET /v2/messages/*", "edit", times=None, edit=add))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_ALPACA)


# -- Circle away -------------------------------------------------------------------------------------------


def test_attestation__missing_past_its_deadline__is_overdue_and_still_waited_for(
    open_desk: OpenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = burnt(desk)
    clock.by = timedelta(hours=2)
    outcome = desk.push(operation_id, Leg.BRIDGE)
    assert isinstance(outcome, Wait)
    assert outcome.attention is None
    assert "overdue" in caplog.text
    circle(desk, paused=False)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def test_circle__says_we_ask_too_often__is_left_alone_for_five_minutes(open_desk: OpenDesk) -> None:
    clock = 1000.0
    desk = open_desk(limiter=RequestLimiter(per_second=1000, burst=1000, now=lambda: clock))
    operation_id = burnt(desk)
    circle(desk, paused=False)
    desk.proxies.attestation.arm(Rule("GET /v2/messages/*", "status", status=429))
    first = desk.push(operation_id, Leg.BRIDGE)
    assert isinstance(first, Wait)
    assert first.every.total_seconds() == 300
    asked = len(desk.proxies.attestation.seen)
    clock += 299
    assert isinstance(desk.push(operation_id, Leg.BRIDGE), Wait)
    assert len(desk.proxies.attestation.seen) == asked
    clock += 2
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def test_speed__standard_by_setting__costs_nothing(open_desk: OpenDesk) -> None:
    desk = open_desk(usdc_speed="standard")
    operation_id = open_one(desk, TO_BASE).operation_id
    assert drive(desk, operation_id).is_settled
    assert desk.world.holdings()["USDC"]["cctp_fees"] == Decimal(0)
    assert_moved_once(desk, TO_BASE)
