"""What must hold of every counterfactual, whatever was recorded."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.amounts import exact
from include.domain.operation import OperationKind, OperationStatus
from include.replay.counterfactual import counterfactual
from include.replay.holdings import Holding, Look, Side
from include.replay.past import Past
from tests.unit.replay.pipeline import INTERVAL, START, TAKES, policy, run

if TYPE_CHECKING:
    from include.domain.policy import Policy

ASSETS = ("AAPL", "MSFT", "USDC")
shares = st.integers(-400, 400).map(Decimal)
flows = st.lists(st.fixed_dictionaries(dict.fromkeys(ASSETS, shares)), min_size=1, max_size=25)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    deviation = draw(st.integers(1, 40))
    return policy(
        str(Decimal(deviation) / 100),
        assets=ASSETS,
        target=str(Decimal(draw(st.integers(30, 70))) / 100),
        stop=str(Decimal(draw(st.integers(0, deviation - 1))) / 100),
        minimum=draw(st.sampled_from(["0", "10", "100"])),
        maximum=draw(st.sampled_from([None, "120", "200"])),
        max_open=draw(st.sampled_from([None, 1, 2])),
        daily=draw(st.sampled_from([None, "150", "600"])),
        settle_cooldown=draw(st.sampled_from([timedelta(0), timedelta(minutes=3)])),
    )


amounts = st.integers(0, 10**6).map(lambda units: Decimal(units) / 1000)
sides = st.builds(Side, amounts, st.just(Decimal(0)) | amounts, st.just(Decimal(0)) | amounts)
moments = st.integers(-600, 3000).map(lambda seconds: START + timedelta(seconds=seconds))


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """Any operation, of any time; several of an asset may even overlap."""
    asset = draw(st.sampled_from([*ASSETS, "GONE"]))
    kinds = [kind for kind in OperationKind if kind.accepts(asset)]
    opened, lasts = draw(moments), draw(st.none() | st.integers(0, 2000))
    status = draw(st.sampled_from([one for one in OperationStatus if one is not OperationStatus.OPEN]))
    amount = draw(amounts)
    return Past(
        draw(st.uuids()).hex,
        draw(st.sampled_from(kinds)),
        asset,
        amount,
        Decimal(0) if status is OperationStatus.CANCELLED else amount,
        opened,
        None if lasts is None else opened + timedelta(seconds=lasts),
        OperationStatus.OPEN if lasts is None else status,
        draw(st.none() | st.integers(90, 110)),
        draw(st.none() | st.integers(190, 210)),
    )


@st.composite
def all_looks(draw: st.DrawFn) -> list[Look]:
    """Looks with anything in them: unread assets, blocks that go back, several at the same time."""
    at, found = START, []
    for _ in range(draw(st.integers(0, 12))):
        at += timedelta(seconds=draw(st.integers(0, 300)))
        holdings = draw(st.dictionaries(st.sampled_from(ASSETS), st.builds(Holding, sides, sides)))
        blocks = draw(st.tuples(st.none() | st.integers(95, 105), st.none() | st.integers(195, 205)))
        found.append(Look(at, *blocks, holdings))
    return found


@settings(max_examples=50, deadline=None)
@given(flows, policies())
def test_counterfactual__settings_that_were_in_force_and_no_mishaps__does_what_was_done(
    steps: list[dict[str, Decimal]], wanted: Policy
) -> None:
    """The conditions: each operation was opened by a look that is replayed, refused by nothing but the plan,
    settled in full, and no look lies between its end and the end that its kind's length gives it."""
    book = run(steps, wanted)

    found = counterfactual(book.looks, book.past, wanted, TAKES)

    would = [(one.asset, one.kind, one.amount, one.opened_at, one.closed_at) for one in found.virtual]
    assert sorted(would) == sorted(
        (one.asset, one.kind, one.amount, book.looks[book.opened_by[one.id]].at, one.closed_at)
        for one in book.past
    )
    for asset, track in found.tracks.items():
        assert set(track.offset) <= {Decimal(0)}, asset
        assert track.would == track.was
        assert not track.short


@settings(max_examples=120, deadline=None)
@given(all_looks(), st.lists(pasts(), max_size=8), policies())
def test_counterfactual__anything__is_total_and_conserves(
    looks: list[Look], past: list[Past], wanted: Policy
) -> None:
    found = counterfactual(looks, past, wanted, TAKES)

    assert set(found.tracks) == set(wanted.assets)
    for track in found.tracks.values():
        assert len(track.was) == len(track.would) == len(track.offset) == len(looks)
        for was, would in zip(track.was, track.would, strict=True):
            assert (was is None) == (would is None)
            if was is not None and would is not None:
                assert was[1] == would[1]
                assert 0 <= would[0] <= would[1]
    for asset in wanted.assets:
        mine = [one for one in found.virtual if one.asset == asset]
        for one, after in pairwise(mine):
            assert one.closed_at < after.opened_at  # one claims the asset


@settings(max_examples=30, deadline=None)
@given(flows)
def test_counterfactual__nothing_was_moved_and_nothing_would_be__leaves_all_as_it_was(
    steps: list[dict[str, Decimal]],
) -> None:
    book = run(steps, policy(assets=ASSETS), moving=False)

    found = counterfactual(book.looks, [], policy("1", assets=ASSETS), TAKES)

    assert (found.virtual, found.real) == ((), ())
    assert all(set(track.offset) == {Decimal(0)} for track in found.tracks.values())
    assert all(track.was == track.would for track in found.tracks.values())


@settings(max_examples=30, deadline=None)
@given(flows, policies())
def test_counterfactual__nothing_would_be_moved__is_the_trading_alone(
    steps: list[dict[str, Decimal]], wanted: Policy
) -> None:
    """Without any operation, the same trading makes of the book what it makes of one that none touched."""
    small = [{asset: amount / 100 for asset, amount in step.items()} for step in steps]
    moved, untouched = run(small, wanted), run(small, wanted, moving=False)

    found = counterfactual(moved.looks, moved.past, policy("1", assets=ASSETS), TAKES)

    last = moved.looks[-1].at
    with exact():
        for asset, track in found.tracks.items():
            under_way = any(one.asset == asset and one.open_at(last) for one in moved.past)
            if not under_way and not track.short:
                expected = untouched.looks[-1].holdings[asset]
                assert track.would[-1] is not None
                assert track.would[-1][0] == expected.onchain.available
    assert found.virtual == ()
    assert INTERVAL * (len(steps) - 1) == found.times[-1] - found.times[0]
