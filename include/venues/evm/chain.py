"""One chain, through one JSON-RPC endpoint or several.

web3's provider carries the requests; its result formatters and middleware are passed by, because they hide
the node's own error and may add requests, fees or nonces of their own. Nothing is cached here, and nothing is
asked of the same endpoint twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak

from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm import agreement, parse, pinned
from include.venues.evm.endpoints import (
    READ_PLAINLY,
    Endpoint,
    Endpoints,
    Memory,
    Reading,
    memory_of,
    verify_chain_id,
)
from include.venues.evm.errors import (
    InsufficientFunds,
    NodeError,
    NonceTooLow,
    ReplacementUnderpriced,
    Underpriced,
)
from include.venues.evm.multicall import MULTICALL3, eth_balance_call
from include.venues.evm.node_errors import Meaning, asks_for_fewer_blocks, lacks_method, meaning_of
from include.venues.evm.rpc import Rpc
from include.venues.evm.transport import NodeProvider
from include.venues.evm.types import (
    Address,
    Block,
    Call,
    Contents,
    Fees,
    Hash,
    LoggedEvent,
    MulticallResult,
    Receipt,
    Transaction,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.venues.evm.multicall import Read
    from include.venues.evm.rpc import Provider

__all__ = ["MULTICALL3", "Chain", "LoggedEvent", "MulticallResult", "Reading", "eth_balance_call"]

_CERTAIN: dict[Meaning, type[Refused]] = {
    Meaning.NONCE_TOO_LOW: NonceTooLow,
    Meaning.REPLACEMENT_UNDERPRICED: ReplacementUnderpriced,
    Meaning.UNDERPRICED: Underpriced,
    Meaning.INSUFFICIENT_FUNDS: InsufficientFunds,
    Meaning.INVALID: Refused,
}


class Chain:
    """A client of one chain. It may be shared between threads.

    Reads raise Unavailable whenever the node did not give a sound answer; a node that lags behind the block
    it is asked about is one of these cases.

    :param urls: the endpoint, or several of which the first is the primary. They may carry keys, so only
        their hosts are ever shown.
    :param chain_id: the chain that they must serve; see `verify_chain_id`.
    :param name: what people call the chain.
    :param timeout: the longest that one request to one endpoint may take, in seconds.
    :param provider: carries the requests instead of HTTP to the one endpoint.
    :param reading: how it is read.
    """

    eth_balance_call = staticmethod(eth_balance_call)

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        chain_id: int,
        name: str,
        timeout: float = 15.0,
        provider: Provider | None = None,
        reading: Reading = READ_PLAINLY,
    ) -> None:
        self.name = name
        self.chain_id = chain_id
        self.reading = reading
        self._urls = (urls,) if isinstance(urls, str) else tuple(urls)
        self._timeout = timeout
        if provider is not None and len(self._urls) > 1:
            raise ValueError("a provider stands for one endpoint")
        https = [NodeProvider(url, timeout=timeout) for url in self._urls]
        self._hosts = [http.host for http in https]
        self._rpc = Endpoints(
            [
                Endpoint(
                    Rpc(provider or http, label=f"{name} at {http.host}", redact=http.redact),
                    memory_of(url, chain_id) if provider is None else Memory(),
                )
                for url, http in zip(self._urls, https, strict=True)
            ],
            chain_id=chain_id,
            checks_chain=reading.checks_chain,
            hedge_after=reading.hedge_after,
        )

    def __repr__(self) -> str:
        return f"Chain(name={self.name!r}, chain_id={self.chain_id}, host={', '.join(self._hosts)!r})"

    def each(self) -> list[Chain]:
        """Return a client of each endpoint alone, the primary's first."""
        if len(self._urls) == 1:
            return [self]
        return [
            Chain(url, chain_id=self.chain_id, name=self.name, timeout=self._timeout) for url in self._urls
        ]

    @property
    def host(self) -> str:
        """The host of the primary endpoint."""
        return self._hosts[0]

    # What the chain is

    def verify_chain_id(self) -> None:
        """Ask every endpoint which chain it serves.

        :raises WrongChain: when it is not ours.
        """
        for endpoint in self._rpc.all:
            verify_chain_id(endpoint.rpc, self.chain_id)

    def head(self) -> Block:
        """Read the newest block that the node knows."""
        return self._known(self._rpc.read(parse.block, "eth_getBlockByNumber", "latest", False), "latest")

    def block(self, number: int) -> Block | None:
        """Read a block; None when the node does not know it, or not yet."""
        block = self._rpc.read(parse.block, "eth_getBlockByNumber", hex(number), False)
        if block is not None and block.number != number:
            raise Unavailable(f"{self._rpc.label} was asked for block {number} and gave {block.number}")
        return block

    def contents(self, number: int | None = None) -> Contents | None:
        """Read a block with the hashes of its transactions; None when the node does not know it, or not yet.

        :param number: the newest block when None.
        """
        wanted = _tag(number)
        found = self._rpc.read(parse.contents, "eth_getBlockByNumber", wanted, False)
        if found is not None and number not in (None, found.block.number):
            raise Unavailable(f"{self._rpc.label} was asked for block {number} and gave {found.block.number}")
        return found

    def is_canonical(self, block_number: int, block_hash: Hash) -> bool:
        """Tell whether a block is still part of the chain.

        :raises Unavailable: when the node knows no block of that number: it lags, or the chain became
            shorter, and which of the two it is cannot be told.
        """
        return self._known(self.block(block_number), block_number).hash == block_hash.lower()

    # Reads of state

    def call(self, call: Call, *, sender: Address | None = None, block: int | None = None) -> bytes:
        """Run a call without sending it, and return what the contract returns.

        :param block: the block on whose state it runs; the newest when None.
        :raises Reverted: when the contract refuses.
        """
        return self._rpc.simulate(parse.data, "eth_call", _call_object(call, sender), _tag(block))

    def multicall(
        self, calls: Sequence[Call], *, block: int | None = None, agreed: bool = False
    ) -> MulticallResult:
        """Run many calls in one block; one that fails is None and does not spoil the others.

        It is one request, or several at once where the calls are more than `Reading.most_at_once`.

        :param block: the block; the newest when None.
        :param agreed: believe it only if as many endpoints say the same as `Reading.witnesses`. Of the newest
            block only.
        :raises Unavailable: also when the chain has no Multicall3 at that block, or they need too much gas,
            or the endpoints do not agree.
        """
        most, witnesses = self.reading.most_at_once, self.reading.witnesses
        if agreed and block is None and witnesses > 1:
            read = agreement.read(self._rpc, calls, chain_id=self.chain_id, witnesses=witnesses, most=most)
        else:
            read = pinned.read(self._ask_first, calls, block=block, most=most)
        return MulticallResult(read.seal.number, read.seal.timestamp, read.results)

    def _ask_first(self, calls: Sequence[Call], block: int | None) -> Read:
        return self._rpc.first(
            lambda rpc: pinned.ask_node(rpc, self.chain_id)(calls, block), proves_chain=True
        )

    def balance(self, owner: Address) -> int:
        """Read an account's ether, in wei."""
        return self._rpc.read(parse.quantity, "eth_getBalance", owner, "latest")

    def code(self, address: Address) -> bytes:
        """Read the code of a contract; empty where there is none."""
        return self._rpc.read(parse.data, "eth_getCode", address, "latest")

    def nonce(self, owner: Address, *, block: int | None = None, pending: bool = False) -> int:
        """Read how many nonces an account has spent, which is its next one.

        :param block: as of this block; the newest when None.
        :param pending: count what waits in the node's pool as well.
        """
        if pending and block is not None:
            raise ValueError("a nonce is either as of a block or pending")
        tag = "pending" if pending else _tag(block)
        return self._rpc.read(parse.quantity, "eth_getTransactionCount", owner, tag)

    # Before sending

    def fees(self) -> Fees:
        """Propose EIP-1559 fees: the node's tip, and room for the base fee to double."""
        base = self._rpc.read(_base_fee, "eth_getBlockByNumber", "latest", False)
        method = "eth_maxPriorityFeePerGas"
        try:
            tip = max(self._rpc.read(parse.quantity, method), 1)
        except Unavailable as trouble:
            if not (isinstance(trouble.__cause__, NodeError) and lacks_method(trouble.__cause__)):
                raise
            tip = 1
        return Fees(max_fee_per_gas=2 * base + tip, max_priority_fee_per_gas=tip)

    def estimate_gas(self, call: Call, *, sender: Address, floor: int = 0) -> int:
        """Simulate a transaction on the newest block, and return a gas limit with a quarter to spare.

        :param floor: the least to return.
        :raises Reverted: when the contract refuses.
        :raises InsufficientFunds: when the sender cannot pay the value.
        """
        gas = self._rpc.simulate(parse.quantity, "eth_estimateGas", _call_object(call, sender), "latest")
        return max(-(-gas * 5 // 4), floor)

    # Sending, and what became of it

    def broadcast(self, raw: bytes) -> Hash:
        """Hand a signed transaction to every endpoint, once, and return its hash when one has taken it.

        Handing over the same bytes again, or to several, is safe. A refusal is certain about this request
        only: an earlier one with the same bytes may have been accepted.

        :raises NonceTooLow: a mined transaction has the nonce, perhaps this one.
        :raises Underpriced: the fee is too low; ReplacementUnderpriced where another waits with this nonce.
        :raises InsufficientFunds: the sender cannot pay for it.
        :raises Refused: the node will never accept these bytes.
        :raises Unavailable: it did not leave, as no endpoint would first say which chain it serves.
        :raises OutcomeUnknown: the node may have it: no answer, or one that proves nothing.
        """
        return self._rpc.offer(lambda rpc: _offer(rpc, raw))

    def receipt(self, tx_hash: Hash) -> Receipt | None:
        """Read a transaction's receipt; None when the node does not know the transaction or it is not mined.

        None proves nothing about the future: the transaction may still be mined.
        """
        receipt = self._rpc.read(parse.receipt, "eth_getTransactionReceipt", tx_hash)
        if receipt is not None and receipt.transaction_hash != tx_hash.lower():
            raise Unavailable(f"{self._rpc.label} was asked for the receipt of {tx_hash} and gave another")
        return receipt

    def transaction(self, tx_hash: Hash) -> Transaction | None:
        """Read what a transaction does, mined or waiting; None when the node does not know it."""
        found = self._rpc.read(parse.transaction, "eth_getTransactionByHash", tx_hash)
        if found is not None and found.hash != tx_hash.lower():
            raise Unavailable(f"{self._rpc.label} was asked for transaction {tx_hash} and gave another")
        return found

    def logs(
        self,
        *,
        address: Address,
        topics: Sequence[bytes | Sequence[bytes] | None],
        from_block: int,
        to_block: int,
    ) -> list[LoggedEvent]:
        """Search a contract's events, in their order. A range too wide for the node is searched in halves.

        :param topics: for each position the wanted topic, None for any, or several to choose from.
        :raises Unavailable: also when the node does not know `to_block` yet, as it might then find nothing
            and say so. Behind a load balancer the search itself may still meet a node that lags; keep
            `to_block` some blocks behind the head where an empty answer decides something.
        """
        if from_block > to_block:
            return []
        self._known(self.block(to_block), to_block)
        return self._logs(address, [_topic(topic) for topic in topics], from_block, to_block)

    def find_spender(self, owner: Address, nonce: int, *, from_block: int, to_block: int) -> Hash | None:
        """Find the transaction that spent a nonce of an account; None when it is not spent by `to_block`.

        :param from_block: where to begin. When the nonce was spent before it, the search goes further back,
            for which the node must still have the older state.
        :raises Unavailable: also when no transaction of that block spends it: the chain was reorganised
            meanwhile, or an EIP-7702 authorisation spent it.
        """
        if self.nonce(owner, block=to_block) <= nonce:
            return None
        # Throughout: spent at `high`, not spent at `low`; before block 0 nothing was.
        low, high = min(from_block, to_block) - 1, to_block
        while low >= 0 and self.nonce(owner, block=low) > nonce:
            low, high = max(low - 2 * (high - low), -1), low
        while high - low > 1:
            middle = (low + high) // 2
            if self.nonce(owner, block=middle) > nonce:
                high = middle
            else:
                low = middle
        found = self._rpc.read(
            lambda block: _spender(block, owner, nonce), "eth_getBlockByNumber", hex(high), True
        )
        if found is None:
            raise Unavailable(f"{self._rpc.label}: nothing of {owner} in block {high} spends nonce {nonce}")
        return found

    def _logs(self, address: Address, topics: list[Any], from_block: int, to_block: int) -> list[LoggedEvent]:
        query = {"address": address, "topics": topics, "fromBlock": hex(from_block), "toBlock": hex(to_block)}
        try:
            return self._rpc.read(parse.events, "eth_getLogs", query)
        except Unavailable as trouble:
            too_wide = isinstance(trouble.__cause__, NodeError) and asks_for_fewer_blocks(trouble.__cause__)
            if from_block >= to_block or not too_wide:
                raise
        middle = (from_block + to_block) // 2
        first = self._logs(address, topics, from_block, middle)
        return first + self._logs(address, topics, middle + 1, to_block)

    def _known(self, block: Block | None, number: int | str) -> Block:
        if block is None:
            raise Unavailable(f"{self._rpc.label} does not know block {number}")
        return block


def _offer(rpc: Rpc, raw: bytes) -> Hash:
    """Hand a signed transaction to one node."""
    expected = f"0x{keccak(raw).hex()}"
    label = f"{rpc.label}: transaction {expected}"
    try:
        answer = rpc.ask("eth_sendRawTransaction", f"0x{raw.hex()}")
    except Unavailable as trouble:
        raise OutcomeUnknown(f"{label}: {trouble}") from trouble
    except NodeError as error:
        meaning = meaning_of(error)
        if meaning is Meaning.ALREADY_KNOWN:
            return expected
        if meaning is None:
            raise OutcomeUnknown(f"{label}: {error}") from error
        raise _CERTAIN[meaning](f"{label}: {error}") from error
    if not isinstance(answer, str) or answer.lower() != expected:
        raise OutcomeUnknown(f"{label}: the node did not answer with this hash")
    return expected


def _tag(block: int | None) -> str:
    return "latest" if block is None else hex(block)


def _call_object(call: Call, sender: Address | None) -> dict[str, str]:
    wanted = {"to": call.to, "data": f"0x{call.data.hex()}"}
    if sender is not None:
        wanted["from"] = sender
    if call.value:
        wanted["value"] = hex(call.value)
    return wanted


def _topic(topic: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    if topic is None:
        return None
    return f"0x{topic.hex()}" if isinstance(topic, bytes) else [f"0x{one.hex()}" for one in topic]


def _base_fee(block: Any) -> int:
    return parse.quantity(block["baseFeePerGas"])


def _spender(block: Any, owner: Address, nonce: int) -> Hash | None:
    for transaction in block["transactions"]:
        if transaction["from"].lower() == owner.lower() and parse.quantity(transaction["nonce"]) == nonce:
            return parse.hash_(transaction["hash"])
    return None
