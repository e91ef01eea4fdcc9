from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from include.domain.imbalance import Imbalance, TooMuchOffchain, TooMuchOnchain
from include.domain.inventory import Venue
from include.domain.operation import (
    LEGS,
    OPTIONAL,
    Leg,
    OpenOperation,
    OperationKind,
    OperationStatus,
    Settled,
    correction,
)

OFF, ON = TooMuchOffchain(Decimal(1)), TooMuchOnchain(Decimal(1))


@pytest.mark.parametrize(
    ("asset", "imbalance", "kind"),
    [
        ("AAPL", OFF, OperationKind.MINT),
        ("AAPL", ON, OperationKind.REDEMPTION),
        ("USDC", OFF, OperationKind.USDC_ALPACA_TO_BASE),
        ("USDC", ON, OperationKind.USDC_BASE_TO_ALPACA),
    ],
)
def test_correction__asset_and_imbalance__name_the_operation(
    asset: str, imbalance: Imbalance, kind: OperationKind
) -> None:
    assert correction(asset, imbalance) is kind
    assert kind.accepts(asset)
    assert kind.source is (Venue.OFFCHAIN if imbalance is OFF else Venue.ONCHAIN)


@pytest.mark.parametrize(
    ("kind", "legs", "decimals", "source", "destination"),
    [
        (OperationKind.MINT, (Leg.MINT,), 9, Venue.OFFCHAIN, Venue.ONCHAIN),
        (OperationKind.REDEMPTION, (Leg.REDEEM,), 9, Venue.ONCHAIN, Venue.OFFCHAIN),
        (OperationKind.USDC_ALPACA_TO_BASE, (Leg.WITHDRAW, Leg.BRIDGE), 6, Venue.OFFCHAIN, Venue.ONCHAIN),
        (OperationKind.USDC_BASE_TO_ALPACA, (Leg.BRIDGE, Leg.DEPOSIT), 6, Venue.ONCHAIN, Venue.OFFCHAIN),
    ],
)
def test_kind__each__has_its_legs_decimals_and_venues(
    kind: OperationKind, legs: tuple[Leg, ...], decimals: int, source: Venue, destination: Venue
) -> None:
    assert kind.legs == legs
    assert kind.decimals == decimals
    assert kind.source is source
    assert kind.destination is destination


def test_legs__of_every_kind__are_named() -> None:
    assert set(LEGS) == set(OperationKind)
    assert {leg for legs in LEGS.values() for leg in legs} == set(Leg)


def test_legs__those_of_every_operation__are_among_all_in_the_same_order() -> None:
    for kind, every in LEGS.items():
        assert len(set(every)) == len(every)
        assert [leg for leg in every if leg in kind.legs] == [*kind.legs]
        assert set(every) - set(kind.legs) <= OPTIONAL
    assert {leg for kind in OperationKind for leg in kind.legs}.isdisjoint(OPTIONAL)


@pytest.mark.parametrize(
    ("kind", "asset"),
    [
        (OperationKind.MINT, "USDC"),
        (OperationKind.REDEMPTION, "USDC"),
        (OperationKind.USDC_ALPACA_TO_BASE, "AAPL"),
        (OperationKind.USDC_BASE_TO_ALPACA, "AAPL"),
        (OperationKind.MINT, ""),
    ],
)
def test_open_operation__kind_that_cannot_move_the_asset__is_refused(kind: OperationKind, asset: str) -> None:
    assert not kind.accepts(asset)
    with pytest.raises(ValueError, match=f"{kind.value} cannot move"):
        OpenOperation("op-1", kind, asset)


def test_status__only_open__is_open() -> None:
    assert [status for status in OperationStatus if status.is_open] == [OperationStatus.OPEN]


def test_settled__another_zone__is_the_same_moment() -> None:
    at = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert Settled("AAPL", at, None, None).at == datetime(2026, 1, 1, tzinfo=UTC)


def test_settled__no_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="at must have a time zone"):
        Settled("AAPL", datetime(2026, 1, 1), 1, 1)  # noqa: DTZ001 - the point of the test


def test_settled__negative_count_of_refusals__is_refused() -> None:
    with pytest.raises(ValueError, match="refusals must not be negative"):
        Settled("AAPL", datetime(2026, 1, 1, tzinfo=UTC), 1, 1, -1)
