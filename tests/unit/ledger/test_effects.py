"""Effects, nonces and stored transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domain.operation import Leg, OperationStatus
from include.ledger.lease import EffectMoved, MoneyMayHaveMoved, NonceTaken
from include.ledger.records import Effect, EffectStatus, StoredTransaction
from tests.unit.ledger.test_ledger import MINUTE, claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.ledger.lease import Lease
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

SENDER = "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B"
UINT256_MAX = 2**256 - 1


@pytest.fixture
def lease(ledger: Ledger, clock: Clock) -> Iterator[Lease]:
    with ledger.lease(claim(ledger, clock).id, "test", MINUTE) as held:
        yield held


def transaction(clock: Clock, nonce: int, suffix: str = "", *, fee: int = 10**9) -> StoredTransaction:
    return StoredTransaction(
        hash=f"0x{nonce:x}{suffix}",
        effect_id="",
        chain_id=8453,
        sender=SENDER,
        nonce=nonce,
        raw=b"\x02signed" + bytes([nonce]),
        gas=100_000,
        max_fee_per_gas=fee,
        max_priority_fee_per_gas=1,
        signed_at=clock(),
        signed_at_block=42,
    )


def request(lease: Lease, *, irreversible: bool = True) -> Effect:
    return lease.intend(Leg.MINT, "mint_request", {"quantity": "31"}, irreversible=irreversible)


def sign(
    lease: Lease, clock: Clock, nonce: int, name: str = "token_transfer", *, irreversible: bool = True
) -> Effect:
    return lease.intend_transaction(
        Leg.MINT, name, {"to": "0x1"}, transaction(clock, nonce), irreversible=irreversible
    )


def test_intend__then_read__is_the_same(lease: Lease) -> None:
    assert lease.effect(Leg.MINT, "mint_request") is None
    intended = request(lease)
    assert lease.effect(Leg.MINT, "mint_request") == intended
    assert (intended.status, intended.attempt, intended.intent) == (
        EffectStatus.INTENDED,
        1,
        {"quantity": "31"},
    )


def test_intend__again_after_not_done__is_a_new_attempt(lease: Lease, ledger: Ledger) -> None:
    lease.not_done(request(lease), "refused")
    second = request(lease)
    assert second.attempt == 2
    assert lease.effect(Leg.MINT, "mint_request") == second
    assert len(ledger.effects(lease.operation_id)) == 2


def test_sent__twice__the_second_is_told(lease: Lease) -> None:
    intended = request(lease)
    sent = lease.sent(intended, listed_before=["a"])
    assert sent.status is EffectStatus.SENT
    assert sent.intent == {"quantity": "31", "listed_before": ["a"]}
    with pytest.raises(EffectMoved):
        lease.sent(intended)


def test_done__keeps_its_reference(lease: Lease) -> None:
    assert lease.reference_taken("request-1") is False
    done = lease.done(lease.sent(request(lease)), "request-1")
    assert (done.status, done.reference, done.status.is_resolved) == (EffectStatus.DONE, "request-1", True)
    assert lease.reference_taken("request-1") is True


def test_unknown__can_be_resolved_later(lease: Lease) -> None:
    unknown = lease.unknown(lease.sent(request(lease)), "no answer")
    assert (unknown.status, unknown.detail) == (EffectStatus.UNKNOWN, "no answer")
    assert not unknown.status.is_resolved
    assert lease.done(unknown, "request-1").status is EffectStatus.DONE


def test_done__from_an_old_copy__is_refused(lease: Lease) -> None:
    intended = request(lease)
    lease.sent(intended)
    with pytest.raises(EffectMoved, match="mint_request"):
        lease.done(intended, "request-1")


def test_intend_transaction__nonce_taken__writes_nothing(lease: Lease, clock: Clock, ledger: Ledger) -> None:
    sign(lease, clock, 7)
    with pytest.raises(NonceTaken, match="nonce 7"):
        lease.intend_transaction(Leg.MINT, "other", {}, transaction(clock, 7, "other"), irreversible=True)
    assert [effect.name for effect in ledger.effects(lease.operation_id)] == ["token_transfer"]


def test_next_nonce__follows_the_highest_claimed(lease: Lease, clock: Clock) -> None:
    assert lease.next_nonce(8453, SENDER) == 0
    sign(lease, clock, 7)
    assert lease.next_nonce(8453, SENDER) == 8
    assert lease.next_nonce(1, SENDER) == 0


def test_transactions__with_a_replacement__are_oldest_first(lease: Lease, clock: Clock) -> None:
    effect = sign(lease, clock, 7)
    clock.pass_(seconds=120)
    lease.replace_transaction(effect, transaction(clock, 7, "bumped", fee=UINT256_MAX))
    first, second = lease.transactions(effect)
    assert (first.hash, second.hash) == ("0x7", "0x7bumped")
    assert (first.nonce, second.nonce, second.max_fee_per_gas) == (7, 7, UINT256_MAX)
    assert first.raw == b"\x02signed\x07"
    assert second.signed_at == clock()


def test_unresolved_before__is_what_a_higher_nonce_waits_for(lease: Lease, clock: Clock) -> None:
    five, six = sign(lease, clock, 5, "a"), sign(lease, clock, 6, "b")
    sign(lease, clock, 7, "c")
    lease.done(five, "0x5")
    assert [stored.hash for stored in lease.unresolved_before(8453, SENDER, 7)] == ["0x6"]
    lease.not_done(six, "its nonce went to another")
    assert lease.unresolved_before(8453, SENDER, 7) == []


@pytest.mark.parametrize("move", ["sent", "unknown", "done"])
def test_the_claim_is_kept_while_money_may_be_in_flight(lease: Lease, ledger: Ledger, move: str) -> None:
    effect = lease.sent(request(lease))
    if move == "unknown":
        lease.unknown(effect, "no answer")
    elif move == "done":
        lease.done(effect, "request-1")
    assert lease.is_cancellable() is False
    with pytest.raises(MoneyMayHaveMoved):
        lease.cancel("time to go")
    assert ledger.operation(lease.operation_id).status.is_open


def test_cancel__signed_transaction__may_be_out_and_keeps_the_claim(lease: Lease, clock: Clock) -> None:
    effect = sign(lease, clock, 7)
    assert lease.is_cancellable() is False
    lease.not_done(effect, "reverted")
    assert lease.is_cancellable() is True


def test_cancel__only_intended_or_reversible_or_not_done__frees_the_asset(
    lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    request(lease)
    lease.sent(lease.intend(Leg.MINT, "approve", {}, irreversible=False))
    sign(lease, clock, 7, irreversible=False)
    assert lease.is_cancellable() is True
    lease.cancel("insufficient position")
    assert ledger.operation(lease.operation_id).status is OperationStatus.CANCELLED


def test_cancel__everything_that_happened_is_undone__frees_the_asset(
    lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    taken = lease.done(sign(lease, clock, 7, "vault_withdraw_0"), "0x7")
    returned = lease.done(sign(lease, clock, 8, "put_back"), "0x8")
    lease.cancel("it was put back", undone=[taken, returned], base_block=120)
    operation = ledger.operation(lease.operation_id)
    assert (operation.status, operation.base_block) == (OperationStatus.CANCELLED, 120)
    assert (operation.outcome, operation.delivered) == ("it was put back", None)
    assert {(one.status, one.reference, one.detail) for one in ledger.effects(operation.id)} == {
        (EffectStatus.DONE, "0x7", "undone: it was put back"),
        (EffectStatus.DONE, "0x8", "undone: it was put back"),
    }
    assert ledger.settled()[operation.asset].base_block == 120


@pytest.mark.parametrize("forgotten", ["vault_withdraw_0", "vault_withdraw_1", "put_back"])
def test_cancel__one_of_what_happened_is_not_named__writes_nothing(
    lease: Lease, ledger: Ledger, clock: Clock, forgotten: str
) -> None:
    names = ["vault_withdraw_0", "vault_withdraw_1", "put_back"]
    done = [
        lease.done(sign(lease, clock, nonce, name), f"0x{nonce}") for nonce, name in enumerate(names, start=7)
    ]
    with pytest.raises(MoneyMayHaveMoved, match="it was put back"):
        lease.cancel("it was put back", undone=[one for one in done if one.name != forgotten])
    assert ledger.operation(lease.operation_id).status.is_open
    assert [one.detail for one in ledger.effects(lease.operation_id)] == [None, None, None]


@pytest.mark.parametrize("status", ["intended", "sent", "unknown"])
def test_cancel__what_is_called_undone_is_not_known_to_be_done__writes_nothing(
    lease: Lease, ledger: Ledger, clock: Clock, status: str
) -> None:
    taken = lease.done(sign(lease, clock, 7, "vault_withdraw_0"), "0x7")
    returned = sign(lease, clock, 8, "put_back")
    if status != "intended":
        returned = lease.sent(returned)
    if status == "unknown":
        returned = lease.unknown(returned, "no answer")
    with pytest.raises(MoneyMayHaveMoved):
        lease.cancel("it was put back", undone=[taken, returned])
    assert ledger.operation(lease.operation_id).status.is_open


def test_cancel__undone_as_it_was_read_before_it_happened__writes_nothing(
    lease: Lease, ledger: Ledger
) -> None:
    read = lease.intend(Leg.MINT, "approve", {}, irreversible=False)
    lease.sent(read)
    with pytest.raises(EffectMoved):
        lease.cancel("why", undone=[read])
    assert ledger.operation(lease.operation_id).status.is_open
