"""What moves the broker's work on: it takes due steps, and watches the chains for what comes in."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_utils.address import to_checksum_address

from include.sandbox.alpaca import orders, tokenization, wallets
from include.sandbox.alpaca.chain import Chain, NonceSpentError
from include.sandbox.alpaca.state import (
    USDC,
    Incoming,
    Order,
    Stage,
    TokenizationRequest,
    Transfer,
    Whitelisted,
    Work,
)
from include.sandbox.jsonrpc import calldata

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from include.sandbox.alpaca.core import Core

log = logging.getLogger(__name__)

RETRY_AFTER = 0.5  # seconds after a step that failed
MORE_THAN_EXISTS = 2**255  # a transfer of this many units reverts


@dataclass
class Worker:
    """Takes every due step of every open piece of work, again and again.

    A transaction is signed and remembered before it is sent, and the same bytes are sent until they are
    mined, so that a step that is cut off and taken again mints or pays once.

    :param issuer: mints stock tokens on Base.
    :param payer: pays withdrawals on Ethereum.
    """

    core: Core
    ethereum: Chain
    base: Chain
    issuer: LocalAccount
    payer: LocalAccount
    poll: float = 0.1

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread of its own until :meth:`stop`."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="alpaca-worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step."""
        self._stopping.set()
        self.core.wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.tick()
            self.core.wake.wait(self.poll)
            self.core.wake.clear()

    def tick(self) -> None:
        """Look at both chains, then take every step that is due. What fails is tried again later."""
        with self.core.step:
            for watch in (self._watch_redemptions, self._watch_deposits):
                try:
                    watch()
                except Exception as error:  # a node that is away comes back; nothing was marked as seen
                    log.warning("%s: %r", watch.__name__, error)
            with self.core.lock:
                now = self.core.clock()
                due = [w for w in self.core.state.open_work() if w.due <= now and not w.stuck()]
            for work in due:
                try:
                    self._advance(work)
                except Exception as error:
                    log.warning("%s %s at %s: %r", type(work).__name__, work.id, work.stage, error)
                    with self.core.lock:
                        work.due = self.core.after(RETRY_AFTER)

    def _advance(self, work: Work) -> None:
        if isinstance(work, Whitelisted):
            with self.core.lock:
                wallets.decide_whitelist(self.core, work)
        elif isinstance(work, Order):
            with self.core.lock:
                orders.advance(self.core, work)
        elif isinstance(work, Transfer):
            if work.direction == "INCOMING":
                with self.core.lock:
                    wallets.credit_deposit(self.core, work)
            else:
                self._advance_withdrawal(work)
        elif isinstance(work, TokenizationRequest):
            if work.type == "redeem":
                with self.core.lock:
                    tokenization.credit_redemption(self.core, work)
            else:
                self._advance_mint(work)

    def _advance_mint(self, request: TokenizationRequest) -> None:
        core = self.core
        if request.stage is Stage.ACCEPTED:
            with core.lock:
                tokenization.journal_mint(core, request)
            return
        if request.fate in ("reject_returned", "reject_kept"):
            with core.lock:
                tokenization.reject_journaled_mint(core, request)
            return
        amount = int(request.qty * tokenization.TOKEN_UNIT)
        mint = calldata("mint(address,uint256)", [request.wallet_address, amount])
        mined = self._send_once(
            request, self.base, self.issuer, core.profile.stocks[request.symbol].token, mint
        )
        if mined is None or request.outgoing is None:
            return
        with core.lock:
            if mined:
                tokenization.complete_mint(core, request, request.outgoing.hash)
            else:
                self._send_anew(request)

    def _advance_withdrawal(self, transfer: Transfer) -> None:
        core = self.core
        fails = transfer.fate == "fail_with_hash"
        units = int((transfer.amount - transfer.fees) * wallets.USDC_UNIT)
        amount = MORE_THAN_EXISTS if fails else units
        pay = calldata("transfer(address,uint256)", [transfer.to_address, amount])
        if transfer.stage is Stage.ACCEPTED and transfer.fate == "complete_before_mined":
            self._complete_before_mined(transfer, pay)
            return
        if transfer.stage is Stage.ACCEPTED:
            with core.lock:
                if transfer.fate == "fail":
                    wallets.fail_withdrawal(core, transfer, None)
                    return
                if transfer.fate == "complete_before_hash":
                    wallets.debit_withdrawal(core, transfer, "COMPLETE")
                core.move_on(transfer, Stage.JOURNALED, core.latencies.withdrawal_broadcast)
            return
        mined = self._send_once(transfer, self.ethereum, self.payer, core.profile.usdc, pay)
        if mined is None or transfer.outgoing is None:
            return
        with core.lock:
            if fails:
                wallets.fail_withdrawal(core, transfer, transfer.outgoing.hash)
            elif not mined:
                self._send_anew(transfer)
            else:
                transfer.tx_hash = transfer.outgoing.hash
                if transfer.status == "PROCESSING":
                    status = "FAILED" if transfer.fate == "fail_but_sent" else "COMPLETE"
                    wallets.debit_withdrawal(core, transfer, status)
                core.move_on(transfer, Stage.DONE)

    def _complete_before_mined(self, transfer: Transfer, pay: str) -> None:
        core = self.core
        nonce = self._nonce_after_own(self.payer.address)
        signed = self.ethereum.sign(self.payer, core.profile.usdc, pay, nonce)
        with core.lock:
            transfer.outgoing, transfer.tx_hash = signed, signed.hash
            wallets.debit_withdrawal(core, transfer, "COMPLETE")
            core.move_on(transfer, Stage.SENDING, core.latencies.withdrawal_broadcast)

    def _send_once(self, work: Work, chain: Chain, signer: LocalAccount, to: str, data: str) -> bool | None:
        """Return whether the transaction of this work succeeded, or None while it is not mined."""
        if work.outgoing is None:
            signed = chain.sign(signer, to, data, self._nonce_after_own(signer.address))
            with self.core.lock:
                work.outgoing = signed
                self.core.move_on(work, Stage.SENDING)  # stored before anything is sent
        outgoing = work.outgoing
        outcome = chain.outcome(outgoing.hash)
        if outcome is not None:
            return outcome
        try:
            chain.broadcast(outgoing)
        except NonceSpentError:
            if chain.outcome(outgoing.hash) is None:
                # Another transaction took the nonce for good, so these bytes can never be mined.
                with self.core.lock:
                    self._send_anew(work)
            return None
        return chain.outcome(outgoing.hash)

    def _send_anew(self, work: Work) -> None:
        work.outgoing = None
        self.core.move_on(work, Stage.JOURNALED, RETRY_AFTER)

    def _nonce_after_own(self, signer: str) -> int:
        """Return the first nonce above those of this signer's transactions that are still to be mined."""
        with self.core.lock:
            taken = [w.outgoing.nonce for w in self.core.state.open_work() if w.outgoing is not None
                     and w.outgoing.signer == signer]  # fmt: skip
        return max(taken, default=-1) + 1

    def _watch_redemptions(self) -> None:
        core, profile = self.core, self.core.profile
        symbols = {stock.token: stock.symbol for stock in profile.stocks.values()}
        recipient = profile.redemption_wallet
        self._collect(self.base, symbols, recipient, core.state.redemptions, "redemption")
        linked = {wallet.lower() for wallet in profile.linked_wallets}
        with core.lock:
            for incoming in core.state.redemptions.values():
                waited = (core.clock() - incoming.seen_at).total_seconds()
                late_enough = waited >= core.latencies.redemption_seen
                if late_enough and incoming.sender.lower() in linked and self._is_ready(incoming):
                    tokenization.record_redemption(core, incoming)

    def _watch_deposits(self) -> None:
        core, profile = self.core, self.core.profile
        tokens = {profile.usdc: USDC}
        recipient = profile.deposit_address
        head = self._collect(self.ethereum, tokens, recipient, core.state.deposits, "deposit")
        with core.lock:
            for incoming in core.state.deposits.values():
                confirmations = head - incoming.block + 1
                if confirmations >= core.rules.deposit_confirmations and self._is_ready(incoming):
                    wallets.record_deposit(core, incoming)

    def _collect(
        self, chain: Chain, tokens: dict[str, str], recipient: str, seen: dict[str, Incoming], work: str
    ) -> int:
        """Add every transfer to `recipient` that is not yet among `seen`; return the newest block."""
        core, head = self.core, chain.head()
        assets: dict[str, str] = {to_checksum_address(token): asset for token, asset in tokens.items()}
        with core.lock:
            first = core.state.scanned.get(work, -1) + 1
        if first > head:
            return head
        found = chain.transfers(list(tokens), recipient, first, head)
        with core.lock:
            for transfer in found:
                if transfer.key not in seen:
                    seen[transfer.key] = Incoming(
                        key=transfer.key,
                        asset=assets[transfer.token],
                        sender=transfer.sender,
                        amount=transfer.amount,
                        block=transfer.block,
                        transaction_hash=transfer.transaction_hash,
                        seen_at=core.clock(),
                        fate=core.faults.fate(work),
                    )
            core.state.scanned[work] = head
            if found:
                core.changed()
        return head

    @staticmethod
    def _is_ready(incoming: Incoming) -> bool:
        return not incoming.handled and incoming.fate != "never_seen"
