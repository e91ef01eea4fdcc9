"""Shares at Alpaca become tokens in the wallet."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import TOKEN_DECIMALS, floor_to, from_base_units, plain, to_base_units
from include.domain.operation import Leg
from include.ledger.records import EffectStatus
from include.legs import allowances, preflight
from include.legs.conditions import TokenizationDecided, TransactionTrusted
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.venues.alpaca.errors import KeyReused
from include.venues.errors import OutcomeUnknown, Refused
from include.venues.evm import erc20, erc4626

if TYPE_CHECKING:
    from include.ledger.records import Effect
    from include.venues.alpaca.models import TokenizationRequest

REQUEST = "mint_request"
LOOKUP_LAG = timedelta(minutes=5)
"""After this a request that Alpaca does not list was never taken."""


class MintRejected(Refused):
    """The issuer rejected the mint, and the shares are back."""


class Mint(Step):
    """Ask Alpaca to mint, wait, and verify the tokens on chain.

    The request carries the operation's id as its key, so that asking again is the same request.
    """

    leg: ClassVar[Leg] = Leg.MINT

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        effect = self.lease.effect(self.leg, REQUEST)
        if effect is None:
            waiting = self._prepare_later_legs()
            if waiting is not None:
                return waiting
            effect = self._intend()
        request = self._request(effect)
        if isinstance(request, Wait):
            return request
        if request.is_completed:
            return self._verify(request)
        if request.is_rejected:
            return self._rejected(effect)
        return Wait(
            TokenizationDecided(request.id),
            self.settings.mint_poll,
            f"Alpaca and the issuer to mint (request {request.id})",
            self.settings.mint_deadline,
            attention=None if request.is_pending else f"request {request.id} is {request.status}",
        )

    def _prepare_later_legs(self) -> Wait | None:
        """Require the way ahead of the tokens, and grant the allowances it needs."""
        if self.legs[-1] is self.leg:
            return None
        preflight.require_gas(self.venues, Network.BASE)
        if self.terms.wrapper is not None:
            self._require_wrappable(self.terms.wrapper)
        return allowances.ensure_later(self)

    def _require_wrappable(self, wrapper: str) -> None:
        """Require that the wrapper takes what is going to be minted."""
        wanted = to_base_units(self.quantity, TOKEN_DECIMALS)
        most = erc20.decode_uint(self.venues.base.call(erc4626.max_deposit(wrapper, self.venues.wallet)))
        if most < wanted:
            msg = (
                f"the wrapper of {self.operation.asset} takes {plain(from_base_units(most, TOKEN_DECIMALS))} "
                f"at most, and {plain(self.quantity)} are to be minted"
            )
            raise preflight.NotReady(msg)

    def _intend(self) -> Effect:
        preflight.require_account(self.venues)
        asset = self.operation.asset
        intent = {
            "symbol": asset,
            "quantity": plain(self.quantity),
            "issuer": self.settings.issuer,
            "network": self.settings.tokenization_network,
            "wallet": self.venues.wallet,
            "token": self.terms.token,
            # What the position was, so that after a rejection it can be seen whether the shares are back.
            "position": plain(self._position(asset)),
        }
        return self.lease.intend(self.leg, REQUEST, intent, irreversible=True)

    def _position(self, symbol: str) -> Decimal:
        return sum(
            (row.quantity for row in self.venues.alpaca.positions() if row.symbol == symbol), start=Decimal(0)
        )

    def _request(self, effect: Effect) -> TokenizationRequest | Wait:
        alpaca = self.venues.alpaca
        if effect.status is EffectStatus.DONE:
            found = alpaca.tokenization_request(effect.reference or "")
            if found is None:
                return self.pause(
                    self.settings.mint_poll,
                    f"Alpaca to know its own request {effect.reference} again",
                    self.settings.mint_deadline,
                )
            return found
        if effect.status is EffectStatus.NOT_DONE:
            raise MintRejected(effect.detail or "the mint was rejected")
        found = alpaca.tokenization_request_by_client_id(self.operation.id)
        if found is None:
            asked_before = effect.status is not EffectStatus.INTENDED
            if not asked_before:
                effect = self.lease.sent(effect)
            try:
                found = self._post(effect)
            except KeyReused as error:
                return self.pause(
                    REFUSED_POLL,
                    "a person, as Alpaca knows the request's key but not the request",
                    self.settings.mint_deadline,
                    attention=str(error),
                )
            except Refused as error:
                if asked_before and self._is_recent(effect):
                    # It answers this request alone; an earlier one may be on its way into Alpaca's list.
                    return self.pause(
                        self.settings.mint_poll,
                        f"Alpaca's list to show whether an earlier request was taken: {error}",
                        self.settings.mint_deadline,
                    )
                self.lease.not_done(effect, str(error))
                raise
            except OutcomeUnknown as error:
                return self.pause(
                    self.settings.mint_poll,
                    f"an answer to the mint request, as the last one was lost: {error}",
                    self.settings.mint_deadline,
                )
        self.lease.done(effect, found.id)
        return found

    def _is_recent(self, effect: Effect) -> bool:
        return effect.sent_at is None or self.venues.now() < effect.sent_at + LOOKUP_LAG

    def _post(self, effect: Effect) -> TokenizationRequest:
        intent = effect.intent
        return self.venues.alpaca.mint(
            symbol=intent["symbol"],
            quantity=Decimal(intent["quantity"]),
            issuer=intent["issuer"],
            network=intent["network"],
            wallet=intent["wallet"],
            client_request_id=self.operation.id,
            idempotency_key=self.operation.id,
        )

    def _rejected(self, effect: Effect) -> Wait:
        asset = effect.intent["symbol"]
        held, before = self._position(asset), Decimal(effect.intent["position"])
        if held >= before:
            why = f"the mint request {effect.reference} was rejected and the shares are back"
            self.lease.not_done(effect, why)
            raise MintRejected(why)
        return self.pause(
            REFUSED_POLL,
            f"the shares of the rejected request {effect.reference} to come back",
            self.settings.mint_deadline,
            attention=f"the mint was rejected and the position of {asset}, before it {plain(before)}, "
            f"is {plain(held)}",
        )

    def _verify(self, request: TokenizationRequest) -> Done | Wait:
        """Believe the chain, not the status: the tokens have to be in the wallet."""
        if request.tx_hash is None:
            return self.pause(
                self.settings.mint_poll,
                f"Alpaca to name the transaction of request {request.id}",
                self.settings.mint_deadline,
            )
        effect = self.lease.effect(self.leg, REQUEST)
        intent = effect.intent if effect is not None else {}
        trusted = TransactionTrusted(Network.BASE.value, request.tx_hash)
        receipt = self.venues.base.receipt(request.tx_hash)
        if receipt is None or not trusted.holds(self.venues):
            return Wait(
                trusted,
                self.settings.receipt_poll,
                f"the minting transaction {request.tx_hash} on Base",
                self.settings.receipt_deadline,
            )
        arrived = sum(
            transfer.amount
            for transfer in erc20.transfers(receipt, intent["token"])
            if transfer.recipient == intent["wallet"]
        )
        tokens = floor_to(from_base_units(arrived, TOKEN_DECIMALS), self.operation.decimals)
        amount = to_base_units(tokens, self.operation.decimals)
        if not receipt.status or amount < self.amount:
            return self.pause(
                REFUSED_POLL,
                f"a person, as transaction {request.tx_hash} did not bring all tokens",
                self.settings.mint_deadline,
                attention=f"transaction {request.tx_hash} brought {plain(tokens)} of "
                f"{plain(self.quantity)} {self.operation.asset}",
            )
        return Done(amount, request.tx_hash, base_block=receipt.block_number)
