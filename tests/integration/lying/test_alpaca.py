"""Alpaca that rejects, forgets, rounds, shows too early or too late, and lists what is not ours."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs.leg import Wait
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import floor_to, plain_number
from include.sandbox.proxy import Rule
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET
from include.venues.alpaca.auth import ClientCredentialsAuth
from tests.integration.legs.test_operations import open_one
from tests.integration.lying.test_chain import drive_leg, effects_of
from tests.integration.lying.test_http import assert_moved_once
from tests.support.lying import (
    Later,
    LyingDesk,
    assert_never_twice,
    drive,
    effects_outside,
    push_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.lying.conftest import OpenDesk
    from tests.support.lying import Proxies

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA

Row = dict[str, Any]


def fate(desk: LyingDesk, target: str, kind: str) -> None:
    desk.world.broker.core.faults.arm(Fault(target=target, kind=kind))


def rules(desk: LyingDesk, **changes: Any) -> None:
    core = desk.world.broker.core
    core.rules = core.rules.model_copy(update=changes)


def latencies(desk: LyingDesk, **changes: float) -> None:
    core = desk.world.broker.core
    core.latencies = core.latencies.model_copy(update=changes)


def release(desk: LyingDesk) -> None:
    """Let everything that is stuck go on."""
    state = desk.world.broker.core.state
    found = [*state.requests, *state.transfers]
    found += [one.key for table in (state.redemptions, state.deposits) for one in table.values()]
    assert any([desk.world.broker.core.release(key) for key in found])


def edit_rows(match: str, change: Callable[[Row], Row], **how: Any) -> Rule:
    """Change every row of a list, or the one object that is answered."""

    def edit(answer: Any) -> Any:
        if isinstance(answer, list):
            return [change(row) for row in answer]
        return change(answer)

    return Rule(match, "edit", edit=edit, times=how.pop("times", None), **how)


# -- mint --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stuck", "stuck_accepted"])
def test_mint__pending_for_ever_then_completed__is_overdue_and_then_settled(
    open_desk: OpenDesk, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    fate(desk, "mint", kind)
    operation_id = open_one(desk, MINT).operation_id
    push_until(desk, operation_id, Leg.MINT, "Alpaca and the issuer to mint")
    clock.by = timedelta(hours=1)
    outcome = desk.push(operation_id, Leg.MINT)
    assert isinstance(outcome, Wait)
    assert outcome.attention is None
    assert "overdue" in caplog.text
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, MINT)


def test_mint__rejected_and_the_shares_come_back_late__is_cancelled_then(desk: LyingDesk) -> None:
    assignment = open_one(desk, MINT)
    fate(desk, "mint", "reject_kept")
    assert "rejected" in drive(desk, assignment.operation_id).asks
    core, quantity = desk.world.broker.core, desk.ledger.operation(assignment.operation_id).quantity
    with core.lock:
        journal = core.state.journal
        journal.move(assignment.asset, quantity, Book.MINTING, Book.MAKER, memo="returned", at=core.clock())
    assert drive(desk, assignment.operation_id).is_cancelled
    assert f"mint of {assignment.asset}" not in assert_never_twice(desk.world)


@pytest.mark.parametrize("status", [400, 403, 422])
def test_mint__insufficient_position_in_any_status__is_cancelled(desk: LyingDesk, status: int) -> None:
    assignment = open_one(desk, MINT)
    rules(desk, insufficient_status=status)
    desk.world.broker.sell(
        assignment.asset, desk.world.holdings()[assignment.asset]["shares"], "sold in between"
    )
    assert drive(desk, assignment.operation_id).is_cancelled
    assert assert_never_twice(desk.world) == {}


@pytest.mark.parametrize(("replay", "old_name"), [("original", False), ("current", True)])
def test_mint__any_form_of_the_answer__is_understood(desk: LyingDesk, replay: str, old_name: bool) -> None:
    rules(desk, replay=replay, mint_answers_id=old_name)
    operation_id = open_one(desk, MINT).operation_id
    desk.proxies.alpaca.arm(
        Rule("POST *tokenization/mint", "lost"),
        Rule("GET *by_client_request_id", "status", status=404, times=2),
    )
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, MINT)


MINT_LIES: dict[str, tuple[Callable[[Row], Row], str | None]] = {
    "an unknown status": (lambda row: {**row, "status": "in_review"}, "in_review"),
    "completed too early": (lambda row: {**row, "status": "completed", "tx_hash": ""}, None),
    "a transaction of nobody": (
        lambda row: {**row, "status": "completed", "tx_hash": "0x" + "ab" * 32},
        None,
    ),
    "no such request": (lambda _row: {"code": 40410000, "message": "tokenization request not found"}, None),
}


@pytest.mark.parametrize("lie", MINT_LIES)
def test_mint__answers_that_are_not_so__are_not_believed(desk: LyingDesk, lie: str) -> None:
    change, asks = MINT_LIES[lie]
    operation_id = open_one(desk, MINT).operation_id
    fate(desk, "mint", "stuck")
    push_until(desk, operation_id, Leg.MINT, "Alpaca and the issuer to mint")
    status = 404 if lie == "no such request" else 200
    desk.proxies.alpaca.arm(
        Rule("GET *tokenization/requests/*", "status", status=404, times=3)
        if status == 404
        else edit_rows("GET *tokenization/requests/*", change, times=3)
    )
    for _ in range(3):
        outcome = desk.push(operation_id, Leg.MINT)
        assert isinstance(outcome, Wait)
        assert (asks or "") in (outcome.attention or "")
    release(desk)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, MINT)


def any_transaction(desk: LyingDesk) -> str:
    """Return the hash of some transaction on Base that has nothing to do with us."""
    base = desk.world.base
    for number in range(base.head(), 0, -1):
        block = base.rpc.request("eth_getBlockByNumber", hex(number), False)
        if block["transactions"]:
            return str(block["transactions"][0])
    raise AssertionError("Base has no transactions")


def test_mint__names_another_transaction__asks_until_the_tokens_are_shown(desk: LyingDesk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    foreign = any_transaction(desk)
    lie = edit_rows("GET *tokenization/requests/*", lambda row: {**row, "tx_hash": foreign})
    desk.proxies.alpaca.arm(lie)
    assert "brought 0 of" in drive(desk, operation_id).asks
    desk.proxies.clear()
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, MINT)


# -- redemption --------------------------------------------------------------------------------------------


def test_redemption__seen_late__is_waited_for(desk: LyingDesk) -> None:
    latencies(desk, redemption_seen=0.6)
    operation_id = open_one(desk, REDEMPTION).operation_id
    push_until(desk, operation_id, Leg.REDEEM, "see the tokens")
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


@pytest.mark.parametrize(
    ("kind", "reason"), [("never_seen", "see the tokens"), ("stuck", "credit the shares")]
)
def test_redemption__never_seen_or_credited__is_overdue_and_settled_when_it_is(
    open_desk: OpenDesk, caplog: pytest.LogCaptureFixture, kind: str, reason: str
) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = open_one(desk, REDEMPTION).operation_id
    fate(desk, "redemption", kind)
    push_until(desk, operation_id, Leg.REDEEM, reason)
    clock.by = timedelta(hours=7)
    assert isinstance(desk.push(operation_id, Leg.REDEEM), Wait)
    assert "overdue" in caplog.text
    assert desk.ledger.operation(operation_id).status.is_open
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


def test_redemption__quantity_rounded_by_alpaca__what_is_credited_counts(desk: LyingDesk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    asked = desk.ledger.operation(operation_id).quantity
    rounded = floor_to(asked, 2)
    assert rounded < asked

    def floor(row: Row) -> Row:
        return {**row, "qty": plain_number(floor_to(Decimal(row["qty"]), 2))}

    desk.proxies.alpaca.arm(edit_rows("GET *tokenization/requests", floor))
    assert drive(desk, operation_id).is_settled
    assert desk.ledger.operation(operation_id).delivered == int(rounded.scaleb(9))
    assert_moved_once(desk, REDEMPTION)


def test_redemption__odd_lists__are_read_as_far_as_they_can(desk: LyingDesk) -> None:
    """A row that cannot be read, rows that were not asked for, and times of another zone."""
    rules(desk, malformed_rows=True, leak_filters=True, offset_timestamps=True)
    operation_id = open_one(desk, REDEMPTION).operation_id
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


def test_redemption__rows_of_others__are_not_ours(desk: LyingDesk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    latencies(desk, redemption_seen=0.5)

    def add(answer: list[Row]) -> list[Row]:
        foreign = {
            "tokenization_request_id": "1c8f2a0e-0000-4000-8000-000000000001",
            "type": "redeem",
            "status": "completed",
            "underlying_symbol": desk.ledger.operation(operation_id).asset,
            "qty": "1",
            "issuer": "st0x",
            "network": "base",
            "tx_hash": "0x" + "cd" * 32,
            "created_at": "2026-01-02T15:00:00Z",
        }
        return [foreign, {**foreign, "tx_hash": None}, *answer]

    desk.proxies.alpaca.arm(Rule("GET *tokenization/requests", "edit", edit=add, times=None))
    push_until(desk, operation_id, Leg.REDEEM, "see the tokens")
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


# -- withdrawal --------------------------------------------------------------------------------------------


def test_withdrawal__failed_with_the_hash_of_what_reverted__asks(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    fate(desk, "withdrawal", "fail_with_hash")
    assert "FAILED" in drive(desk, operation_id).asks
    assert "payout" not in assert_never_twice(desk.world)
    assert operation_id in {one.id for one in desk.ledger.open_operations()}


def test_withdrawal__complete_before_the_chain_shows_it__is_waited_for(desk: LyingDesk) -> None:
    latencies(desk, withdrawal_broadcast=0.5)
    operation_id = open_one(desk, TO_BASE).operation_id
    fate(desk, "withdrawal", "complete_before_mined")
    push_until(desk, operation_id, Leg.WITHDRAW, "on Ethereum")
    assert "payout" not in effects_outside(desk.world)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def test_withdrawal__stuck__is_overdue_and_settled_when_it_goes_on(
    open_desk: OpenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = open_one(desk, TO_BASE).operation_id
    fate(desk, "withdrawal", "stuck")
    push_until(desk, operation_id, Leg.WITHDRAW, "Alpaca to send")
    clock.by = timedelta(hours=7)
    assert isinstance(desk.push(operation_id, Leg.WITHDRAW), Wait)
    assert "overdue" in caplog.text
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("fee", ["0", "17.000001"])
def test_withdrawal__fee_out_of_the_amount__the_next_leg_moves_what_arrived(
    desk: LyingDesk, fee: str
) -> None:
    rules(desk, withdrawal_fee=Decimal(fee))
    operation_id = open_one(desk, TO_BASE).operation_id
    assert drive(desk, operation_id).is_settled
    operation, [_, bridge] = desk.ledger.operation(operation_id), desk.ledger.legs(operation_id)
    assert bridge.amount_in == operation.amount - int(Decimal(fee).scaleb(6))
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "under review"])
def test_withdrawal__address_not_approved_yet__is_not_begun(desk: LyingDesk, status: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(edit_rows("GET *wallets/whitelists", lambda row: {**row, "status": status}))
    story = drive(desk, operation_id)
    assert story.is_cancelled
    assert status in str(story.outcome)
    assert desk.ledger.effects(operation_id) == []


@pytest.mark.parametrize("status", [400, 403, 422])
def test_withdrawal__refused__is_cancelled(desk: LyingDesk, status: int) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    message = "withdrawal address is not whitelisted or not approved"
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", "status", status=status, message=message))
    assert drive(desk, operation_id).is_cancelled
    assert effects_of(desk, operation_id, "withdrawal_request") == [EffectStatus.NOT_DONE]
    assert assert_never_twice(desk.world) == {}


def withdraw_as_another(desk: LyingDesk, amount: Decimal) -> str:
    """Ask for a withdrawal as a person at Alpaca's own pages would, past our ledger."""
    answer = httpx.post(
        f"{desk.world.alpaca_url}/v1/accounts/{ACCOUNT_ID}/wallets/transfers",
        json={
            "amount": plain_number(amount),
            "asset": "USDC",
            "chain": "ETH",
            "address": desk.world.maker.address,
        },
        auth=(KEY_ID, SECRET),
    )
    return str(answer.raise_for_status().json()["id"])


