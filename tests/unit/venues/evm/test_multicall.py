from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from include.venues.errors import Unavailable
from include.venues.evm import erc20
from include.venues.evm.chain import MULTICALL3, Chain, eth_balance_call
from include.venues.evm.types import Call, MulticallResult
from tests.unit.venues.evm.fakes import OTHER, OWNER, TOKEN, FakeNode

NUMBER = (30_000_000).to_bytes(32, "big")
BASE = (8453).to_bytes(32, "big")
PARENT, RANDOMNESS = b"\xab" * 32, b"\xcd" * 32
TIMESTAMP = (1_700_000_000).to_bytes(32, "big")


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


class FakeMulticall3:
    """Does what the contract does: runs each entry, here by looking it up."""

    def __init__(self, answers: dict[tuple[str, bytes], bytes | None]) -> None:
        self._answers = answers | {
            (MULTICALL3, selector("getBlockNumber()")): NUMBER,
            (MULTICALL3, selector("getCurrentBlockTimestamp()")): TIMESTAMP,
            (MULTICALL3, selector("getChainId()")): BASE,
            (MULTICALL3, selector("getLastBlockHash()")): PARENT,
            (MULTICALL3, selector("getCurrentBlockDifficulty()")): RANDOMNESS,
        }

    def __call__(self, params: list[Any]) -> object:
        to, data = params[0]["to"], bytes.fromhex(params[0]["data"][2:])
        assert to == MULTICALL3
        assert data[:4] == selector("aggregate3((address,bool,bytes)[])")
        (entries,) = decode(["(address,bool,bytes)[]"], data[4:])
        lowered = {(target.lower(), call): answer for (target, call), answer in self._answers.items()}
        results = []
        for target, allow_failure, call in entries:
            assert allow_failure
            answer = lowered[target, call]
            results.append((answer is not None, answer or b""))
        return {"result": "0x" + encode(["(bool,bytes)[]"], [results]).hex()}


@given(st.lists(st.tuples(st.binary(max_size=70), st.none() | st.binary(max_size=70)), max_size=12))
def test_multicall__any_calls__each_its_own_answer_in_one_request(
    entries: list[tuple[bytes, bytes | None]],
) -> None:
    calls = [Call(TOKEN, index.to_bytes(4, "big") + data) for index, (data, _) in enumerate(entries)]
    answers = [answer for _, answer in entries]
    contract = FakeMulticall3({(call.to, call.data): one for call, one in zip(calls, answers, strict=True)})
    node = FakeNode().by("eth_call", contract)

    result = node.chain().multicall(calls)

    assert result == MulticallResult(30_000_000, 1_700_000_000, tuple(answers))
    assert len(node.asked) == 1


def test_multicall__pinned__asks_about_that_block() -> None:
    node = FakeNode().by("eth_call", FakeMulticall3({}))

    assert node.chain().multicall([], block=30_000_000).results == ()
    assert node.asked[0][1][1] == hex(30_000_000)


def test_multicall__node_answers_for_another_block__unavailable() -> None:
    with pytest.raises(Unavailable, match="asked about 29 and answered for 30000000"):
        FakeNode().by("eth_call", FakeMulticall3({})).chain().multicall([], block=29)


def test_eth_balance_call__rides_with_the_others() -> None:
    gas, usdc = eth_balance_call(OWNER), erc20.balance_of(TOKEN, OTHER)
    contract = FakeMulticall3({(gas.to, gas.data): encode(["uint256"], [5]), (usdc.to, usdc.data): None})

    result = FakeNode().by("eth_call", contract).chain().multicall([gas, usdc])

    assert gas.data == selector("getEthBalance(address)") + encode(["address"], [OWNER])
    assert Chain.eth_balance_call(OWNER) == gas
    assert result.results == (encode(["uint256"], [5]), None)


def test_multicall__call_with_ether__is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cannot carry ether"):
        FakeNode().chain().multicall([Call(TOKEN, b"", value=1)])


@pytest.mark.parametrize(
    "answer",
    [
        b"",  # no contract there
        b"\x01" * 31,
        encode(["(bool,bytes)[]"], [[(True, NUMBER)]]),
        encode(["(bool,bytes)[]"], [[(False, b""), (True, TIMESTAMP)]]),
        encode(["(bool,bytes)[]"], [[(True, b""), (True, TIMESTAMP)]]),
        encode(["(bool,bytes)[]"], [[(True, NUMBER)] * 3]),
    ],
)
def test_multicall__not_an_answer_to_these_calls__unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="Multicall3"):
        FakeNode().result("eth_call", "0x" + answer.hex()).chain().multicall([])


def test_multicall__out_of_gas__unavailable_because_nothing_was_read() -> None:
    node = FakeNode().error("eth_call", "out of gas")

    with pytest.raises(Unavailable, match="1 calls at once failed"):
        node.chain().multicall([erc20.decimals(TOKEN)])
