"""When a wait is likely to end: what is learnt from former waits, and what the blocks tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import Leg, OperationKind
from include.legs.conditions import (
    Attested,
    Condition,
    NonceSpent,
    RedemptionDecided,
    TokenizationDecided,
    TransactionTrusted,
    Until,
)
from include.legs.forecast import LAST, clocked, expected_end
from include.legs.leg import Done, Wait
from include.venues.errors import Unavailable
from tests.support.chain import WALLET
from tests.unit.ledger.test_ledger import MINUTE, claim
from tests.unit.legs.test_leg import told
from tests.unit.legs.test_sender import DEPTH, Desk, desk

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

__all__ = ["desk"]

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
HASH = "0x" + "ab" * 32
DECIDED = RedemptionDecided("AAPL", HASH)
MINTED = TokenizationDecided("a request")
SECOND = timedelta(seconds=1)


def test_clocked__first_look__notes_what_is_waited_for_and_since_when() -> None:
    assert clocked({}, DECIDED, NOW) == {"wait": {"for": DECIDED.name, "since": NOW.isoformat()}}


def test_clocked__the_same_wait_or_a_pause_in_it__notes_nothing() -> None:
    began = clocked({}, DECIDED, NOW)

    assert clocked(began, DECIDED, NOW + MINUTE) == {}
    assert clocked(began, Until.at(NOW + MINUTE), NOW + MINUTE) == {}


@pytest.mark.parametrize("following", [None, NonceSpent("base", WALLET, 3)])
def test_clocked__the_wait_is_over__notes_how_long_it_took(following: Condition | None) -> None:
    began = {**clocked({}, DECIDED, NOW), "waited": {"another": 3.0}}

    found = clocked(began, following, NOW + timedelta(seconds=90.25))

    assert found == {"wait": None, "waited": {"another": 3.0, DECIDED.name: 90.2}}
    assert clocked(found, following, NOW + MINUTE) == {}


def test_clocked__another_wait_follows__ends_one_and_begins_the_other() -> None:
    found = clocked(clocked({}, DECIDED, NOW), Attested(6, HASH), NOW + MINUTE)

    assert found["waited"] == {DECIDED.name: 60.0}
    assert found["wait"] == {"for": "attested 6", "since": (NOW + MINUTE).isoformat()}


def test_clocked__blocks_are_waited_for__is_not_learnt() -> None:
    assert clocked({}, NonceSpent("base", WALLET, 3), NOW) == {}
    assert clocked({}, None, NOW) == {}


def waited(ledger: Ledger, clock: Clock, seconds: float, name: str = DECIDED.name) -> None:
    """Record a redemption whose wait took that long."""
    operation = claim(ledger, clock, "MSFT", OperationKind.REDEMPTION)
    with ledger.lease(operation.id, "a test", MINUTE) as lease:
        lease.note(Leg.REDEEM, waited={name: seconds})
        lease.finish(Leg.REDEEM, amount_out=1)
    clock.pass_(seconds=1)


def waits(desk: Desk, condition: Condition = DECIDED) -> datetime:
    """Let the leg begin to wait, and return when it did."""
    desk.push(told(Wait(condition, SECOND, "somebody", MINUTE)))
    return desk.clock()


def end(desk: Desk, condition: Condition = DECIDED) -> datetime | None:
    return expected_end(desk.book, Leg.REDEEM, desk.operation_id, condition)


def test_expected_end__former_waits__is_as_long_as_the_middle_one(desk: Desk) -> None:
    for seconds in (31.0, 90.0, 30.0):
        waited(desk.ledger, desk.clock, seconds)
    began = waits(desk)
    desk.clock.pass_(seconds=20)

    assert end(desk) == began + 31 * SECOND


def test_expected_end__older_waits__are_forgotten(desk: Desk) -> None:
    for seconds in [500.0] * 9 + [30.0] * LAST:
        waited(desk.ledger, desk.clock, seconds)
    waited(desk.ledger, desk.clock, 9.0, "attested 0")

    assert end(desk) is None  # it has not begun to wait
    assert (began := waits(desk))
    assert end(desk) == began + 30 * SECOND


def test_expected_end__nothing_of_the_kind_was_waited_for__is_unknown(desk: Desk) -> None:
    waited(desk.ledger, desk.clock, 30.0, "attested 0")
    waits(desk)

    assert end(desk) is None


def test_expected_end__the_leg_waits_for_something_else__is_unknown(desk: Desk) -> None:
    waited(desk.ledger, desk.clock, 30.0)
    waits(desk, MINTED)

    assert end(desk) is None


def test_expected_end__a_moment__needs_no_forecast(desk: Desk) -> None:
    assert end(desk, Until.at(NOW)) is None


def test_advance__from_the_wait_to_the_end__teaches_the_next(desk: Desk) -> None:
    waits(desk)
    desk.clock.pass_(seconds=45)
    desk.push(told(Done(1, HASH)))
    following = claim(desk.ledger, desk.clock, "TSLA", OperationKind.REDEMPTION)
    desk = replace(desk, operation_id=following.id)
    began = waits(desk)

    assert end(desk) == began + 45 * SECOND


def at(block: float) -> datetime:
    """Return the time of a block of the chain in memory, of which the first is of second 0."""
    return datetime.fromtimestamp(block, UTC)


@pytest.mark.parametrize("mined", range(DEPTH))
def test_expected_end__own_transaction__counts_the_missing_blocks(desk: Desk, mined: int) -> None:
    desk.push()
    desk.chain.mine(mined)

    missing = DEPTH - mined
    assert end(desk, NonceSpent("base", WALLET, 0)) == at(desk.chain.head().number + 2 * missing)


@pytest.mark.parametrize("mined", range(DEPTH + 2))
def test_expected_end__transaction_of_somebody_else__counts_the_missing_blocks(
    desk: Desk, mined: int
) -> None:
    desk.push()
    signed = desk.ledger.effects(desk.operation_id)[0]
    with desk.ledger.lease(desk.operation_id, "a test", MINUTE) as lease:
        condition = TransactionTrusted("base", lease.transactions(signed)[0].hash)
    desk.chain.mine(mined)

    missing = max(DEPTH - mined, 0)
    assert end(desk, condition) == at(desk.chain.head().number + 2 * missing)


def test_expected_end__the_node_does_not_answer__is_unknown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> Any:
        raise Unavailable("down")

    monkeypatch.setattr(desk.chain, "head", down)

    assert end(desk, NonceSpent("base", WALLET, 0)) is None
