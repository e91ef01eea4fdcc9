"""A small JSON-RPC client for the sandbox's own nodes: reads, and transactions that need no signature."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Self

import httpx
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

_TIMEOUT = 30.0
# A node refuses a body of more than a few megabytes
_BATCH = 100


class RpcError(Exception):
    """The node refused a request, or a transaction reverted.

    :param code: the JSON-RPC code; 3 is a revert
    :param data: the revert data, where there is any
    """

    def __init__(self, message: str, code: int = 0, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def calldata(signature: str, args: Sequence[object] = ()) -> str:
    """Return the hex data of a call, e.g. `calldata("transfer(address,uint256)", [to, 5])`."""
    types = [kind for kind in signature[signature.index("(") + 1 : -1].split(",") if kind]
    return "0x" + (keccak(text=signature)[:4] + encode(types, args)).hex()


class Rpc:
    """A client of one node. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(timeout=_TIMEOUT, trust_env=False)
        self._ids: Iterator[int] = itertools.count(1)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(self, method: str, *params: object) -> Any:
        """Send one request and return its result.

        :raises RpcError: the node answered with an error
        :raises httpx.HTTPError: the node could not be reached
        """
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        answer = self._http.post(self.url, json=body).raise_for_status().json()
        return _result(answer)

    def batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Send many requests together and return their results in the same order.

        :raises RpcError: the node answered one of them with an error
        """
        results: list[Any] = []
        for start in range(0, len(requests), _BATCH):
            body = [
                {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
                for index, (method, params) in enumerate(requests[start : start + _BATCH])
            ]
            answers = self._http.post(self.url, json=body).raise_for_status().json()
            results += [_result(answer) for answer in sorted(answers, key=lambda answer: int(answer["id"]))]
        return results

    def call(self, to: str, signature: str, args: Sequence[object], returns: str) -> Any:
        """Call a view function at the latest block and return its one value. Addresses come checksummed.

        :raises RpcError: the call reverted
        """
        answer = self.request("eth_call", {"to": to, "data": calldata(signature, args)}, "latest")
        (value,) = decode([returns], bytes.fromhex(answer[2:]))
        return to_checksum_address(value) if returns == "address" else value

    def send(self, sender: str, to: str, data: str = "0x", *, value: int = 0) -> dict[str, Any]:
        """Send a transaction from an address that the node impersonates, and return its receipt once mined.

        The node picks the nonce, so several senders may share an account.

        :param value: wei
        :raises RpcError: the transaction would revert (nothing is sent), or reverted
        """
        transaction = {"from": sender, "to": to, "data": data, "value": hex(value)}
        # The node would mine a call that reverts, and its receipt would not say why
        self.request("eth_call", transaction, "latest")
        return self.receipt(self.request("eth_sendTransaction", transaction))

    def send_all(self, transactions: Sequence[dict[str, str]]) -> list[str]:
        """Send transactions from addresses that the node impersonates, in their order; return their hashes.

        The node works on a batch in parallel and would give one nonce to two of them, so they are given here.

        :param transactions: each as `eth_sendTransaction` takes it, with `from` and without `nonce`.
        """
        senders = sorted({transaction["from"] for transaction in transactions})
        counts = self.batch([("eth_getTransactionCount", (sender, "pending")) for sender in senders])
        nonces = {
            sender: itertools.count(int(count, 16)) for sender, count in zip(senders, counts, strict=True)
        }
        return self.batch(
            [
                ("eth_sendTransaction", ({**transaction, "nonce": hex(next(nonces[transaction["from"]]))},))
                for transaction in transactions
            ]
        )

    def receipt(self, transaction_hash: str) -> dict[str, Any]:
        """Wait until a transaction is mined and return its receipt.

        :raises RpcError: it reverted, or is not mined in time
        """
        deadline = time.monotonic() + _TIMEOUT
        while True:
            found: dict[str, Any] | None = self.request("eth_getTransactionReceipt", transaction_hash)
            if found is not None:
                break
            if time.monotonic() > deadline:
                msg = f"transaction {transaction_hash} is not mined after {_TIMEOUT} s"
                raise RpcError(msg)
            time.sleep(0.02)
        if int(found["status"], 16) != 1:
            msg = f"transaction {transaction_hash} reverted"
            raise RpcError(msg, 3)
        return found


def _result(answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is not None:
        data = error.get("data")
        raise RpcError(error["message"], error["code"], data if isinstance(data, str) else None)
    return answer["result"]
