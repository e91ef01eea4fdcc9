"""Short ways to make domain values in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.domain.imbalance import Threshold
from include.domain.inventory import Balance, Inventory, Snapshot, Unread
from include.domain.operation import OpenOperation, OperationKind, Settled
from include.domain.plan import AssetPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 1, 2, 15, 30, tzinfo=UTC)
DOWN = Unread("timed out")


def threshold(target: str = "0.5", deviation: str = "0.3", stop: str = "0") -> Threshold:
    return Threshold(Decimal(target), Decimal(deviation), Decimal(stop))


def balance(available: str, *, in_flight: str = "0", held: str = "0") -> Balance:
    return Balance(Decimal(available), Decimal(in_flight), Decimal(held))


def inventory(
    onchain: str | Balance | Unread, offchain: str | Balance | Unread, asset: str = "AAPL"
) -> Inventory:
    sides = [balance(side) if isinstance(side, str) else side for side in (onchain, offchain)]
    return Inventory(asset, *sides)


def snapshot(*inventories: Inventory, **changed: Any) -> Snapshot:
    values: dict[str, Any] = {
        "id": "snapshot-1",
        "taken_at": NOW - timedelta(seconds=2),
        "base_block": 100,
        "ethereum_block": 200,
        "inventories": {one.asset: one for one in inventories},
    }
    return Snapshot(**{**values, **changed})


def asset_policy(
    minimum: str = "0", maximum: str | None = None, *, cap: str | None = None, **more: Any
) -> AssetPolicy:
    most = {
        name: None if value is None else Decimal(value)
        for name, value in {"maximum": maximum, "cap": cap}.items()
    }
    return AssetPolicy(**{"threshold": threshold(), "minimum": Decimal(minimum), **most, **more})


def policy(assets: Iterable[str] | dict[str, AssetPolicy] = ("AAPL",), **changed: Any) -> Policy:
    values: dict[str, Any] = {
        "assets": assets if isinstance(assets, dict) else {asset: asset_policy() for asset in assets},
        "enabled": True,
        "may_start": True,
        "max_snapshot_age": timedelta(seconds=30),
    }
    return Policy(**{**values, **changed})


def operation(
    asset: str = "AAPL", kind: OperationKind = OperationKind.MINT, operation_id: str = "op-1"
) -> OpenOperation:
    return OpenOperation(operation_id, kind, asset)


def settled(
    asset: str = "AAPL",
    *,
    ago: float = 60,
    base: int | None = 90,
    ethereum: int | None = 190,
    refusals: int = 0,
) -> Settled:
    return Settled(asset, NOW - timedelta(seconds=ago), base, ethereum, refusals)
