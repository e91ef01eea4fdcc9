"""Circle's attestation service, for the two local chains: sees burns, waits, signs, and answers over HTTP."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx

from include.sandbox.attestation_http import attestation_app
from include.sandbox.attestation_rules import USDC, AttestationSettings, DelayReason, terms
from include.sandbox.jsonrpc import Rpc, RpcError
from include.sandbox.message_scanner import MessageScanner, SentMessage
from include.sandbox.messages import FAST, STANDARD, Message, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from include.sandbox.chains import Deployment

_log = logging.getLogger(__name__)
_SCAN_EVERY = 0.1


@dataclass(slots=True)
class Entry:
    """A message and how far the service is with it.

    :ivar seen_at: monotonic seconds
    :ivar attested: the message with everything filled in, once it is signed
    :ivar attested_at: seconds since 1970 at which it was signed for the first time
    :ivar reattest_at: monotonic seconds at which a re-attestation was asked for
    """

    sent: SentMessage
    seen_at: float
    delay_reason: DelayReason | None = None
    attested: Message | None = None
    attested_at: float | None = None
    signatures: bytes = b""
    reattest_at: float | None = None


class AttestationService:
    """What Circle's service does with the messages of two chains. `app` is its HTTP side.

    Nothing it holds needs to be kept: a new service reads the chains again, gives every message the same
    nonce and signs it again, perhaps with another fee or expiration block.

    :param monotonic: seconds that only grow, for waiting
    :param wall: seconds since 1970, to be compared with the times of blocks
    """

    def __init__(
        self,
        ethereum_url: str,
        base_url: str,
        deployment: Deployment,
        settings: AttestationSettings | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or AttestationSettings()
        self.deployment = deployment
        self._monotonic = monotonic
        self._wall = wall
        chains = ((deployment.ethereum, Rpc(ethereum_url)), (deployment.base, Rpc(base_url)))
        self._rpcs = {contracts.domain: rpc for contracts, rpc in chains}
        self._scanners = {contracts.domain: MessageScanner(rpc, contracts) for contracts, rpc in chains}
        # Held while entries change, never while a node is asked
        self._lock = threading.Lock()
        self._entries: dict[bytes, Entry] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.app = attestation_app(self)

    # What HTTP asks for

    def messages(
        self, source_domain: int, *, transaction_hash: str | None = None, nonce: bytes | None = None
    ) -> list[Entry]:
        """Return what is known of a transaction's messages, or of the one with a nonce, in their order."""
        with self._lock:
            found = [
                entry
                for entry in self._entries.values()
                if entry.sent.message.source_domain == source_domain
                and transaction_hash in (None, entry.sent.transaction_hash)
                and nonce in (None, entry.sent.nonce)
                and self._age(entry) >= self.settings.index_latency
            ]
        return sorted(found, key=lambda entry: entry.sent.log_index)

    def reattest(self, nonce: bytes) -> str | None:
        """Ask for an attestation that does not expire; return why not, if that cannot be.

        Asking again before it is there changes nothing.

        :raises KeyError: no message has this nonce
        """
        with self._lock:
            entry = self._entries[nonce]
            if entry.attested is None:
                return "Message is not attested yet."
            if entry.attested.expiration_block == 0:
                return "Message is already finalized."
            if entry.reattest_at is None:
                entry.reattest_at = self._monotonic()
        return None

    def allowance(self) -> Decimal:
        """Return the USDC that may still be attested before finality."""
        with self._lock:
            return self._allowance()

    def change(self, settings: AttestationSettings) -> None:
        """Use other settings from now on. What is signed stays as it is."""
        self.settings = settings

    # The work

    def start(self) -> None:
        """Follow the chains in a thread until `stop`."""
        if self._thread is not None:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="attestation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Stopping twice is harmless."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def advance(self) -> None:
        """Look at both chains once and sign what is due.

        :raises RpcError: a node refused a request
        :raises httpx.HTTPError: a node could not be reached
        """
        sent = [message for scanner in self._scanners.values() for message in scanner.scan()]
        heads = {domain: int(rpc.request("eth_blockNumber"), 16) for domain, rpc in self._rpcs.items()}
        with self._lock:
            self._remember(sent)
            if self.settings.paused:
                return
            for entry in self._entries.values():
                self._attest_if_due(entry, heads)

    def _run(self) -> None:
        reading = True
        while not self._stopping.wait(_SCAN_EVERY):
            try:
                self.advance()
            except (RpcError, httpx.HTTPError) as error:
                # A chain may be stopped for a while. Said once, not with every look
                if reading:
                    _log.warning("cannot read the chains: %s", error)
                reading = False
            else:
                reading = True

    def _remember(self, sent: Iterable[SentMessage]) -> None:
        # Rebuilt each time: a message whose block was rolled back is no longer known
        now = self._monotonic()
        self._entries = {
            message.nonce: self._entries.get(message.nonce) or Entry(message, seen_at=now) for message in sent
        }

    def _attest_if_due(self, entry: Entry, heads: dict[int, int]) -> None:
        message = entry.sent.message
        source, destination = message.source_domain, message.destination_domain
        # Only what goes between these two chains can be attested
        if destination not in heads or destination == source:
            return
        age = self._age(entry)
        final = age >= self.settings.standard_latency[source]
        if entry.attested is not None:
            if final and entry.reattest_at is not None:
                self._reattest_if_due(entry, entry.attested, entry.reattest_at)
            return
        if message.min_finality <= FAST and entry.delay_reason is None:
            if age < self.settings.fast_latency[source]:
                return
            how = terms(message, self.settings, self._allowance())
            if how.fast:
                expires = heads[destination] + self.settings.expiration_blocks[destination]
                self._sign(entry, message.filled(entry.sent.nonce, FAST, how.fee, expires))
                return
            entry.delay_reason = how.delay_reason
        if final:
            self._sign(entry, message.filled(entry.sent.nonce, STANDARD))

    def _reattest_if_due(self, entry: Entry, attested: Message, asked_at: float) -> None:
        if self._monotonic() - asked_at >= self.settings.reattest_latency:
            # The allowance was reserved, so the fee stays
            self._sign(entry, attested.filled(entry.sent.nonce, STANDARD, attested.fee_executed))
            entry.reattest_at = None

    def _sign(self, entry: Entry, message: Message) -> None:
        signers = self.deployment.attesters[: self.deployment.threshold]
        entry.signatures = sign(message.data, signers)
        entry.attested = message
        entry.attested_at = entry.attested_at or self._wall()

    def _allowance(self) -> Decimal:
        reserved = sum(
            entry.attested.amount
            for entry in self._entries.values()
            if entry.attested is not None
            and entry.attested.expiration_block != 0
            and self._age(entry) < self.settings.standard_latency[entry.attested.source_domain]
        )
        return max(Decimal(0), self.settings.fast_allowance - reserved / USDC)

    def _age(self, entry: Entry) -> float:
        # A chain whose blocks come faster than the seconds has a clock ahead of ours; and after a restart, a
        # message that is old was not only just sent
        return max(self._monotonic() - entry.seen_at, self._wall() - entry.sent.sent_at)
