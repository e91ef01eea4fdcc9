"""A node that answers from a table, and a chain that exists only in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.venues.evm.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

URL = "http://node.test:8545"
OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"


class FakeNode:
    """Answers each method with what it was given: a result, an error object, or an exception to raise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self._answers: dict[str, Callable[[list[Any]], object]] = {}

    def result(self, method: str, result: object) -> FakeNode:
        return self.answer(method, {"jsonrpc": "2.0", "id": 1, "result": result})

    def error(self, method: str, message: str, *, code: int = -32000, data: object = None) -> FakeNode:
        error: dict[str, object] = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        return self.answer(method, {"jsonrpc": "2.0", "id": 1, "error": error})

    def answer(self, method: str, answer: object) -> FakeNode:
        return self.by(method, lambda _: answer)

    def by(self, method: str, answer: Callable[[list[Any]], object]) -> FakeNode:
        self._answers[method] = answer
        return self

    def make_request(self, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        answer = self._answers[method](params)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def chain(self, url: str = URL) -> Chain:
        return Chain(url, chain_id=8453, name="base", provider=self)


def header(height: int, **changes: object) -> dict[str, object]:
    return {
        "number": hex(height),
        "hash": block_hash(height),
        "timestamp": hex(1_700_000_000 + 2 * height),
        "baseFeePerGas": hex(100),
        "transactions": [],
    } | changes


def block_hash(number: int) -> str:
    return "0x" + (0xB10C << 64 | number).to_bytes(32, "big").hex()


def transaction_hash(number: int) -> str:
    return "0x" + (0x7A << 64 | number).to_bytes(32, "big").hex()


def raw_log(**changes: object) -> dict[str, object]:
    return {
        "address": TOKEN.lower(),
        "topics": ["0x" + "ab" * 32],
        "data": "0x" + "01" * 32,
        "logIndex": "0x2",
        "transactionHash": transaction_hash(7),
        "blockNumber": "0x5",
        "blockHash": block_hash(5),
        "removed": False,
    } | changes


def raw_receipt(**changes: object) -> dict[str, object]:
    return {
        "transactionHash": transaction_hash(7),
        "blockNumber": "0x5",
        "blockHash": block_hash(5),
        "status": "0x1",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x3b9aca00",
        "logs": [raw_log()],
    } | changes


class SyntheticChain:
    """Blocks of transactions of two accounts; the nonces of each account count up.

    :param senders: for each block, starting with block 0, who sends its transactions.
    """

    def __init__(self, senders: Sequence[Sequence[str]]) -> None:
        self.node = FakeNode()
        self.spent: dict[tuple[str, int], tuple[int, str]] = {}
        self._blocks: list[list[dict[str, object]]] = []
        self._counts: list[dict[str, int]] = []
        counts: dict[str, int] = {}
        for number, block in enumerate(senders):
            transactions: list[dict[str, object]] = []
            for sender in block:
                nonce = counts.get(sender, 0)
                counts[sender] = nonce + 1
                found = transaction_hash(len(self.spent))
                self.spent[sender, nonce] = (number, found)
                transactions.append({"from": sender.lower(), "nonce": hex(nonce), "hash": found})
            self._blocks.append(transactions)
            self._counts.append(dict(counts))
        self.node.by("eth_getTransactionCount", self._count).by("eth_getBlockByNumber", self._block)

    @property
    def head(self) -> int:
        return len(self._blocks) - 1

    def _count(self, params: list[Any]) -> object:
        number = int(params[1], 16)
        if number > self.head:
            return {"error": {"code": -32000, "message": "header not found"}}
        return {"result": hex(self._counts[number].get(params[0], 0))}

    def _block(self, params: list[Any]) -> object:
        number = int(params[0], 16)
        return {"result": header(number, transactions=self._blocks[number])}
