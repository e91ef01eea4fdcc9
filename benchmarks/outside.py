"""When things became true in the local world, seen from outside of what is measured.

Blocks and transactions are seen at the nodes, requests at the sandbox's broker, attestations at its service.
All times are seconds since 1970, by the clock of this machine.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from include.domain.operation import OperationKind
from include.ledger.records import EffectStatus
from include.sandbox.jsonrpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, Operation
    from include.sandbox.alpaca.state import TokenizationRequest, Transfer
    from include.sandbox.world import World

LOOK_EVERY = 0.04
"""Seconds between two looks at a node: what a moment may be late by."""
ETHEREUM, BASE = "ethereum", "base"
CHAIN_OF = {
    "mint_request": BASE,
    "token_transfer": BASE,
    "withdrawal_request": ETHEREUM,
    "usdc_transfer": ETHEREUM,
}
"""The chain on which an effect's own transaction, or the one that answers it, has to be trusted."""


@dataclass(frozen=True)
class Step:
    """One effect, and what has to become true before the next one can leave.

    :param left: when it reached the broker, or a node's pool.
    :param ends: when each of the things became true that the next step rests on.
    """

    name: str
    left: float
    ends: Mapping[str, float]

    @property
    def end(self) -> float:
        """When the last of them became true."""
        return max(self.ends.values())

    @property
    def wait(self) -> float:
        """The seconds that nobody but the venues could have made shorter."""
        return self.end - self.left


class Nodes:
    """Watches both nodes in a thread: when each block, and each transaction, was there first."""

    def __init__(self, world: World) -> None:
        self.blocks: dict[str, dict[int, float]] = {ETHEREUM: {}, BASE: {}}
        self.transactions: dict[str, float] = {}
        self._rpcs = {ETHEREUM: Rpc(world.ethereum_url), BASE: Rpc(world.base_url)}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(network,), name=f"watch-{network}", daemon=True)
            for network in self._rpcs
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for rpc in self._rpcs.values():
            rpc.close()

    def _watch(self, network: str) -> None:
        rpc, blocks = self._rpcs[network], self.blocks[network]
        pool = rpc.request("eth_newPendingTransactionFilter")
        while not self._stopping.wait(LOOK_EVERY):
            new, head = rpc.batch([("eth_getFilterChanges", (pool,)), ("eth_blockNumber", ())])
            now = time.time()
            for transaction_hash in new:
                self.transactions.setdefault(transaction_hash, now)
            number = int(head, 16)
            for missed in range(max(blocks, default=number - 1) + 1, number + 1):
                blocks[missed] = now

    def trusted(self, network: str, transaction_hash: str, confirmations: int) -> float:
        """Return when a transaction had that many blocks, its own among them."""
        receipt = self._rpcs[network].request("eth_getTransactionReceipt", transaction_hash)
        return self.blocks[network][int(receipt["blockNumber"], 16) + confirmations - 1]


@dataclass
class Outside:
    """Puts together what the nodes, the broker and the attestation service know of an operation.

    :param confirmations: how many blocks a transaction needs on each chain.
    """

    world: World
    nodes: Nodes
    ledger: Ledger
    confirmations: Mapping[str, int] = field(default_factory=lambda: {ETHEREUM: 3, BASE: 5})

    def steps(self, operation: Operation) -> list[Step]:
        """Return the effects of a settled operation, in the order in which they left.

        The ledger only names them; every moment comes from outside.
        """
        found = [
            self._step(operation, effect)
            for effect in self.ledger.effects(operation.id)
            if effect.status is EffectStatus.DONE
        ]
        return sorted(found, key=lambda step: step.left)

    def _step(self, operation: Operation, effect: Effect) -> Step:
        core, reference = self.world.broker.core, effect.reference or ""
        ends: dict[str, float] = {}
        transaction = reference
        with core.lock:
            if effect.name == "mint_request":
                request = core.state.requests[reference]
                left, transaction = request.created_at.timestamp(), request.tx_hash
                ends["completed at Alpaca"] = request.updated_at.timestamp()
            elif effect.name == "withdrawal_request":
                transfer = core.state.transfers[reference]
                left, transaction = transfer.created_at.timestamp(), str(transfer.tx_hash)
                ends["completed at Alpaca"] = transfer.updated_at.timestamp()
            else:
                left = self.nodes.transactions[reference]
                rows: list[TokenizationRequest | Transfer] = [*core.state.requests.values()]
                rows += core.state.transfers.values()
                answered = [row for row in rows if effect.name in CHAIN_OF and row.tx_hash == reference]
                if answered:
                    ends["completed at Alpaca"] = answered[0].updated_at.timestamp()
        network = CHAIN_OF.get(effect.name) or self._bridge_chain(operation, effect)
        ends[f"trusted on {network}"] = self.nodes.trusted(network, transaction, self.confirmations[network])
        if effect.name == "burn":
            ends["attested by Circle"] = self._attested_at(network, reference)
        return Step(effect.name, left, ends)

    @staticmethod
    def _bridge_chain(operation: Operation, effect: Effect) -> str:
        to_base = operation.kind is OperationKind.USDC_ALPACA_TO_BASE
        return BASE if to_base is (effect.name == "receive") else ETHEREUM

    def _attested_at(self, network: str, burn: str) -> float:
        deployment, service = self.world.deployment, self.world.attestation
        domain = (deployment.ethereum if network == ETHEREUM else deployment.base).domain
        assert service is not None
        [entry] = service.messages(domain, transaction_hash=burn)
        assert entry.attested_at is not None
        return entry.attested_at
