"""When endpoints agree about a block, and when they do not."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from include.venues.errors import Unavailable
from include.venues.evm import agreement
from include.venues.evm.endpoints import Endpoint, Endpoints
from include.venues.evm.multicall import MULTICALL3
from include.venues.evm.rpc import Rpc
from include.venues.evm.types import Call
from tests.unit.venues.evm.fakes import TOKEN

BASE = 8453
BLOCK_SECONDS = 2
CALL = Call(TOKEN, b"\x01")
LONG = 30.0


class Node:
    """Knows the chain up to a head. A liar's answers are its own.

    :param head: its newest block; None for a node that does not answer.
    """

    def __init__(self, name: str, head: int | None, *, lies: bool = False) -> None:
        self.name = name
        self.head = head
        self.asked: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self._lies = lies

    def make_request(self, _method: str, params: Any) -> Any:
        self.asked.append(params[1])
        assert self.go.wait(LONG)
        if self.head is None:
            raise Unavailable(f"{self.name} is dead")
        block = self.head if params[1] == "latest" else int(params[1], 16)
        if block > self.head:
            return {"error": {"code": -32000, "message": "header not found"}}
        (entries,) = decode(["(address,bool,bytes)[]"], bytes.fromhex(params[0]["data"][10:]))
        facts = iter((BASE, block, block * BLOCK_SECONDS, block - 1, 77))
        held = block * 10 + self._lies
        answers = [next(facts) if target.lower() == MULTICALL3.lower() else held for target, _, _ in entries]
        result = encode(["(bool,bytes)[]"], [[(True, answer.to_bytes(32, "big")) for answer in answers]])
        return {"result": f"0x{result.hex()}"}


def read(*nodes: Node, witnesses: int = 2) -> tuple[int, int]:
    """Return the block that was agreed upon, and what is held there."""
    endpoints = Endpoints([Endpoint(Rpc(node, label=node.name, redact=str)) for node in nodes], chain_id=BASE)
    found = agreement.read(endpoints, [CALL], chain_id=BASE, witnesses=witnesses)
    assert found.results[0] is not None
    return found.seal.number, int.from_bytes(found.results[0], "big")


def test_read__level__one_round() -> None:
    nodes = Node("a", 100), Node("b", 100)

    assert read(*nodes) == (100, 1000)
    assert [node.asked for node in nodes] == [["latest"], ["latest"]]


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_read__one_a_little_ahead__is_asked_about_the_block_both_know(order: tuple[int, int]) -> None:
    nodes = Node("a", 101), Node("b", 100)

    assert read(*(nodes[place] for place in order)) == (100, 1000)
    assert nodes[0].asked == ["latest", hex(100)]


def test_read__one_lags_by_more_than_a_minute__nothing_is_believed() -> None:
    behind = 100 - agreement.MOST_BEHIND_SECONDS // BLOCK_SECONDS - 1

    with pytest.raises(Unavailable, match=f"no 2 of 2 endpoints agree.*block 100.*block {behind}"):
        read(Node("a", 100), Node("b", behind))


def test_read__one_lies__nothing_is_believed() -> None:
    with pytest.raises(Unavailable, match="no 2 of 2 endpoints agree"):
        read(Node("a", 100), Node("b", 100, lies=True))


def test_read__one_is_dead__says_so() -> None:
    with pytest.raises(Unavailable, match=r"no 2 of 2 endpoints agree.*b is dead"):
        read(Node("a", 100), Node("b", None))


def test_read__enough_agree__the_silent_one_is_not_waited_for() -> None:
    silent = Node("c", 100)
    silent.go.clear()

    assert read(Node("a", 100), silent, Node("b", 100)) == (100, 1000)
    silent.go.set()


ODD = {
    "dead": lambda: Node("odd", None),
    "lags": lambda: Node("odd", 20),
    "lies": lambda: Node("odd", 100, lies=True),
    "lies about an old block": lambda: Node("odd", 95, lies=True),
    "lies about a block to come": lambda: Node("odd", 10**9, lies=True),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_read__two_of_three__whatever_the_odd_one_says_the_others_are_believed(kind: str, place: int) -> None:
    nodes = [Node("a", 100), Node("b", 99)]
    nodes.insert(place, ODD[kind]())

    block, held = read(*nodes)

    assert block in (99, 100)
    assert held == 10 * block


@given(
    heads=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    liars=st.integers(0, 2),
    witnesses=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_read__any_endpoints__fewer_liars_than_witnesses_never_decide(
    heads: list[int], liars: int, witnesses: int
) -> None:
    nodes = [Node(f"n{number}", head) for number, head in enumerate(heads)]
    nodes += [Node(f"l{number}", 150, lies=True) for number in range(min(liars, witnesses - 1))]
    try:
        block, held = read(*nodes, witnesses=witnesses)
    except Unavailable:
        return
    assert held == 10 * block
    assert sum(head >= block for head in heads) >= witnesses
