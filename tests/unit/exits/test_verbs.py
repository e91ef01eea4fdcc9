"""Each verb, and everything it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import LEGS, Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.ledger.records import EffectStatus, Verb
from include.venues.evm.types import Call, Transaction
from tests.unit.exits.conftest import CALL, DEPTH, ELSEWHERE, HASH, OTHER_HASH, WALLET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.exits.conftest import Stage

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
WHY = "I have looked"
NOTHING = Decimal(0)
SENT = Transaction(OTHER_HASH, WALLET, 7, CALL, 90)


def unchanged(stage: Stage, operation_id: str) -> None:
    """Assert that nothing was written."""
    assert stage.ledger.interventions(operation_id) == []
    assert stage.ledger.operation(operation_id).status.is_open


# What every verb needs


@pytest.mark.parametrize(("actor", "reason", "missing"), [("ada", " ", "reason"), (" ", WHY, "name")])
def test_verb__without_a_reason_or_a_name__is_refused(
    stage: Stage, actor: str, reason: str, missing: str
) -> None:
    operation = stage.open(MINT)
    with pytest.raises(Refusal, match=f"a {missing} is needed"):
        replace(stage.exits, actor=actor).cancel(operation.id, reason)
    unchanged(stage, operation.id)


def test_verb__no_such_operation__is_refused(stage: Stage) -> None:
    with pytest.raises(Refusal, match="no operation nowhere"):
        stage.exits.resume("nowhere", WHY)


def test_verb__on_a_closed_operation__is_refused(stage: Stage) -> None:
    operation = stage.open(MINT)
    stage.exits.cancel(operation.id, WHY)
    with pytest.raises(Refusal, match="is cancelled already: I have looked"):
        stage.exits.resume(operation.id, WHY)


def test_verb__while_somebody_has_the_lease__says_until_when(stage: Stage) -> None:
    operation = stage.open(MINT)
    with stage.ledger.lease(operation.id, "a leg", timedelta(minutes=1)):
        with pytest.raises(Refusal, match="14:31:00 UTC"):
            stage.exits.resume(operation.id, WHY)
        stage.clock.pass_(minutes=2)
        stage.exits.resume(operation.id, WHY)
    assert [done.verb for done in stage.ledger.interventions(operation.id)] == [Verb.RESUME]


def test_verb__venue_does_not_answer__changes_nothing(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.alpaca.is_down = True
    with pytest.raises(Refusal, match="could not be checked: no answer"):
        stage.exits.adopt(operation.id, WHY, reference="transfer-1")
    unchanged(stage, operation.id)


def test_verb__lease_lost_while_looking__changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.listed()
    look = stage.alpaca.transfer

    def slow(transfer_id: str) -> Any:
        stage.clock.pass_(minutes=2)
        stage.under_lease(operation, lambda lease: lease.note(Leg.WITHDRAW, seen=True))
        return look(transfer_id)

    monkeypatch.setattr(stage.alpaca, "transfer", slow)
    with pytest.raises(Refusal, match="advanced by somebody else"):
        stage.exits.adopt(operation.id, WHY, reference="transfer-1")
    unchanged(stage, operation.id)


# Choosing an effect


def test_choose__several_unresolved__have_to_be_named(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.transaction(operation, Leg.BRIDGE, "approve", irreversible=False)
    stage.listed()
    with pytest.raises(Refusal, match=r"say which effect is meant: .*withdrawal_request"):
        stage.exits.adopt(operation.id, WHY, reference="transfer-1")
    stage.exits.adopt(operation.id, WHY, reference="transfer-1", effect="withdrawal_request")


def test_choose__none_or_an_unknown_one__is_refused(stage: Stage) -> None:
    operation = stage.open(MINT)
    for named in ("", "burn"):
        with pytest.raises(Refusal, match="say which effect is meant: none"):
            stage.exits.refute(operation.id, WHY, effect=named)


def test_choose__by_id__is_found(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    effect = stage.withdrawal(operation)
    stage.listed()
    stage.exits.adopt(operation.id, WHY, reference="transfer-1", effect=effect.id)


# Cancel


@pytest.mark.parametrize("status", [None, "intended", "not_done"])
def test_cancel__nothing_was_sent__frees_the_asset(stage: Stage, status: str | None) -> None:
    operation = stage.open(MINT)
    if status is not None:
        stage.mint(operation, status)
    situation = stage.exits.cancel(operation.id, WHY)
    assert situation.operation.status is OperationStatus.CANCELLED
    assert stage.ledger.open_operations() == []


def test_cancel__only_an_approval_was_sent__frees_the_asset(stage: Stage) -> None:
    operation = stage.open(TO_ALPACA)
    stage.transaction(operation, Leg.BRIDGE, "approve", irreversible=False)
    stage.exits.cancel(operation.id, WHY)
    assert stage.ledger.open_operations() == []


@pytest.mark.parametrize("status", ["intended", "sent"])
def test_cancel__signed__is_refused(stage: Stage, status: str) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer", status)
    with pytest.raises(Refusal, match="token_transfer is signed"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)


def test_cancel__money_has_left__is_refused(stage: Stage) -> None:
    operation = stage.open(TO_ALPACA)
    stage.transaction(operation, Leg.BRIDGE, "burn", "done")
    with pytest.raises(Refusal, match=f"burn happened as {HASH}: the money has left"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)


def test_cancel__a_nonce_that_went_to_another__frees_the_asset(stage: Stage) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer", "not_done")
    stage.exits.cancel(operation.id, WHY)
    assert stage.ledger.open_operations() == []


def test_cancel__mint_alpaca_does_not_know__waits_and_then_frees_the_asset(stage: Stage) -> None:
    operation = stage.open(MINT)
    stage.mint(operation)
    with pytest.raises(Refusal, match="try again at 14:35:00 UTC"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)
    stage.clock.pass_(minutes=5)
    situation = stage.exits.cancel(operation.id, WHY)
    [effect] = situation.legs[0].effects
    assert effect.status is EffectStatus.NOT_DONE
    assert "Alpaca listed nothing that fits it" in str(effect.detail)


@pytest.mark.parametrize("label", [True, False])
def test_cancel__mint_alpaca_knows__is_refused(stage: Stage, label: bool) -> None:
    operation = stage.open(MINT)
    stage.mint(operation)
    stage.requested(client_request_id=operation.id if label else None)
    stage.clock.pass_(minutes=5)
    with pytest.raises(Refusal, match="adopt request-1"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)


@pytest.mark.parametrize("status", ["sent", "unknown"])
def test_cancel__withdrawal_may_have_been_taken__is_refused(stage: Stage, status: str) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation, status)
    stage.clock.pass_(hours=1)
    with pytest.raises(Refusal, match="adopt or reconcile"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)


# Adopt


@pytest.mark.parametrize("status", ["sent", "unknown", "not_done"])
def test_adopt__withdrawal_that_fits__is_done(stage: Stage, status: str) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation, status)
    stage.listed(to_address=WALLET.lower())
    situation = stage.exits.adopt(operation.id, WHY, reference=" transfer-1 ", effect="withdrawal_request")
    [effect] = situation.legs[0].effects
    assert (effect.status, effect.reference) == (EffectStatus.DONE, "transfer-1")
    assert situation.interventions[0].detail["was"] == status


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"amount": "3999.999999"}, "its amount is 3999.999999, not 4000"),
        ({"asset": "USDT"}, "its asset is USDT"),
        ({"to_address": ELSEWHERE}, "its address is 0x28b5"),
        ({"to_address": None}, "its address is ,"),
        ({"direction": "INCOMING"}, "it is INCOMING"),
        ({"created_at": "2026-03-02T14:19:59Z"}, "it was made at 2026-03-02 14:19:59 UTC"),
        ({"id": "old"}, "listed it before"),
    ],
)
def test_adopt__withdrawal_that_differs__is_refused(
    stage: Stage, changes: dict[str, Any], difference: str
) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    row = stage.listed(**changes)
    with pytest.raises(Refusal, match=difference):
        stage.exits.adopt(operation.id, WHY, reference=row.id)
    unchanged(stage, operation.id)


def test_adopt__reference_of_another_effect__is_refused(stage: Stage) -> None:
    first = stage.open(TO_BASE)
    stage.withdrawal(first)
    stage.listed()
    stage.exits.adopt(first.id, WHY, reference="transfer-1")
    row = stage.alpaca.rows[0]
    stage.alpaca.rows[0] = row.model_copy(update={"status": "FAILED"})
    stage.exits.close(first.id, WHY, delivered=NOTHING)
    stage.clock.pass_(seconds=1)
    second = stage.open(TO_BASE)
    stage.withdrawal(second)
    with pytest.raises(Refusal, match="already stands for an effect"):
        stage.exits.adopt(second.id, WHY, reference="transfer-1")
    unchanged(stage, second.id)


@pytest.mark.parametrize("reference", ["", "a/b", "x" * 129])
def test_adopt__no_reference__is_refused(stage: Stage, reference: str) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    with pytest.raises(Refusal, match="a reference is needed"):
        stage.exits.adopt(operation.id, WHY, reference=reference)


def test_adopt__unknown_to_alpaca__is_refused(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    with pytest.raises(Refusal, match="Alpaca knows no transfer-9"):
        stage.exits.adopt(operation.id, WHY, reference="transfer-9")


def test_adopt__what_is_proven_already__is_refused(stage: Stage) -> None:
    operation = stage.open(MINT)
    stage.mint(operation, "done")
    with pytest.raises(Refusal, match="proven to have happened as mint_request-1"):
        stage.exits.adopt(operation.id, WHY, reference="request-1", effect="mint_request")


def test_adopt__mint_that_fits__is_done(stage: Stage) -> None:
    operation = stage.open(MINT)
    stage.mint(operation)
    stage.requested()
    situation = stage.exits.adopt(operation.id, WHY, reference="request-1")
    assert situation.legs[0].effects[0].reference == "request-1"


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"symbol": "TSLA"}, "its symbol is TSLA"),
        ({"quantity": "30"}, "its quantity is 30"),
        ({"wallet": ELSEWHERE}, "its wallet is 0x28b5"),
        ({"wallet": None}, "its wallet is None"),
        ({"issuer": "other"}, "its issuer is other"),
        ({"network": "solana"}, "its network is solana"),
        ({"type": "redeem"}, "it is a redeem"),
        ({"client_request_id": "another"}, "it is labelled another"),
        ({"created_at": "2026-03-02T14:00:00Z"}, "it was made at"),
    ],
)
def test_adopt__mint_that_differs__is_refused(stage: Stage, changes: dict[str, Any], difference: str) -> None:
    operation = stage.open(MINT)
    stage.mint(operation)
    stage.requested(**changes)
    with pytest.raises(Refusal, match=difference):
        stage.exits.adopt(operation.id, WHY, reference="request-1")
    unchanged(stage, operation.id)


def test_adopt__transaction_deep_enough__is_done(stage: Stage) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer")
    stage.base.put(SENT, block=stage.base.number - DEPTH + 1)
    situation = stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH.upper().replace("X", "x"))
    assert situation.legs[0].effects[0].reference == OTHER_HASH


def test_adopt__transaction_of_another_nonce__only_once_ours_is_dead(stage: Stage) -> None:
    operation = stage.open(REDEMPTION)
    effect = stage.transaction(operation, Leg.REDEEM, "token_transfer")
    stage.base.put(replace(SENT, nonce=8), block=90)
    with pytest.raises(Refusal, match="its nonce is 8, and what was signed with 7 may still be mined"):
        stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH)
    unchanged(stage, operation.id)
    stage.under_lease(operation, lambda lease: lease.not_done(effect, "its nonce went to another"))
    stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH, effect="token_transfer")


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        (replace(SENT, sender=ELSEWHERE), "it was sent by 0x28b5"),
        (replace(SENT, call=Call(WALLET, CALL.data)), "it calls 0x0Cf5"),
        (replace(SENT, call=None), "it calls nothing"),
        (replace(SENT, call=Call(CALL.to, b"\x01")), "its calldata is another"),
    ],
)
def test_adopt__transaction_that_differs__is_refused(
    stage: Stage, found: Transaction, difference: str
) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer")
    stage.base.put(found, block=90)
    with pytest.raises(Refusal, match=difference):
        stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH)
    unchanged(stage, operation.id)


@pytest.mark.parametrize(
    ("block", "status", "why"), [(97, True, "is 4 blocks deep and has to be 5"), (90, False, "it reverted")]
)
def test_adopt__transaction_not_deep_or_reverted__is_refused(
    stage: Stage, block: int, status: bool, why: str
) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer")
    stage.base.put(SENT, block=block, status=status)
    with pytest.raises(Refusal, match=why):
        stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH)
    unchanged(stage, operation.id)


@pytest.mark.parametrize(
    ("reference", "why"), [(OTHER_HASH, "knows no mined transaction"), ("0x12", "is no hash")]
)
def test_adopt__no_such_transaction__is_refused(stage: Stage, reference: str, why: str) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer")
    with pytest.raises(Refusal, match=why):
        stage.exits.adopt(operation.id, WHY, reference=reference)


def test_adopt_and_refute__what_moves_no_money__is_refused(stage: Stage) -> None:
    operation = stage.open(TO_ALPACA)
    stage.under_lease(
        operation,
        lambda lease: lease.sent(
            lease.intend(Leg.BRIDGE, "reattest", {"signatures": ""}, irreversible=False)
        ),
    )
    with pytest.raises(Refusal, match="nothing to adopt"):
        stage.exits.adopt(operation.id, WHY, reference="x")
    with pytest.raises(Refusal, match="nothing to state"):
        stage.exits.refute(operation.id, WHY)


# Reconcile: it did not happen


def test_refute__withdrawal_that_is_not_listed__is_not_done(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.listed("smaller", amount="1")
    with pytest.raises(Refusal, match="try again at 14:35:00 UTC"):
        stage.exits.refute(operation.id, WHY)
    unchanged(stage, operation.id)
    stage.clock.pass_(minutes=5)
    situation = stage.exits.refute(operation.id, WHY)
    assert situation.operation.status.is_open
    assert situation.legs[0].effects[0].status is EffectStatus.NOT_DONE


def test_refute__something_fits__is_refused_and_named(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.listed("a")
    stage.listed("b")
    stage.clock.pass_(minutes=5)
    with pytest.raises(Refusal, match="adopt a or b"):
        stage.exits.refute(operation.id, WHY)
    unchanged(stage, operation.id)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("intended", "was not sent yet"),
        ("done", "happened as withdrawal_request-1"),
        ("not_done", "did not happen"),
    ],
)
def test_refute__what_is_known__is_refused(stage: Stage, status: str, why: str) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation, status)
    with pytest.raises(Refusal, match=why):
        stage.exits.refute(operation.id, WHY, effect="withdrawal_request")


def test_refute__a_transaction__is_refused_and_says_what_to_wait_for(stage: Stage) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer")
    with pytest.raises(Refusal, match="may be mined until its nonce 7 is spent"):
        stage.exits.refute(operation.id, WHY)


# Reconcile: it is over


def test_close__keeps_the_delivered_amount(stage: Stage) -> None:
    operation = stage.open(MINT)
    stage.mint(operation, "done")
    stage.requested("mint_request-1", status="completed")
    situation = stage.exits.close(operation.id, WHY, delivered=Decimal("30.5"))
    assert situation.operation.status is OperationStatus.RECONCILED
    assert situation.operation.delivered == 30_500_000_000
    assert situation.to_dict()["delivered"] == "30.5"
    assert stage.ledger.open_operations() == []


@pytest.mark.parametrize("delivered", ["-1", "31.000000001", "0.0000000001", "NaN"])
def test_close__an_impossible_amount__is_refused(stage: Stage, delivered: str) -> None:
    operation = stage.open(MINT)
    with pytest.raises(Refusal, match="delivered is"):
        stage.exits.close(operation.id, WHY, delivered=Decimal(delivered))
    unchanged(stage, operation.id)


def test_close__signed_and_not_resolved__is_refused(stage: Stage) -> None:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer", "intended")
    with pytest.raises(Refusal, match="token_transfer is signed and not resolved"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)


def test_close__unknown_withdrawal__only_when_alpaca_lists_nothing_like_it(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.listed()
    stage.clock.pass_(minutes=5)
    with pytest.raises(Refusal, match="adopt transfer-1"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)
    stage.alpaca.rows.clear()
    stage.exits.close(operation.id, WHY, delivered=NOTHING)


@pytest.mark.parametrize("status", [None, "intended", "not_done"])
def test_close__nothing_was_sent__is_taken(stage: Stage, status: str | None) -> None:
    operation = stage.open(TO_BASE)
    if status is not None:
        stage.withdrawal(operation, status)
    assert not stage.exits.close(operation.id, WHY, delivered=NOTHING).operation.status.is_open


def withdrawing(stage: Stage, status: str) -> str:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation, "done")
    stage.listed("withdrawal_request-1", status={"pending": "PROCESSING"}.get(status, "COMPLETE"))
    return operation.id


def minting(stage: Stage, status: str) -> str:
    operation = stage.open(MINT)
    stage.mint(operation, "done")
    stage.requested("mint_request-1", status=status)
    return operation.id


def redeeming(stage: Stage, status: str) -> str:
    operation = stage.open(REDEMPTION)
    stage.transaction(operation, Leg.REDEEM, "token_transfer", "done")
    stage.requested(type="redeem", status=status, tx_hash=HASH)
    return operation.id


def depositing(stage: Stage, status: str) -> str:
    operation = stage.open(TO_ALPACA)
    stage.transaction(operation, Leg.DEPOSIT, "usdc_transfer", "done")
    listed = {"pending": "PROCESSING"}.get(status, "FAILED")
    stage.listed(direction="INCOMING", status=listed, tx_hash=HASH)
    return operation.id


@pytest.mark.parametrize("begin", [withdrawing, minting, redeeming, depositing])
def test_close__alpaca_has_not_decided__is_refused_until_it_has(
    stage: Stage, begin: Callable[[Stage, str], str]
) -> None:
    operation_id = begin(stage, "pending")
    with pytest.raises(Refusal, match="has not decided"):
        stage.exits.close(operation_id, WHY, delivered=NOTHING)
    unchanged(stage, operation_id)


@pytest.mark.parametrize("begin", [withdrawing, minting, redeeming, depositing])
def test_close__alpaca_has_decided__is_taken(stage: Stage, begin: Callable[[Stage, str], str]) -> None:
    operation_id = begin(stage, "rejected")
    assert not stage.exits.close(operation_id, WHY, delivered=NOTHING).operation.status.is_open


@pytest.mark.parametrize(
    ("kind", "leg", "name"),
    [(REDEMPTION, Leg.REDEEM, "token_transfer"), (TO_ALPACA, Leg.DEPOSIT, "usdc_transfer")],
)
def test_close__sent_a_moment_ago_and_not_listed_yet__has_to_wait(
    stage: Stage, kind: OperationKind, leg: Leg, name: str
) -> None:
    operation = stage.open(kind)
    stage.transaction(operation, leg, name, "done")
    stage.listed(direction="OUTGOING", status="COMPLETE", tx_hash=HASH)
    with pytest.raises(Refusal, match=f"{name} was sent a moment ago"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)
    stage.clock.pass_(minutes=5)
    stage.exits.close(operation.id, WHY, delivered=NOTHING)


@pytest.mark.parametrize("kind", [TO_BASE, TO_ALPACA])
def test_close__attested_and_not_delivered__is_refused_until_it_is(stage: Stage, kind: OperationKind) -> None:
    operation = stage.open(kind)
    stage.transaction(operation, Leg.BRIDGE, "burn", "done")
    kept = {"burn": HASH, "message": "", "signatures": "", "nonce": "11" * 32}
    stage.under_lease(operation, lambda lease: lease.note(Leg.BRIDGE, attestation=kept))
    with pytest.raises(Refusal, match=f"burnt in {HASH} is attested and not delivered"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)
    stage.base.answer = (1).to_bytes(32, "big")
    stage.exits.close(operation.id, WHY, delivered=Decimal(4000))


def test_close__burnt_and_not_attested__is_refused_unless_the_leg_asks(stage: Stage) -> None:
    operation = stage.open(TO_ALPACA)
    stage.transaction(operation, Leg.BRIDGE, "burn", "done")
    with pytest.raises(Refusal, match=f"burnt in {HASH} waits for Circle"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)
    stage.under_lease(
        operation,
        lambda lease: lease.wait(
            Leg.BRIDGE, waiting_for="a person", due_in=timedelta(0), attention="it is not our burn"
        ),
    )
    stage.exits.close(operation.id, WHY, delivered=NOTHING)


def test_close__bridged__does_not_ask_again(stage: Stage) -> None:
    operation = stage.open(TO_ALPACA)
    stage.transaction(operation, Leg.BRIDGE, "burn", "done")
    stage.under_lease(
        operation, lambda lease: lease.done(lease.intend(Leg.BRIDGE, "receive", {}, irreversible=True), HASH)
    )
    stage.under_lease(operation, lambda lease: lease.finish(Leg.BRIDGE, amount_out=1))
    stage.exits.close(operation.id, WHY, delivered=NOTHING)


IN_VAULTS = [
    (MINT, Leg.WRAP, "wrap"),
    (MINT, Leg.VAULT_DEPOSIT, "vault_deposit"),
    (REDEMPTION, Leg.VAULT_WITHDRAW, "vault_withdraw_0"),
    (REDEMPTION, Leg.VAULT_WITHDRAW, "put_back"),
    (REDEMPTION, Leg.UNWRAP, "unwrap"),
    (TO_BASE, Leg.VAULT_DEPOSIT, "vault_deposit"),
    (TO_ALPACA, Leg.VAULT_WITHDRAW, "vault_withdraw_0"),
]
in_vaults = pytest.mark.parametrize(("kind", "leg", "name"), IN_VAULTS)


@in_vaults
def test_close__transaction_of_a_vault_or_wrapper__is_decided_when_it_is_mined(
    stage: Stage, kind: OperationKind, leg: Leg, name: str
) -> None:
    operation = stage.open(kind, LEGS[kind])
    effect = stage.transaction(operation, leg, name)
    with pytest.raises(Refusal, match=f"{name} is signed and not resolved"):
        stage.exits.close(operation.id, WHY, delivered=NOTHING)
    unchanged(stage, operation.id)
    stage.under_lease(operation, lambda lease: lease.done(effect, HASH))
    stage.alpaca.is_down = True  # nobody has to be asked
    assert not stage.exits.close(operation.id, WHY, delivered=NOTHING).operation.status.is_open


@in_vaults
def test_cancel__after_a_transaction_of_a_vault_or_wrapper__is_refused(
    stage: Stage, kind: OperationKind, leg: Leg, name: str
) -> None:
    operation = stage.open(kind, LEGS[kind])
    effect = stage.transaction(operation, leg, name)
    with pytest.raises(Refusal, match="may be mined at any time"):
        stage.exits.cancel(operation.id, WHY)
    stage.under_lease(operation, lambda lease: lease.done(effect, HASH))
    with pytest.raises(Refusal, match="the money has left"):
        stage.exits.cancel(operation.id, WHY)
    unchanged(stage, operation.id)


@in_vaults
def test_adopt__transaction_of_a_vault_or_wrapper__is_verified_on_base(
    stage: Stage, kind: OperationKind, leg: Leg, name: str
) -> None:
    operation = stage.open(kind, LEGS[kind])
    effect = stage.transaction(operation, leg, name)
    stage.base.put(Transaction(OTHER_HASH, WALLET, 7, CALL, 90), block=90)
    situation = stage.exits.adopt(operation.id, WHY, reference=OTHER_HASH)
    [adopted] = [one for leg in situation.legs for one in leg.effects]
    assert (adopted.id, adopted.status, adopted.reference) == (effect.id, EffectStatus.DONE, OTHER_HASH)


def test_close__a_wrapper_gave_more_than_was_asked__can_be_stated(stage: Stage) -> None:
    operation = stage.open(REDEMPTION, (Leg.UNWRAP, Leg.REDEEM))
    stage.under_lease(operation, lambda lease: lease.finish(Leg.UNWRAP, amount_out=32_000_000_000))
    with pytest.raises(Refusal, match="from 0 to 32, not 33"):
        stage.exits.close(operation.id, WHY, delivered=Decimal(33))
    stage.exits.close(operation.id, WHY, delivered=Decimal(32))
    assert stage.ledger.operation(operation.id).delivered == 32_000_000_000
