"""One transaction, once, whatever the node and the chain do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from include.book import Book, Network, Venues
from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs.leg import Closed, Done, Outcome, Step, Wait, advance
from include.legs.sender import BUMP_AFTER, Sender
from include.settings import Settings
from include.venues.evm.errors import Reverted
from include.venues.evm.types import Call, Receipt
from tests.support.chain import WALLET, MemoryChain, PlainSigner, read
from tests.unit.ledger.test_ledger import claim

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect
    from tests.support.clock import Clock

CALL = Call("0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d", b"\x01")
DEPTH = 5


class Pay(Step):
    """A leg that sends one transaction."""

    leg: ClassVar[Leg] = Leg.REDEEM
    irreversible: ClassVar[bool] = True

    def advance(self) -> Done | Wait:
        outcome = Sender(self, Network.BASE).send("payment", lambda: CALL, irreversible=self.irreversible)
        return outcome if isinstance(outcome, Wait) else Done(self.amount, outcome.transaction_hash)


@dataclass
class Desk:
    """A book with a chain in memory, and one open redemption."""

    book: Book
    chain: MemoryChain
    ledger: Ledger
    clock: Clock
    operation_id: str

    def push(self, step: type[Step] = Pay) -> Outcome:
        return advance(self.book, self.operation_id, step, "test")

    @property
    def effects(self) -> list[Effect]:
        return self.ledger.effects(self.operation_id)

    def spent_by_us(self) -> list[str]:
        """Every mined transaction of ours, by hash: what the money really did."""
        ours = {read(raw).hash for raw in self.chain.offered}
        return [tx_hash for _, _, _, tx_hash in self.chain.spent if tx_hash in ours]


@pytest.fixture
def desk(ledger: Ledger, clock: Clock) -> Desk:
    chain: Any = MemoryChain()
    nothing: Any = None
    venues = Venues(
        settings=Settings(base_confirmations=DEPTH, receipt_poll=timedelta(seconds=2)),
        alpaca=nothing,
        ethereum=nothing,
        base=chain,
        attestations=nothing,
        now=clock,
    )
    operation = claim(ledger, clock, "AAPL", OperationKind.REDEMPTION)
    return Desk(Book(venues, ledger, PlainSigner()), chain, ledger, clock, operation.id)


def test_send__mined_deep_enough__is_done_once(desk: Desk) -> None:
    assert isinstance(desk.push(), Wait)
    desk.chain.mine(DEPTH - 1)
    assert isinstance(desk.push(), Wait)
    desk.chain.mine()
    outcome = desk.push()
    assert isinstance(outcome, Done)
    assert desk.spent_by_us() == [outcome.proof]
    assert [effect.status for effect in desk.effects] == [EffectStatus.DONE]


def test_send__after_it_is_done__makes_no_new_effect(desk: Desk) -> None:
    desk.push()
    desk.chain.mine(DEPTH)
    first = desk.push()
    offered = len(desk.chain.offered)
    assert desk.push() == first
    assert len(desk.chain.offered) == offered
    assert len(desk.effects) == 1


def test_send__answer_lost__offers_the_same_bytes_again(desk: Desk) -> None:
    desk.chain.loses_answers = True
    desk.push()
    desk.push()
    assert len(desk.chain.offered) == 2
    assert len(set(desk.chain.offered)) == 1


def test_send__stored_before_it_is_offered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    offer, store = desk.chain.broadcast, type(desk.book.ledger)

    def broadcast(raw: bytes) -> str:
        [effect] = desk.effects
        order.append(f"{effect.status}, then offered")
        return offer(raw)

    assert store
    monkeypatch.setattr(desk.chain, "broadcast", broadcast)
    desk.push()
    assert order == ["sent, then offered"]


def test_send__dropped_by_the_pool__is_offered_until_it_is_mined(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    desk.chain.mine(3)
    desk.chain.drops_everything = False
    desk.push()
    desk.chain.mine(DEPTH)
    assert isinstance(desk.push(), Done)
    assert len(desk.spent_by_us()) == 1


def test_send__stuck__is_replaced_with_the_same_nonce(desk: Desk) -> None:
    desk.push()
    desk.clock.moment += BUMP_AFTER
    desk.push()
    first, second = (read(raw) for raw in dict.fromkeys(desk.chain.offered))
    assert (first.nonce, first.data) == (second.nonce, second.data)
    assert second.fee > first.fee * 1.1
    desk.chain.mine(DEPTH)
    outcome = desk.push()
    assert isinstance(outcome, Done)
    assert outcome.proof == second.hash
    assert desk.spent_by_us() == [second.hash]


def test_send__replaced_but_the_first_is_mined__is_done(desk: Desk) -> None:
    desk.push()
    first = read(desk.chain.offered[0])
    desk.clock.moment += BUMP_AFTER
    desk.push()
    desk.chain.pool[WALLET, first.nonce] = first
    desk.chain.mine(DEPTH)
    outcome = desk.push()
    assert isinstance(outcome, Done)
    assert outcome.proof == first.hash


def test_send__removed_by_a_reorganisation__is_offered_again(desk: Desk) -> None:
    desk.push()
    desk.chain.mine(2)
    assert isinstance(desk.push(), Wait)
    desk.chain.forget(2)
    desk.push()
    desk.chain.mine(DEPTH)
    assert isinstance(desk.push(), Done)
    assert len(desk.spent_by_us()) == 1


class PayAndStay(Pay):
    """Sends the same, and keeps the operation open; what became of it is in `seen`."""

    seen: ClassVar[list[Receipt | Wait]] = []

    def advance(self) -> Done | Wait:
        self.seen.append(Sender(self, Network.BASE).send("payment", lambda: CALL, irreversible=True))
        return self.pause(timedelta(seconds=1), "nothing", timedelta(minutes=1))


def test_send__removed_by_a_reorganisation_after_it_was_done__is_offered_again(desk: Desk) -> None:
    desk.push(PayAndStay)
    desk.chain.mine(DEPTH)
    desk.push(PayAndStay)
    assert desk.effects[0].status is EffectStatus.DONE
    desk.chain.forget(DEPTH)
    desk.push(PayAndStay)
    assert isinstance(PayAndStay.seen[-1], Wait)
    desk.chain.mine()
    desk.push(PayAndStay)
    assert isinstance(PayAndStay.seen[-1], Receipt)
    assert len(set(desk.chain.offered)) == 1
    assert len(desk.spent_by_us()) == 1


def test_send__removed_with_what_came_before_it__brings_both_back(
    desk: Desk, ledger: Ledger, clock: Clock
) -> None:
    other = claim(ledger, clock, "NVDA", OperationKind.REDEMPTION)
    desk.push(PayAndStay)
    advance(desk.book, other.id, PayAndStay, "test")
    desk.chain.mine(DEPTH)
    desk.push(PayAndStay)
    advance(desk.book, other.id, PayAndStay, "test")
    desk.chain.forget(DEPTH)
    advance(desk.book, other.id, PayAndStay, "test")
    assert sorted(nonce for _, nonce in desk.chain.pool) == [0, 1]
    desk.chain.mine()
    assert len(desk.spent_by_us()) == 2


def test_send__removed_after_it_was_done_and_mined_again_to_no_effect__is_not_done(desk: Desk) -> None:
    desk.push(PayAndStay)
    desk.chain.mine(DEPTH)
    desk.push(PayAndStay)
    desk.chain.forget(DEPTH)
    desk.chain.reverts.add(read(desk.chain.offered[0]).hash)
    desk.push(PayAndStay)
    desk.chain.mine(DEPTH - 1)
    assert isinstance(desk.push(PayAndStay), Wait)
    assert desk.effects[0].status is EffectStatus.DONE
    desk.chain.mine()
    outcome = desk.push(PayAndStay)
    assert isinstance(outcome, Closed)
    assert "reverted" in outcome.outcome
    assert [effect.status for effect in desk.effects] == [EffectStatus.NOT_DONE]


def test_send__nonce_spent_by_somebody_else__is_proof_and_frees_the_asset(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    thief = desk.chain.spend(WALLET, 0)
    desk.chain.mine(DEPTH)
    outcome = desk.push()
    assert isinstance(outcome, Closed)
    assert thief in outcome.outcome
    assert [effect.status for effect in desk.effects] == [EffectStatus.NOT_DONE]
    assert desk.ledger.open_operations() == []


def test_send__sped_up_by_somebody_with_the_key__is_done(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    faster = desk.chain.spend(WALLET, 0, CALL)
    desk.chain.mine(DEPTH)
    outcome = desk.push()
    assert isinstance(outcome, Done)
    assert outcome.proof == faster


def test_send__spender_not_shown_yet__is_waited_for(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    desk.chain.spend(WALLET, 0)
    desk.chain.known.clear()
    desk.chain.mine(DEPTH)
    assert isinstance(desk.push(), Wait)
    assert desk.effects[0].status is EffectStatus.SENT


def test_send__adopted_and_not_shown_any_more__is_waited_for_and_not_sent_again(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    desk.chain.spend(WALLET, 0)
    desk.chain.mine(DEPTH)
    with desk.ledger.lease(desk.operation_id, "a person", timedelta(minutes=1)) as lease:
        lease.done(desk.effects[0], "0xelsewhere")
    offered = len(desk.chain.offered)
    assert isinstance(desk.push(), Wait)
    assert [effect.status for effect in desk.effects] == [EffectStatus.DONE]
    assert len(desk.chain.offered) == offered


def test_send__nonce_spent_but_not_deep_enough__is_waited_for(desk: Desk) -> None:
    desk.chain.drops_everything = True
    desk.push()
    desk.chain.spend(WALLET, 0)
    desk.chain.mine(DEPTH - 1)
    assert isinstance(desk.push(), Wait)
    assert desk.ledger.open_operations() != []


def test_send__no_receipt_though_ours_spent_the_nonce__is_not_taken_for_failure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.push()
    desk.chain.mine(DEPTH)
    monkeypatch.setattr(desk.chain, "receipt", lambda _hash: None)
    assert isinstance(desk.push(), Wait)
    assert desk.effects[0].status is EffectStatus.SENT
    monkeypatch.undo()
    assert isinstance(desk.push(), Done)


def test_send__reverted_on_chain__cancels_as_nothing_moved(desk: Desk) -> None:
    desk.push()
    desk.chain.reverts.add(read(desk.chain.offered[0]).hash)
    desk.chain.mine(DEPTH)
    outcome = desk.push()
    assert isinstance(outcome, Closed)
    assert "reverted" in outcome.outcome


def test_send__simulation_reverts__signs_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_call: Call, *, sender: str, floor: int = 0) -> int:
        raise Reverted(f"ERC20: transfer amount exceeds balance of {sender}, {floor}")

    monkeypatch.setattr(desk.chain, "estimate_gas", refuse)
    outcome = desk.push()
    assert isinstance(outcome, Closed)
    assert "exceeds balance" in outcome.outcome
    assert desk.effects == []
    assert desk.chain.offered == []


def test_send__too_little_ether__signs_nothing(desk: Desk) -> None:
    desk.chain.wei = 10**9
    outcome = desk.push()
    assert isinstance(outcome, Closed)
    assert "gas" in outcome.outcome
    assert desk.effects == []


def test_send__nonce_already_used_outside__takes_the_next(desk: Desk) -> None:
    desk.chain.spend(WALLET, 0)
    desk.push()
    assert read(desk.chain.offered[0]).nonce == 1


def test_send__two_operations__never_share_a_nonce_and_help_each_other(
    desk: Desk, ledger: Ledger, clock: Clock
) -> None:
    desk.chain.drops_everything = True
    desk.push()
    other = claim(ledger, clock, "NVDA", OperationKind.REDEMPTION)
    desk.chain.drops_everything = False
    advance(desk.book, other.id, Pay, "test")
    assert sorted(nonce for _, nonce in desk.chain.pool) == [0, 1]
    desk.chain.mine(DEPTH)
    assert isinstance(advance(desk.book, other.id, Pay, "test"), Done)
    assert isinstance(desk.push(), Done)
    assert len(desk.spent_by_us()) == 2


def test_wait__names_the_chain_and_wakes_for_a_bump(desk: Desk) -> None:
    outcome = desk.push()
    assert isinstance(outcome, Wait)
    assert outcome.reason == "payment to be mined on base"
    assert outcome.wake_at == desk.clock() + BUMP_AFTER
    assert outcome.condition.holds(desk.book.venues) is False
    desk.chain.mine(DEPTH)
    assert outcome.condition.holds(desk.book.venues) is True


def test_receipt__is_what_send_returns_when_done(desk: Desk) -> None:
    seen: list[Receipt | Wait] = []

    class Look(Pay):
        def advance(self) -> Done | Wait:
            seen.append(Sender(self, Network.BASE).send("payment", lambda: CALL, irreversible=True))
            return self.pause(timedelta(seconds=1), "nothing", timedelta(minutes=1))

    desk.push(Look)
    desk.chain.mine(DEPTH)
    desk.push(Look)
    desk.push(Look)
    assert isinstance(seen[0], Wait)
    assert isinstance(seen[1], Receipt)
    assert seen[1] == seen[2]


def test_send__mined_at_once__is_done_in_one_entry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = desk.chain.broadcast

    def offer_and_mine(raw: bytes) -> str:
        tx_hash = offer(raw)
        desk.chain.mine(DEPTH)
        return tx_hash

    monkeypatch.setattr(desk.chain, "broadcast", offer_and_mine)
    assert isinstance(desk.push(), Done)
    assert [effect.status for effect in desk.effects] == [EffectStatus.DONE]
