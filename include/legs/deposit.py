"""USDC in the wallet on Ethereum becomes USDC at Alpaca."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import floor_to, from_base_units, plain, to_base_units
from include.domain.operation import Leg
from include.legs import preflight
from include.legs.conditions import DepositDecided
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.legs.sender import Sender
from include.venues.evm import erc20

if TYPE_CHECKING:
    from include.venues.alpaca.models import CryptoTransfer
    from include.venues.evm.types import Call

TRANSFER = "usdc_transfer"


class Deposit(Step):
    """Send USDC to Alpaca's deposit address, and wait for the credit."""

    leg: ClassVar[Leg] = Leg.DEPOSIT

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        receipt = Sender(self, Network.ETHEREUM).send(TRANSFER, self._transfer, irreversible=True)
        if isinstance(receipt, Wait):
            return receipt
        row = self._seen(receipt.transaction_hash)
        if row is not None and row.is_complete:
            credited = to_base_units(floor_to(row.amount, self.operation.decimals), self.operation.decimals)
            return Done(credited, receipt.transaction_hash, ethereum_block=receipt.block_number)
        if row is not None and row.is_failed:
            return self.pause(
                REFUSED_POLL,
                f"a person, as Alpaca failed the deposit {row.id}",
                self.settings.deposit_deadline,
                attention=f"{plain(from_base_units(self.amount, self.operation.decimals))} USDC were sent in "
                f"{receipt.transaction_hash} and Alpaca calls the deposit {row.id} failed",
            )
        return Wait(
            DepositDecided(receipt.transaction_hash),
            self.settings.deposit_poll,
            f"Alpaca to credit the deposit {receipt.transaction_hash}",
            self.settings.deposit_deadline,
        )

    def _transfer(self) -> Call:
        address = preflight.require_deposit_address(self.venues)
        return erc20.transfer(self.venues.facts(Network.ETHEREUM).usdc, address, self.amount)

    def _seen(self, tx_hash: str) -> CryptoTransfer | None:
        for row in self.venues.alpaca.transfers():
            # An outgoing row can carry the same hash.
            if row.is_incoming and row.tx_hash == tx_hash:
                return row
        return None
