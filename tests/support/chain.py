"""A chain in memory: blocks, a pool, nonces, and nothing that a test does not ask for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.venues.errors import OutcomeUnknown
from include.venues.evm.errors import NonceTooLow, ReplacementUnderpriced
from include.venues.evm.types import Block, Call, Fees, Receipt, SignedTransaction, Transaction

if TYPE_CHECKING:
    from include.venues.evm.types import UnsignedTransaction

WALLET = "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B"
ELSEWHERE = Call("0x2BfE706563EDf89dBbA3eaec18455E0389922E2c", b"\xff")


@dataclass(frozen=True)
class Bytes:
    """What the plain signer's bytes say."""

    sender: str
    nonce: int
    fee: int
    data: str
    hash: str


def read(raw: bytes) -> Bytes:
    return Bytes(**json.loads(raw), hash=f"0x{hashlib.sha256(raw).hexdigest()}")


@dataclass
class PlainSigner:
    """Signs readably and deterministically; the chain in memory asks for no more."""

    address: str = WALLET

    def sign(self, tx: UnsignedTransaction) -> SignedTransaction:
        raw = json.dumps(
            {
                "sender": self.address,
                "nonce": tx.nonce,
                "fee": tx.fees.max_fee_per_gas,
                "data": tx.call.data.hex(),
            }
        ).encode()
        return SignedTransaction(raw=raw, hash=read(raw).hash)


@dataclass
class MemoryChain:
    """Answers like `Chain`. Blocks are mined by `mine`, with whatever waits in the pool and has its turn."""

    chain_id: int = 8453
    name: str = "Base"
    blocks: list[list[Receipt]] = field(default_factory=lambda: [[] for _ in range(50)])
    spent: list[tuple[int, str, int, str]] = field(default_factory=list)  # block, sender, nonce, hash
    pool: dict[tuple[str, int], Bytes] = field(default_factory=dict)
    wei: int = 10**18
    gas_price: int = 10**9
    reverts: set[str] = field(default_factory=set)
    offered: list[bytes] = field(default_factory=list)
    loses_answers: bool = False
    drops_everything: bool = False
    known: dict[str, Transaction] = field(default_factory=dict)

    def head(self) -> Block:
        number = len(self.blocks) - 1
        return Block(number, f"0x{number}", number)

    def nonce(self, owner: str, *, block: int | None = None, pending: bool = False) -> int:
        last = len(self.blocks) - 1 if block is None else block
        mined = sum(1 for at, sender, _, _ in self.spent if sender == owner and at <= last)
        while pending and (owner, mined) in self.pool:
            mined += 1
        return mined

    def balance(self, _owner: str) -> int:
        return self.wei

    def fees(self) -> Fees:
        return Fees(max_fee_per_gas=self.gas_price, max_priority_fee_per_gas=1)

    def estimate_gas(self, _call: Call, *, sender: str, floor: int = 0) -> int:
        assert sender
        return max(50_000, floor)

    def broadcast(self, raw: bytes) -> str:
        self.offered.append(raw)
        sent = read(raw)
        if self.drops_everything:
            raise OutcomeUnknown("no answer")
        if sent.nonce < self.nonce(sent.sender):
            raise NonceTooLow("nonce too low")
        waiting = self.pool.get((sent.sender, sent.nonce))
        if waiting is not None and waiting.hash != sent.hash and sent.fee * 10 < waiting.fee * 11:
            raise ReplacementUnderpriced("replacement transaction underpriced")
        self.pool[sent.sender, sent.nonce] = sent
        if self.loses_answers:
            raise OutcomeUnknown("the answer was lost")
        return sent.hash

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            receipts: list[Receipt] = []
            self.blocks.append(receipts)
            number = len(self.blocks) - 1
            for sender, nonce in sorted(self.pool):
                if nonce == self.nonce(sender):
                    sent = self.pool.pop((sender, nonce))
                    self._include(number, receipts, sent)

    def _include(self, number: int, receipts: list[Receipt], sent: Bytes) -> None:
        self.spent.append((number, sent.sender, sent.nonce, sent.hash))
        receipts.append(
            Receipt(
                transaction_hash=sent.hash,
                block_number=number,
                block_hash=f"0x{number}",
                status=sent.hash not in self.reverts,
                gas_used=50_000,
                effective_gas_price=self.gas_price,
                logs=(),
            )
        )

    def spend(self, owner: str, nonce: int, call: Call = ELSEWHERE) -> str:
        """Let somebody else, who has the key, use a nonce in the next block."""
        raw = json.dumps({"sender": owner, "nonce": nonce, "fee": 10**12, "data": call.data.hex()}).encode()
        sent = read(raw)
        self.pool[owner, nonce] = sent
        self.known[sent.hash] = Transaction(sent.hash, owner, nonce, call, None)
        return sent.hash

    def forget(self, blocks: int) -> None:
        """Reorganise: the newest blocks never happened, and their transactions are in nobody's pool."""
        del self.blocks[-blocks:]
        self.spent = [entry for entry in self.spent if entry[0] < len(self.blocks)]

    def receipt(self, tx_hash: str) -> Receipt | None:
        return next(
            (receipt for block in self.blocks for receipt in block if receipt.transaction_hash == tx_hash),
            None,
        )

    def transaction(self, tx_hash: str) -> Transaction | None:
        return self.known.get(tx_hash)

    def find_spender(self, owner: str, nonce: int, *, from_block: int, to_block: int) -> str | None:
        for at, sender, used, tx_hash in self.spent:
            if (sender, used) == (owner, nonce) and from_block <= at <= to_block:
                return tx_hash
        return None
