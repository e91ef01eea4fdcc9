from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.venues.errors import Unavailable
from tests.unit.venues.evm.fakes import OTHER, OWNER, FakeNode, SyntheticChain, header

blocks = st.lists(st.lists(st.sampled_from([OWNER, OTHER]), max_size=4), min_size=1, max_size=60)


@given(blocks, st.data())
def test_find_spender__any_chain_and_range__the_one_that_spent_it_or_none(
    senders: list[list[str]], data: st.DataObject
) -> None:
    chain = SyntheticChain(senders)
    to_block = data.draw(st.integers(0, chain.head))
    from_block = data.draw(st.integers(0, to_block))
    nonce = data.draw(st.integers(0, 8))

    found = chain.node.chain().find_spender(OWNER, nonce, from_block=from_block, to_block=to_block)

    block, spender = chain.spent.get((OWNER, nonce), (chain.head + 1, None))
    assert found == (spender if block <= to_block else None)


def test_find_spender__long_range__logarithmic_number_of_requests_and_one_block() -> None:
    chain = SyntheticChain([[OWNER] if number == 700 else [] for number in range(1024)])

    found = chain.node.chain().find_spender(OWNER, 0, from_block=1, to_block=1023)

    assert found == chain.spent[OWNER, 0][1]
    assert [method for method, _ in chain.node.asked].count("eth_getBlockByNumber") == 1
    assert len(chain.node.asked) <= 14


def test_find_spender__spent_before_the_range__found_all_the_same() -> None:
    chain = SyntheticChain([[], [OWNER], *[[]] * 50])

    assert chain.node.chain().find_spender(OWNER, 0, from_block=45, to_block=50) == chain.spent[OWNER, 0][1]
    asked = [int(params[1], 16) for method, params in chain.node.asked if method.endswith("Count")]
    assert asked[:4] == [50, 44, 32, 8]


def test_find_spender__node_does_not_know_the_last_block__unavailable() -> None:
    chain = SyntheticChain([[OWNER], []])

    with pytest.raises(Unavailable, match="header not found"):
        chain.node.chain().find_spender(OWNER, 0, from_block=0, to_block=2)


def test_find_spender__block_was_replaced_meanwhile__unavailable() -> None:
    chain = SyntheticChain([[], [OWNER], []])
    chain.node.result("eth_getBlockByNumber", header(1))

    with pytest.raises(Unavailable, match="in block 1 spends nonce 0"):
        chain.node.chain().find_spender(OWNER, 0, from_block=0, to_block=2)


def test_find_spender__block_vanished_meanwhile__unavailable() -> None:
    node = FakeNode().result("eth_getTransactionCount", "0x1").result("eth_getBlockByNumber", None)

    with pytest.raises(Unavailable, match="malformed"):
        node.chain().find_spender(OWNER, 0, from_block=0, to_block=0)
