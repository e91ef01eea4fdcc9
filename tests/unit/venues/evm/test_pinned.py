"""Reads of one block in as many requests as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from include.venues.errors import Unavailable
from include.venues.evm import multicall, pinned
from include.venues.evm.chain import Reading
from include.venues.evm.errors import TooLarge
from include.venues.evm.multicall import Read, Seal
from include.venues.evm.types import Call
from tests.unit.venues.evm.fakes import OTHER, TOKEN, FakeNode

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE = 8453
CALLS = [Call(TOKEN, bytes([number])) for number in range(10)]


def seal(number: int, parent: int = 7) -> Seal:
    return Seal(BASE, number, 1_700_000_000 + 2 * number, parent, 9)


class Node:
    """Echoes each call's data, of a block that moves on, and takes no more than so many at once."""

    def __init__(self, *heads: int, takes: int = 10**6) -> None:
        self.heads = list(heads) or [5]
        self.asked: list[tuple[int, int | None]] = []
        self.parents: dict[int, int] = {}
        self._takes = takes

    def __call__(self, calls: Sequence[Call], block: int | None) -> Read:
        self.asked.append((len(calls), block))
        if len(calls) > self._takes:
            raise TooLarge(f"{len(calls)} are too many")
        if block is None:
            block = self.heads[0] if len(self.heads) == 1 else self.heads.pop(0)
        return Read(seal(block, self.parents.get(block, 7)), tuple(call.data for call in calls))


@given(st.integers(0, 40), st.integers(1, 15), st.integers(3, 40))
def test_read__any_number_of_calls_and_of_what_fits__each_its_answer_in_order(
    count: int, most: int, takes: int
) -> None:
    calls = [Call(TOKEN, bytes([number])) for number in range(count)]
    node = Node(takes=takes)

    found = pinned.read(node, calls, most=most)

    assert found == Read(seal(5), tuple(call.data for call in calls))
    assert all(size <= most for size, _ in node.asked)


def test_read__no_more_than_fit__is_one_request() -> None:
    node = Node()
    pinned.read(node, CALLS, most=10)
    assert node.asked == [(10, None)]


def test_read__more_than_fit__is_as_few_requests_as_they_need() -> None:
    node = Node()
    pinned.read(node, CALLS, most=4)
    assert sorted(node.asked) == [(2, None), (4, None), (4, None)]


def test_read__parts_of_two_blocks__those_of_the_newer_are_asked_again_about_the_older() -> None:
    node = Node(6, 5, 6)

    found = pinned.read(node, CALLS, most=4)

    assert found.seal == seal(5)
    assert found.results == tuple(call.data for call in CALLS)
    assert [block for _, block in node.asked] == [None, None, None, 5, 5]


def test_read__block_replaced_between_two_parts__unavailable() -> None:
    node = Node(6, 5)
    node.parents = {5: 7}
    read = node.__call__

    def replaced(calls: Sequence[Call], block: int | None) -> Read:
        if block == 5:
            node.parents[5] = 8
        return read(calls, block)

    with pytest.raises(Unavailable, match="block 5 was replaced while it was read in 2 parts"):
        pinned.read(replaced, CALLS, most=5)


def test_read__given_block__every_part_is_asked_about_it() -> None:
    node = Node()
    assert pinned.read(node, CALLS, block=3, most=5).seal == seal(3)
    assert node.asked == [(5, 3), (5, 3)]


def test_read__node_takes_less__is_asked_in_halves_and_not_for_ever() -> None:
    node = Node(takes=0)
    with pytest.raises(TooLarge, match="are too many"):
        pinned.read(node, [*CALLS, *CALLS])
    assert len(node.asked) < 2**5


# What a node says to too much at once


@pytest.mark.parametrize(
    "words",
    [
        "out of gas",
        "gas required exceeds allowance (50000000)",
        "rpc gas limit exceeded",
        "response size exceeded 150MB",
        "request entity too large",
        "execution timed out",
    ],
)
def test_multicall__node_says_it_is_too_much__is_asked_in_halves(words: str) -> None:
    node = FakeNode()
    sizes: list[int] = []

    def answer(params: list[Any]) -> object:
        calls = (len(params[0]["data"]) // 2 - 68) // 32
        sizes.append(calls)
        return {"error": {"code": -32000, "message": words}}

    node.by("eth_call", answer)
    with pytest.raises(Unavailable):
        node.chain().multicall(CALLS)
    assert len(sizes) > 1
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("words", ["internal error", "header not found", "daily quota reached"])
def test_multicall__other_trouble__is_not_asked_again(words: str) -> None:
    node = FakeNode().error("eth_call", words)
    with pytest.raises(Unavailable, match=words):
        node.chain().multicall(CALLS)
    assert len(node.asked) == 1


def test_multicall__answer_of_another_chain__unavailable() -> None:
    entries = [(True, value.to_bytes(32, "big")) for value in (1, 5, 6, 7, 8)]
    node = FakeNode().result("eth_call", "0x" + encode(["(bool,bytes)[]"], [entries]).hex())

    with pytest.raises(Unavailable, match=r"base at node\.test:8545 is chain 1, expected 8453"):
        node.chain().multicall([])


# The contract's coding, written by hand


@given(
    st.lists(
        st.tuples(st.sampled_from([TOKEN, OTHER]), st.binary(max_size=100)).map(lambda one: Call(*one)),
        max_size=20,
    )
)
def test_encode__any_calls__what_a_general_codec_writes(calls: list[Call]) -> None:
    written = multicall.encode(calls)

    entries = [(call.to, True, call.data) for call in calls]
    entries += [(multicall.MULTICALL3, True, selector) for selector in multicall._SEAL]
    assert written.data[4:] == encode(["(address,bool,bytes)[]"], [entries])


@given(st.binary(max_size=400))
def test_decode__any_bytes__refused_or_read_and_nothing_else_raised(answer: bytes) -> None:
    try:
        multicall.decode(answer, 0)
    except multicall.BadAnswer:
        return
    raise AssertionError("no five answers are in so few random bytes")


@given(st.data())
def test_decode__an_answer_with_a_part_missing__refused(data: st.DataObject) -> None:
    entries = [(True, bytes(31) + bytes([number])) for number in range(1, 7)]
    whole = encode(["(bool,bytes)[]"], [entries])
    kept = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(multicall.BadAnswer):
        multicall.decode(whole[:kept], 1)


def test_reading__says_how_many_at_once__is_kept_to() -> None:
    assert Reading().most_at_once == pinned.READS_PER_REQUEST
