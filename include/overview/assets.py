"""The assets, as the newest check saw them and decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, Final

from include.domain.amounts import USDC, plain
from include.domain.decision import Reason
from include.domain.imbalance import Threshold
from include.domain.inventory import Inventory
from include.overview import models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.settings import Settings
    from include.settings.asset import Asset

NO_CHECK: Final = "nothing was looked at yet"
NOT_LOOKED_AT: Final = "the last check did not look at it"
_SHOWN: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Band:
    """What is set for one asset, as far as it is shown. Text is decimal."""

    target: str
    lower: str
    upper: str
    stop_lower: str
    stop_upper: str
    daily_maximum: str | None


def band(asset: Asset) -> Band:
    """Return the band of one asset."""
    threshold = Threshold(asset.target_ratio, asset.deviation, asset.stop_deviation)
    return Band(
        target=plain(threshold.target),
        lower=plain(threshold.lower),
        upper=plain(threshold.upper),
        stop_lower=plain(threshold.inner_lower),
        stop_upper=plain(threshold.inner_upper),
        daily_maximum=None if asset.daily_maximum is None else plain(asset.daily_maximum),
    )


def bands(settings: Settings) -> dict[str, Band]:
    """Return the band of every asset that is watched, in the order of the settings."""
    return {asset.symbol: band(asset) for asset in settings.watched()}


def ratio(asset: str, inventory: Mapping[str, Any] | None) -> str | None:
    """Return the onchain part of what is held of an asset, to 6 decimals; None where it is not known.

    :param inventory: the JSON form of an `Inventory`.
    """
    found = None if inventory is None else Inventory.from_dict(asset, inventory).ratio
    if found is None:
        return None
    return plain(found.quantize(_SHOWN, ROUND_HALF_EVEN, Context(prec=60)))


def assets(
    bands: Mapping[str, Band],
    inventories: Mapping[str, Any] | None,
    decisions: Mapping[str, Mapping[str, Any]],
) -> dict[str, models.Asset]:
    """Show every asset that is watched, as if none were claimed or held back.

    :param inventories: what the newest check saw, in JSON forms; None where there is no check yet.
    :param decisions: what it decided, likewise.
    """
    missing = {"unread": NO_CHECK if inventories is None else NOT_LOOKED_AT}
    found = {}
    for symbol, band in bands.items():
        seen = (inventories or {}).get(symbol)
        decision = decisions.get(symbol)
        move = decision and (decision["operation"] or decision["proposed"])
        found[symbol] = models.Asset(
            asset=symbol,
            kind="usdc" if symbol == USDC else "equity",
            onchain=_venue(missing if seen is None else seen["onchain"]),
            offchain=_venue(missing if seen is None else seen["offchain"]),
            ratio=ratio(symbol, seen),
            target=band.target,
            lower=band.lower,
            upper=band.upper,
            stop_lower=band.stop_lower,
            stop_upper=band.stop_upper,
            reason=decision and decision["reason"],
            detail=decision and decision["detail"],
            description=decision and _description(decision["reason"]),
            direction=move and move["kind"],
            amount=move and move["amount"],
            operation_id=None,
            held=False,
        )
    return found


def _venue(holding: Mapping[str, str]) -> models.Balance | models.UnreadVenue:
    if "unread" in holding:
        return models.UnreadVenue(unread=holding["unread"])
    return models.Balance(
        available=holding["available"], held=holding["held"], in_flight=holding["in_flight"]
    )


def _description(code: str) -> str | None:
    try:
        return Reason(code).description
    except ValueError:  # written by a version that knew other reasons
        return None
