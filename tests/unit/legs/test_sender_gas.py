"""What a transaction cost is booked with it, whatever became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.ledger.records import EffectStatus
from include.legs.leg import Done, Wait
from include.legs.sender import BUMP_AFTER
from tests.support.chain import WALLET, read
from tests.unit.legs.test_sender import CALL, DEPTH, Desk, Pay, desk

if TYPE_CHECKING:
    import pytest

    from include.venues.evm.types import Receipt

__all__ = ["desk"]

PAID = 50_000 * 10**9


class Asked(Pay):
    """Moves nothing that could not be cancelled."""

    irreversible = False


def test_gas__done__is_what_the_receipt_says(desk: Desk) -> None:
    desk.push()
    assert desk.effects[0].gas_paid is None
    desk.chain.mine(DEPTH)
    desk.push()
    assert desk.effects[0].gas_paid == PAID


def test_gas__reverted__is_paid_all_the_same(desk: Desk) -> None:
    desk.push(Asked)
    desk.chain.reverts.add(read(desk.chain.offered[0]).hash)
    desk.chain.mine(DEPTH)
    desk.push(Asked)
    [effect] = desk.effects
    assert (effect.status, effect.gas_paid) == (EffectStatus.NOT_DONE, PAID)


def test_gas__nonce_spent_by_another__is_not_ours(desk: Desk) -> None:
    desk.push(Asked)
    desk.chain.spend(WALLET, 0)
    desk.chain.mine(DEPTH)
    desk.push(Asked)
    [effect] = desk.effects
    assert (effect.status, effect.gas_paid) == (EffectStatus.NOT_DONE, None)


def test_gas__replaced_for_a_higher_fee__is_paid_once(desk: Desk) -> None:
    desk.push()
    desk.clock.moment += BUMP_AFTER
    desk.push()
    desk.chain.mine(DEPTH)
    assert isinstance(desk.push(), Done)
    assert [effect.gas_paid for effect in desk.effects] == [PAID]


def test_gas__of_what_a_person_adopted__is_learnt_at_the_next_look(desk: Desk) -> None:
    desk.push()
    tx_hash = desk.chain.spend(WALLET, 0, CALL)
    desk.chain.mine(DEPTH)
    with desk.ledger.lease(desk.operation_id, "a person", desk.book.lease_duration) as lease:
        lease.done(desk.effects[0], tx_hash)
    assert desk.effects[0].gas_paid is None
    assert isinstance(desk.push(), Done)
    assert desk.effects[0].gas_paid == PAID


def test_gas__on_a_rollup__has_the_fee_of_the_chain_below_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = desk.chain.receipt

    def receipt(tx_hash: str) -> Receipt | None:
        found = look_up(tx_hash)
        return None if found is None else replace(found, l1_fee=123)

    monkeypatch.setattr(desk.chain, "receipt", receipt)
    assert isinstance(desk.push(), Wait)
    desk.chain.mine(DEPTH)
    desk.push()
    assert desk.effects[0].gas_paid == PAID + 123
