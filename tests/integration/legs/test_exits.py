"""What a person decides about a stuck operation, against real chains and over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.amounts import plain
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.verbs import Exits
from include.ledger.ledger import utc_now
from include.ledger.records import EffectStatus, Verb
from include.legs.leg import Closed, Done, Wait
from include.sandbox.accounts import Role, account
from include.sandbox.jsonrpc import Rpc
from include.venues.evm.types import UnsignedTransaction
from scripts.astro_settings import ROOT
from tests.integration.legs.test_faults import arm, effect, until_attention
from tests.integration.legs.test_operations import open_one
from tests.support.desk import PATIENCE_SECONDS, await_condition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.desk import Desk

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
REQUEST = "withdrawal_request"
WHY = "I have looked"


def person(desk: Desk, *, later: timedelta = timedelta(0)) -> Exits:
    """Return somebody who works on this book, now or some time later."""
    venues = replace(desk.book.venues, now=lambda: utc_now() + later)
    return Exits(venues, desk.ledger, "ada")


def patient(desk: Desk) -> Exits:
    """Return somebody who comes when Alpaca's lists have long been complete."""
    return person(desk, later=timedelta(minutes=6))


def lose_withdrawal(desk: Desk) -> str:
    """Bring an operation to where nobody knows whether its withdrawal was taken; it was not."""
    operation_id = open_one(desk, TO_BASE).operation_id
    arm(desk, "withdraw", "status", status=500)
    until_attention(desk, operation_id, Leg.WITHDRAW)
    return operation_id


def withdraw_by_hand(
    desk: Desk, operation_id: str, *, amount: Decimal | None = None, address: str | None = None
) -> str:
    """Withdraw as the operation wanted to, but for what is given, and return the id of the transfer."""
    return desk.book.venues.alpaca.withdraw(
        amount=amount or desk.ledger.operation(operation_id).quantity,
        asset="USDC",
        address=address or desk.book.venues.wallet,
        chain="ETH",
    ).id


def outgoing(desk: Desk) -> list[str]:
    return [row.id for row in desk.book.venues.alpaca.transfers() if row.is_outgoing]


@contextmanager
def held(url: str) -> Iterator[Rpc]:
    """Hold back a chain's blocks: what is sent meanwhile waits in its pool."""
    with Rpc(url) as rpc:
        rpc.request("evm_setAutomine", False)
        try:
            yield rpc
        finally:
            rpc.request("evm_setAutomine", True)
            rpc.request("evm_mine")


def refused(desk: Desk, operation_id: str) -> None:
    """Assert that nothing was done and nothing recorded."""
    assert desk.ledger.interventions(operation_id) == []
    assert desk.ledger.operation(operation_id).status.is_open


