"""A node that lags behind: what it says about a chain of which it knows only the first blocks."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_NEWEST = ("latest", "pending")
# Where the block is among the parameters
_STATE_READS = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getTransactionCount": 1,
    "eth_getCode": 1,
    "eth_getStorageAt": 2,
}
_BY_HASH = ("eth_getTransactionReceipt", "eth_getTransactionByHash")
_UNKNOWN_BLOCK = {"code": -32001, "message": "header not found"}


def answer_without_asking(request: Json, head: int) -> Json | None:
    """Answer what a node at block `head` knows, or does not know, by itself; None for what it looks up."""
    method, params = request["method"], list(request.get("params") or [])
    if method == "eth_blockNumber":
        return _answer(request, result=hex(head))
    if method == "eth_getBlockByNumber" and _is_beyond(params[0], head):
        return _answer(request, result=None)
    if method in _STATE_READS and _is_beyond(_get(params, _STATE_READS[method]), head):
        return _answer(request, error=_UNKNOWN_BLOCK)
    if method == "eth_getLogs" and _is_beyond(params[0].get("fromBlock", "latest"), head):
        return _answer(request, result=[])
    return None


def asked_as_of(request: Json, head: int) -> Json:
    """Return the request with every mention of the newest block replaced by `head`."""
    method, params = request["method"], list(request.get("params") or [])
    if method == "eth_getBlockByNumber" and params[0] in _NEWEST:
        params[0] = hex(head)
    elif method in _STATE_READS:
        where = _STATE_READS[method]
        if _get(params, where) in _NEWEST:
            params[where:] = [hex(head), *params[where + 1 :]]
    elif method == "eth_getLogs":
        # It does not know that there is more, so it searches as far as it knows and finds nothing amiss
        query = dict(params[0])
        last = query.get("toBlock", "latest")
        query["toBlock"] = hex(head) if last in _NEWEST or _is_beyond(last, head) else last
        params[0] = query
    return {**request, "params": params}


def answered_as_of(request: Json, answer: Json, head: int) -> Json:
    """Return an answer without what was mined after `head`."""
    result = answer.get("result")
    if request["method"] in _BY_HASH and isinstance(result, dict) and _is_beyond(result["blockNumber"], head):
        return {**answer, "result": None}
    return answer


def _answer(request: Json, **content: Any) -> Json:
    return {"jsonrpc": "2.0", "id": request.get("id"), **content}


def _get(params: list[Any], where: int) -> Any:
    return params[where] if len(params) > where else "latest"


def _is_beyond(block: Any, head: int) -> bool:
    return isinstance(block, str) and block.startswith("0x") and int(block, 16) > head
