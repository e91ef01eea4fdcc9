"""Single cases of a counterfactual, with figures that can be followed by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.operation import OperationKind, OperationStatus
from include.replay.counterfactual import Counterfactual, counterfactual
from include.replay.holdings import Holding, Look, Side, look_of
from include.replay.past import Past
from tests.unit.replay.pipeline import START, TAKES, policy

if TYPE_CHECKING:
    from include.domain.policy import Policy

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
NEVER = policy("1", assets=["AAPL"])
NARROW = policy("0.1", assets=["AAPL"])


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def look(minutes: float, onchain: int, offchain: int, *, in_flight: int = 0, block: int | None = 100) -> Look:
    holding = Holding(Side(Decimal(onchain), Decimal(in_flight)), Side(Decimal(offchain)))
    return Look(START + at(minutes), block, 200, {"AAPL": holding})


def operation(
    opened: float,
    closed: float | None,
    amount: int = 30,
    *,
    kind: OperationKind = MINT,
    status: OperationStatus = OperationStatus.SETTLED,
    moved: int | None = None,
    block: int | None = None,
) -> Past:
    return Past(
        f"at {opened}",
        kind,
        "AAPL",
        Decimal(amount),
        Decimal(amount if moved is None else moved),
        START + at(opened),
        None if closed is None else START + at(closed),
        OperationStatus.OPEN if closed is None else status,
        block,
    )


def would(looks: list[Look], past: list[Past], wanted: Policy) -> Counterfactual:
    return counterfactual(looks, past, wanted, TAKES)


def onchain(found: Counterfactual, *, would_be: bool = True) -> list[int | None]:
    track = found.tracks["AAPL"]
    states = track.would if would_be else track.was
    return [None if state is None else int(state[0]) for state in states]


def test_real_mint__is_taken_out_after_the_first_look_that_shows_all_of_it() -> None:
    looks = [look(0, 20, 80), look(1, 20, 50), look(2, 50, 50), look(3, 50, 50)]

    found = would(looks, [operation(0.1, 1.5)], NEVER)

    assert onchain(found) == [20, 20, 20, 20]
    assert onchain(found, would_be=False) == [20, 20, 50, 50]
    assert found.tracks["AAPL"].offset == [0, 0, -30, -30]
    assert [one.id for one in found.real] == ["at 0.1"]


def test_real_operation__its_receipt_is_not_in_the_look_yet__counts_as_under_way() -> None:
    looks = [
        look(0, 20, 80),
        look(2, 20, 80, block=104),
        look(3, 50, 50, block=None),
        look(4, 50, 50, block=105),
    ]

    found = would(looks, [operation(0.1, 1.5, block=105)], NEVER)

    assert found.tracks["AAPL"].offset == [0, 0, 0, -30]
    assert onchain(found) == [20, 20, 20, 20]


def test_trading_goes_on__is_in_both() -> None:
    looks = [look(0, 20, 80), look(2, 50, 50), look(3, 45, 55)]
    assert onchain(would(looks, [operation(0.1, 1.5)], NEVER)) == [20, 20, 15]


def test_cancelled_and_short_operations__are_taken_out_by_what_they_moved() -> None:
    looks = [look(0, 80, 20), look(2, 80, 20), look(4, 70, 30)]
    past = [
        operation(0.1, 1, status=OperationStatus.CANCELLED, moved=0, kind=REDEMPTION),
        operation(2.1, 3, kind=REDEMPTION, moved=10),
    ]
    assert onchain(would(looks, past, NEVER)) == [80, 80, 80]


def test_opened_before_the_first_look__is_the_same_in_both_worlds() -> None:
    looks = [look(0, 20, 50), look(1, 20, 50), look(2, 50, 50)]

    found = would(looks, [operation(-1, 1.5)], NARROW)

    assert onchain(found) == [None, None, 50]  # nothing is known before it is over
    assert found.real == ()
    assert found.virtual == ()


def test_opened_before_and_closed__its_day_and_its_rest_count() -> None:
    looks = [look(0, 20, 80), look(5, 20, 80)]
    rested = policy("0.1", assets=["AAPL"], settle_cooldown=at(3))

    found = would(looks, [operation(-2, -1)], rested)

    assert [one.opened_at for one in found.virtual] == [looks[1].at]
    full = policy("0.1", assets=["AAPL"], daily="30")
    assert would(looks, [operation(-2, -1)], full).virtual == ()


def test_virtual_mint__arrives_whole_after_what_its_kind_takes_and_claims_until_then() -> None:
    looks = [look(minutes, 20, 80) for minutes in (0, 1, 2, 3)]

    found = would(looks, [], NARROW)

    assert [(one.kind, one.amount, one.opened_at) for one in found.virtual] == [
        (MINT, Decimal(30), looks[0].at)
    ]
    assert found.virtual[0].closed_at == START + TAKES[MINT]
    assert onchain(found) == [20, 20, 50, 50]


def test_virtual_redemption__when_its_day_is_used_up__waits_for_the_next() -> None:
    wanted = policy("0.1", assets=["AAPL"], daily="40")  # the book begins two hours before midnight
    looks = [look(0, 80, 20), look(60, 110, 0), look(121, 110, 0)]

    found = would(looks, [], wanted)

    assert {one.kind for one in found.virtual} == {REDEMPTION}
    assert [one.amount for one in found.virtual] == [30, 10, 15]


def test_trading_would_not_have_been_possible__leaves_nothing_on_that_side_and_says_so() -> None:
    looks = [look(0, 20, 80), look(2, 50, 50), look(3, 10, 90)]

    found = would(looks, [operation(0.1, 1.5)], NEVER)

    assert onchain(found) == [20, 20, 0]
    assert found.tracks["AAPL"].short == {2}


def test_unread_and_in_flight__nothing_is_decided() -> None:
    unread = Look(START, 100, 200, {})
    found = would([unread, look(1, 20, 80, in_flight=1)], [], NARROW)
    assert found.virtual == ()
    assert onchain(found) == [None, 21]


def test_no_looks__is_nothing() -> None:
    found = would([], [operation(0, 1)], NARROW)
    assert (found.times, found.virtual, found.real) == ((), (), ())
    assert found.tracks["AAPL"].was == []


def test_look_of__recorded_json__leaves_out_what_was_not_read() -> None:
    side = {"available": "1.5", "in_flight": "0", "held": "2"}
    found = look_of(
        {
            "taken_at": START.isoformat(),
            "base_block": None,
            "ethereum_block": 7,
            "inventories": {
                "AAPL": {"onchain": side, "offchain": side},
                "MSFT": {"onchain": side, "offchain": {"unread": "no answer"}},
                "GONE": {"onchain": side, "offchain": side},
            },
        },
        ["AAPL", "MSFT", "USDC"],
    )
    both = Side(Decimal("1.5"), Decimal(0), Decimal(2))
    assert found == Look(START, None, 7, {"AAPL": Holding(both, both)})
    assert found.head() is found.head()