def test_withdrawal__a_foreign_one_of_the_same_amount_before__is_not_taken_for_ours(desk: LyingDesk) -> None:
    desk.world.give("USDC", "alpaca", Decimal(5000))
    operation_id = open_one(desk, TO_BASE).operation_id
    foreign = withdraw_as_another(desk, desk.ledger.operation(operation_id).quantity)
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", "lost"))
    assert drive(desk, operation_id).is_settled
    [ours] = [one for one in desk.ledger.effects(operation_id) if one.name == "withdrawal_request"]
    assert ours.reference != foreign
    assert effects_outside(desk.world)["transfer OUTGOING"] == 2
    assert effects_outside(desk.world)["burn on ethereum"] == 1
    assert desk.world.conservation() == []


def test_withdrawal__a_foreign_one_of_another_amount__is_not_taken_for_ours(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(Rule("POST *wallets/transfers", "reset"))
    assert "answer was lost" in drive(desk, operation_id).asks
    withdraw_as_another(desk, Decimal(60))
    assert "that fit: none" in drive(desk, operation_id).asks
    assert effects_outside(desk.world)["transfer OUTGOING"] == 1


def test_withdrawal__two_that_fit__asks_which(desk: LyingDesk) -> None:
    desk.world.give("USDC", "alpaca", Decimal(5000))
    operation_id = open_one(desk, TO_BASE).operation_id
    quantity = desk.ledger.operation(operation_id).quantity
    desk.proxies.alpaca.arm(
        Rule("POST *wallets/transfers", "lost"), Rule("GET *wallets/transfers", "status", status=503, after=1)
    )
    push_until(desk, operation_id, Leg.WITHDRAW, "does not answer")
    foreign = withdraw_as_another(desk, quantity)
    story = drive(desk, operation_id)
    assert foreign in story.asks
    assert len([one for one in desk.proxies.alpaca.seen if one.name.startswith("POST")]) == 1
    assert desk.world.conservation() == []


def test_withdrawal__lost_and_its_row_unreadable__asks_and_goes_on_when_it_can_be_read(
    desk: LyingDesk,
) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    desk.proxies.alpaca.arm(
        Rule("POST *wallets/transfers", "lost"),
        edit_rows("GET *wallets/transfers", lambda row: {**row, "amount": "a lot"}),
    )
    assert "that fit: none" in drive(desk, operation_id).asks
    desk.proxies.clear()
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def test_withdrawal__hash_of_another_payment__asks(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    block = desk.world.ethereum.rpc.request("eth_getBlockByNumber", "latest", False)
    foreign = block["transactions"][0]
    desk.proxies.alpaca.arm(
        edit_rows("GET *wallets/transfers/*", lambda row: {**row, "status": "COMPLETE", "tx_hash": foreign})
    )
    assert "brought no USDC" in drive(desk, operation_id).asks
    desk.proxies.clear()
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


# -- deposit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["never_seen", "stuck"])
def test_deposit__not_credited__is_overdue_and_settled_when_it_is(
    open_desk: OpenDesk, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = open_one(desk, TO_ALPACA).operation_id
    fate(desk, "deposit", kind)
    drive_leg(desk, operation_id, Leg.BRIDGE)
    push_until(desk, operation_id, Leg.DEPOSIT, "Alpaca to credit")
    clock.by = timedelta(hours=7)
    assert isinstance(desk.push(operation_id, Leg.DEPOSIT), Wait)
    assert "overdue" in caplog.text
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_ALPACA)


def test_deposit__called_failed__asks_and_settles_when_it_is_credited_after_all(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    drive_leg(desk, operation_id, Leg.BRIDGE)
    desk.proxies.alpaca.arm(edit_rows("GET *wallets/transfers", lambda row: {**row, "status": "FAILED"}))
    assert "failed" in drive(desk, operation_id).asks
    desk.proxies.clear()
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_ALPACA)


def test_deposit__an_outgoing_row_with_the_same_hash__is_not_the_credit(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    fate(desk, "deposit", "stuck")
    drive_leg(desk, operation_id, Leg.BRIDGE)

    def twin(rows: list[Row]) -> list[Row]:
        return [{**row, "direction": "OUTGOING", "status": "COMPLETE"} for row in rows] + rows

    desk.proxies.alpaca.arm(Rule("GET *wallets/transfers", "edit", edit=twin, times=None))
    for _ in range(5):
        assert isinstance(desk.push(operation_id, Leg.DEPOSIT), Wait)
    push_until(desk, operation_id, Leg.DEPOSIT, "credit the deposit")
    desk.proxies.clear()
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_ALPACA)


def test_deposit__credited_with_less__what_is_credited_counts(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    less = edit_rows("GET *wallets/transfers", lambda row: {**row, "amount": "3999"})
    desk.proxies.alpaca.arm(less)
    assert drive(desk, operation_id).is_settled
    assert desk.ledger.operation(operation_id).delivered == 3999 * 10**6
    assert_moved_once(desk, TO_ALPACA)


# -- credentials -------------------------------------------------------------------------------------------


def token_auth(proxies: Proxies, **options: Any) -> ClientCredentialsAuth:
    url = f"{proxies.urls['alpaca']}/v1/oauth2/token"
    return ClientCredentialsAuth(url, KEY_ID, client_secret=SECRET, **options)


@pytest.mark.parametrize("kind", [MINT, TO_BASE])
def test_token__not_accepted_any_more_half_way__is_replaced_and_money_moves_once(
    open_desk: OpenDesk, proxies: Proxies, kind: OperationKind
) -> None:
    desk = open_desk(auth=token_auth(proxies))
    operation_id = open_one(desk, kind).operation_id
    proxies.alpaca.arm(Rule("POST */accounts/*", "status", status=401), Rule("GET *", "status", status=401))
    assert drive(desk, operation_id).is_settled
    assert len([one for one in proxies.alpaca.seen if one.name == "POST /v1/oauth2/token"]) == 3
    assert_moved_once(desk, kind)


def test_token__expires_half_way_and_no_new_one_is_given__waits_and_goes_on(
    open_desk: OpenDesk, proxies: Proxies
) -> None:
    clock = Later()
    desk = open_desk(auth=token_auth(proxies, now=clock), now=clock)
    fate(desk, "withdrawal", "stuck")
    operation_id = open_one(desk, TO_BASE).operation_id
    push_until(desk, operation_id, Leg.WITHDRAW, "Alpaca to send")
    proxies.alpaca.arm(Rule("POST /v1/oauth2/token", "status", status=503, times=2))
    for _ in range(2):
        clock.by += timedelta(hours=2)
        outcome = desk.push(operation_id, Leg.WITHDRAW)
        assert isinstance(outcome, Wait)
        assert "token" in outcome.reason
        assert outcome.attention is None
    clock.by += timedelta(hours=2)
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("kind", [MINT, TO_BASE])
def test_key__refused_at_the_first_request_that_moves__is_cancelled(
    desk: LyingDesk, kind: OperationKind
) -> None:
    operation_id = open_one(desk, kind).operation_id
    desk.proxies.alpaca.arm(Rule("POST *", "status", status=401))
    assert drive(desk, operation_id).is_cancelled
    assert assert_never_twice(desk.world) == {}


def test_key__refused_half_way__asks_and_goes_on_when_it_is_good_again(desk: LyingDesk) -> None:
    fate(desk, "withdrawal", "stuck")
    operation_id = open_one(desk, TO_BASE).operation_id
    push_until(desk, operation_id, Leg.WITHDRAW, "Alpaca to send")
    desk.proxies.alpaca.arm(Rule("GET *", "status", status=401, times=None))
    assert "refused" in drive(desk, operation_id).asks
    desk.proxies.clear()
    release(desk)
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)
