"""Which class advances which leg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.legs.bridge import Bridge
from include.legs.convert import Convert
from include.legs.deposit import Deposit
from include.legs.mint import Mint
from include.legs.redeem import Redeem
from include.legs.vault import VaultDeposit, VaultWithdraw
from include.legs.withdraw import Withdraw
from include.legs.wrap import Unwrap, Wrap

if TYPE_CHECKING:
    from include.domain.operation import Leg
    from include.legs.leg import Step

STEPS: dict[Leg, type[Step]] = {
    step.leg: step
    for step in (Mint, Redeem, Withdraw, Bridge, Deposit, VaultDeposit, VaultWithdraw, Wrap, Unwrap, Convert)
}
