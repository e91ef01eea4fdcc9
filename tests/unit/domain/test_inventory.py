from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.inventory import Balance, Inventory, Snapshot, Unread
from tests.unit.domain.build import DOWN, balance, inventory, snapshot
from tests.unit.domain.strategies import inventories


def test_balance__total__is_available_in_flight_and_held() -> None:
    assert balance("1.5", in_flight="2", held="0.25").total == Decimal("3.75")


def test_balance__only_available__has_nothing_in_flight_or_held() -> None:
    assert Balance(Decimal(3)).total == 3


@pytest.mark.parametrize("part", ["available", "in_flight", "held"])
def test_balance__negative_part__is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Balance(**{"available": Decimal(1), part: Decimal("-0.01")})


@pytest.mark.parametrize("amount", [1.5, 1, "1"])
def test_balance__not_a_decimal__is_refused(amount: Any) -> None:
    with pytest.raises(TypeError, match="available must be a Decimal"):
        Balance(amount)


def test_balance__absurdly_long__is_refused() -> None:
    with pytest.raises(ValueError, match="more than 96 digits"):
        Balance(Decimal("1E-97"))


def test_inventory__without_a_name__is_refused() -> None:
    with pytest.raises(ValueError, match="must name its asset"):
        Inventory("", balance("1"), balance("1"))


def test_ratio__both_read__is_the_onchain_part_of_all_that_is_held() -> None:
    found = inventory(balance("10", in_flight="5", held="5"), balance("70", held="10"))
    assert found.ratio == Decimal("0.2")
    assert found.total == 100


@pytest.mark.parametrize(("onchain", "offchain"), [(DOWN, "1"), ("1", DOWN), (DOWN, DOWN)])
def test_ratio__a_venue_unread__is_unknown(onchain: str | Unread, offchain: str | Unread) -> None:
    assert inventory(onchain, offchain).ratio is None
    assert inventory(onchain, offchain).total is None


def test_ratio__zero_total__is_unknown() -> None:
    assert inventory("0", "0").ratio is None
    assert inventory("0", "0").total == 0


def test_snapshot__no_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="taken_at must have a time zone"):
        snapshot(taken_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def test_snapshot__another_zone__is_kept_in_utc() -> None:
    taken = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert snapshot(taken_at=taken).to_dict()["taken_at"] == "2026-01-01T00:00:00+00:00"


def test_snapshot__inventory_under_another_name__is_refused() -> None:
    with pytest.raises(ValueError, match="the inventory of AAPL stands under TSLA"):
        snapshot(inventories={"TSLA": inventory("1", "1")})


def test_snapshot__the_mapping_it_was_made_from__is_copied() -> None:
    mapping = {"AAPL": inventory("1", "1")}
    taken = snapshot(inventories=mapping)
    mapping.clear()
    assert list(taken.inventories) == ["AAPL"]


def test_snapshot__once_made__cannot_be_changed() -> None:
    taken = snapshot()
    with pytest.raises(FrozenInstanceError):
        taken.base_block = 5  # type: ignore[misc]  # the point of the test


def test_snapshot__as_json__has_amounts_as_text_and_the_reason_of_what_is_unread() -> None:
    taken = snapshot(inventory(balance("1.50", in_flight="2", held="3"), DOWN), base_block=None)
    assert taken.to_dict() == {
        "id": "snapshot-1",
        "taken_at": "2026-01-02T15:29:58+00:00",
        "base_block": None,
        "ethereum_block": 200,
        "inventories": {
            "AAPL": {
                "onchain": {"available": "1.5", "in_flight": "2", "held": "3"},
                "offchain": {"unread": "timed out"},
            }
        },
    }


def test_snapshot__amount_stored_as_a_number__is_refused() -> None:
    stored = snapshot(inventory("1", "1")).to_dict()
    stored["inventories"]["AAPL"]["onchain"]["available"] = 1.5
    with pytest.raises(TypeError, match="written as text"):
        Snapshot.from_dict(stored)


@given(
    st.lists(inventories(), unique_by=lambda one: one.asset),
    st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))]),
    ),
    st.none() | st.integers(0, 2**64),
)
def test_snapshot__through_json__comes_back_equal(
    held: list[Inventory], taken_at: datetime, block: int | None
) -> None:
    taken = snapshot(*held, taken_at=taken_at, base_block=block)
    again = Snapshot.from_dict(json.loads(json.dumps(taken.to_dict())))
    assert again == taken
    assert again.to_dict() == taken.to_dict()