def test_adopt__unknown_withdrawal_by_its_id__goes_on_and_settles(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    # Two fit, so that the leg itself cannot choose.
    first, second = withdraw_by_hand(desk, operation_id), withdraw_by_hand(desk, operation_id)
    wait = until_attention(desk, operation_id, Leg.WITHDRAW)
    assert first in str(wait.attention)
    situation = person(desk).adopt(operation_id, WHY, reference=first)
    assert [done.verb for done in situation.interventions] == [Verb.ADOPT]
    assert effect(desk, operation_id, REQUEST).reference == first
    desk.settle(operation_id)
    assert sorted(outgoing(desk)) == sorted([first, second])
    assert desk.ledger.operation(operation_id).status is OperationStatus.SETTLED


def test_adopt__a_withdrawal_of_another_amount__is_refused(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    other = withdraw_by_hand(desk, operation_id, amount=Decimal(7))
    with pytest.raises(Refusal, match="its amount is 7"):
        person(desk).adopt(operation_id, WHY, reference=other)
    refused(desk, operation_id)


def test_adopt__a_withdrawal_to_another_address__is_refused(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    stranger = str(account(Role.STRANGER).address)
    whitelist = desk.world.broker.core.state.whitelist
    [ours] = whitelist.values()
    whitelist["other"] = ours.model_copy(update={"id": "other", "address": stranger})
    other = withdraw_by_hand(desk, operation_id, address=stranger)
    with pytest.raises(Refusal, match="its address is"):
        person(desk).adopt(operation_id, WHY, reference=other)
    refused(desk, operation_id)


def test_adopt__what_does_not_exist_or_is_no_id__is_refused(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    with pytest.raises(Refusal, match="Alpaca knows no"):
        person(desk).adopt(operation_id, WHY, reference="7d2f1c39-0000-0000-0000-000000000000")
    with pytest.raises(Refusal, match="a reference is needed"):
        person(desk).adopt(operation_id, WHY, reference="../transfers")
    refused(desk, operation_id)


def test_adopt__a_deposit__is_refused(desk: Desk) -> None:
    deposited = open_one(desk, TO_ALPACA).operation_id
    desk.settle(deposited)
    [incoming] = [row for row in desk.book.venues.alpaca.transfers() if row.is_incoming]
    operation_id = open_to_base(desk)
    arm(desk, "withdraw", "status", status=500)
    until_attention(desk, operation_id, Leg.WITHDRAW)
    with pytest.raises(Refusal, match="it is INCOMING"):
        person(desk).adopt(operation_id, WHY, reference=incoming.id)
    refused(desk, operation_id)


def test_adopt__what_stands_for_another_operation__is_refused(desk: Desk) -> None:
    settled = open_one(desk, TO_BASE).operation_id
    desk.settle(settled)
    taken = effect(desk, settled, REQUEST).reference
    operation_id = open_to_base(desk)
    arm(desk, "withdraw", "status", status=500)
    until_attention(desk, operation_id, Leg.WITHDRAW)
    with pytest.raises(Refusal, match="listed it before"):
        person(desk).adopt(operation_id, WHY, reference=str(taken))
    refused(desk, operation_id)


def open_to_base(desk: Desk) -> str:
    """Open an operation of a few USDC from Alpaca, whatever the balances are."""
    checked = desk.check()
    operation = desk.ledger.claim(
        kind=TO_BASE,
        asset="USDC",
        amount=50_000_000,
        decimals=6,
        check_id=checked.id,
        run_id=desk.run_id,
        taken_at=checked.snapshot.taken_at,
    )
    return operation.id


def test_reconcile__withdrawal_never_happened__is_made_again_and_once(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    situation = patient(desk).refute(operation_id, "Alpaca's support says it never arrived")
    assert situation.operation.status.is_open
    assert effect(desk, operation_id, REQUEST).status is EffectStatus.NOT_DONE
    desk.settle(operation_id)
    assert [one.attempt for one in desk.ledger.effects(operation_id) if one.name == REQUEST] == [1, 2]
    assert len(outgoing(desk)) == 1
    assert desk.world.conservation() == []


def test_reconcile__withdrawal_is_listed_after_all__is_refused_and_named(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    transfer = withdraw_by_hand(desk, operation_id)
    with pytest.raises(Refusal, match=f"adopt {transfer}"):
        patient(desk).refute(operation_id, WHY)
    with pytest.raises(Refusal, match=f"adopt {transfer}"):
        patient(desk).close(operation_id, WHY, delivered=Decimal(0))
    refused(desk, operation_id)


def test_reconcile__withdrawal_asked_for_a_moment_ago__has_to_wait(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    with pytest.raises(Refusal, match="try again at"):
        person(desk).refute(operation_id, WHY)
    refused(desk, operation_id)


def test_cancel__claimed_and_not_started__frees_the_asset(desk: Desk) -> None:
    assignment = open_one(desk, MINT)
    situation = person(desk).cancel(assignment.operation_id, "the stock splits tomorrow")
    assert situation.operation.status is OperationStatus.CANCELLED
    assert situation.verbs == {}
    assert assignment.asset not in {claimed.asset for claimed in desk.ledger.open_operations()}
    again = {one.asset: one.reason for one in desk.check().decisions}
    assert again[assignment.asset] is Reason.COOLING_DOWN  # free, and left alone for a moment


def test_cancel__unknown_withdrawal__is_refused(desk: Desk) -> None:
    operation_id = lose_withdrawal(desk)
    with pytest.raises(Refusal, match="adopt or reconcile"):
        patient(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)


def test_cancel__after_a_burn__is_refused(desk: Desk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    while not any(one.name == "burn" for one in desk.ledger.effects(operation_id)):
        desk.push(operation_id, Leg.BRIDGE)
    with pytest.raises(Refusal, match="burn"):
        person(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)
    desk.settle(operation_id)


def test_cancel__mint_that_never_reached_alpaca__is_cancelled_once_that_is_sure(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", "reset", times=3)
    assert isinstance(desk.push(operation_id, Leg.MINT), Wait)
    with pytest.raises(Refusal, match="try again at"):
        person(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)
    situation = patient(desk).cancel(operation_id, WHY)
    assert situation.operation.status is OperationStatus.CANCELLED
    assert effect(desk, operation_id, "mint_request").status is EffectStatus.NOT_DONE
    assert desk.book.venues.alpaca.tokenization_requests(type="mint") == []


def test_reconcile__mint_never_happened__is_cancelled_by_the_next_push(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", "reset", times=3)
    desk.push(operation_id, Leg.MINT)
    assert patient(desk).refute(operation_id, WHY).operation.status.is_open
    outcome = desk.push(operation_id, Leg.MINT)
    assert isinstance(outcome, Closed)
    assert outcome.status is OperationStatus.CANCELLED
    assert desk.book.venues.alpaca.tokenization_requests(type="mint") == []


def test_cancel__mint_whose_answer_was_lost__is_refused_as_alpaca_knows_it(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    arm(desk, "mint", "drop_answer")
    assert isinstance(desk.push(operation_id, Leg.MINT), Wait)
    [request] = desk.book.venues.alpaca.tokenization_requests(type="mint")
    with pytest.raises(Refusal, match=f"adopt {request.id}"):
        patient(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)
    person(desk).adopt(operation_id, WHY, reference=request.id)
    desk.settle(operation_id)
    assert len(desk.book.venues.alpaca.tokenization_requests(type="mint")) == 1


def test_adopt__the_mint_of_another_stock__is_refused(desk: Desk) -> None:
    checked = desk.check()
    first, second = desk.claim(checked, MINT)
    desk.settle(first.operation_id)
    [other] = desk.book.venues.alpaca.tokenization_requests(type="mint")
    arm(desk, "mint", "reset", times=3)
    desk.push(second.operation_id, Leg.MINT)
    with pytest.raises(Refusal, match=r"its symbol is .*it is labelled"):
        person(desk).adopt(second.operation_id, WHY, reference=other.id)
    refused(desk, second.operation_id)


def test_adopt__a_transaction_that_replaced_ours__is_taken_and_settles(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    with held(desk.world.base_url) as rpc:
        desk.push(operation_id, Leg.REDEEM)
        replacement = replace_by_hand(desk, operation_id)
        rpc.request("anvil_mine", 2)
    person(desk).adopt(operation_id, WHY, reference=replacement)
    assert effect(desk, operation_id, "token_transfer").reference == replacement
    desk.settle(operation_id)
    assert desk.world.conservation() == []


def replace_by_hand(desk: Desk, operation_id: str) -> str:
    """Send what the operation signed once more from the same wallet, faster, with the same nonce."""
    sent = effect(desk, operation_id, "token_transfer")
    with desk.ledger.lease(operation_id, "test", timedelta(minutes=1)) as lease:
        [ours] = lease.transactions(sent)
    chain = desk.book.venues.base
    fees = chain.fees()
    call = desk.book.venues.base.transaction(ours.hash)
    assert call is not None
    assert call.call is not None
    signed = desk.book.signer.sign(
        UnsignedTransaction(
            ours.chain_id,
            ours.nonce,
            call.call,
            ours.gas,
            replace(
                fees,
                max_fee_per_gas=ours.max_fee_per_gas * 2,
                max_priority_fee_per_gas=ours.max_priority_fee_per_gas * 2,
            ),
        )
    )
    return chain.broadcast(signed.raw)


def test_adopt__another_transaction_of_the_wallet__is_refused(desk: Desk) -> None:
    first = open_one(desk, TO_ALPACA).operation_id
    desk.settle(first)
    other = effect(desk, first, "burn").reference
    checked = desk.check()
    assignment, *_ = desk.claim(checked, REDEMPTION)
    with held(desk.world.base_url):
        desk.push(assignment.operation_id, Leg.REDEEM)
        with pytest.raises(Refusal, match=r"it calls .*its calldata is another.*its nonce is"):
            person(desk).adopt(assignment.operation_id, WHY, reference=str(other))
    refused(desk, assignment.operation_id)


def test_reconcile__closed__frees_the_asset_and_keeps_what_was_said(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    arm(desk, "redemption", "reject")
    until_attention(desk, operation_id, Leg.REDEEM)
    situation = person(desk).close(operation_id, "the issuer pays in cash", delivered=Decimal(0))
    assert situation.operation.status is OperationStatus.RECONCILED
    assert situation.operation.delivered == 0
    asset = situation.operation.asset
    assert asset not in {claimed.asset for claimed in desk.ledger.open_operations()}
    [judged] = [one for one in desk.check().decisions if one.asset == asset]
    assert judged.reason is not Reason.CLAIMED
    [done] = situation.interventions
    assert (done.actor, done.reason, done.detail) == ("ada", "the issuer pays in cash", {"delivered": "0"})


def test_reconcile__closed_with_more_than_was_moved__is_refused(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    arm(desk, "redemption", "reject")
    until_attention(desk, operation_id, Leg.REDEEM)
    moved = desk.ledger.operation(operation_id).quantity
    with pytest.raises(Refusal, match=f"from 0 to {plain(moved)}"):
        person(desk).close(operation_id, WHY, delivered=moved + 1)
    refused(desk, operation_id)


def test_reconcile__a_signed_transaction_is_not_resolved__is_refused(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    with held(desk.world.base_url):
        desk.push(operation_id, Leg.REDEEM)
        with pytest.raises(Refusal, match="may be mined until its nonce"):
            person(desk).close(operation_id, WHY, delivered=Decimal(0))
        with pytest.raises(Refusal, match="may be mined until its nonce"):
            person(desk).refute(operation_id, WHY)
        with pytest.raises(Refusal, match="is signed"):
            person(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)


@pytest.mark.parametrize(
    ("kind", "target", "leg"), [(MINT, "mint", Leg.MINT), (REDEMPTION, "redemption", Leg.REDEEM)]
)
def test_reconcile__alpaca_has_not_decided__is_refused(
    desk: Desk, kind: OperationKind, target: str, leg: Leg
) -> None:
    operation_id = open_one(desk, kind).operation_id
    arm(desk, target, "stuck")
    push_until(desk, operation_id, leg, "request ")
    with pytest.raises(Refusal, match="has not decided"):
        person(desk).close(operation_id, WHY, delivered=Decimal(0))
    refused(desk, operation_id)


def push_until(desk: Desk, operation_id: str, leg: Leg, reason: str) -> None:
    """Push a leg until it waits for what has these words in it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = desk.push(operation_id, leg)
        assert isinstance(outcome, Wait), outcome
        if reason in outcome.reason:
            return
        if not outcome.condition.holds(desk.book.venues):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_reconcile__burnt_attested_and_not_delivered__is_refused(desk: Desk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    with held(desk.world.ethereum_url):
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(one.name == "receive" for one in desk.ledger.effects(operation_id)):
            outcome = desk.push(operation_id, Leg.BRIDGE)
            assert isinstance(outcome, Wait)
            if not any(one.name == "receive" for one in desk.ledger.effects(operation_id)):
                await_condition(desk.book.venues, outcome, end)
        with desk.ledger.lease(operation_id, "test", timedelta(minutes=1)) as lease:
            receive = lease.effect(Leg.BRIDGE, "receive")
            assert receive is not None
            lease.not_done(receive, "as if it had reverted")
        with pytest.raises(Refusal, match="not delivered on ethereum"):
            person(desk).close(operation_id, WHY, delivered=Decimal(0))
    refused(desk, operation_id)


def test_resume__after_the_obstacle_is_gone__looks_again_and_settles(desk: Desk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    arm(desk, "redemption", "stuck")
    push_until(desk, operation_id, Leg.REDEEM, "request ")
    assert desk.ledger.legs(operation_id)[0].waiting_for is not None
    situation = person(desk).resume(operation_id, "the issuer has caught up")
    assert situation.current is not None
    assert situation.current.state == "ready"
    [request] = desk.book.venues.alpaca.tokenization_requests(type="redeem")
    assert desk.world.broker.core.release(request.id)
    desk.settle(operation_id)
    assert desk.world.conservation() == []


def test_verbs__while_a_leg_is_at_work__say_until_when(desk: Desk) -> None:
    operation_id = open_one(desk, MINT).operation_id
    with (
        desk.ledger.lease(operation_id, "a leg", timedelta(minutes=1)),
        pytest.raises(Refusal, match=r"until .* UTC; try again then"),
    ):
        person(desk).cancel(operation_id, WHY)
    refused(desk, operation_id)
    assert isinstance(desk.finish(operation_id, Leg.MINT), Done)


def test_command__in_a_process_of_its_own__takes_connections_from_the_environment(
    desk: Desk, tmp_path: Path
) -> None:
    operation_id = lose_withdrawal(desk)
    transfer = withdraw_by_hand(desk, operation_id)
    ledger = {"conn_type": "sqlite", "host": str(desk.ledger.engine.url.database)}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")},
        **desk.world.settings_environment(),
        "AIRFLOW_CONN_REBALANCING_LEDGER": json.dumps(ledger),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "BALLAST_SETTINGS_FILE": os.devnull,
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scripts.operations", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    wrong = run("adopt", operation_id, "no-such-transfer", "--reason", WHY)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "refused: Alpaca knows no no-such-transfer" in wrong.stderr
    right = run("--json", "adopt", operation_id, transfer, "--reason", WHY, "--actor", "ada")
    assert right.returncode == 0, right.stderr
    [shown] = json.loads(right.stdout)
    assert shown["interventions"][0]["actor"] == "ada"
    desk.settle(operation_id)
    assert outgoing(desk) == [transfer]
