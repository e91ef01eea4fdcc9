"""Whether a row of Alpaca is the request that an effect made: what differs, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from include.ledger.records import Effect

CLOCK_SKEW = timedelta(minutes=10)


def differences(*compared: tuple[str, Any, Any]) -> list[str]:
    """Say what is not as wanted, of (name, found, wanted)."""
    return [f"its {name} is {found}, not {wanted}" for name, found, wanted in compared if found != wanted]


def too_old(effect: Effect, created_at: datetime) -> list[str]:
    """Say that a row was made before its effect was begun, with room for clocks that differ."""
    begun = effect.sent_at or effect.intended_at
    if created_at >= begun - CLOCK_SKEW:
        return []
    return [f"it was made at {created_at:%Y-%m-%d %H:%M:%S} UTC, before {begun:%Y-%m-%d %H:%M:%S} UTC"]
