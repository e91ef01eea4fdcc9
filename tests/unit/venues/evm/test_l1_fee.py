from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.evm import l1_fee
from tests.unit.venues.evm.fakes import FakeNode, raw_receipt, transaction_hash

if TYPE_CHECKING:
    from include.venues.evm.types import Receipt


def receipt(**changed: object) -> Receipt:
    node = FakeNode().result("eth_getTransactionReceipt", raw_receipt(**changed))
    found = node.chain().receipt(transaction_hash(7))
    assert found is not None
    return found


def test_upper_bound__as_the_predeploy_takes_it() -> None:
    call = l1_fee.upper_bound(350)
    assert call.to == "0x420000000000000000000000000000000000000F"
    assert call.data == keccak(text="getL1FeeUpperBound(uint256)")[:4] + encode(["uint256"], [350])


@pytest.mark.parametrize(("given", "fee"), [({"l1Fee": "0x7b"}, 123), ({"l1Fee": None}, 0), ({}, 0)])
def test_receipt__of_a_rollup__has_its_fee(given: dict[str, object], fee: int) -> None:
    found = receipt(**given)
    assert found.l1_fee == fee
    assert found.paid == 21_000 * 10**9 + fee
