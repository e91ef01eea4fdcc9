"""Tokens in the wallet become shares at Alpaca."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import TOKEN_DECIMALS, floor_to, plain, to_base_units
from include.domain.operation import Leg
from include.legs import preflight
from include.legs.conditions import RedemptionDecided
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.legs.sender import Sender
from include.venues.evm import erc20

if TYPE_CHECKING:
    from include.venues.alpaca.models import TokenizationRequest
    from include.venues.evm.types import Call, Receipt

TRANSFER = "token_transfer"


class Redeem(Step):
    """Send tokens to the issuer's redemption wallet, and wait until Alpaca has credited the shares.

    One redemption is one transaction: Alpaca's row is found by its hash, which would be ambiguous otherwise.
    """

    leg: ClassVar[Leg] = Leg.REDEEM

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        receipt = Sender(self, Network.BASE).send(TRANSFER, self._transfer, irreversible=True)
        if isinstance(receipt, Wait):
            return receipt
        request = self._seen(receipt)
        if request is None or request.is_pending:
            what = "see the tokens" if request is None else f"credit the shares (request {request.id})"
            return Wait(
                RedemptionDecided(self.operation.asset, receipt.transaction_hash),
                self.settings.redemption_poll,
                f"the issuer and Alpaca to {what}",
                self.settings.redemption_deadline,
            )
        if request.is_completed:
            shares = floor_to(request.quantity, self.operation.decimals)
            amount = to_base_units(shares, self.operation.decimals)
            return Done(amount, receipt.transaction_hash, base_block=receipt.block_number)
        return self.pause(
            REFUSED_POLL,
            f"a person, as redemption {request.id} is {request.status}",
            self.settings.redemption_deadline,
            attention=f"{plain(self.quantity)} {self.operation.asset} tokens were sent in "
            f"{receipt.transaction_hash} and request {request.id} is {request.status}",
        )

    def _transfer(self) -> Call:
        preflight.require_account(self.venues)
        preflight.require_gas(self.venues, Network.BASE)
        redemption_wallet = preflight.require_set(self.settings.redemption_wallet, "redemption_wallet")
        return erc20.transfer(
            self.terms.token, redemption_wallet, to_base_units(self.quantity, TOKEN_DECIMALS)
        )

    def _seen(self, receipt: Receipt) -> TokenizationRequest | None:
        for request in self.venues.alpaca.tokenization_requests(type="redeem", symbol=self.operation.asset):
            if request.tx_hash == receipt.transaction_hash:
                return request
        return None
