"""Finds the CCTP messages that a chain sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from include.sandbox.jsonrpc import RpcError
from include.sandbox.messages import BODY, Message

if TYPE_CHECKING:
    from include.sandbox.chains import ChainContracts
    from include.sandbox.jsonrpc import Rpc

_MESSAGE_SENT = "0x" + keccak(text="MessageSent(bytes)").hex()
_BLOCK_RANGE = 2_000


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message in its source chain's log.

    :ivar nonce: depends only on the place of the message in the chain, so it is the same after a restart
    :ivar sent_at: the time of the block, in seconds since 1970
    """

    message: Message
    transaction_hash: str
    log_index: int
    sent_at: int
    nonce: bytes


class MessageScanner:
    """Follows one chain. It keeps nothing that it could not read again from block 0.

    :param block_range: how many blocks one request for logs covers
    """

    def __init__(self, rpc: Rpc, contracts: ChainContracts, *, block_range: int = _BLOCK_RANGE) -> None:
        self._block_range = block_range
        self._rpc = rpc
        self._contracts = contracts
        self._found: list[SentMessage] = []
        self._last: tuple[int, str] | None = None

    def scan(self) -> list[SentMessage]:
        """Return all messages on the chain as it is now, in the order in which they were sent.

        :raises RpcError: the node refused a request
        :raises httpx.HTTPError: the node could not be reached
        """
        head = self._rpc.request("eth_getBlockByNumber", "latest", False)
        number = int(head["number"], 16)
        if self._last == (number, head["hash"]):
            return self._found
        # A chain that was rolled back has another block, or none, where this one was
        if self._last is None or not self._is_on_chain(*self._last):
            found, start = [], 0
        else:
            found, start = list(self._found), self._last[0] + 1
        for first in range(start, number + 1, self._block_range):
            found += self._read(first, min(first + self._block_range - 1, number))
        self._found, self._last = found, (number, head["hash"])
        return found

    def _is_on_chain(self, number: int, block_hash: str) -> bool:
        block = self._rpc.request("eth_getBlockByNumber", hex(number), False)
        return block is not None and block["hash"] == block_hash

    def _read(self, first: int, last: int) -> list[SentMessage]:
        query = {
            "address": self._contracts.message_transmitter,
            "topics": [_MESSAGE_SENT],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        messages = [self._sent_message(log) for log in self._rpc.request("eth_getLogs", query)]
        return [sent for sent in messages if len(sent.message.data) >= BODY]

    def _sent_message(self, log: dict[str, Any]) -> SentMessage:
        (data,) = decode(["bytes"], bytes.fromhex(log["data"][2:]))
        block = self._rpc.request("eth_getBlockByHash", log["blockHash"], False)
        if block is None:
            msg = "a block was rolled back while it was read"
            raise RpcError(msg)
        index = int(log["logIndex"], 16)
        return SentMessage(
            message=Message(data),
            transaction_hash=log["transactionHash"].lower(),
            log_index=index,
            sent_at=int(block["timestamp"], 16),
            nonce=keccak(text=f"ballast sandbox {self._contracts.domain} {log['transactionHash']} {index}"),
        )
