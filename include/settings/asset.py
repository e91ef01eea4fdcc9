"""One asset with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.domain.amounts import USDC

if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Asset:
    """What is set for one asset, and for all where it has nothing of its own.

    Amounts are in shares (equity) or USDC.

    :param token: its contract on Base; for USDC the profile's.
    :param stop_deviation: how far from the target a move stops; 0 is at the target.
    :param minimum: smaller moves are not started.
    :param maximum: larger ones are cut to it, and it is cut to the cap already. None is no limit.
    :param cap: what nothing that is set for a single asset exceeds; None for no cap.
    :param daily_maximum: most that is moved in a day (UTC), or None.
    :param approval_above: an amount above it needs a person's approval; None for never.
    :param approval_expiry: how long a person has for that.
    :param vaults: ids of its vaults; the first is the primary one.
    """

    symbol: str
    token: str
    enabled: bool
    target_ratio: Decimal
    deviation: Decimal
    stop_deviation: Decimal
    minimum: Decimal
    maximum: Decimal | None
    cap: Decimal | None
    daily_maximum: Decimal | None
    approval_above: Decimal | None
    approval_expiry: timedelta
    vaults: tuple[str, ...]
    wrapper: str | None

    @property
    def is_usdc(self) -> bool:
        """Tell USDC from the equities."""
        return self.symbol == USDC

    @property
    def vault(self) -> str | None:
        """Return the primary vault, where there is one."""
        return self.vaults[0] if self.vaults else None
