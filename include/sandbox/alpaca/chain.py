"""The few things the broker and its issuer do on a chain, over plain JSON-RPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.sandbox.alpaca.state import Outgoing
from include.sandbox.jsonrpc import Rpc, RpcError, calldata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eth_account.signers.local import LocalAccount

TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
GAS = 300_000
GWEI = 10**9


class NonceSpentError(Exception):
    """The nonce of a transaction was used by another one, or by this one."""


@dataclass(frozen=True)
class TokenTransfer:
    """One ERC-20 Transfer. `amount` is in base units, addresses are checksummed."""

    token: str
    sender: str
    recipient: str
    amount: int
    block: int
    transaction_hash: str
    log_index: int

    @property
    def key(self) -> str:
        """Return what makes this transfer one of a kind."""
        return f"{self.transaction_hash}:{self.log_index}"


class Chain(Protocol):
    """What the worker needs of a chain. :class:`EvmChain` is the real one."""

    def head(self) -> int:
        """Return the newest block number."""
        ...

    def transfers(self, tokens: Iterable[str], recipient: str, first: int, last: int) -> list[TokenTransfer]:
        """Return the token transfers to `recipient` in a range of blocks."""
        ...

    def sign(self, signer: LocalAccount, to: str, data: str, lowest_nonce: int) -> Outgoing:
        """Sign a transaction with the next free nonce, not below `lowest_nonce`. Nothing is sent."""
        ...

    def broadcast(self, outgoing: Outgoing) -> None:
        """Send signed bytes; sending them again does no harm.

        :raises NonceSpentError: the nonce is spent, by this or another transaction.
        """
        ...

    def outcome(self, transaction_hash: str) -> bool | None:
        """Return True when mined, False when mined and reverted, None otherwise."""
        ...


class EvmChain:
    """A chain behind a JSON-RPC URL. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rpc = Rpc(url)
        self._chain_id: int | None = None

    def close(self) -> None:
        """Close the connections."""
        self.rpc.close()

    def chain_id(self) -> int:
        """Return the chain id, asked once."""
        if self._chain_id is None:
            self._chain_id = int(self.rpc.request("eth_chainId"), 16)
        return self._chain_id

    def head(self) -> int:
        """Return the newest block number."""
        return int(self.rpc.request("eth_blockNumber"), 16)

    def balances(self, tokens: Sequence[str], holder: str, block: int) -> list[int]:
        """Return the balances of many tokens at one block, in base units."""
        data = calldata("balanceOf(address)", [holder])
        calls = [("eth_call", ({"to": token, "data": data}, hex(block))) for token in tokens]
        return [int(answer, 16) for answer in self.rpc.batch(calls)]

    def logs(
        self, addresses: Iterable[str], topics: list[str | None], first: int, last: int
    ) -> list[dict[str, Any]]:
        """Return raw logs of a range of blocks."""
        if first > last:
            return []
        query = {
            "address": list(addresses),
            "topics": topics,
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        found: list[dict[str, Any]] = self.rpc.request("eth_getLogs", query)
        return found

    def transfers(
        self, tokens: Iterable[str], recipient: str | None, first: int, last: int, sender: str | None = None
    ) -> list[TokenTransfer]:
        """Return the token transfers to `recipient` (and from `sender`) in a range of blocks."""
        topics = [TRANSFER, topic(sender), topic(recipient)]
        return [_transfer(log) for log in self.logs(tokens, topics, first, last)]

    def sign(self, signer: LocalAccount, to: str, data: str, lowest_nonce: int) -> Outgoing:
        """Sign a transaction with the next free nonce, not below `lowest_nonce`. Nothing is sent."""
        nonce = max(
            lowest_nonce, int(self.rpc.request("eth_getTransactionCount", signer.address, "pending"), 16)
        )
        base_fee = int(self.rpc.request("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        signed = signer.sign_transaction(
            {
                "type": HexStr("0x2"),
                "chainId": self.chain_id(),
                "nonce": nonce,
                "to": to_checksum_address(to),
                "data": HexStr(data),
                "value": 0,
                "gas": GAS,
                "maxFeePerGas": 2 * base_fee + 2 * GWEI,
                "maxPriorityFeePerGas": GWEI,
            }
        )
        return Outgoing(
            raw="0x" + signed.raw_transaction.hex().removeprefix("0x"),
            hash="0x" + signed.hash.hex().removeprefix("0x"),
            nonce=nonce,
            signer=signer.address,
        )

    def broadcast(self, outgoing: Outgoing) -> None:
        """Send signed bytes; sending them again does no harm.

        :raises NonceSpentError: the nonce is spent, by this or another transaction.
        """
        try:
            self.rpc.request("eth_sendRawTransaction", outgoing.raw)
        except RpcError as error:
            reason = str(error).lower()
            if "nonce too low" in reason:
                raise NonceSpentError(reason) from error
            if "already" not in reason:  # "already known", "already imported": it is there
                raise

    def outcome(self, transaction_hash: str) -> bool | None:
        """Return True when mined, False when mined and reverted, None otherwise."""
        receipt = self.rpc.request("eth_getTransactionReceipt", transaction_hash)
        return None if receipt is None else int(receipt["status"], 16) == 1


def topic(address: str | None) -> str | None:
    """Return an address as a filter of an indexed event field."""
    return None if address is None else "0x" + address[2:].lower().rjust(64, "0")


def _transfer(log: dict[str, Any]) -> TokenTransfer:
    return TokenTransfer(
        token=to_checksum_address(log["address"]),
        sender=to_checksum_address("0x" + log["topics"][1][-40:]),
        recipient=to_checksum_address("0x" + log["topics"][2][-40:]),
        amount=int(log["data"], 16),
        block=int(log["blockNumber"], 16),
        transaction_hash=log["transactionHash"],
        log_index=int(log["logIndex"], 16),
    )
